package index

import (
	"context"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	vindex "github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/replay"
)

// Set is all that an answer is made of, of one moment. It does not change; its slices are for reading.
type Set struct {
	// Checkpoint is that of the statement log whose entries the index covers.
	Checkpoint []byte
	// Root is the last leaf of the index log, and Leaf the same as it is logged.
	Root *vindex.Root
	Leaf []byte
	// RootsSize is the size of the index log, Proof the inclusion proof of Leaf at its last place, and RootsCheckpoint the
	// checkpoint.
	RootsSize       uint64
	Proof           [][]byte
	RootsCheckpoint []byte
	// Version is the index.
	Version *replay.Version
}

// Bundles returns the Sigstore bundle of the statement of an entry, as JSON.
type Bundles func(ctx context.Context, logIndex uint64) ([]byte, error)

// Status makes the status bundle of a statement that the signer signed, with what was said about it. Errors are those
// of bundles.
func (s *Set) Status(ctx context.Context, target string, signer vindex.Signer, bundles Bundles) (*statusv1.StatusBundle, error) {
	about, unresolved := s.list(vindex.TargetKey(target)), s.list(vindex.UnresolvedKey(signer))
	for _, e := range about.GetEntries() {
		var err error
		if e.Bundle, err = bundles(ctx, e.GetLogIndex()); err != nil {
			return nil, err
		}
	}
	return &statusv1.StatusBundle{Target: target, Checkpoint: string(s.Checkpoint), IndexCheckpoint: string(s.RootsCheckpoint),
		IndexRoot: string(s.Leaf), IndexRootProof: s.Proof, About: about, Unresolved: unresolved}, nil
}

func (s *Set) list(k vindex.Key) *statusv1.ListProof {
	entries, proof := s.Version.Lookup(k)
	p := &statusv1.ListProof{Proof: proof.Append(make([]byte, 0, 1<<10))}
	for _, e := range entries {
		p.Entries = append(p.Entries, &statusv1.ListEntry{LogIndex: e.LogIndex, Kind: uint32(e.Kind)})
	}
	return p
}
