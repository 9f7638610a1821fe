package witness

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	formats "github.com/transparency-dev/formats/log"
	formatsnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
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
