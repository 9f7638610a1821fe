package tlog

import formats "github.com/transparency-dev/formats/log"

// EncodeForTest is the base64 of a root as checkpoints have it.
func EncodeForTest(root []byte) string { return encode(hash(root)) }

// headText is the text of a checkpoint.
func headText(origin string, size uint64, root hash) string {
	return string(formats.Checkpoint{Origin: origin, Size: size, Hash: root[:]}.Marshal())
}

// ForgeAnchor changes one hash of an anchor and gives it the checksum of its new content.
func ForgeAnchor(data []byte) []byte {
	a, err := parseAnchor(data)
	if err != nil || len(a.nodes) == 0 {
		panic("not an anchor of a log with entries")
	}
	a.nodes[len(a.nodes)-1][0] ^= 1
	return a.marshal()
}

// SatisfiedForTest is satisfied, for tests from outside.
func (w *Witnesses) SatisfiedForTest(checkpoint []byte) bool { return w.satisfied(checkpoint) }

// RepublishForTest makes the published checkpoint so old that the driver publishes it anew.
func (l *Log) RepublishForTest() error { return l.storage.Backdate(longAgo) }
