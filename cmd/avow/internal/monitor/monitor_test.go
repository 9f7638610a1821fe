package monitor

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/internal/testworld"
)

// TestFollowsARealService: everything is checked once, what is new afterwards, and nothing is said about it.
func TestFollowsARealService(t *testing.T) {
	w := newWorld(t)
	service := must(w.real.Handler(t.Context()))(t)
	o := w.observer()
	o.clean(service) // an empty log
	w.issue(2)
	o.clean(service)
	w.issue(3)
	sum, err := o.look(service)
	if err != nil || sum.From != 2 || sum.Size != 5 || len(o.found) > 0 {
		t.Fatalf("%+v, %v, %+v", sum, err, o.found)
	}
	before := o.asked.Load()
	o.clean(service)
	if n := o.asked.Load() - before; n != 1 {
		t.Errorf("%d requests when nothing is new, want 1", n)
	}
	second := w.observer()
	second.clean(w.forge(w.leaves)) // the same tree from elsewhere
}

func TestReportsWatchedEntries(t *testing.T) {
	w := newWorld(t)
	w.issue(2)
	log := w.copyOf()
	id := must(attest.KeyID(w.vendor.PublicKey()))(t)
	other := must(attest.KeyID(must(attest.GenerateKey())(t).PublicKey()))(t)
	first := follow.StatementID(w.statements[0])
	for name, c := range map[string]struct {
		watch Watch
		want  []follow.Code
	}{
		"key":                 {Watch{KeyIDs: []string{id}}, []follow.Code{follow.CodeEntry, follow.CodeEntry}},
		"other key":           {Watch{KeyIDs: []string{other}}, nil},
		"product":             {Watch{Products: []string{"pkg:generic/example-gateway"}}, []follow.Code{follow.CodeEntry, follow.CodeEntry}},
		"other product":       {Watch{Products: []string{"pkg:generic/other"}}, nil},
		"identity":            {Watch{Identities: []follow.Identity{{}}}, nil},
		"one is not expected": {Watch{KeyIDs: []string{id}, Expected: map[string]bool{first: true}}, []follow.Code{follow.CodeExpected, follow.CodeUnexpected}},
		"none is expected":    {Watch{KeyIDs: []string{id}, Expected: map[string]bool{}}, []follow.Code{follow.CodeUnexpected, follow.CodeUnexpected}},
	} {
		t.Run(name, func(t *testing.T) {
			o := w.observer()
			o.Watch = c.watch
			o.finds(log, c.want...)
			for i, f := range o.found {
				if e := f.Entry; e.Index != uint64(i) || e.KeyID != id || e.StatementID != follow.StatementID(w.statements[i]) ||
					e.PredicateType != "https://w3id.org/avow/data-flows/v1" {
					t.Errorf("entry %d: %+v", i, e)
				}
			}
			o.clean(log)
		})
	}
}

// TestWithheldStatement: found, remembered, told again, and forgotten when it is there.
func TestWithheldStatement(t *testing.T) {
	w := newWorld(t)
	w.issue(3)
	log := w.copyOf()
	const path = "/statements/by-index/1"
	o := w.observer()
	o.Watch = Watch{KeyIDs: []string{must(attest.KeyID(w.vendor.PublicKey()))(t)}, Expected: map[string]bool{
		follow.StatementID(w.statements[0]): true, follow.StatementID(w.statements[1]): true, follow.StatementID(w.statements[2]): true}}
	// Whatever it says is not known to be expected.
	_, err := o.look(log.with(path, nil))
	var codes []follow.Code
	for _, f := range o.found {
		codes = append(codes, f.Code)
	}
	if want := []follow.Code{follow.CodeExpected, follow.CodeMissing, follow.CodeUnexpected, follow.CodeExpected}; err != nil || !slices.Equal(codes, want) {
		t.Fatalf("%v, %v, want %v", codes, err, want)
	}
	o.found = o.found[:2]
	e := o.evidence()
	if _, err := e.Check(w.logs, nil); !errors.Is(err, follow.ErrNotProven) || e.Kind != follow.KindNotProvable || e.Asked != path || e.Status != 404 {
		t.Errorf("%v: %+v", err, e)
	}
	o.finds(log.with(path, nil), follow.CodeMissing)
	if o.found[0].Evidence != "" {
		t.Error("evidence again")
	}
	o.finds(log.with(path, w.statements[0]), follow.CodeMismatch)
	o.finds(log, follow.CodeFound, follow.CodeExpected)
	o.clean(log)
}

// TestBare: an entry without a statement is no alarm where such entries are allowed, unless a watched signer made it; one
// with another statement always is.
func TestBare(t *testing.T) {
	w := newWorld(t)
	w.issue(3)
	const path = "/statements/by-index/1"
	log := w.copyOf()
	withheld := log.with(path, nil)
	o := w.observer()
	o.finds(withheld, follow.CodeMissing)
	o.AllowBare = true
	o.finds(withheld, follow.CodeBare) // what was held against the log before
	if f := o.found[0]; f.Class != follow.Notice || f.Evidence != "" || f.Entry.Index != 1 || f.Entry.KeyID == "" {
		t.Errorf("%+v", f)
	}
	o.clean(withheld)

	o = w.observer()
	o.AllowBare = true
	o.finds(withheld, follow.CodeBare)
	o.clean(withheld)

	o = w.observer()
	o.AllowBare = true
	o.finds(log.with(path, w.statements[0]), follow.CodeMismatch)

	o = w.observer()
	o.AllowBare = true
	o.Watch = Watch{KeyIDs: []string{must(attest.KeyID(w.vendor.PublicKey()))(t)}}
	o.finds(withheld, follow.CodeEntry, follow.CodeMissing, follow.CodeEntry, follow.CodeEntry)
}

func TestOtherStatement(t *testing.T) {
	w := newWorld(t)
	w.issue(2)
	o := w.observer()
	o.finds(w.copyOf().with("/statements/by-index/1", bytes.Replace(w.statements[1], []byte(" "), []byte("  "), 1)), follow.CodeMismatch)
	if e := o.evidence(); !bytes.Equal(e.Leaf, w.leaves[1]) || e.Index != 1 {
		t.Errorf("%+v", e)
	}
}

// TestRewrittenTiles: of the lowest level, of a higher one, and an entry bundle. None is proof, and the state stays.
func TestRewrittenTiles(t *testing.T) {
	w := newWorld(t)
	w.issue(1)
	var leaves [][]byte
	for range 600 {
		leaves = append(leaves, w.leaves[0])
	}
	log := w.forge(leaves)
	for i := range leaves {
		log[fmt.Sprintf("/statements/by-index/%d", i)] = w.statements[0]
	}
	w.observer().clean(log)
	flipped := func(path string) site {
		changed := bytes.Clone(log[path])
		if changed == nil {
			t.Fatalf("no %s", path)
		}
		changed[len(changed)-10] ^= 1
		return log.with(path, changed)
	}
	for _, path := range []string{"/tile/0/001", "/tile/0/002.p/88", "/tile/1/000.p/2", "/tile/entries/001", "/tile/entries/002.p/88"} {
		o := w.observer()
		o.finds(flipped(path), follow.CodeTile)
		e := o.evidence()
		if _, err := e.Check(w.logs, nil); !errors.Is(err, follow.ErrNotProven) || e.Asked != path || len(e.Answered) == 0 || e.Wanted == "" {
			t.Errorf("%s: %v: asked %s, %d bytes, want %q", path, err, e.Asked, len(e.Answered), e.Wanted)
		}
		if _, err := os.Stat(filepath.Join(o.Dir, stateFile)); err == nil {
			t.Errorf("%s: the state went on", path)
		}
	}
	// Cut off and with more behind it.
	for path, body := range map[string][]byte{"/tile/0/001": log["/tile/0/001"][:100], "/tile/entries/001": append(bytes.Clone(log["/tile/entries/001"]), 0)} {
		w.observer().finds(log.with(path, body), follow.CodeTile)
	}
}

// TestRewrittenPast: what was checked in an earlier round and is served again as part of a bundle that grew.
func TestRewrittenPast(t *testing.T) {
	w := newWorld(t)
	w.issue(5)
	log := w.forge(w.leaves)
	swapped := w.forge([][]byte{w.leaves[0], w.leaves[2], w.leaves[1], w.leaves[3], w.leaves[4]})
	for _, path := range []string{"/tile/0/000.p/5", "/tile/entries/000.p/5"} {
		o := w.observer()
		o.clean(w.forge(w.leaves[:3]))
		o.finds(log.with(path, swapped[path]), follow.CodeTile)
		if e := o.evidence(); e.Asked != path || !bytes.Equal(e.Answered, swapped[path]) {
			t.Errorf("%s: %+v", path, e)
		}
		o.clean(log)
	}
}

// TestSecondReading: a bundle that is fetched twice is the same both times.
func TestSecondReading(t *testing.T) {
	w := newWorld(t)
	w.issue(2)
	log := w.copyOf()
	const path = "/tile/entries/000.p/2"
	swapped := w.forge([][]byte{w.leaves[1], w.leaves[0]})[path]
	o := w.observer()
	o.Keep = -1
	o.clean(log)
	o = w.observer()
	o.Keep = -1
	asked := 0
	o.finds(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == path {
			if asked++; asked == 2 {
				_, _ = rw.Write(swapped)
				return
			}
		}
		log.ServeHTTP(rw, r)
	}), follow.CodeTile)
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}

// TestHidesWhy: a log that signs another tree and does not show the tiles that would prove it is caught all the same.
func TestHidesWhy(t *testing.T) {
	w := newWorld(t)
	w.issue(2)
	honest := slices.Repeat(w.leaves[:1], 301)
	forged := slices.Clone(honest)
	forged[0] = w.leaves[1]
	old, now := w.forge(honest[:300]), w.forge(forged)
	for i := range honest {
		old[fmt.Sprintf("/statements/by-index/%d", i)] = w.statements[0]
	}
	o := w.observer()
	o.clean(old)
	o.finds(now, follow.CodeInconsistent)
	o.finds(now.with("/tile/1/000.p/1", nil), follow.CodeTile)
	o.finds(now.with("/tile/1/000.p/1", old["/tile/1/000.p/1"]), follow.CodeTile)
}

func TestRolledBack(t *testing.T) {
	w := newWorld(t)
	w.issue(3)
	o := w.observer()
	o.clean(w.copyOf())
	o.finds(w.forge(w.leaves[:2]), follow.CodeRolledBack)
	if _, err := o.evidence().Check(w.logs, nil); !errors.Is(err, follow.ErrNotProven) {
		t.Error(err)
	}
	o.clean(w.copyOf())
	// A cache that lags for a moment is no rollback.
	late, asked := w.copyOf(), 0
	o.clean(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if asked++; asked == 1 {
			late.with("/checkpoint", w.forge(w.leaves[:2])["/checkpoint"]).ServeHTTP(rw, r)
			return
		}
		late.ServeHTTP(rw, r)
	}))
}

// TestOutages: what cannot be looked at is an error, never a finding, and the state stays.
func TestOutages(t *testing.T) {
	w := newWorld(t)
	w.issue(2)
	log := w.copyOf()
	other := newWorld(t)
	other.issue(1)
	answer := func(path string, status int, body string) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path != path {
				log.ServeHTTP(rw, r)
				return
			}
			rw.Header().Set("Location", "/elsewhere")
			rw.WriteHeader(status)
			_, _ = rw.Write([]byte(body))
		})
	}
	for name, h := range map[string]http.Handler{
		"unavailable":          answer("/checkpoint", 503, ""),
		"redirect":             answer("/checkpoint", 302, ""),
		"forbidden":            answer("/checkpoint", 403, ""),
		"nothing":              log.with("/checkpoint", nil),
		"portal":               log.with("/checkpoint", []byte("<html>")),
		"another log's key":    log.with("/checkpoint", other.copyOf()["/checkpoint"]),
		"huge":                 log.with("/checkpoint", make([]byte, 1<<20)),
		"no tile":              log.with("/tile/0/000.p/2", nil),
		"no entries":           log.with("/tile/entries/000.p/2", nil),
		"huge tile":            log.with("/tile/0/000.p/2", make([]byte, 1<<20)),
		"statement not now":    answer("/statements/by-index/1", 503, ""),
		"statements by digest": answer("/statements/by-index/0", 404, `{"code":5,"details":[{"reason":"ROUTE_UNKNOWN"}]}`),
	} {
		o := w.observer()
		_, err := o.look(h)
		var outage *follow.Outage
		if !errors.As(err, &outage) || len(o.found) > 0 {
			t.Errorf("%s: %v, found %+v", name, err, o.found)
		}
		if _, err := os.Stat(filepath.Join(o.Dir, stateFile)); err == nil {
			t.Errorf("%s: the state went on", name)
		}
		o.clean(log)
	}
}

// TestQuietLog: an old checkpoint is signed like a new one. That nothing grows for too long is an outage, until it does.
func TestQuietLog(t *testing.T) {
	w := newWorld(t)
	w.issue(2)
	now := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	o := w.observer()
	o.Now, o.MaxQuiet = func() time.Time { return now }, time.Hour
	old, grown := w.forge(w.leaves[:1]), w.forge(w.leaves)
	o.clean(old)
	now = now.Add(time.Hour)
	o.clean(old)
	now = now.Add(time.Second)
	var outage *follow.Outage
	if _, err := o.look(old); !errors.As(err, &outage) || !strings.Contains(err.Error(), "the same 1 entries since 2026-09-01T00:00:00Z") {
		t.Fatal(err)
	}
	o.clean(grown)
	now = now.Add(time.Hour)
	o.clean(grown)
	o.MaxQuiet, now = 0, now.Add(1000*time.Hour)
	o.clean(grown)
}

// TestOtherLog: a checkpoint is signed by the log that it names, and a state is of one log, however many are trusted.
func TestOtherLog(t *testing.T) {
	w := newWorld(t)
	w.issue(1)
	log := w.copyOf()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.logs = w.logs.With(follow.NewLogs(verifierOf(t, key, "second.example")))
	o := w.observer()
	o.clean(log)
	root := hashOf(w.leaves[0])
	second := log.with("/checkpoint", signHead(t, key, "second.example", "second.example", 1, root))
	if _, err := o.look(second); !errors.Is(err, ErrState) {
		t.Errorf("the second log's checkpoint over the first one's state: %v", err)
	}
	w.observer().clean(second)
	var outage *follow.Outage
	if _, err := o.look(log.with("/checkpoint", signHead(t, key, "second.example", testworld.Origin, 1, root))); !errors.As(err, &outage) {
		t.Errorf("the second log signs for the first: %v", err)
	}
}

// TestRecoversWithinARound: what is answered at the second try is no outage.
func TestRecoversWithinARound(t *testing.T) {
	w := newWorld(t)
	w.issue(1)
	log, tried := w.copyOf(), map[string]bool{}
	w.observer().clean(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !tried[r.URL.Path] {
			tried[r.URL.Path] = true
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		log.ServeHTTP(rw, r)
	}))
}

// TestDamagedState: a state that was changed is refused, and nothing is asked.
func TestDamagedState(t *testing.T) {
	w := newWorld(t)
	w.issue(3)
	log := w.copyOf()
	o := w.observer()
	if _, err := o.look(log.with("/statements/by-index/1", nil)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(o.Dir, stateFile)
	good := must(os.ReadFile(path))(t)
	begin := bytes.Index(good, []byte(`{"index":1`))
	entry := good[begin : begin+bytes.IndexByte(good[begin:], '}')+1]
	for name, data := range map[string][]byte{
		"empty": {}, "half": good[:len(good)/2], "more": append(bytes.Clone(good), 'x'),
		"unknown member": bytes.Replace(good, []byte(`{`), []byte(`{"x":1,`), 1),
		"no hashes":      bytes.Replace(good, []byte(`"hashes":[`), []byte(`"hashes":[],"missing":[`), 1),
		"other hash":     bytes.Replace(good, []byte(base64.StdEncoding.EncodeToString(must(loadState(o.Dir, w.logs))(t).Hashes[0])), []byte(base64.StdEncoding.EncodeToString(make([]byte, follow.HashSize))), 1),
		"twice":          bytes.Replace(good, entry, append(append(bytes.Clone(entry), ','), entry...), 1),
		"other place":    bytes.Replace(good, []byte(`"index":1`), []byte(`"index":3`), 1),
		"hash":           bytes.Replace(good, []byte(`"hashes":["`), []byte(`"hashes":["AAAA`), 1),
	} {
		if bytes.Equal(data, good) {
			t.Fatalf("%s: nothing is changed", name)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		before := o.asked.Load()
		if _, err := o.look(log); !errors.Is(err, ErrState) || o.asked.Load() != before {
			t.Errorf("%s: %v, %d requests", name, err, o.asked.Load()-before)
		}
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	o.finds(log, follow.CodeFound)
}

// TestUntoldIsNotForgotten: a finding that could not be told ends the round before the state goes on.
func TestUntoldIsNotForgotten(t *testing.T) {
	w := newWorld(t)
	w.issue(1)
	o := w.observer()
	report, broken := o.Report, errors.New("full")
	o.Report = func(follow.Finding) error { return broken }
	o.Watch.Products = []string{"pkg:"}
	if _, err := o.look(w.copyOf()); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	o.Report = report
	o.finds(w.copyOf(), follow.CodeEntry)
}
