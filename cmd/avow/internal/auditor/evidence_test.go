package auditor

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/internal/indexworld"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/audit"
	"github.com/avow-dev/avow/verify/index/replay"
)

// accuse makes evidence about the last leaf of an index log, as if it differed, whatever it is. Before it the honest leaves are
// compared.
func accuse(t testing.TB, w *indexworld.World, leaves [][]byte, last []byte, codes ...string) (*client, []*follow.Evidence) {
	t.Helper()
	roots := w.IndexLog(leaves...)
	c := newClient(t, w)
	c.clean(w.Handler(roots))
	w.Log(roots, last)
	server := httptest.NewServer(w.Handler(roots))
	defer server.Close()
	base, err := follow.ParseServerURL(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	statements, index := *c.Statements, *c.Roots
	statements.Base, index.Base = base, base
	c.Statements, c.Roots = &statements, &index
	var all []*follow.Evidence
	for _, code := range codes {
		s, err := c.loadState()
		if err != nil {
			t.Fatal(err)
		}
		r := &run{Auditor: c.Auditor, state: s, entries: &pipeline{}}
		if err := r.heads(t.Context()); err != nil {
			t.Fatal(err)
		}
		published := parsed(t, last)
		err = r.prove(t.Context(), &audit.Error{Code: code, Leaf: uint64(len(leaves)), Published: published}, last)
		var caught *follow.Caught
		if !errors.As(err, &caught) {
			t.Fatalf("%s: %v", code, err)
		}
		all = append(all, caught.Evidence)
	}
	return c, all
}

func parsed(t testing.TB, raw []byte) *index.Root {
	t.Helper()
	r, err := index.ParseRoot(raw)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestHonestIsNoProof: evidence made about an honest leaf proves nothing, of whatever kind it is.
func TestHonestIsNoProof(t *testing.T) {
	w, leaves, b := history(t)
	w.Declare(3)
	w.Withdraw(1)
	honest := w.Index(b, 7)[0]
	c, all := accuse(t, w, leaves, honest, index.CodeRootMalformed, audit.CodeLogDiffers, audit.CodeIndexDiffers)
	// The leaf before is honest as well, and has a late entry.
	_, late := accuse(t, w, leaves[:3], leaves[3], audit.CodeIndexDiffers, audit.CodeLateUnknown)
	for i, e := range append(all, late...) {
		if proven, err := e.Check(c.Logs, c.Index); !errors.Is(err, follow.ErrNotProven) {
			t.Errorf("%d: %s about an honest leaf: %q, %v", i, e.Kind, proven, err)
		}
	}
}

// TestChangedProof: a proof of a lie with anything changed, cut off or left out proves the same or nothing, and about an honest
// leaf nothing.
func TestChangedProof(t *testing.T) {
	w, leaves, b := history(t)
	w.Declare(3)
	w.Withdraw(1)
	honest := w.Index(b, 7)[0]
	c, all := accuse(t, w, leaves, honest, audit.CodeIndexDiffers)
	changes := 0
	for _, changed := range mutations(t, all[0]) {
		if proven, err := changed.Check(c.Logs, c.Index); !errors.Is(err, follow.ErrNotProven) {
			t.Errorf("%q, %v", proven, err)
		}
		changes++
	}
	if changes < 100 {
		t.Errorf("%d changes", changes)
	}
}

// mutations are the evidence with each of its byte strings changed, cut and emptied, and each of its lists cut and turned.
func mutations(t testing.TB, e *follow.Evidence) []*follow.Evidence {
	t.Helper()
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var all []*follow.Evidence
	each := func(change func(v reflect.Value) bool) {
		for n := 0; ; n++ {
			clone, at, done := &follow.Evidence{}, 0, false
			if err := json.Unmarshal(data, clone); err != nil {
				t.Fatal(err)
			}
			visit(reflect.ValueOf(clone).Elem(), func(v reflect.Value) {
				if at == n {
					done = true
					if change(v) {
						all = append(all, clone)
					}
				}
				at++
			})
			if !done {
				return
			}
		}
	}
	each(func(v reflect.Value) bool { // the first
		if v.Type().Elem().Kind() != reflect.Uint8 {
			v.SetLen(v.Len() - 1)
			return true
		}
		v.Index(v.Len() / 2).SetUint(v.Index(v.Len()/2).Uint() ^ 1)
		return true
	})
	each(func(v reflect.Value) bool { v.SetLen(v.Len() / 2); return true })
	each(func(v reflect.Value) bool { v.SetZero(); return true })
	each(func(v reflect.Value) bool {
		if v.Len() < 2 || reflect.DeepEqual(v.Index(0).Interface(), v.Index(v.Len()-1).Interface()) {
			return false
		}
		reflect.Swapper(v.Interface())(0, v.Len()-1)
		// The order in which keys were opened makes no difference; nothing else may be turned.
		return true
	})
	return all
}

// visit calls for every slice that holds something.
func visit(v reflect.Value, do func(reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			visit(v.Elem(), do)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			visit(v.Field(i), do)
		}
	case reflect.Slice:
		if v.Len() == 0 {
			return
		}
		if v.Type().Elem().Kind() != reflect.Uint8 {
			for i := range v.Len() {
				visit(v.Index(i), do)
			}
		}
		do(v)
	}
}

// TestTooLarge: a step that does not fit into a file is named, and left to a replay.
func TestTooLarge(t *testing.T) {
	w := indexworld.New(t)
	w.Declare(0)
	r := w.Cheat(0, func(*replay.Tree, func(uint64) replay.LogEntry) {})
	c := newClient(t, w)
	h := w.Handler(w.IndexLog(r.Append(nil)))
	full := c.finds(h, follow.CodeIndexDiffers)
	named := *full
	named.Kind, named.Proof = follow.KindIndexReplay, &follow.IndexProof{Log: full.Proof.Log}
	if _, err := named.Check(c.Logs, c.Index); !errors.Is(err, follow.ErrReplay) || !errors.Is(err, follow.ErrNotProven) {
		t.Error(err)
	}
	if proven, err := named.Confirmed(full); err != nil || !strings.Contains(proven, "leaf 0") {
		t.Errorf("%q, %v", proven, err)
	}
	other := *full
	other.Index = 1
	for _, found := range []*follow.Evidence{nil, &other} {
		if _, err := named.Confirmed(found); !errors.Is(err, follow.ErrNotProven) {
			t.Errorf("%+v: %v", found, err)
		}
	}
}

// FuzzIndexEvidence: nobody proves anything about an honest index.
func FuzzIndexEvidence(f *testing.F) {
	w, leaves, b := history(f)
	w.Declare(3)
	honest := w.Index(b, 6)[0]
	c, all := accuse(f, w, leaves, honest, index.CodeRootMalformed, audit.CodeLogDiffers, audit.CodeIndexDiffers)
	_, late := accuse(f, w, leaves[:3], leaves[3], audit.CodeIndexDiffers, audit.CodeLateUnknown)
	for _, e := range append(all, late...) {
		e.Format = "avow-misbehaviour/v1"
		data, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := follow.ParseEvidence(data)
		if err != nil {
			return
		}
		if proven, err := e.Check(c.Logs, c.Index); err == nil {
			t.Errorf("proven: %s", proven)
		}
	})
}
