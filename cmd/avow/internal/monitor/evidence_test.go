package monitor

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/avow-dev/avow/cmd/avow/internal/follow"
)

func TestFork(t *testing.T) {
	w := newWorld(t)
	w.issue(3)
	o := w.observer()
	o.clean(w.copyOf())
	fork := w.forge([][]byte{w.leaves[0], w.leaves[2], w.leaves[1]})
	o.finds(fork, follow.CodeFork)
	proven, err := o.evidence().Check(w.logs, nil)
	if err != nil || !strings.Contains(proven, "two trees of 3 entries") {
		t.Errorf("%q, %v", proven, err)
	}
	o.finds(fork, follow.CodeFork) // as long as it lasts
	o.clean(w.copyOf())
	// Another log's key proves nothing about this one.
	if _, err := o.evidenceOf(fork).Check(newWorld(t).logs, nil); !errors.Is(err, follow.ErrNotProven) {
		t.Error(err)
	}
}

// evidenceOf is the evidence of a round against a handler.
func (o *observer) evidenceOf(h http.Handler) *follow.Evidence {
	o.t.Helper()
	if _, err := o.look(h); err != nil {
		o.t.Fatal(err)
	}
	return o.evidence()
}

// TestInconsistent: a larger tree that does not contain the remembered one, for remembered sizes with one subtree and
// with several.
func TestInconsistent(t *testing.T) {
	w := newWorld(t)
	w.issue(6)
	for _, size := range []int{1, 2, 3, 4, 5} {
		o := w.observer()
		o.clean(w.forge(w.leaves[:size]))
		changed := slices.Clone(w.leaves)
		changed[0], changed[5] = changed[5], changed[0]
		o.finds(w.forge(changed), follow.CodeInconsistent)
		e := o.evidence()
		proven, err := e.Check(w.logs, nil)
		if err != nil || !strings.Contains(proven, fmt.Sprintf("a tree of %d entries", size)) {
			t.Errorf("%d: %q, %v", size, proven, err)
		}
		for i := range e.Before {
			broken := *e
			broken.Before = slices.Clone(e.Before)
			broken.Before[i] = bytes.Repeat([]byte{1}, follow.HashSize)
			if _, err := broken.Check(w.logs, nil); !errors.Is(err, follow.ErrNotProven) {
				t.Errorf("%d: changed hash %d: %v", size, i, err)
			}
		}
	}
}

// TestOutageHidesNoFork: a statement that nobody answers for does not keep the tree from being looked at.
func TestOutageHidesNoFork(t *testing.T) {
	w := newWorld(t)
	w.issue(4)
	const path = "/statements/by-index/1"
	o := w.observer()
	o.finds(w.forge(w.leaves[:2]).with(path, nil), follow.CodeMissing)
	silent := func(log site) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == path {
				rw.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			log.ServeHTTP(rw, r)
		})
	}
	if _, err := o.look(silent(w.forge(w.leaves))); err == nil {
		t.Error("the statement is not asked for")
	}
	o.finds(silent(w.forge([][]byte{w.leaves[1], w.leaves[0], w.leaves[2]})), follow.CodeInconsistent)
	// What is missing anew comes after what was missing before.
	both := w.forge(w.leaves[:3]).with(path, nil).with("/statements/by-index/2", nil)
	o.finds(both, follow.CodeMissing, follow.CodeMissing)
	o.finds(w.forge(w.leaves[:3]), follow.CodeFound, follow.CodeFound)
}

// TestConsistentIsNoProof: evidence made of an honest log proves nothing.
func TestConsistentIsNoProof(t *testing.T) {
	w := newWorld(t)
	w.issue(5)
	small, large := w.forge(w.leaves[:3]), w.forge(w.leaves)
	h := must(w.logs.Open(large["/checkpoint"]))(t)
	for name, e := range map[string]*follow.Evidence{
		"consistent":      {Kind: follow.KindInconsistent, First: small["/checkpoint"], Second: h.Raw, Before: rangeOf(t, 0, 3, w), After: rangeOf(t, 3, 5, w)},
		"no hashes":       {Kind: follow.KindInconsistent, First: small["/checkpoint"], Second: h.Raw},
		"reversed":        {Kind: follow.KindInconsistent, First: h.Raw, Second: small["/checkpoint"]},
		"same":            {Kind: follow.KindFork, First: h.Raw, Second: h.Raw},
		"two sizes":       {Kind: follow.KindFork, First: small["/checkpoint"], Second: h.Raw},
		"unsigned":        {Kind: follow.KindFork, First: small["/checkpoint"], Second: []byte("x")},
		"valid entry":     {Kind: follow.KindEntry, Second: h.Raw, Index: 4, Leaf: w.leaves[4], Before: rangeOf(t, 0, 4, w), After: nil},
		"entry elsewhere": {Kind: follow.KindEntry, Second: h.Raw, Index: 4, Leaf: []byte("{}"), Before: rangeOf(t, 0, 4, w), After: nil},
		"entry beyond":    {Kind: follow.KindEntry, Second: h.Raw, Index: 5, Leaf: []byte("{}"), Before: rangeOf(t, 0, 5, w)},
	} {
		if proven, err := e.Check(w.logs, nil); !errors.Is(err, follow.ErrNotProven) {
			t.Errorf("%s: %q, %v", name, proven, err)
		}
	}
}

func rangeOf(t *testing.T, begin, end int, w *world) [][]byte {
	t.Helper()
	r := must(follow.MakeRange(uint64(begin), uint64(begin), nil))(t)
	for _, data := range w.leaves[begin:end] {
		if err := r.Append(hashOf(data), nil); err != nil {
			t.Fatal(err)
		}
	}
	return r.Hashes()
}

func TestInvalidEntry(t *testing.T) {
	w := newWorld(t)
	w.issue(4)
	forged := bytes.Replace(w.leaves[1], []byte(`"digest":"`), []byte(`"digest":"AAAA`), 1)
	forged = slices.Delete(forged, bytes.Index(forged, []byte("AAAA"))+4, bytes.Index(forged, []byte("AAAA"))+8)
	for name, bad := range map[string][]byte{"no JSON": []byte("x"), "empty": {}, "other signature": forged,
		"spaces": bytes.Replace(w.leaves[1], []byte(`,`), []byte(`, `), 1)} {
		o := w.observer()
		leaves := slices.Clone(w.leaves)
		leaves[1] = bad
		o.finds(w.forge(leaves), follow.CodeEntryInvalid)
		if proven, err := o.evidence().Check(w.logs, nil); err != nil || !strings.Contains(proven, "invalid entry at 1") {
			t.Errorf("%s: %q, %v", name, proven, err)
		}
	}
}
