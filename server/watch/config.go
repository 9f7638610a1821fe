package watch

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/server/index"
	"github.com/avow-dev/avow/server/tlog"
	vindex "github.com/avow-dev/avow/verify/index"
)

// Limits and defaults. They are all here.
const (
	// MaxFilters is how many members a [Filter] has at most, all lists together.
	MaxFilters = 8192
	// DefaultRing is how many events are kept for all watchers together.
	DefaultRing = 4096
	// DefaultPoll is how often the index is looked at while somebody watches.
	DefaultPoll = 10 * time.Millisecond
	// MaxBatch is how many events a [Batch] has at most.
	MaxBatch = 64

	maxKeys     = 1 << 22 // keys of all watchers, about 150 bytes each
	maxRingKeys = 1 << 20 // keys of the events that are kept, 32 bytes each
	chunk       = 256     // entries that are read at a time
	maxCatchUps = 4       // watchers that read from the logs at the same time
	maxPairs    = 4096    // keys of signers with artifacts that a watcher has at most
	maxTargets  = 64      // statements whose artifacts and products an event takes over
)

// Known is a statement with who signed it.
type Known struct {
	// Signer is who signed it.
	Signer vindex.Signer
	// Statement is what was signed.
	Statement *predicate.Statement
}

// Config says what a hub follows. All members but the last four are required.
type Config struct {
	// Index is the complete index.
	Index *index.Index
	// Statements and Roots are the logs that the index was opened with.
	Statements, Roots *tlog.Log
	// Statement is the function that the index was opened with.
	Statement func(ctx context.Context, at uint64, entry []byte) ([]byte, error)
	// Find returns a statement by its id, once for each of its signers, also if it is not logged yet; nothing if it is not known.
	Find func(ctx context.Context, id string) ([]Known, error)
	// Logger receives a line where the logs or statements do not answer.
	Logger *slog.Logger

	// Ring is how many events are kept; 0 means DefaultRing.
	Ring int
	// Poll is how often the index is looked at; 0 means DefaultPoll.
	Poll time.Duration
	// Registerer receives the metrics; nil means none.
	Registerer prometheus.Registerer
}

func (c Config) withDefaults() (Config, error) {
	if c.Index == nil || c.Statements == nil || c.Roots == nil || c.Statement == nil || c.Find == nil || c.Logger == nil {
		return c, errors.New("watch config: the index, both logs, both sources of statements and a logger are needed")
	}
	if c.Ring < 0 || c.Poll < 0 {
		return c, errors.New("watch config: a negative ring or interval")
	}
	if c.Ring == 0 {
		c.Ring = DefaultRing
	}
	if c.Poll == 0 {
		c.Poll = DefaultPoll
	}
	return c, nil
}
