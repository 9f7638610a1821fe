package auditor

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/internal/indexworld"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/audit"
	"github.com/avow-dev/avow/verify/index/replay"
)

// client is an auditor with its state.
type client struct {
	*Auditor
	t     testing.TB
	found []follow.Finding
	asked []string
}

func newClient(t testing.TB, w *indexworld.World) *client {
	t.Helper()
	c := &client{t: t}
	logs, err := follow.ParseLogs(w.TrustedRoot)
	if err != nil {
		t.Fatal(err)
	}
	key, err := follow.ParseLogKey(w.IndexKey)
	if err != nil {
		t.Fatal(err)
	}
	c.Auditor = &Auditor{Logs: logs, Index: key, Dir: t.TempDir(), Workers: 4, Now: time.Now, Report: func(f follow.Finding) error {
		c.found = append(c.found, f)
		return nil
	}}
	return c
}

// run audits once against a handler.
func (c *client) run(h http.Handler) (Summary, error) {
	c.t.Helper()
	paths := make(chan string, 1<<12)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		paths <- r.URL.Path
		h.ServeHTTP(rw, r)
	}))
	defer server.Close()
	base, err := follow.ParseServerURL(server.URL)
	if err != nil {
		c.t.Fatal(err)
	}
	noSleep := func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	c.Statements = &follow.Client{Base: base, Transport: http.DefaultTransport, Sleep: noSleep}
	c.Roots = &follow.Client{Base: base, Prefix: "/index", Transport: http.DefaultTransport, Sleep: noSleep}
	c.found, c.asked = nil, nil
	sum, err := c.Run(c.t.Context())
	close(paths)
	for p := range paths {
		c.asked = append(c.asked, p)
	}
	return sum, err
}

// clean audits, and must find nothing.
func (c *client) clean(h http.Handler) Summary {
	c.t.Helper()
	sum, err := c.run(h)
	if err != nil || len(c.found) > 0 {
		c.t.Fatalf("%v, found %+v", err, c.found)
	}
	return sum
}

// finds audits, and must find this; it returns the evidence as another machine reads it.
func (c *client) finds(h http.Handler, code follow.Code) *follow.Evidence {
	c.t.Helper()
	if _, err := c.run(h); err != nil {
		c.t.Fatal(err)
	}
	if len(c.found) != 1 || c.found[0].Code != code || c.found[0].Class != follow.Misbehaviour {
		c.t.Fatalf("found %+v, want %s", c.found, code)
	}
	data, err := os.ReadFile(filepath.Join(c.Dir, c.found[0].Evidence))
	if err != nil {
		c.t.Fatal(err)
	}
	e, err := follow.ParseEvidence(data)
	if err != nil {
		c.t.Fatal(err)
	}
	return e
}

// history is three entries, of which the third withdraws the first, an entry of nobody's, and one that came late, indexed by an
// honest operator in steps.
func history(t testing.TB) (*indexworld.World, [][]byte, *audit.Builder) {
	w := indexworld.New(t)
	w.Declare(0)
	w.Declare(1)
	w.Withdraw(0)
	w.Entry([]byte("nobody's entry"), nil)
	late := w.Declare(2)
	w.Hide(late, -1)
	b := audit.NewBuilder(indexworld.Origin)
	leaves := w.Index(b, 1, 3, 5)
	w.Hide(late, 0)
	return w, append(leaves, w.Index(b, 5)...), b
}

func TestAgreesAndGoesOn(t *testing.T) {
	w, leaves, b := history(t)
	roots := w.IndexLog()
	c := newClient(t, w)
	if sum := c.clean(w.Handler(roots)); sum.Leaves != 0 || sum.LogSize != 5 {
		t.Errorf("without leaves: %+v", sum)
	}
	w.Log(roots, leaves...)
	sum := c.clean(w.Handler(roots))
	if sum.Leaves != 4 || sum.Size != 5 || sum.Unresolved != 0 || sum.Keys == 0 {
		t.Errorf("%+v", sum)
	}
	w.Declare(3)
	w.Withdraw(1)
	w.Log(roots, w.Index(b, 6, 7)...)
	sum = c.clean(w.Handler(roots))
	if sum.FromLeaf != 4 || sum.Leaves != 6 || sum.From != 5 || sum.Size != 7 {
		t.Errorf("%+v", sum)
	}
	statements := 0
	for _, path := range c.asked {
		if strings.HasPrefix(path, "/statements/") {
			statements++
		}
	}
	if statements != 2 {
		t.Errorf("%d statements were asked for where 2 are new", statements)
	}
	c.clean(w.Handler(roots))
	if len(c.asked) > 5 {
		t.Errorf("asked %q where nothing is new", c.asked)
	}
	c.FromScratch = true
	if sum = c.clean(w.Handler(roots)); sum.FromLeaf != 0 || sum.Leaves != 6 {
		t.Errorf("from scratch: %+v", sum)
	}
	kept, err := filepath.Glob(filepath.Join(c.Dir, "*.snapshot"))
	if err != nil || len(kept) != 1 {
		t.Errorf("%v: snapshots %q", err, kept)
	}
}

// TestOperatorCheats: whatever an operator with the real key writes to the index log is found at its leaf, and the file alone
// proves it.
func TestOperatorCheats(t *testing.T) {
	w, leaves, b := history(t)
	w.Declare(3)
	w.Withdraw(1)
	honest := w.Index(b, 7)[0]
	foreign := index.TargetKey("sha256:" + strings.Repeat("ab", 32))
	root := func(change func(*index.Root)) []byte {
		r, err := index.ParseRoot(honest)
		if err != nil {
			t.Fatal(err)
		}
		change(r)
		return r.Append(nil)
	}
	built := func(cheat func(*replay.Tree, func(uint64) replay.LogEntry)) []byte {
		// The late entry's history is the honest one, so the tree is made again as it was.
		r := w.Cheat(0, func(t *replay.Tree, entry func(uint64) replay.LogEntry) {
			for _, at := range []uint64{0, 1, 2} {
				t.Index(entry(at))
			}
			e := entry(4)
			missing := e
			missing.Statement = nil
			t.Index(missing)
			e.Late = true
			t.Index(e)
			cheat(t, entry)
		})
		return r.Append(nil)
	}
	for name, c := range map[string]struct {
		leaf []byte
		code follow.Code
		kind follow.Kind
	}{
		"omits a withdrawal": {built(func(t *replay.Tree, entry func(uint64) replay.LogEntry) { t.Index(entry(5)) }), follow.CodeIndexDiffers, follow.KindIndexStep},
		"hides a withdrawal from its target": {built(func(t *replay.Tree, entry func(uint64) replay.LogEntry) {
			t.Index(entry(5))
			t.Add(index.SignerKey(entry(6).Signer), index.Entry{LogIndex: 6})
		}), follow.CodeIndexDiffers, follow.KindIndexStep},
		"adds under a foreign key": {built(func(t *replay.Tree, entry func(uint64) replay.LogEntry) {
			t.Index(entry(5))
			t.Index(entry(6))
			t.Add(foreign, index.Entry{LogIndex: 6})
		}), follow.CodeIndexDiffers, follow.KindIndexStep},
		"reorders": {built(func(t *replay.Tree, entry func(uint64) replay.LogEntry) {
			t.Index(entry(6))
			t.Index(entry(5))
		}), follow.CodeIndexDiffers, follow.KindIndexStep},
		"counts keys wrongly":    {root(func(r *index.Root) { r.Keys++ }), follow.CodeIndexDiffers, follow.KindIndexStep},
		"another root":           {root(func(r *index.Root) { r.Index[0] ^= 1 }), follow.CodeIndexDiffers, follow.KindIndexStep},
		"another tree":           {root(func(r *index.Root) { r.Tree[0] ^= 1 }), follow.CodeIndexTree, follow.KindIndexTree},
		"another log":            {root(func(r *index.Root) { r.Origin = "other.example" }), follow.CodeIndexLeaf, follow.KindIndexLeaf},
		"no root":                {[]byte("x"), follow.CodeIndexLeaf, follow.KindIndexLeaf},
		"two roots for a size":   {root(func(r *index.Root) { r.Size = 5 }), follow.CodeIndexLeaf, follow.KindIndexLeaf},
		"late without cause":     {root(func(r *index.Root) { r.Late = []uint64{0} }), follow.CodeIndexLate, follow.KindIndexLate},
		"late again":             {root(func(r *index.Root) { r.Late = []uint64{4} }), follow.CodeIndexLate, follow.KindIndexLate},
		"nobody's is late":       {root(func(r *index.Root) { r.Late = []uint64{3} }), follow.CodeIndexLate, follow.KindIndexLate},
		"called unresolved":      {root(func(r *index.Root) { r.Unresolved = []uint64{6} }), follow.CodeIndexDiffers, follow.KindIndexStep},
		"more than there is yet": {root(func(r *index.Root) { r.Size = 8 }), follow.CodeIndexAhead, follow.KindNotProvable},
	} {
		t.Run(name, func(t *testing.T) {
			auditor := newClient(t, w)
			e := auditor.finds(w.Handler(w.IndexLog(append(leaves[:4:4], c.leaf)...)), c.code)
			if e.Kind != c.kind || e.Index != 4 {
				t.Fatalf("evidence of %s about leaf %d", e.Kind, e.Index)
			}
			// Who checks it has the file and the keys.
			other := newClient(t, w)
			proven, err := e.Check(other.Logs, other.Index)
			if provable := c.kind != follow.KindNotProvable; provable != (err == nil) {
				t.Errorf("%q, %v", proven, err)
			}
			if c.kind == follow.KindNotProvable {
				return
			}
			if _, err := e.Check(other.Logs, other.Logs); !errors.Is(err, follow.ErrNotProven) {
				t.Errorf("under the other log's key: %v", err)
			}
			if _, err := os.Stat(filepath.Join(auditor.Dir, stateFile)); err == nil {
				t.Error("the state went on")
			}
		})
	}
}

// TestNobodysUnresolved: an entry of nobody's is listed nowhere, not as unresolved either.
func TestNobodysUnresolved(t *testing.T) {
	w := indexworld.New(t)
	w.Declare(0)
	w.Entry([]byte("nobody's entry"), nil)
	r := w.Cheat(1, func(*replay.Tree, func(uint64) replay.LogEntry) {})
	r.Unresolved = []uint64{1}
	c := newClient(t, w)
	e := c.finds(w.Handler(w.IndexLog(r.Append(nil))), follow.CodeIndexDiffers)
	if proven, err := e.Check(c.Logs, c.Index); err != nil || !strings.Contains(proven, "which is nobody's") {
		t.Errorf("%q, %v", proven, err)
	}
}

// TestUnreadable: a statement that cannot be read has to be called unresolved; that it was not is proof.
func TestUnreadable(t *testing.T) {
	w := indexworld.New(t)
	w.Entry(w.Sign([]byte("{}")), []byte("{}"))
	r := w.Cheat(0, func(*replay.Tree, func(uint64) replay.LogEntry) {})
	c := newClient(t, w)
	e := c.finds(w.Handler(w.IndexLog(r.Append(nil))), follow.CodeIndexMissing)
	if proven, err := e.Check(c.Logs, c.Index); err != nil || !strings.Contains(proven, "cannot be read") {
		t.Errorf("%q, %v", proven, err)
	}
}

// TestMissingStatement: for a moment is nothing; for longer it is a finding that names the entry, and no proof.
func TestMissingStatement(t *testing.T) {
	w, leaves, _ := history(t)
	h := w.Handler(w.IndexLog(leaves...))
	w.Hide(1, 2)
	newClient(t, w).clean(h)
	w.Hide(1, -1)
	c := newClient(t, w)
	e := c.finds(h, follow.CodeIndexMissing)
	if _, err := e.Check(c.Logs, c.Index); !errors.Is(err, follow.ErrNotProven) || e.Asked != "/statements/by-index/1" || e.Status != 404 {
		t.Errorf("%v: %+v", err, e)
	}
	w.Hide(1, 0)
	c.clean(h)
	// An outage is none.
	down := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/statements/by-index/1" {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		h.ServeHTTP(rw, r)
	})
	c = newClient(t, w)
	var outage *follow.Outage
	if _, err := c.run(down); !errors.As(err, &outage) || len(c.found) > 0 {
		t.Errorf("%v, found %+v", err, c.found)
	}
}

// TestTwoIndexLogs: a fork, another past, and an older tree of the index log.
func TestTwoIndexLogs(t *testing.T) {
	w, leaves, _ := history(t)
	honest := w.IndexLog(leaves...)
	c := newClient(t, w)
	c.clean(w.Handler(honest))
	check := func(log *indexworld.Log, code follow.Code, provable bool) {
		t.Helper()
		e := c.finds(w.Handler(log), code)
		if proven, err := e.Check(c.Logs, c.Index); provable != (err == nil) || c.found[0].Origin != indexworld.IndexOrigin {
			t.Errorf("%s of %s: %q, %v", code, c.found[0].Origin, proven, err)
		}
	}
	forged := append([][]byte{[]byte("forged")}, leaves[1:]...)
	check(w.IndexLog(forged...), follow.CodeFork, true)
	check(w.IndexLog(append(forged, []byte("more"))...), follow.CodeInconsistent, true)
	check(w.IndexLog(leaves[:3]...), follow.CodeRolledBack, false)
	c.FromScratch = true // nothing that was seen is forgotten
	check(w.IndexLog(append(forged, []byte("more"))...), follow.CodeInconsistent, true)
	c.clean(w.Handler(honest))
}

// TestState: what was changed on disk is refused or replayed, and never believed.
func TestState(t *testing.T) {
	w, leaves, _ := history(t)
	h := w.Handler(w.IndexLog(leaves...))
	c := newClient(t, w)
	c.clean(h)
	path, snapshot := filepath.Join(c.Dir, stateFile), filepath.Join(c.Dir, "index-3.snapshot")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"empty": "", "half": string(good[:len(good)/2]), "unknown member": strings.Replace(string(good), "{", `{"x":1,`, 1),
		"another leaf": strings.Replace(string(good), `"leaf":"`, `"leaf":"AAAA`, 1), "no hashes": strings.Replace(string(good), `"hashes":[`, `"hashes":["",`, 1)} {
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := c.run(h); !errors.Is(err, ErrState) || len(c.asked) > 0 {
			t.Errorf("%s: %v, asked %q", name, err, c.asked)
		}
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-2] ^= 1
	if err := os.WriteFile(snapshot, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if sum := c.clean(h); sum.FromLeaf != 0 || sum.Leaves != 4 {
		t.Errorf("with a changed snapshot: %+v", sum)
	}
	if sum := c.clean(h); sum.FromLeaf != 4 {
		t.Errorf("the snapshot is not written again: %+v", sum)
	}
}

// TestBehind: an index that stands still while the log grows is an outage, and no longer when it goes on.
func TestBehind(t *testing.T) {
	w, leaves, b := history(t)
	roots := w.IndexLog(leaves...)
	now := indexworld.Start
	c := newClient(t, w)
	c.Now, c.MaxLag = func() time.Time { return now }, time.Hour
	w.Declare(3)
	c.clean(w.Handler(roots))
	now = now.Add(time.Hour)
	c.clean(w.Handler(roots))
	now = now.Add(time.Second)
	var outage *follow.Outage
	if _, err := c.run(w.Handler(roots)); !errors.As(err, &outage) || !strings.Contains(err.Error(), "covers 5 entries") {
		t.Fatal(err)
	}
	w.Log(roots, w.Index(b, 6)...)
	c.clean(w.Handler(roots))
}

// TestQuorum: without enough witnesses nothing is compared, and nobody accused.
func TestQuorum(t *testing.T) {
	w, leaves, _ := history(t)
	c := newClient(t, w)
	var asked []string
	c.Quorum = func(h *follow.Head) error {
		if asked = append(asked, h.Origin); h.Origin == indexworld.Origin {
			return errors.New("too few")
		}
		return nil
	}
	var outage *follow.Outage
	if _, err := c.run(w.Handler(w.IndexLog(leaves...))); !errors.As(err, &outage) || len(asked) != 2 || len(c.found) > 0 {
		t.Errorf("%v, asked about %q, found %+v", err, asked, c.found)
	}
}
