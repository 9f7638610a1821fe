package follow

import "time"

// Limits of what is read, in bytes unless they say otherwise.
const (
	maxCheckpointBytes = 64 << 10
	maxTileBytes       = TileWidth * HashSize
	maxBundleBytes     = 4 << 20
	// MaxEvidenceBytes is the largest evidence file that is read: a bundle in base64 and what belongs to it, or a step of
	// the index with its statements.
	MaxEvidenceBytes = 32 << 20
	// maxEvidenceValues is the number of JSON values in one.
	maxEvidenceValues = 1 << 18
	maxLeafBytes      = 32 << 10
	// maxTree is the largest tree that is followed, in entries: its indexes fit into every format that carries them.
	maxTree = 1 << 40
	// maxTilesKept is the number of hash tiles that a round keeps.
	maxTilesKept = 64
)

// Pauses between tries.
const (
	firstPause = 500 * time.Millisecond
	maxTries   = 5
	// maxRetryAfter is the longest pause that a server can ask for.
	maxRetryAfter = time.Minute
	// requestTime is the time for one answer.
	requestTime = 30 * time.Second
)
