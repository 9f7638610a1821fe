package trustroot_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/internal/trustroot"
	"github.com/avow-dev/avow/verify"
)

// world is a root with one entry of every kind, and a second log.
type world struct {
	logs, ctLogs []*bundletest.Log
	tsas         []*bundletest.TSA
	cas          []*bundletest.CA
}

func newWorld(t testing.TB) *world {
	return &world{
		logs:   []*bundletest.Log{bundletest.NewLog(t, "2026-1.log.example", bundletest.Start)},
		ctLogs: []*bundletest.Log{bundletest.NewECDSALog(t, "ct.example", bundletest.Start)},
		tsas:   []*bundletest.TSA{bundletest.NewTSA(t, "https://tsa.example", bundletest.Start)},
		cas:    []*bundletest.CA{bundletest.NewCA(t, "https://ca.example", bundletest.Start)},
	}
}

func (w *world) root(t testing.TB) *trustroot.Root {
	t.Helper()
	return parse(t, bundletest.TrustedRoot(t, w.logs, w.tsas, w.cas, w.ctLogs))
}

func parse(t testing.TB, data []byte) *trustroot.Root {
	t.Helper()
	r, err := trustroot.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func words(changes []trustroot.Change) string {
	var all []string
	for _, c := range changes {
		all = append(all, c.String())
	}
	return strings.Join(all, "\n")
}

var end = bundletest.Start.AddDate(1, 0, 0)

func TestRetireAndRemoveEveryKind(t *testing.T) {
	w := newWorld(t)
	root := w.root(t)
	if n := len(root.Entries()); n != 4 {
		t.Fatalf("%d entries, want one of every kind", n)
	}
	for _, e := range root.Entries() {
		for _, ref := range []string{e.Ref(), string(e.Kind) + ":" + e.ID[:8], string(e.Kind) + ":sha256:" + e.ID, string(e.Kind) + ":" + e.Name} {
			r := root.Clone()
			if err := r.Retire(ref, end); err != nil {
				t.Fatalf("%s: %v", ref, err)
			}
			if got := words(trustroot.Diff(root, r)); !strings.HasPrefix(got, "~ ") || !strings.Contains(got, "until "+end.Format(time.RFC3339)) {
				t.Errorf("retire %s: %s", ref, got)
			}
			found, err := r.Find(e.Ref())
			if err != nil || found.State(end) != trustroot.InUse || found.State(end.Add(1)) != trustroot.Ended ||
				found.State(bundletest.Start.Add(-1)) != trustroot.Announced {
				t.Errorf("%s: %v, states around the window are wrong", ref, err)
			}
			if err := r.Remove(ref); err != nil {
				t.Fatal(err)
			}
			changes := trustroot.Diff(root, r)
			if len(changes) != 1 || changes[0].Action != trustroot.Removed || len(r.Entries()) != 3 {
				t.Errorf("remove %s: %s", ref, words(changes))
			}
			if _, err := r.JSON(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestRefusedEdits(t *testing.T) {
	w := newWorld(t)
	w.tsas = append(w.tsas, bundletest.NewTSA(t, "https://tsa.example", bundletest.Start)) // the same address
	root := w.root(t)
	log, err := root.Find("log:2026-1.log.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"", "log:", "log", "key:abcdefgh", "log:2027.log.example", "log:" + log.ID[:7], "tsa:" + log.ID, "log:zzzzzzzz"} {
		if err := root.Remove(ref); !errors.Is(err, trustroot.ErrNoEntry) {
			t.Errorf("%q: got %v", ref, err)
		}
	}
	if err := root.Remove("tsa:https://tsa.example"); !errors.Is(err, trustroot.ErrNoEntry) || !strings.Contains(err.Error(), "names 2 entries") {
		t.Errorf("ambiguous name: %v", err)
	}
	if err := root.Retire(log.Ref(), bundletest.Start.Add(-1)); err == nil || !strings.Contains(err.Error(), "remove it instead") {
		t.Errorf("an end before the start: %v", err)
	}
	if err := root.Retire(log.Ref(), end); err != nil {
		t.Fatal(err)
	}
	if err := root.Retire(log.Ref(), end.Add(time.Second)); err == nil {
		t.Error("a closed window was opened again")
	}
	if err := root.Retire(log.Ref(), end.Add(-time.Hour)); err != nil {
		t.Errorf("drawing the end in: %v", err)
	}
}

// TestMergeKeepsWindows: an ended log that comes again without its end stays ended, and every kind is carried.
func TestMergeKeepsWindows(t *testing.T) {
	w := newWorld(t)
	root := w.root(t)
	ended := root.Clone()
	if err := ended.Retire("log:2026-1.log.example", end); err != nil {
		t.Fatal(err)
	}
	before := ended.Clone()
	if err := ended.Merge(root); err != nil {
		t.Fatal(err)
	}
	if d := trustroot.Diff(before, ended); len(d) != 0 {
		t.Errorf("merging what is there changed: %s", words(d))
	}
	other := newWorld(t).root(t)
	if err := ended.Merge(other); err != nil {
		t.Fatal(err)
	}
	d := trustroot.Diff(before, ended)
	if len(d) != 4 || len(ended.Entries()) != 8 {
		t.Errorf("merging four new entries: %s", words(d))
	}
	next, ok := ended.Successor(root.Entries()[0])
	if ok {
		t.Errorf("a log that began at the same time is called a successor: %s", next.Label())
	}
}

// TestReplacedKeyIsSeen: the same id with another key is neither merged nor overlooked.
func TestReplacedKeyIsSeen(t *testing.T) {
	w, o := newWorld(t), newWorld(t)
	raw := bundletest.TrustedRoot(t, w.logs, w.tsas, w.cas, w.ctLogs)
	foreign := bundletest.TrustedRoot(t, o.logs, o.tsas, o.cas, o.ctLogs)
	key := func(b []byte) []byte {
		_, rest, _ := bytes.Cut(b, []byte(`"rawBytes":"`))
		k, _, _ := bytes.Cut(rest, []byte(`"`))
		return k
	}
	swapped := parse(t, bytes.Replace(raw, key(raw), key(foreign), 1))
	root := parse(t, raw)
	if d := trustroot.Diff(root, swapped); len(d) != 1 || d[0].Action != trustroot.Replaced {
		t.Errorf("got %s", words(d))
	}
	if err := root.Merge(swapped); err == nil {
		t.Error("another key under a known id was merged")
	}
}

func TestForeignTextIsSafe(t *testing.T) {
	w := newWorld(t)
	w.tsas[0].URI = "https://tsa.example/\x1b[2J\u202e" + strings.Repeat("x", 500)
	for _, e := range w.root(t).Entries() {
		c := trustroot.Change{Action: trustroot.Added, New: &e}
		if s := c.String(); len(s) > 400 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q", s)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	if _, err := trustroot.Parse([]byte("{}")); !errors.Is(err, verify.ErrTrust) {
		t.Errorf("got %v", err)
	}
	w := newWorld(t)
	w.tsas = append(w.tsas, w.tsas[0])
	if _, err := trustroot.Parse(bundletest.TrustedRoot(t, w.logs, w.tsas, nil, nil)); err == nil || !strings.Contains(err.Error(), "listed twice") {
		t.Errorf("an authority twice: %v", err)
	}
}
