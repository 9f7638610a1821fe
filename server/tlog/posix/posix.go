package posix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/avow-dev/avow/server/tlog"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"
	driver "github.com/transparency-dev/tessera/storage/posix"
)

// Names inside the log's directory.
const (
	stateDir      = ".state"
	treeStateFile = "treeState"
	lockFile      = ".lock"
)

const (
	// spareDescriptors is the number of descriptors that must be free before a round of writes. Tessera uses four at
	// once.
	spareDescriptors = 8
	// dirPerm is that of Tessera's own directories: the log is public, and often served by another program.
	dirPerm = 0o755
)

// Open opens the log in cfg.Dir, which [Create] made. Errors are those of [tlog.Open], and [tlog.CodeLocked] at once if
// another process, or another Open of this one, serves the log or uses its anchor.
func Open(ctx context.Context, cfg tlog.Config) (*tlog.Log, error) {
	storage, err := prepare(ctx, cfg)
	if err != nil {
		return nil, err
	}
	l, err := tlog.Open(ctx, cfg, storage)
	if err != nil {
		_ = storage.Release() // the refusal is the news
		return nil, err
	}
	return l, nil
}

// Create creates an empty log in cfg.Dir, with its anchor at cfg.AnchorPath, and publishes the checkpoint of the empty
// tree. The directories are made if they are absent. It refuses with [tlog.CodeExists] where a log is; a creation that
// was interrupted is completed by calling it again.
func Create(ctx context.Context, cfg tlog.Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	for _, dir := range []string{cfg.Dir, filepath.Dir(cfg.AnchorPath)} {
		if err := makeDir(dir); err != nil {
			return tlog.Unavailable("making the log's directories", err)
		}
	}
	storage, err := prepare(ctx, cfg)
	if err != nil {
		return err
	}
	if err := tlog.Create(ctx, cfg, storage); err != nil {
		_ = storage.Release() // the refusal is the news; a second release does nothing
		return err
	}
	return nil
}

// Fsck checks the log in cfg.Dir as [tlog.Check] does, and keeps servers away meanwhile: [tlog.CodeLocked] if one is
// there already, which then has [tlog.Log.Fsck].
func Fsck(ctx context.Context, cfg tlog.Config, progress func(done, total uint64)) error {
	storage, err := prepare(ctx, cfg)
	if err != nil {
		return err
	}
	err = tlog.Check(ctx, cfg, storage, progress)
	if releaseErr := storage.Release(); err == nil && releaseErr != nil {
		return tlog.Unavailable("giving back the log's locks", releaseErr)
	}
	return err
}

// prepare takes the locks and returns the storage in cfg.Dir.
func prepare(ctx context.Context, cfg tlog.Config) (tlog.Storage, error) {
	if err := cfg.Validate(); err != nil {
		return tlog.Storage{}, err
	}
	if _, err := os.Stat(cfg.Dir); errors.Is(err, fs.ErrNotExist) {
		return tlog.Storage{}, &tlog.Error{Code: tlog.CodeNotFound, Message: "the log's directory does not exist",
			Hint: "create the log first", Err: err}
	}
	if _, err := os.Stat(filepath.Dir(cfg.AnchorPath)); errors.Is(err, fs.ErrNotExist) {
		return tlog.Storage{}, &tlog.Error{Code: tlog.CodeAnchorMissing, Message: "the anchor's directory does not exist",
			Hint: "perhaps its disk is not mounted", Err: err}
	}
	RedirectKlog(cfg.Logger)
	witnesses, err := tlog.NewWitnesses(ctx, cfg)
	if err != nil {
		return tlog.Storage{}, err
	}
	d, err := driver.New(ctx, driver.Config{Path: cfg.Dir, HTTPClient: witnesses.Client()})
	if err != nil {
		witnesses.Close()
		return tlog.Storage{}, tlog.Unavailable("opening the log's directory", err)
	}
	locks, err := lock(filepath.Join(cfg.Dir, lockFile), cfg.AnchorPath+lockFile)
	if err != nil {
		witnesses.Close()
		return tlog.Storage{}, err
	}
	release := func() error {
		witnesses.Close()
		return locks.release()
	}
	files := directory(cfg.Dir)
	return tlog.Storage{Driver: d, Witnesses: witnesses, Reader: client.FileFetcher{Root: cfg.Dir}, TreeState: files.treeState,
		Writable: files.writable, Backdate: files.backdate, Release: release}, nil
}

// directory is a log's directory.
type directory string

// treeState reads the size and the root of the integrated tree from Tessera's private state.
func (d directory) treeState(context.Context) (uint64, []byte, error) {
	raw, err := os.ReadFile(filepath.Join(string(d), stateDir, treeStateFile))
	if err != nil {
		return 0, nil, err
	}
	var state struct {
		Size uint64 `json:"size"`
		Root []byte `json:"root"`
	}
	if err := json.Unmarshal(raw, &state); err != nil {
		return 0, nil, &tlog.Error{Code: tlog.CodeCorrupt, Message: "the tree state does not parse", Err: err}
	}
	return state.Size, state.Root, nil
}

// writable makes sure that a file of the log can be opened for writing, as Tessera opens its lock file, and that
// descriptors are left for what it opens after that. It uses this package's lock file: Tessera's is locked by fcntl,
// and closing any descriptor of that would drop Tessera's lock. A flock does not mind.
func (d directory) writable() error {
	files := make([]*os.File, 0, spareDescriptors)
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for range spareDescriptors {
		f, err := os.OpenFile(filepath.Join(string(d), lockFile), os.O_RDWR, 0)
		if err != nil {
			return fmt.Errorf("opening the lock file: %w", err)
		}
		files = append(files, f)
	}
	return nil
}

// backdate moves the time of the checkpoint file back. The time has no other meaning than to pace Tessera.
func (d directory) backdate(by time.Duration) error {
	path := filepath.Join(string(d), layout.CheckpointPath)
	info, err := os.Stat(path)
	if err == nil {
		at := info.ModTime().Add(-by)
		err = os.Chtimes(path, at, at)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing published yet, nothing in the way
	}
	return err
}

// makeDir makes a directory and its parents durably: a power cut must not take the directory of a log that was
// acknowledged.
func makeDir(dir string) error {
	dir = filepath.Clean(dir)
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	parent := filepath.Dir(dir)
	if err := makeDir(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, dirPerm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.Open(parent)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
