package tlog

import formats "github.com/transparency-dev/formats/log"

// EncodeForTest is the base64 of a root as checkpoints have it.
func EncodeForTest(root []byte) string { return encode(hash(root)) }

// headText is the text of a checkpoint.
func headText(origin string, size uint64, root hash) string {
	return string(formats.Checkpoint{Origin: origin, Size: size, Hash: root[:]}.Marshal())
}
