package statements_test

import (
	"math"
	"testing"

	"github.com/avow-dev/avow/server/statements"
)

// TestLeaves: the first row of a leaf stays, whoever brought it, and it is there after a restart.
func TestLeaves(t *testing.T) {
	s, path := create(t)
	bare, stated := [32]byte{1}, [32]byte{2}
	if _, found, err := s.Leaf(t.Context(), bare); found || err != nil {
		t.Fatalf("an empty store has it: %v, %v", found, err)
	}
	if got, existed, err := s.PutLeaf(t.Context(), bare, 7); existed || err != nil || got != (statements.Leaf{Hash: bare, LogSize: 7, Bare: true}) {
		t.Errorf("first: %+v, %v, %v", got, existed, err)
	}
	p := statement(newSigner(t), "stated")
	p.Leaf, p.LogSize = stated, 8
	put(t, s, p)
	after := statement(newSigner(t), "written first")
	after.Leaf, after.LogSize = bare, 9
	put(t, s, after)
	s = reopen(t, s, path)
	for hash, want := range map[[32]byte]statements.Leaf{
		bare: {Hash: bare, LogSize: 7, Bare: true}, stated: {Hash: stated, LogSize: 8},
	} {
		if got, found, err := s.Leaf(t.Context(), hash); !found || err != nil || got != want {
			t.Errorf("read: %+v, %v, %v, want %+v", got, found, err, want)
		}
		if got, existed, err := s.PutLeaf(t.Context(), hash, 100); !existed || err != nil || got != want {
			t.Errorf("put again: %+v, %v, %v, want %+v", got, existed, err, want)
		}
	}
	if _, _, err := s.PutLeaf(t.Context(), [32]byte{3}, math.MaxUint64); err == nil {
		t.Error("a size beyond the log is stored")
	} else {
		wantCode(t, err, statements.Invalid)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
}
