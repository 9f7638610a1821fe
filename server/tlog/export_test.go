package tlog

// EncodeForTest is the base64 of a root as checkpoints have it.
func EncodeForTest(root []byte) string { return encode(hash(root)) }
