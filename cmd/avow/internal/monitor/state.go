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

	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/internal/wholefile"
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

	head *follow.Head   // nil at the beginning
	tree *compact.Range // of head
}

// missing is an entry whose statement was not there, or was another one.
type missing struct {
	Index uint64 `json:"index"`
	Leaf  []byte `json:"leaf"`
}

// loadState reads the state from a directory; none is the beginning. The remembered checkpoint is verified, and the
// hashes must give its root.
func loadState(dir string, logs *follow.Logs) (*state, error) {
	s := &state{}
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

func (s *state) parse(data []byte, logs *follow.Logs) error {
	if len(data) > maxStateBytes {
		return fmt.Errorf("more than %d bytes", maxStateBytes)
	}
	if err := follow.DecodeStrict(data, s); err != nil {
		return err
	}
	var err error
	if s.head, err = logs.Open(s.Checkpoint); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if s.tree, err = follow.MakeRange(0, s.head.Size, s.Hashes); err != nil {
		return err
	}
	root, err := follow.RootOf(s.tree)
	if err != nil {
		return err
	}
	if !bytes.Equal(root, s.head.Root) {
		return errors.New("the hashes do not give the checkpoint's root")
	}
	for i, m := range s.Missing {
		if m.Index >= s.head.Size || i > 0 && m.Index <= s.Missing[i-1].Index || i >= maxMissing {
			return fmt.Errorf("missing[%d]: entry %d is out of place", i, m.Index)
		}
		if _, err := follow.ParseLeaf(m.Leaf); err != nil {
			return fmt.Errorf("missing[%d]: %w", i, err)
		}
	}
	return nil
}

// save writes the state durably, whole or not at all.
func (s *state) save(dir string) error {
	s.Checkpoint, s.Hashes = s.head.Raw, s.tree.Hashes()
	data, err := json.Marshal(s)
	if err == nil {
		err = wholefile.Replace(filepath.Join(dir, stateFile), data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	return nil
}

// size is the number of entries that were looked at.
func (s *state) size() uint64 {
	if s.tree == nil {
		return 0
	}
	return s.tree.End()
}
