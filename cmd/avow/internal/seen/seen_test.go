package seen_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/cmd/avow/internal/seen"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/internal/deptest"
	"github.com/avow-dev/avow/verify"
)

// tree is a log with what its trees of each size were.
type tree struct {
	*bundletest.Log
	key    *verify.LogKey
	leaves [][]byte
	at     map[uint64]string // checkpoints by size
}

func newTree(t *testing.T) *tree {
	t.Helper()
	l := &tree{Log: bundletest.NewLog(t, "index.example.test", bundletest.Start).Fork(0), at: map[uint64]string{}}
	key, err := verify.ParseLogKey(l.VKey(t))
	if err != nil {
		t.Fatal(err)
	}
	l.key = key
	for l.Size() < 2 {
		l.grow(t, "leaf")
	}
	return l
}

func (l *tree) grow(t *testing.T, leaf string) string {
	t.Helper()
	l.leaves = append(l.leaves, []byte(leaf))
	l.Append([]byte(leaf))
	size := uint64(l.Size()) // #nosec G115 -- not negative
	l.at[size] = l.Checkpoint(t)
	return l.at[size]
}

// prove makes the consistency proof from the leaves.
func (l *tree) prove(_ context.Context, origin string, first, second uint64) ([][]byte, error) {
	if origin != l.Origin {
		return nil, errors.New("another log")
	}
	nodes, err := proof.Consistency(first, second)
	if err != nil {
		return nil, err
	}
	var hashes [][]byte
	for _, id := range nodes.IDs {
		begin, end := id.Coverage()
		hashes = append(hashes, root(l.leaves[begin:end]))
	}
	return nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
}

// root is the RFC 6962 hash of a list of leaves.
func root(leaves [][]byte) []byte {
	if len(leaves) == 1 {
		return rfc6962.DefaultHasher.HashLeaf(leaves[0])
	}
	half := 1
	for half*2 < len(leaves) {
		half *= 2
	}
	return rfc6962.DefaultHasher.HashChildren(root(leaves[:half]), root(leaves[half:]))
}

func opened(t *testing.T, path string) *seen.Memory {
	t.Helper()
	m, err := seen.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// wantCaught wants a code, with evidence that the log's key proves, or that says that it is none.
func wantCaught(t *testing.T, err error, code follow.Code, proves bool, l *tree) {
	t.Helper()
	var c *follow.Caught
	if !errors.As(err, &c) || c.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	dir := t.TempDir()
	name, err := c.Evidence.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	e, err := follow.ParseEvidence(data)
	if err != nil {
		t.Fatal(err)
	}
	logs, err := follow.ParseLogKey(l.VKey(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Check(logs, nil); (err == nil) != proves || err != nil && !errors.Is(err, follow.ErrNotProven) {
		t.Errorf("evidence of %s: %v", code, err)
	}
}

// TestSee: a log that grows is remembered by its newest tree, and everything else is caught.
func TestSee(t *testing.T) {
	l := newTree(t)
	path := filepath.Join(t.TempDir(), "dir", "seen.json")
	see := func(checkpoint string, prove seen.Prover) error {
		m := opened(t, path)
		if err := m.See(t.Context(), l.key, checkpoint, prove); err != nil {
			return err
		}
		return m.Save()
	}
	for range 5 {
		if err := see(l.grow(t, "leaf"), l.prove); err != nil {
			t.Fatal(err)
		}
	}
	if err := see(l.at[7], l.prove); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if newest, err := opened(t, path).Newest(l.key); err != nil || newest.Size != 7 {
		t.Errorf("newest: %v, %v", newest, err)
	}
	wantCaught(t, see(l.at[6], l.prove), follow.CodeRolledBack, false, l)
	other := &tree{Log: l.Fork(0), key: l.key, at: map[uint64]string{}}
	for other.Size() < 7 {
		other.grow(t, "another")
	}
	wantCaught(t, see(other.at[7], other.prove), follow.CodeFork, true, l)
	wantCaught(t, see(other.grow(t, "another"), other.prove), follow.CodeInconsistent, false, l)
	wantCaught(t, see(l.grow(t, "leaf"), other.prove), follow.CodeInconsistent, false, l)

	// What came without a proof is remembered beside, and has to be continued, too.
	if err := see(other.at[8], nil); err != nil {
		t.Fatal(err)
	}
	wantCaught(t, see(l.grow(t, "leaf"), l.prove), follow.CodeInconsistent, false, l)
	down := errors.New("down")
	if err := see(l.at[9], func(context.Context, string, uint64, uint64) ([][]byte, error) { return nil, down }); !errors.Is(err, down) {
		t.Errorf("without an answer: %v", err)
	}
	if err := see("no checkpoint", l.prove); !errors.Is(err, verify.ErrCheckpoint) {
		t.Errorf("what is no checkpoint: %v", err)
	}
}

// TestSaveMerges: two processes at a time lose nothing of what either saw.
func TestSaveMerges(t *testing.T) {
	l, second := newTree(t), newTree(t)
	path := filepath.Join(t.TempDir(), "seen.json")
	a, b := opened(t, path), opened(t, path)
	for m, x := range map[*seen.Memory]*tree{a: l, b: second} {
		if err := errors.Join(m.See(t.Context(), x.key, x.at[2], x.prove), m.Save()); err != nil {
			t.Fatal(err)
		}
	}
	a, b = opened(t, path), opened(t, path)
	older, newer := l.grow(t, "leaf"), l.grow(t, "leaf")
	if err := errors.Join(a.See(t.Context(), l.key, newer, l.prove), a.Save(), b.See(t.Context(), l.key, older, l.prove), b.Save()); err != nil {
		t.Fatal(err)
	}
	m := opened(t, path)
	for x, want := range map[*tree]uint64{l: 4, second: 2} {
		if newest, err := m.Newest(x.key); err != nil || newest.Size != want {
			t.Errorf("newest: %v, %v, want %d", newest, err, want)
		}
	}
	if err := m.See(t.Context(), l.key, newer, l.prove); err != nil {
		t.Errorf("both are of one log: %v", err)
	}
}

// TestOpenRefuses: a damaged file is refused, and does not count as the beginning.
func TestOpenRefuses(t *testing.T) {
	l := newTree(t)
	path := filepath.Join(t.TempDir(), "seen.json")
	m := opened(t, path)
	if err := errors.Join(m.See(t.Context(), l.key, l.at[2], l.prove), m.Save()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	good := string(data)
	for name, text := range map[string]string{
		"empty": "", "half": good[:len(good)/2], "another form": strings.Replace(good, "seen/v1", "seen/v2", 1),
		"a member more": strings.Replace(good, `"logs"`, `"x": 1, "logs"`, 1), "something after it": good + "{}", "no checkpoints": strings.Replace(good,
			`"checkpoints": [`, `"checkpoints": [], "x": [`, 1), "too large": good + strings.Repeat(" ", seen.MaxBytes),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := seen.Open(path); !errors.Is(err, seen.ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(path, []byte(strings.Replace(good, `"checkpoints": [`, `"checkpoints": ["eA==",`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	m = opened(t, path)
	if _, err := m.Newest(l.key); !errors.Is(err, seen.ErrState) {
		t.Errorf("a checkpoint that does not verify: %v", err)
	}
	if err := m.See(t.Context(), l.key, l.at[2], l.prove); !errors.Is(err, seen.ErrState) {
		t.Errorf("a checkpoint that does not verify: %v", err)
	}
}

func TestDependencies(t *testing.T) {
	deptest.Forbid(t, map[string]string{
		"github.com/avow-dev/avow/server": "the client holds no server code",
		"github.com/spf13/cobra":          "flags are read by the commands",
	})
}

// FuzzOpen: whatever is in the file, it is refused or can be written again.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(`{"format":"avow-seen/v1","logs":[{"origin":"a","key":"sha256:00","checkpoints":["eA=="]}]}`))
	f.Add([]byte(`{"format":"avow-seen/v1","logs":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "seen.json")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := seen.Open(path)
		if err != nil {
			if !errors.Is(err, seen.ErrState) {
				t.Fatal(err)
			}
			return
		}
		if err := m.Save(); err != nil {
			t.Fatal(err)
		}
		if _, err := seen.Open(path); err != nil {
			t.Fatalf("what was written is refused: %v", err)
		}
	})
}
