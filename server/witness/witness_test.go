package witness

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	formats "github.com/transparency-dev/formats/log"
	formatsnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"
)

const testOrigin = "log.example"

// testTime is the witness's clock in tests.
func testTime() time.Time { return time.Unix(1_800_000_000, 0) }

func keyOf(i byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{i}, ed25519.SeedSize))
}

// testLog is a log in memory: its leaves, and a key that signs whatever it is told.
type testLog struct {
	origin string
	key    ed25519.PrivateKey
	leaves [][]byte // hashes
}

// newTestLog makes a log of n leaves that are common to all views up to fork, and differ by the view after it.
func newTestLog(n, fork int, view string) *testLog {
	l := &testLog{origin: testOrigin, key: keyOf(1)}
	for i := range n {
		leaf := fmt.Sprintf("leaf %d", i)
		if i >= fork {
			leaf += view
		}
		l.leaves = append(l.leaves, rfc6962.DefaultHasher.HashLeaf([]byte(leaf)))
	}
	return l
}

func (l *testLog) vkey() string {
	v, err := note.NewEd25519VerifierKey(l.origin, l.key.Public().(ed25519.PublicKey))
	if err != nil {
		panic(err)
	}
	return v
}

func (l *testLog) node(level uint, index uint64) []byte {
	if level == 0 {
		return l.leaves[index]
	}
	return rfc6962.DefaultHasher.HashChildren(l.node(level-1, 2*index), l.node(level-1, 2*index+1))
}

func (l *testLog) root(size int) []byte { return rootOf(l.leaves[:size]) }

// rootOf is MTH of RFC 6962, section 2.1, as it stands there.
func rootOf(leaves [][]byte) []byte {
	switch n := len(leaves); n {
	case 0:
		return rfc6962.DefaultHasher.EmptyRoot()
	case 1:
		return leaves[0]
	default:
		k := 1
		for 2*k < n {
			k *= 2
		}
		return rfc6962.DefaultHasher.HashChildren(rootOf(leaves[:k]), rootOf(leaves[k:]))
	}
}

func (l *testLog) consistency(from, to int) [][]byte {
	if from == 0 || from >= to {
		return nil
	}
	nodes, err := proof.Consistency(uint64(from), uint64(to))
	if err != nil {
		panic(err)
	}
	var hashes [][]byte
	for _, id := range nodes.IDs {
		hashes = append(hashes, l.node(id.Level, id.Index))
	}
	hashes, err = nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
	if err != nil {
		panic(err)
	}
	return hashes
}

func (l *testLog) sign(text string) []byte {
	// The note's signature, by hand: the signer of x/mod takes keys in a form of its own.
	v, err := note.NewVerifier(l.vkey())
	if err != nil {
		panic(err)
	}
	h := v.KeyHash()
	sig := append([]byte{byte(h >> 24), byte(h >> 16), byte(h >> 8), byte(h)}, ed25519.Sign(l.key, []byte(text))...)
	return fmt.Appendf(nil, "%s\n— %s %s\n", text, l.origin, base64.StdEncoding.EncodeToString(sig))
}

func (l *testLog) checkpoint(size int) []byte {
	return l.sign(string(formats.Checkpoint{Origin: l.origin, Size: uint64(size), Hash: l.root(size)}.Marshal()))
}

func body(old int, hashes [][]byte, checkpoint []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "old %d\n", old)
	for _, h := range hashes {
		fmt.Fprintln(&b, base64.StdEncoding.EncodeToString(h))
	}
	fmt.Fprintf(&b, "\n%s", checkpoint)
	return b.Bytes()
}

func (l *testLog) request(old, size int) []byte {
	return body(old, l.consistency(old, size), l.checkpoint(size))
}

func testConfig(dir string, vkeys ...string) Config {
	return Config{Name: "w.example/1", Key: keyOf(2), Dir: dir, Logger: slog.New(slog.DiscardHandler), Clock: testTime,
		RatePerSecond: 1e6, Logs: []Log{{Origin: testOrigin, VerifierKeys: vkeys}}}
}

func openWitness(t testing.TB, dir string) *Witness {
	t.Helper()
	w, err := Open(testConfig(dir, newTestLog(0, 0, "").vkey()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func newWitness(t testing.TB) *Witness {
	t.Helper()
	dir := t.TempDir()
	if _, err := Enrol(dir, []string{testOrigin}); err != nil {
		t.Fatal(err)
	}
	return openWitness(t, dir)
}

func post(t testing.TB, w *Witness, request []byte) *http.Response {
	t.Helper()
	rw := httptest.NewRecorder()
	w.Handler().ServeHTTP(rw, httptest.NewRequest(http.MethodPost, "/add-checkpoint", bytes.NewReader(request)))
	return rw.Result()
}

func text(t testing.TB, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// mustCosign posts a request that must be answered with a cosignature that the library verifies.
func mustCosign(t testing.TB, w *Witness, request []byte) {
	t.Helper()
	r := post(t, w, request)
	line := text(t, r)
	if r.StatusCode != 200 {
		t.Fatalf("got %s %q, want a cosignature", r.Status, line)
	}
	v, err := formatsnote.NewVerifierForCosignatureV1(w.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	_, checkpoint, _ := bytes.Cut(request, []byte("\n\n"))
	n, err := note.Open(append(bytes.Clone(checkpoint), line...), note.VerifierList(v))
	if err != nil {
		t.Fatalf("%v:\n%s", err, line)
	}
	at, err := formatsnote.CoSigV1Timestamp(n.Sigs[0])
	if err != nil || !at.Equal(testTime()) {
		t.Errorf("time %v, %v; want %v", at, err, testTime())
	}
}

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

// FuzzAddCheckpoint asserts that a request that parses is in its only form, and that nothing is cosigned but the one tree
// that the log's key has signed.
func FuzzAddCheckpoint(f *testing.F) {
	l := newTestLog(10, 10, "")
	f.Add(l.request(0, 5))
	f.Add(l.request(0, 0))
	f.Add(l.request(5, 10))
	f.Add([]byte("old 00\n\nlog.example\n1\nAAAA\n\n— x AAAA\n"))
	f.Add([]byte("old 18446744073709551616\n\n"))
	w := newWitness(f)
	good := string(l.checkpoint(5))
	text, _, _ := strings.Cut(good, "\n\n")
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseRequest(data)
		if err == nil {
			again := fmt.Appendf(nil, "old %d\n", r.old)
			for _, h := range r.proof {
				again = fmt.Appendf(again, "%s\n", base64.StdEncoding.EncodeToString(h))
			}
			if again = append(append(again, '\n'), r.note...); !bytes.Equal(again, data) {
				t.Errorf("%q parses, and reads as %q", data, again)
			}
		}
		before := w.logs[testOrigin].last
		line, err := w.AddCheckpoint(t.Context(), data)
		if err == nil && !strings.Contains(string(data), text) && r.head.size != 0 && r.head.size != 10 {
			t.Errorf("cosigned %q: %q", data, line)
		}
		if after := w.logs[testOrigin].last; err != nil && after != before {
			t.Errorf("a refusal changed the state from %v to %v", before, after)
		}
	})
}

// FuzzState asserts that a state that parses is written as the same bytes.
func FuzzState(f *testing.F) {
	f.Add(marshalState(emptyHead(testOrigin)))
	f.Add(marshalState(head{origin: "a", size: 1 << 63}))
	f.Add([]byte(stateHeader + "\n\n\n\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := parseState(data)
		if err == nil && !bytes.Equal(marshalState(h), data) {
			t.Errorf("%q reads as %v", data, h)
		}
	})
}
