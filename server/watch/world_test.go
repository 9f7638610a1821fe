package watch

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/internal/deptest"
	"github.com/avow-dev/avow/server/index"
	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/tlog/posix"
	vindex "github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/leaf"
)

func TestDependencies(t *testing.T) {
	const module = "github.com/avow-dev/avow/"
	deptest.Forbid(t, map[string]string{
		"google.golang.org/grpc": "calls are package server's", module + "server/tlog/posix": "the caller opens the logs",
		module + "server/statements": "statements are handed in by functions", module + "api/avow/v1": "calls are package server's",
		module + "cmd": "nobody imports a command", "cel.dev/cel-go": "nothing is judged here",
	})
}

// world is two real logs with the index over them, and the statements in memory.
type world struct {
	tb                testing.TB
	statements, roots *tlog.Log
	index             *index.Index
	hub               *Hub

	mu       sync.Mutex
	payloads map[uint64][]byte
	hidden   map[uint64]bool
	known    map[string][]Known
}

func newWorld(tb testing.TB, ring int) *world {
	tb.Helper()
	w := &world{tb: tb, payloads: map[uint64][]byte{}, hidden: map[uint64]bool{}, known: map[string][]Known{}}
	dir := tb.TempDir()
	w.statements, w.roots = w.openLog(dir, "statements"), w.openLog(dir, "roots")
	var err error
	w.index, err = index.Open(tb.Context(), index.Config{Statements: w.statements, Roots: w.roots, Statement: w.statement,
		RetryInterval: 20 * time.Millisecond, Logger: quiet()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = w.index.Close() })
	w.hub = w.newHub(ring)
	return w
}

func (w *world) newHub(ring int) *Hub {
	w.tb.Helper()
	h, err := New(Config{Index: w.index, Statements: w.statements, Roots: w.roots, Statement: w.statement, Find: w.find,
		Logger: quiet(), Ring: ring})
	if err != nil {
		w.tb.Fatal(err)
	}
	return h
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func (w *world) openLog(dir, name string) *tlog.Log {
	w.tb.Helper()
	seed := sha256.Sum256([]byte(name))
	cfg := tlog.Config{Dir: filepath.Join(dir, name), AnchorPath: filepath.Join(dir, "anchor", name), Origin: name + ".log.example",
		Signer: ed25519.NewKeyFromSeed(seed[:]), Logger: quiet()}
	if err := posix.Create(w.tb.Context(), cfg); err != nil {
		w.tb.Fatal(err)
	}
	l, err := posix.Open(w.tb.Context(), cfg)
	if err != nil {
		w.tb.Fatal(err)
	}
	w.tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = l.Close(ctx)
	})
	return l
}

func (w *world) statement(_ context.Context, at uint64, _ []byte) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hidden[at] {
		return nil, nil
	}
	return w.payloads[at], nil
}

func (w *world) find(_ context.Context, id string) ([]Known, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.known[id], nil
}

// set changes what the statements answer.
func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// issue stores a payload and logs its entry; hidden keeps the statement back. Only one caller issues.
func (w *world) issue(key *ecdsa.PrivateKey, payload []byte, hidden bool) uint64 {
	w.tb.Helper()
	digest := sha256.Sum256(dsse.PAE("application/vnd.in-toto+json", payload))
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		w.tb.Fatal(err)
	}
	entry := bundletest.Leaf(w.tb, digest[:], sig, &key.PublicKey, nil)
	st, err := predicate.Parse(payload, predicate.Consumption)
	if err != nil {
		w.tb.Fatal(err)
	}
	at := w.statements.Size()
	w.set(func() {
		w.payloads[at], w.hidden[at] = payload, hidden
		if !hidden {
			w.known[st.ID()] = append(w.known[st.ID()], Known{signerOf(w.tb, entry), st})
		}
	})
	e, err := w.statements.Append(w.tb.Context(), entry)
	if err != nil || e.Index != at {
		w.tb.Fatalf("entry %d, want %d: %v", e.Index, at, err)
	}
	return e.Index
}

func signerOf(tb testing.TB, entry []byte) vindex.Signer {
	tb.Helper()
	l, err := leaf.Read(entry)
	if err != nil {
		tb.Fatal(err)
	}
	return l.Signer
}

// covered waits until the index covers so many entries.
func (w *world) covered(size uint64) {
	w.tb.Helper()
	for range 2000 {
		if s := w.index.Current(); s != nil && s.Root.Size >= size {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	w.tb.Fatalf("the index does not cover %d entries: %v", size, w.index.Health())
}

func (w *world) watch(f Filter, from *uint64) *Watcher {
	w.tb.Helper()
	x, err := w.hub.Watch(w.tb.Context(), f, from)
	if err != nil {
		w.tb.Fatal(err)
	}
	w.tb.Cleanup(x.Close)
	return x
}

// take takes so many events, as "index", "late index" or "unresolved index", and the last place to begin again at.
func take(tb testing.TB, x *Watcher, n int) (told []string, next uint64) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 20*time.Second)
	defer cancel()
	for len(told) < n {
		b, err := x.Next(ctx, time.Minute)
		if err != nil {
			tb.Fatalf("after %v of %d: %v", told, n, err)
		}
		for _, e := range b.Events {
			told = append(told, name(e))
		}
		next = b.Next
	}
	return told, next
}

func name(e *Event) string {
	switch {
	case e.Late:
		return fmt.Sprint("late ", e.LogIndex)
	case e.Unresolved():
		return fmt.Sprint("unresolved ", e.LogIndex)
	}
	return fmt.Sprint(e.LogIndex)
}

// flows is a declaration about an artifact of its own.
func flows(tb testing.TB, i int, artifact string) []byte {
	return bundletest.Statement(tb, "data-flows", "00000000-0000-4000-8000", fmt.Sprintf("%08x-0000-4000-8000", i),
		bundletest.ArtifactSHA256, artifact)
}

func artifact(i int) string { return fmt.Sprintf("%064x", i+1) }

// withdrawal withdraws a statement about an artifact.
func withdrawal(tb testing.TB, target []byte, artifact string) []byte {
	return bundletest.Statement(tb, "withdrawal", "2ffaec0dcc4e4a186dd534c6172d72e5b00118b9c9dbdcb363b2833890f75319", idOf(target)[len("sha256:"):],
		bundletest.ArtifactSHA256, artifact)
}

func idOf(payload []byte) string {
	sum := sha256.Sum256(payload)
	return "sha256:" + hex.EncodeToString(sum[:])
}
