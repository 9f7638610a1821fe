package witness

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	formats "github.com/transparency-dev/formats/log"
	"pgregory.net/rapid"
)

// TestStatusCodes walks through the specification.
func TestStatusCodes(t *testing.T) {
	l, fork := newTestLog(20, 20, ""), newTestLog(20, 3, "fork")
	stranger := newTestLog(20, 20, "")
	stranger.key = keyOf(9)
	unknown := newTestLog(20, 20, "")
	unknown.origin = "unknown.example"
	for _, test := range []struct {
		name    string
		request []byte
		status  int
		body    string // part of it
	}{
		{"unknown log", unknown.request(5, 10), 404, "unknown log"},
		{"another key", stranger.request(5, 10), 403, "no valid signature"},
		{"text changed after signing", bytes.Replace(l.request(5, 10), []byte("\n10\n"), []byte("\n11\n"), 1), 403, "no valid signature"},
		{"old size above the new", body(11, nil, l.checkpoint(10)), 400, "larger than"},
		{"old size zero", l.request(0, 10), 409, "5\n"},
		{"old size behind", l.request(4, 10), 409, "5\n"},
		{"old size ahead", l.request(6, 10), 409, "5\n"},
		{"smaller tree", l.request(4, 4), 409, "5\n"},
		{"another root of the same size", fork.request(5, 5), 409, "another root"},
		{"no proof", body(5, nil, l.checkpoint(10)), 422, "not shown to grow"},
		{"fork with its own proof", fork.request(5, 10), 422, "not shown to grow"},
		{"proof too long", body(5, append(l.consistency(5, 10), make([]byte, 32)), l.checkpoint(10)), 422, "not shown to grow"},
		{"proof for the same size", body(5, [][]byte{make([]byte, 32)}, l.checkpoint(5)), 422, "not shown to grow"},
		{"no signed note", []byte("old 5\n\n" + testOrigin + "\n5\n" + base64.StdEncoding.EncodeToString(l.root(5)) + "\n\nnothing\n"), 400, "not a signed note"},
		{"garbage", []byte("garbage"), 400, "no empty line"},
		{"too large", bytes.Repeat([]byte("a"), MaxRequestBytes+1), 413, "more than 65536 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWitness(t)
			mustCosign(t, w, l.request(0, 5))
			r := post(t, w, test.request)
			got := text(t, r)
			if r.StatusCode != test.status || !strings.Contains(got, test.body) {
				t.Errorf("got %s %q, want %d with %q", r.Status, got, test.status, test.body)
			}
			if size := r.Header.Get("Content-Type") == sizeType; size != (test.body == "5\n") {
				t.Errorf("content type %q", r.Header.Get("Content-Type"))
			}
			mustCosign(t, w, l.request(5, 10)) // nothing was changed by the refusal
		})
	}
}

func TestCosign(t *testing.T) {
	l := newTestLog(300, 300, "")
	w := newWitness(t)
	mustCosign(t, w, l.request(0, 0)) // the empty tree
	last := 0
	for _, size := range []int{1, 2, 2, 7, 255, 256, 300, 300} {
		mustCosign(t, w, l.request(last, size))
		last = size
	}
	// Extension lines and the signatures of others are signed, and ignored.
	cp := formats.Checkpoint{Origin: testOrigin, Size: 300, Hash: l.root(300)}
	extended := l.sign(string(cp.Marshal()) + "an extension\n")
	mustCosign(t, w, body(300, nil, append(extended, "— other.example AAAAAAAA\n"...)))
}

func TestEmptyTreeOfAnotherRoot(t *testing.T) {
	l := newTestLog(1, 1, "")
	w := newWitness(t)
	cp := l.sign(string(formats.Checkpoint{Origin: testOrigin, Size: 0, Hash: make([]byte, 32)}.Marshal()))
	if r := post(t, w, body(0, nil, cp)); r.StatusCode != 409 || r.Header.Get("Content-Type") == sizeType {
		t.Errorf("got %s", r.Status)
	}
}

func TestMethods(t *testing.T) {
	w := newWitness(t)
	for _, x := range []struct {
		method, path string
		want         int
	}{{"GET", "/add-checkpoint", 405}, {"POST", "/", 404}, {"POST", "/add-checkpoint/", 404}} {
		rw := httptest.NewRecorder()
		w.Handler().ServeHTTP(rw, httptest.NewRequest(x.method, x.path, nil))
		if rw.Code != x.want {
			t.Errorf("%s %s: got %d, want %d", x.method, x.path, rw.Code, x.want)
		}
	}
}

func TestRateLimit(t *testing.T) {
	dir := t.TempDir()
	if _, err := Enrol(dir, []string{testOrigin}); err != nil {
		t.Fatal(err)
	}
	l := newTestLog(1, 1, "")
	cfg := testConfig(dir, l.vkey())
	cfg.RatePerSecond = 1
	w, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	mustCosign(t, w, l.request(0, 1))
	mustCosign(t, w, l.request(1, 1))
	if r := post(t, w, l.request(1, 1)); r.StatusCode != 429 || r.Header.Get("Retry-After") == "" {
		t.Errorf("got %s", r.Status)
	}
	stranger := newTestLog(1, 1, "")
	stranger.key = keyOf(9)
	if r := post(t, w, stranger.request(1, 1)); r.StatusCode != 403 {
		t.Errorf("a stranger: got %s", r.Status)
	}
}

// TestRestart: what was cosigned is remembered, and a second process is kept away.
func TestRestart(t *testing.T) {
	l, fork := newTestLog(20, 20, ""), newTestLog(20, 3, "fork")
	w := newWitness(t)
	mustCosign(t, w, l.request(0, 5))
	dir := w.cfg.Dir
	if _, err := Open(testConfig(dir, l.vkey())); !errors.Is(err, ErrLocked) {
		t.Errorf("second process: %v", err)
	}
	if _, err := Enrol(dir, []string{"other.example"}); !errors.Is(err, ErrLocked) {
		t.Errorf("enrolling under a running witness: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if r := post(t, w, l.request(5, 6)); r.StatusCode != 503 {
		t.Errorf("closed: got %s", r.Status)
	}
	// A leftover of a crash between writing and renaming changes nothing.
	leftover := filepath.Join(dir, stateName(testOrigin)+".new")
	if err := os.WriteFile(leftover, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	w = openWitness(t, dir)
	for _, bad := range [][]byte{fork.request(5, 5), fork.request(5, 9)} {
		if r := post(t, w, bad); r.StatusCode != 409 && r.StatusCode != 422 {
			t.Errorf("fork after a restart: got %s", r.Status)
		}
	}
	mustCosign(t, w, l.request(5, 20))
	if enrolled, err := (func() ([]string, error) { _ = w.Close(); return Enrol(dir, []string{testOrigin}) })(); err != nil || len(enrolled) != 0 {
		t.Errorf("a known log was enrolled again: %v, %v", enrolled, err)
	}
	w = openWitness(t, dir)
	if r := post(t, w, fork.request(0, 5)); text(t, r) != "20\n" {
		t.Error("enrolling made the witness forget")
	}
}

func TestOpenRefuses(t *testing.T) {
	vkey := newTestLog(0, 0, "").vkey()
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"state lost", func(c *Config) { _ = os.Remove(filepath.Join(c.Dir, stateName(testOrigin))) }, "no state of this log"},
		{"state damaged", func(c *Config) {
			path := filepath.Join(c.Dir, stateName(testOrigin))
			data, _ := os.ReadFile(path)
			data[len(data)-70] ^= 1
			_ = os.WriteFile(path, data, 0o600)
		}, ".state: "},
		{"state of another log", func(c *Config) {
			_ = os.WriteFile(filepath.Join(c.Dir, stateName(testOrigin)), marshalState(emptyHead("other.example")), 0o600)
		}, `state of the log "other.example"`},
		{"no directory", func(c *Config) { c.Dir = filepath.Join(c.Dir, "absent") }, "no such file"},
		{"name with a plus", func(c *Config) { c.Name = "a+b" }, "name: got"},
		{"no key", func(c *Config) { c.Key = nil }, "got 0 bytes"},
		{"no clock", func(c *Config) { c.Clock = nil }, "clock"},
		{"negative rate", func(c *Config) { c.RatePerSecond = -1 }, "rate: got -1"},
		{"log twice", func(c *Config) { c.Logs = append(c.Logs, c.Logs[0]) }, "listed twice"},
		{"log without a key", func(c *Config) { c.Logs[0].VerifierKeys = nil }, "got 0 keys"},
		{"key twice", func(c *Config) { c.Logs[0].VerifierKeys = []string{vkey, vkey} }, "listed twice"},
		{"bad vkey", func(c *Config) { c.Logs[0].VerifierKeys = []string{"log.example+00000000+AAAA"} }, "invalid verifier hash"},
		{"origin of two lines", func(c *Config) { c.Logs[0].Origin = "a\nb" }, "origin: got"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := Enrol(dir, []string{testOrigin}); err != nil {
				t.Fatal(err)
			}
			cfg := testConfig(dir, vkey)
			test.change(&cfg)
			w, err := Open(cfg)
			if err == nil {
				_ = w.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// TestStateNotWritten: without a durable state there is no cosignature.
func TestStateNotWritten(t *testing.T) {
	l := newTestLog(5, 5, "")
	w := newWitness(t)
	obstacle := filepath.Join(w.cfg.Dir, stateName(testOrigin)+".new")
	if err := os.Mkdir(obstacle, 0o755); err != nil {
		t.Fatal(err)
	}
	if r := post(t, w, l.request(0, 5)); r.StatusCode != 500 || strings.Contains(text(t, r), "—") {
		t.Errorf("got %s", r.Status)
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	mustCosign(t, w, l.request(0, 5))
}

// TestRace asks for two trees of one size at once, many times: one of them is cosigned, never both.
func TestRace(t *testing.T) {
	for round := range 20 {
		w := newWitness(t)
		var wait sync.WaitGroup
		signed := make([]bool, 8)
		for i := range signed {
			wait.Go(func() {
				l := newTestLog(5, 0, fmt.Sprint(i))
				_, err := w.AddCheckpoint(t.Context(), l.request(0, 5))
				signed[i] = err == nil
			})
		}
		wait.Wait()
		n := 0
		for _, s := range signed {
			if s {
				n++
			}
		}
		if n != 1 {
			t.Fatalf("round %d: %d trees of one size were cosigned", round, n)
		}
	}
}

// TestNeverForks drives a witness with the requests of three views of one log, in any order, with restarts in between: all
// that it cosigned lies on one line of history.
func TestNeverForks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "witness")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		if _, err := Enrol(dir, []string{testOrigin}); err != nil {
			rt.Fatal(err)
		}
		views := []*testLog{newTestLog(24, 24, ""), newTestLog(24, 5, "b"), newTestLog(24, 11, "c")}
		w, err := Open(testConfig(dir, views[0].vkey()))
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = w.Close() }()
		roots, last := map[int]string{}, 0
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			if rapid.IntRange(0, 9).Draw(rt, "restart") == 0 {
				_ = w.Close()
				if w, err = Open(testConfig(dir, views[0].vkey())); err != nil {
					rt.Fatal(err)
				}
			}
			l := views[rapid.IntRange(0, 2).Draw(rt, "view")]
			size := rapid.IntRange(0, 24).Draw(rt, "size")
			old := rapid.SampledFrom([]int{last, last, last, rapid.IntRange(0, 24).Draw(rt, "old")}).Draw(rt, "old size")
			hashes := l
			if rapid.Bool().Draw(rt, "proof of another view") {
				hashes = views[rapid.IntRange(0, 2).Draw(rt, "proof view")]
			}
			_, err := w.AddCheckpoint(t.Context(), body(old, hashes.consistency(old, size), l.checkpoint(size)))
			if err != nil {
				continue
			}
			root := string(l.root(size))
			if size < last || roots[size] != "" && roots[size] != root {
				rt.Fatalf("cosigned size %d after %d, root known: %v", size, last, roots[size] != "")
			}
			for earlier, r := range roots {
				if string(l.root(earlier)) != r {
					rt.Fatalf("cosigned a tree of %d that does not extend the cosigned one of %d", size, earlier)
				}
			}
			roots[size], last = root, size
		}
	})
}
