package monitor

// Limits of what is remembered.
const (
	// maxStateBytes is the size of the largest state that is read.
	maxStateBytes = 16 << 20
	// maxMissing is the number of entries without statement that are remembered.
	maxMissing = 256
	// maxKept is the default of [Monitor.Keep].
	maxKept = 16 << 20
)
