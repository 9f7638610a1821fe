package monitor

import (
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
)

// ErrState is wrapped by errors about the state on disk.
var ErrState = errors.New("state of the monitor")

const stateFile = "state.json"

// state is what a monitor remembers.
type state struct {
	// Checkpoint is the last one up to which everything was looked at.
	Checkpoint []byte `json:"checkpoint"`
	// Hashes are the compact range of its tree.
	Hashes [][]byte `json:"hashes"`
	// Missing are the entries without their statement, in the order of the log.
	Missing []missing `json:"missing,omitempty"`
	// Grown is when the tree was first seen with its size.
	Grown time.Time `json:"grown"`

	head *head          // nil at the beginning
	tree *compact.Range // of head
}

// missing is an entry whose statement was not there, or was another one.
type missing struct {
	Index uint64 `json:"index"`
	Leaf  []byte `json:"leaf"`
}

// loadState reads the state from a directory; none is the beginning. The remembered checkpoint is verified, and the
// hashes must give its root.
func loadState(dir string, logs *Logs) (*state, error) {
	s := &state{tree: tree.NewEmptyRange(0)}
	f, err := os.Open(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxStateBytes+1))
	if err == nil {
		err = s.parse(data, logs)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrState, f.Name(), err)
	}
	return s, nil
}

func (s *state) parse(data []byte, logs *Logs) error {
	if len(data) > maxStateBytes {
		return fmt.Errorf("more than %d bytes", maxStateBytes)
	}
	if err := decodeStrict(data, s); err != nil {
		return err
	}
	var err error
	if s.head, err = logs.open(s.Checkpoint); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if s.tree, err = makeRange(0, s.head.size, s.Hashes); err != nil {
		return err
	}
	root, err := rootOf(s.tree)
	if err != nil {
		return err
	}
	if !bytes.Equal(root, s.head.root) {
		return errors.New("the hashes do not give the checkpoint's root")
	}
	for i, m := range s.Missing {
		if m.Index >= s.head.size || i > 0 && m.Index <= s.Missing[i-1].Index || i >= maxMissing {
			return fmt.Errorf("missing[%d]: entry %d is out of place", i, m.Index)
		}
		if _, err := parseLeaf(m.Leaf); err != nil {
			return fmt.Errorf("missing[%d]: %w", i, err)
		}
	}
	return nil
}

// save writes the state durably, whole or not at all.
func (s *state) save(dir string) error {
	s.Checkpoint, s.Hashes = s.head.raw, s.tree.Hashes()
	data, err := json.Marshal(s)
	if err == nil {
		err = writeDurably(dir, stateFile, data)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	return nil
}

// writeDurably replaces a file: after it returns nil a power cut does not bring the old one back.
func writeDurably(dir, name string, data []byte) (err error) {
	f, err := os.CreateTemp(dir, "."+name+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err = os.Rename(f.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	if d, openErr := os.Open(dir); openErr == nil {
		_ = d.Sync() // not every system can; the file itself is on the disk
		d.Close()
	}
	return nil
}

// decodeStrict reads JSON with known members only and nothing after it.
func decodeStrict(data []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows after the JSON value")
	}
	return nil
}
