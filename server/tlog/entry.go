package tlog

// Entry is a leaf's place in the log and its proof. All slices are shared with other callers: read only.
type Entry struct {
	// Index is the leaf's index, from 0.
	Index uint64
	// TreeSize is the size of the tree that the proof is for, in leaves.
	TreeSize uint64
	// RootHash is the root of that tree, 32 bytes.
	RootHash []byte
	// Proof is the RFC 6962 inclusion proof, from the leaf upwards, 32 bytes each; empty in a tree of one leaf.
	Proof [][]byte
	// Checkpoint is the published checkpoint of that tree: a signed note, with cosignatures if there are witnesses.
	Checkpoint []byte
}

// Leaf is a leaf with its index.
type Leaf struct {
	// Index is the leaf's index, from 0.
	Index uint64
	// Data is the leaf's exact bytes.
	Data []byte
}
