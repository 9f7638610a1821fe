package seen

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/internal/filelock"
	"github.com/avow-dev/avow/internal/wholefile"
	"github.com/avow-dev/avow/verify"
)

// Limits of the file.
const (
	// MaxBytes is the largest file that is read.
	MaxBytes = 16 << 20
	// maxLogs is the number of logs that are remembered.
	maxLogs = 512
	// maxKept is the number of checkpoints that are remembered of a log.
	maxKept = 16
)

// format names the form of the file. It never changes its meaning.
const format = "avow-seen/v1"

// ErrState is wrapped by errors about the file.
var ErrState = errors.New("what is remembered of logs")

// Prover asks for the RFC 6962 consistency proof between the trees of two sizes of the log of that origin.
type Prover func(ctx context.Context, origin string, first, second uint64) ([][]byte, error)

// file is the content of the file.
type file struct {
	Format string `json:"format"`
	Logs   []log  `json:"logs"`
}

// log is what is remembered of a log.
type log struct {
	Origin string `json:"origin"`
	// Key is the id of the log's key.
	Key string `json:"key"`
	// Checkpoints are signed notes. A new one has to continue each of them.
	Checkpoints [][]byte `json:"checkpoints"`
}

// Memory is what is remembered. It is not safe for concurrent use.
type Memory struct {
	path   string
	before file // as it was read
	now    file
}

// Open reads what is remembered in a file; a file that is not there is the beginning. The error wraps [ErrState].
func Open(path string) (*Memory, error) {
	before, err := read(path)
	if err != nil {
		return nil, err
	}
	m := &Memory{path: path, before: before}
	m.now.Logs = make([]log, len(before.Logs))
	for n, l := range before.Logs {
		m.now.Logs[n] = log{l.Origin, l.Key, slices.Clone(l.Checkpoints)}
	}
	return m, nil
}

func read(path string) (f file, err error) {
	in, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return f, fmt.Errorf("%w: %w", ErrState, err)
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, MaxBytes+1))
	if err == nil {
		f, err = parse(data)
	}
	if err != nil {
		return f, fmt.Errorf("%w: %s: %w", ErrState, path, err)
	}
	return f, nil
}

// parse reads the file strictly. Its checkpoints are verified when they are compared.
func parse(data []byte) (f file, err error) {
	if len(data) > MaxBytes {
		return f, fmt.Errorf("more than %d bytes", MaxBytes)
	}
	if err := follow.DecodeStrict(data, &f); err != nil {
		return f, err
	}
	if f.Format != format || len(f.Logs) > maxLogs {
		return f, fmt.Errorf("format %.40q with %d logs, want %q with at most %d", f.Format, len(f.Logs), format, maxLogs)
	}
	known := map[[2]string]bool{}
	for n, l := range f.Logs {
		name := [2]string{l.Origin, l.Key}
		if known[name] || len(l.Checkpoints) == 0 || len(l.Checkpoints) > maxKept || slices.ContainsFunc(l.Checkpoints, tooLarge) {
			return f, fmt.Errorf("logs[%d]: %d checkpoints of %.100q, want each log once with 1 to %d of at most %d bytes", n, len(l.Checkpoints),
				l.Origin, maxKept, verify.MaxCheckpointBytes)
		}
		known[name] = true
	}
	return f, nil
}

func tooLarge(checkpoint []byte) bool { return len(checkpoint) > verify.MaxCheckpointBytes }

// find is what is remembered of a log; nil if there is nothing.
func (f *file) find(origin, key string) *log {
	for n := range f.Logs {
		if l := &f.Logs[n]; l.Origin == origin && l.Key == key {
			return l
		}
	}
	return nil
}

// open verifies what is remembered of a log.
func (l *log) open(key *verify.LogKey) ([]*verify.Checkpoint, error) {
	if l == nil {
		return nil, nil
	}
	var all []*verify.Checkpoint
	for n, raw := range l.Checkpoints {
		cp, err := open(string(raw), key)
		if err != nil {
			return nil, fmt.Errorf("%w: checkpoint %d: %w", ErrState, n, err)
		}
		all = append(all, cp)
	}
	return all, nil
}

func open(raw string, key *verify.LogKey) (*verify.Checkpoint, error) {
	return verify.OpenCheckpoint(raw, key, nil, time.Time{})
}

// Newest is the largest checkpoint that is remembered of a log; nil if there is none. The error wraps [ErrState].
func (m *Memory) Newest(key *verify.LogKey) (*verify.Checkpoint, error) {
	all, err := m.before.find(key.Origin(), key.ID()).open(key)
	var newest *verify.Checkpoint
	for _, cp := range all {
		if newest == nil || cp.Size > newest.Size {
			newest = cp
		}
	}
	return newest, err
}

// See compares a checkpoint of a log with everything that is remembered of it, and remembers it. Without a prover, a larger tree is
// remembered beside the others. The error is a [follow.Caught], wraps [ErrState], is the prover's, or one of
// [verify.OpenCheckpoint]; nothing is remembered then.
func (m *Memory) See(ctx context.Context, key *verify.LogKey, checkpoint string, prove Prover) error {
	shown, err := open(checkpoint, key)
	if err != nil {
		return err
	}
	l := m.now.find(key.Origin(), key.ID())
	known, err := l.open(key)
	if err != nil {
		return err
	}
	for n, old := range known {
		switch {
		case shown.Size < old.Size:
			return rolledBack(key, l.Checkpoints[n], old, checkpoint, shown)
		case shown.Size == old.Size && shown.Root != old.Root:
			return caught(follow.KindFork, follow.CodeFork, l.Checkpoints[n], checkpoint,
				fmt.Sprintf("the log %s signed two trees of %d entries", key.Origin(), old.Size))
		case shown.Size == old.Size || prove == nil:
			continue
		}
		if err := continues(ctx, key, l.Checkpoints[n], old, checkpoint, shown, prove); err != nil {
			return err
		}
	}
	m.keep(key, l, known, checkpoint, shown, prove != nil)
	return nil
}

// keep remembers a checkpoint, in the place of those that it was shown to continue.
func (m *Memory) keep(key *verify.LogKey, l *log, known []*verify.Checkpoint, checkpoint string, shown *verify.Checkpoint, proved bool) {
	same := func(old *verify.Checkpoint) bool { return old.Size == shown.Size }
	switch {
	case l == nil:
		m.now.Logs = append(m.now.Logs, log{key.Origin(), key.ID(), [][]byte{[]byte(checkpoint)}})
	case proved:
		l.Checkpoints = [][]byte{[]byte(checkpoint)}
	case !slices.ContainsFunc(known, same):
		l.Checkpoints = trim(append(l.Checkpoints, []byte(checkpoint)))
	}
}

// trim keeps the oldest and the newest.
func trim(all [][]byte) [][]byte {
	if len(all) <= maxKept {
		return all
	}
	return append(all[:1:1], all[len(all)-maxKept+1:]...)
}

func caught(kind follow.Kind, code follow.Code, first []byte, second, detail string) *follow.Caught {
	return &follow.Caught{Code: code, Detail: detail, Evidence: &follow.Evidence{Kind: kind, Code: code, First: first, Second: []byte(second)}}
}

func rolledBack(key *verify.LogKey, first []byte, old *verify.Checkpoint, second string, shown *verify.Checkpoint) *follow.Caught {
	c := caught(follow.KindNotProvable, follow.CodeRolledBack, first, second,
		fmt.Sprintf("the log %s shows %d entries and has shown %d", key.Origin(), shown.Size, old.Size))
	c.Evidence.Asked, c.Evidence.Answered = "the latest checkpoint", []byte(second)
	c.Evidence.Wanted = fmt.Sprintf("a checkpoint of at least %d entries", old.Size)
	return c
}

// continues asks for the proof that one tree contains another.
func continues(ctx context.Context, key *verify.LogKey, first []byte, old *verify.Checkpoint, second string, shown *verify.Checkpoint, prove Prover) error {
	if old.Size == 0 {
		return nil // every tree does
	}
	path, err := prove(ctx, key.Origin(), old.Size, shown.Size)
	if err != nil {
		return err
	}
	err = proof.VerifyConsistency(rfc6962.DefaultHasher, old.Size, shown.Size, path, old.Root[:], shown.Root[:])
	if err == nil {
		return nil
	}
	answered, _ := json.Marshal(path) // byte strings
	c := caught(follow.KindNotProvable, follow.CodeInconsistent, first, second,
		fmt.Sprintf("the tree of %d entries of %s is not shown to contain the one of %d that the log signed before", shown.Size, key.Origin(), old.Size))
	c.Evidence.Asked = fmt.Sprintf("a consistency proof from %d to %d", old.Size, shown.Size)
	c.Evidence.Answered, c.Evidence.Wanted = answered, "an RFC 6962 consistency proof between the roots of both checkpoints"
	return c
}

// Save writes what is remembered, with what other processes added since [Open]. The error wraps [ErrState].
func (m *Memory) Save() error {
	if err := os.MkdirAll(filepath.Dir(m.path), 0o700); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	lock, err := filelock.Lock(m.path + ".lock")
	if errors.Is(err, filelock.ErrHeld) {
		return fmt.Errorf("%w: %s is being changed by another process: %w", ErrState, m.path, err)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	defer lock.Close()
	there, err := read(m.path)
	if err != nil {
		return err
	}
	m.merge(there)
	if len(m.now.Logs) > maxLogs {
		return fmt.Errorf("%w: %s: more than %d logs", ErrState, m.path, maxLogs)
	}
	m.now.Format = format
	data, err := json.MarshalIndent(m.now, "", "  ")
	if err == nil {
		err = wholefile.Replace(m.path, append(data, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	return nil
}

// merge adds what is there now and was not when the file was opened.
func (m *Memory) merge(there file) {
	for _, l := range there.Logs {
		own, before := m.now.find(l.Origin, l.Key), m.before.find(l.Origin, l.Key)
		if own == nil {
			m.now.Logs = append(m.now.Logs, l)
			continue
		}
		for _, raw := range l.Checkpoints {
			equal := func(other []byte) bool { return bytes.Equal(other, raw) }
			if before != nil && slices.ContainsFunc(before.Checkpoints, equal) || slices.ContainsFunc(own.Checkpoints, equal) {
				continue
			}
			own.Checkpoints = trim(append(own.Checkpoints, raw))
		}
	}
}
