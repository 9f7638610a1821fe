package tlog

import (
	"context"
	"time"

	"github.com/transparency-dev/tessera"
)

// Reader reads the public files of a log. It is the outside world of this package: a directory (package posix), later a
// bucket. Data that it returns is checked against what was signed before anything relies on it.
//
// An absent file MUST be reported as an error that wraps os.ErrNotExist. Asked for a partial tile or bundle that is
// absent, a Reader MUST return the full one if that exists, as C2SP tlog-tiles lets a log delete partial ones.
type Reader interface {
	// ReadCheckpoint returns the published checkpoint.
	ReadCheckpoint(ctx context.Context) ([]byte, error)
	// ReadTile returns the tile of hashes at a tile level and index; width 0 means full.
	ReadTile(ctx context.Context, level, index uint64, width uint8) ([]byte, error)
	// ReadEntryBundle returns the bundle of entries at an index; width 0 means full.
	ReadEntryBundle(ctx context.Context, index uint64, width uint8) ([]byte, error)
}

// Storage is what a driver's package hands to [Open], [Create] and [Check]. All fields are required, Witnesses if the
// configuration has a policy.
type Storage struct {
	// Driver is the Tessera driver.
	Driver tessera.Driver
	// Witnesses is what [NewWitnesses] made of the configuration. Its client is the one that Driver uses.
	Witnesses *Witnesses
	// Reader reads the log's files.
	Reader Reader
	// TreeState returns size and root of the integrated tree from the driver's private state, and an error that
	// wraps os.ErrNotExist if there is none. It is not trusted.
	TreeState func(ctx context.Context) (size uint64, root []byte, err error)
	// Writable returns an error if a write to the log cannot succeed now: no permission, read-only, no descriptors.
	// It is asked before each round of writes, because the driver answers some of these with a panic.
	Writable func() error
	// Backdate makes the published checkpoint look older to the driver by a duration. The driver publishes only if the
	// checkpoint is older than its interval by the clock of the moment. No checkpoint yet is not an error.
	Backdate func(by time.Duration) error
	// Release gives back what the driver's package holds, such as locks. It is called once, by [Log.Close] or when
	// opening does not succeed.
	Release func() error
}
