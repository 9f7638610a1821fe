package index

import "context"

// Report is what [Check] went through.
type Report struct {
	// Roots is the number of leaves of the index log, each of which came out as it was logged.
	Roots uint64
	// Size is the number of entries of the statement log that the last of them covers, Keys the keys of the index, Unresolved the
	// entries whose statement is missing.
	Size, Keys uint64
	Unresolved int
}

// Check replays the index log from its first leaf on, without a snapshot, and compares every root. It writes nothing, and
// the logs must not grow meanwhile. The error has a code that [Error.Halts] if a root does not come out as it was logged.
func Check(ctx context.Context, cfg Config) (*Report, error) {
	cfg.SnapshotPath = ""
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	x := &Index{cfg: cfg}
	if err := x.replay(ctx); err != nil {
		return nil, classify(err)
	}
	r := &Report{Roots: cfg.Roots.Size(), Unresolved: len(x.builder.Unresolved())}
	if last := x.builder.Last(); last != nil {
		r.Size, r.Keys = last.Size, last.Keys
	}
	return r, nil
}
