package tufrepo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/avow-dev/avow/internal/filelock"
	"github.com/avow-dev/avow/internal/wholefile"
)

// Limits, of go-tuf's clients where they have one.
const (
	// MaxMetadataBytes is the largest metadata file: the least that a client reads of any kind but timestamp.json.
	MaxMetadataBytes = 500_000
	// MaxTargetBytes is the largest target file.
	MaxTargetBytes = 1 << 20
	// MaxTargets is the largest number of target files.
	MaxTargets = 64
	// MaxKeys is the largest number of keys of a role.
	MaxKeys = 32
)

// Errors that callers tell apart.
var (
	// ErrThreshold: a staged file has too few signatures.
	ErrThreshold = errors.New("too few signatures")
	// ErrNothingStaged: there is nothing to sign or to publish.
	ErrNothingStaged = errors.New("nothing is staged")
	// ErrKey: the key may not sign this.
	ErrKey = errors.New("not a key of this role")
	// ErrExists: there is a repository already.
	ErrExists = errors.New("there is a repository already")
)

// Repository is a repository in a directory. Its calls may run beside those of other processes: each that writes takes
// a lock for its time.
type Repository struct {
	dir   string
	clock func() time.Time
	// write writes a file durably as a whole; tests stop it.
	write func(path string, data []byte) error
}

// Open opens the repository of a directory. It reads nothing yet.
func Open(dir string, clock func() time.Time) *Repository {
	return &Repository{dir: dir, clock: clock, write: writeFile}
}

// Public is the directory of the published files.
func (r *Repository) Public() string { return filepath.Join(r.dir, "public") }

func (r *Repository) public(name string) string { return filepath.Join(r.Public(), name) }

func (r *Repository) staged(name string) string { return filepath.Join(r.dir, "staged", name) }

// lock keeps other writers away until unlock is called.
func (r *Repository) lock() (unlock func(), err error) {
	for _, d := range []string{r.public("targets"), r.staged("targets")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	f, err := filelock.Lock(filepath.Join(r.dir, ".lock"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.dir, err)
	}
	return func() { f.Close() }, nil
}

// state is what is published, or what will be.
type state struct {
	root      *metadata.Metadata[metadata.RootType] // nil before the first publication
	targets   *metadata.Metadata[metadata.TargetsType]
	snapshot  *metadata.Metadata[metadata.SnapshotType]
	timestamp *metadata.Metadata[metadata.TimestampType]
}

// published reads the repository as a client would find it.
func (r *Repository) published() (*state, error) {
	s := &state{}
	for version := int64(1); ; version++ {
		next, err := read[metadata.RootType](r.public(versioned(version, metadata.ROOT)))
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, err
		}
		if next.Signed.Version != version {
			return nil, fmt.Errorf("%s has version %d", versioned(version, metadata.ROOT), next.Signed.Version)
		}
		s.root = next
	}
	var err error
	s.timestamp, err = read[metadata.TimestampType](r.public(metadata.TIMESTAMP + ".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil // the first publication was interrupted, or there was none
	}
	if err != nil {
		return nil, err
	}
	meta := s.timestamp.Signed.Meta[metadata.SNAPSHOT+".json"]
	if meta == nil {
		return nil, errors.New("timestamp.json names no snapshot")
	}
	if s.snapshot, err = read[metadata.SnapshotType](r.public(versioned(meta.Version, metadata.SNAPSHOT))); err != nil {
		return nil, err
	}
	if meta = s.snapshot.Signed.Meta[metadata.TARGETS+".json"]; meta == nil {
		return nil, errors.New("the snapshot names no targets")
	}
	s.targets, err = read[metadata.TargetsType](r.public(versioned(meta.Version, metadata.TARGETS)))
	return s, err
}

// read reads a metadata file.
func read[T metadata.Roles](path string) (*metadata.Metadata[T], error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > MaxMetadataBytes {
		return nil, fmt.Errorf("%s: got %d bytes, want at most %d", path, info.Size(), MaxMetadataBytes)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m, err := (&metadata.Metadata[T]{}).FromBytes(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// readStaged reads a staged file; nil if there is none.
func readStaged[T metadata.Roles](r *Repository, role string) (*metadata.Metadata[T], error) {
	m, err := read[T](r.staged(role + ".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return m, err
}

// stagedRoles reads what is staged, one of the two at least. Errors wrap [ErrNothingStaged].
func (r *Repository) stagedRoles() (root *metadata.Metadata[metadata.RootType], targets *metadata.Metadata[metadata.TargetsType], err error) {
	if root, err = readStaged[metadata.RootType](r, metadata.ROOT); err != nil {
		return nil, nil, err
	}
	if targets, err = readStaged[metadata.TargetsType](r, metadata.TARGETS); err != nil {
		return nil, nil, err
	}
	if root == nil && targets == nil {
		return nil, nil, ErrNothingStaged
	}
	return root, targets, nil
}

func versioned(version int64, role string) string { return fmt.Sprintf("%d.%s.json", version, role) }

// writeFile writes a file of the repository, which anybody may read.
func writeFile(path string, data []byte) error { return wholefile.Replace(path, data, 0o644) }
