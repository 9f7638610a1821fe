package auditor

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/internal/wholefile"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/audit"
	"github.com/avow-dev/avow/verify/index/replay"
)

// ErrState is wrapped by errors about the state on disk.
var ErrState = errors.New("state of the audit")

const (
	stateFile = "audit.json"
	// maxStateBytes is the size of the largest state that is read: two checkpoints, a leaf and some hashes.
	maxStateBytes = 1 << 20
)

// state is what an auditor remembers beside the snapshot.
type state struct {
	// Checkpoint and IndexCheckpoint are the last ones of both logs up to which everything was compared.
	Checkpoint      []byte `json:"checkpoint"`
	IndexCheckpoint []byte `json:"indexCheckpoint"`
	// Leaf is the last leaf of the index log, empty if there was none; Hashes are the range of those before it.
	Leaf   []byte   `json:"leaf,omitempty"`
	Hashes [][]byte `json:"hashes,omitempty"`
	// Waiting is a size of the statement log that was seen at Since and is not indexed yet, or was by then.
	Waiting uint64    `json:"waiting"`
	Since   time.Time `json:"since"`

	log, roots *follow.Head // nil at the beginning
	rootTree   *compact.Range
}

// loadState reads the state; none is the beginning.
func (a *Auditor) loadState() (*state, error) {
	s := &state{}
	f, err := os.Open(filepath.Join(a.Dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxStateBytes+1))
	if err == nil && len(data) > maxStateBytes {
		err = fmt.Errorf("more than %d bytes", maxStateBytes)
	}
	if err == nil {
		err = s.parse(data, a.Logs, a.Index)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrState, f.Name(), err)
	}
	return s, nil
}

func (s *state) parse(data []byte, logs, indexLogs *follow.Logs) (err error) {
	if err := follow.DecodeStrict(data, s); err != nil {
		return err
	}
	if s.log, err = logs.Open(s.Checkpoint); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if s.roots, err = indexLogs.Open(s.IndexCheckpoint); err != nil {
		return fmt.Errorf("indexCheckpoint: %w", err)
	}
	if s.roots.Size == 0 {
		return nil
	}
	if s.rootTree, err = follow.MakeRange(0, s.roots.Size-1, s.Hashes); err != nil {
		return err
	}
	if err := s.rootTree.Append(rfc6962.DefaultHasher.HashLeaf(s.Leaf), nil); err != nil {
		return err
	}
	if root, err := follow.RootOf(s.rootTree); err != nil || !bytes.Equal(root, s.roots.Root) {
		return errors.New("the leaf is not shown to be the last one of the index log")
	}
	return nil
}

func (a *Auditor) snapshotPath(leaf uint64) string {
	return filepath.Join(a.Dir, fmt.Sprintf("index-%d.snapshot", leaf))
}

// resume takes up the snapshot of the leaf that was compared last. One that cannot be used is as good as none.
func (r *run) resume() error {
	if r.FromScratch || r.state.roots == nil || r.state.roots.Size == 0 {
		return nil
	}
	at := r.state.roots.Size - 1
	f, err := os.Open(r.snapshotPath(at))
	if err == nil {
		defer f.Close()
		var b *audit.Builder
		var s *audit.Snapshot
		b, s, err = audit.ReadSnapshot(bufio.NewReaderSize(f, 1<<16), func(leaf uint64) (*index.Root, error) {
			if leaf != at {
				return nil, replay.ErrSnapshot
			}
			return index.ParseRoot(r.state.Leaf)
		})
		if err == nil {
			r.builder, r.version, r.previous, r.next = b, s.Version(), r.state.Leaf, at+1
			return nil
		}
	}
	if r.Note != nil {
		r.Note(fmt.Sprintf("the index is replayed from its first leaf on: %v", err))
	}
	return nil
}

// rangeOf is the range of the entries that are indexed.
func rangeOf(b *audit.Builder) (*compact.Range, error) {
	var hashes [][]byte
	for _, h := range b.LogHashes() {
		hashes = append(hashes, h[:])
	}
	return follow.MakeRange(0, b.Size(), hashes)
}

// remember writes the snapshot and the state that goes with it, and says whether the index keeps up.
func (r *run) remember() error {
	s := &state{Checkpoint: r.log.Raw, IndexCheckpoint: r.roots.Raw, Leaf: r.previous, Waiting: r.state.Waiting, Since: r.state.Since}
	if r.next > 0 {
		s.Hashes = r.before
		if err := r.writeSnapshot(); err != nil {
			return fmt.Errorf("%w: %w", ErrState, err)
		}
	}
	now, size := r.Now().UTC(), r.builder.Size()
	if size >= s.Waiting || s.Since.IsZero() {
		s.Waiting, s.Since = r.log.Size, now
	}
	data, err := json.Marshal(s)
	if err == nil {
		err = wholefile.Replace(filepath.Join(r.Dir, stateFile), data, 0o600)
	}
	if err == nil {
		err = r.removeOld()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	if r.MaxLag > 0 && size < s.Waiting && now.Sub(s.Since) > r.MaxLag {
		return &follow.Outage{Path: r.Roots.Prefix + "/checkpoint", Reason: fmt.Sprintf("the index covers %d entries, and %s showed %d at %s", size,
			r.log.Origin, s.Waiting, s.Since.Format(time.RFC3339))}
	}
	return nil
}

// writeSnapshot writes the snapshot of the last leaf, if it is not there.
func (r *run) writeSnapshot() error {
	path := r.snapshotPath(r.next - 1)
	if _, err := os.Stat(path); err == nil && r.sum.FromLeaf == r.next {
		return nil
	}
	f, err := os.CreateTemp(r.Dir, ".index.*")
	if err != nil {
		return err
	}
	err = r.builder.Snapshot(r.next-1, r.version).Write(f)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// removeOld removes the snapshots of earlier leaves.
func (r *run) removeOld() error {
	old, err := filepath.Glob(filepath.Join(r.Dir, "index-*.snapshot"))
	for _, path := range old {
		if r.next == 0 || path != r.snapshotPath(r.next-1) {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}
