package indexworld

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"golang.org/x/mod/sumdb/note"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/server"
	"github.com/avow-dev/avow/server/authority"
	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/tlog/posix"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/audit"
	"github.com/avow-dev/avow/verify/index/leaf"
	"github.com/avow-dev/avow/verify/index/replay"
)

// Names of the logs.
const (
	Origin      = "log.example.test"
	IndexOrigin = "index.example.test"
)

// Start is when the keys begin to be valid.
var Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Log is a Tessera log on disk.
type Log = tlog.Log

// World is one statement log, and as many index logs under one key as the operator likes to show.
type World struct {
	// Statements is the statement log.
	Statements *tlog.Log
	// TrustedRoot is trusted_root.json, IndexKey the verifier key of the index logs.
	TrustedRoot []byte
	IndexKey    string

	tb       testing.TB
	dir      string
	key      *ecdsa.PrivateKey
	indexKey ed25519.PrivateKey
	logs     int
	entries  [][]byte

	mu       sync.Mutex
	payloads map[uint64][]byte
	hidden   map[uint64]int // how often an answer is 404 still
}

// New makes a world without entries.
func New(tb testing.TB) *World {
	tb.Helper()
	w := &World{tb: tb, dir: tb.TempDir(), payloads: map[uint64][]byte{}, hidden: map[uint64]int{}}
	var err error
	if w.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		tb.Fatal(err)
	}
	_, logKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	if _, w.indexKey, err = ed25519.GenerateKey(rand.Reader); err != nil {
		tb.Fatal(err)
	}
	if w.IndexKey, err = note.NewEd25519VerifierKey(IndexOrigin, w.indexKey.Public().(ed25519.PublicKey)); err != nil {
		tb.Fatal(err)
	}
	w.Statements = w.open("statements", Origin, logKey)
	credentials, err := authority.Generate(Origin, Start)
	if err != nil {
		tb.Fatal(err)
	}
	w.TrustedRoot, err = server.TrustedRoot(server.TrustedRootConfig{Origin: Origin, LogID: w.Statements.LogID(), LogKey: w.Statements.PublicKey(),
		LogStart: Start, Authorities: []server.TrustedAuthority{{URI: "https://" + Origin + "/api/v1/timestamp", Chain: credentials.Chain}}})
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

func (w *World) open(name, origin string, key ed25519.PrivateKey) *tlog.Log {
	w.tb.Helper()
	c := tlog.Config{Dir: filepath.Join(w.dir, name), AnchorPath: filepath.Join(w.dir, "anchor", name), Origin: origin, Signer: key,
		Logger: slog.New(slog.DiscardHandler)}
	if err := posix.Create(w.tb.Context(), c); err != nil {
		w.tb.Fatal(err)
	}
	l, err := posix.Open(w.tb.Context(), c)
	if err != nil {
		w.tb.Fatal(err)
	}
	w.tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(w.tb.Context()), 10*time.Second)
		defer cancel()
		if err := l.Close(ctx); err != nil {
			w.tb.Error(err)
		}
	})
	return l
}

// IndexLog is another log of the operator's under the key and name of the index log.
func (w *World) IndexLog(leaves ...[]byte) *tlog.Log {
	w.tb.Helper()
	w.logs++
	l := w.open(fmt.Sprintf("index-%d", w.logs), IndexOrigin, w.indexKey)
	w.Log(l, leaves...)
	return l
}

// Log appends leaves to a log.
func (w *World) Log(l *tlog.Log, leaves ...[]byte) {
	w.tb.Helper()
	for _, raw := range leaves {
		if _, err := l.Append(w.tb.Context(), raw); err != nil {
			w.tb.Fatal(err)
		}
	}
}

// Entry appends an entry to the statement log, whatever it is.
func (w *World) Entry(entry, payload []byte) uint64 {
	w.tb.Helper()
	w.mu.Lock()
	w.payloads[uint64(len(w.entries))] = payload
	w.mu.Unlock()
	w.entries = append(w.entries, entry)
	w.Log(w.Statements, entry)
	return uint64(len(w.entries) - 1)
}

// Sign makes the entry of a payload.
func (w *World) Sign(payload []byte) []byte {
	w.tb.Helper()
	digest := sha256.Sum256(dsse.PAE(predicate.PayloadType, payload))
	sig, err := ecdsa.SignASN1(rand.Reader, w.key, digest[:])
	if err != nil {
		w.tb.Fatal(err)
	}
	return bundletest.Leaf(w.tb, digest[:], sig, &w.key.PublicKey, nil)
}

// Declaration is the i-th declaration of a world.
func Declaration(tb testing.TB, i int) []byte {
	return bundletest.Statement(tb, "data-flows", "00000000-0000-4000-8000", fmt.Sprintf("%08x-0000-4000-8000", i))
}

// Declare issues the i-th declaration.
func (w *World) Declare(i int) uint64 {
	w.tb.Helper()
	payload := Declaration(w.tb, i)
	return w.Entry(w.Sign(payload), payload)
}

// ID is the id of an entry's statement.
func (w *World) ID(at uint64) string {
	sum := sha256.Sum256(w.payloads[at])
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Withdraw issues the withdrawal of what an entry says.
func (w *World) Withdraw(at uint64) uint64 {
	w.tb.Helper()
	payload := bundletest.Statement(w.tb, "withdrawal", "2ffaec0dcc4e4a186dd534c6172d72e5b00118b9c9dbdcb363b2833890f75319", w.ID(at)[len("sha256:"):])
	return w.Entry(w.Sign(payload), payload)
}

// Hide answers so many requests for the statement of an entry with 404; a negative number all.
func (w *World) Hide(at uint64, times int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hidden[at] = times
}

// Source is the statement log as an operator reads it; what is hidden cannot be had.
func (w *World) Source() audit.Source {
	return audit.Source{
		Entries: func(_ context.Context, from, to uint64) iter.Seq2[[]byte, error] {
			return func(yield func([]byte, error) bool) {
				for _, e := range w.entries[from:to] {
					if !yield(e, nil) {
						return
					}
				}
			}
		},
		Statement: func(_ context.Context, at uint64, _ []byte) ([]byte, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.hidden[at] != 0 {
				return nil, nil
			}
			return w.payloads[at], nil
		},
	}
}

// Index makes the honest steps to these sizes. The builder goes on from where it is.
func (w *World) Index(b *audit.Builder, sizes ...uint64) [][]byte {
	w.tb.Helper()
	var leaves [][]byte
	for _, size := range sizes {
		if err := b.Retry(w.tb.Context(), w.Source(), 100); err != nil {
			w.tb.Fatal(err)
		}
		if err := b.Follow(w.tb.Context(), w.Source(), size); err != nil {
			w.tb.Fatal(err)
		}
		r, _ := b.Seal()
		leaves = append(leaves, r.Append(nil))
	}
	return leaves
}

// Cheat makes the leaf of a step over the whole statement log, before which the index covered so many entries: cheat puts into
// the index what it likes.
func (w *World) Cheat(covered uint64, cheat func(t *replay.Tree, entry func(at uint64) replay.LogEntry)) *index.Root {
	w.tb.Helper()
	entry := func(at uint64) replay.LogEntry {
		l, err := leaf.Read(w.entries[at])
		if err != nil {
			w.tb.Fatal(err)
		}
		return replay.LogEntry{Index: at, Signer: l.Signer, Statement: l.Statement(w.payloads[at])}
	}
	t := &replay.Tree{}
	for at := range covered {
		t.Index(entry(at))
	}
	t.Publish()
	cheat(t, entry)
	v := t.Publish()
	_, size, root := w.Statements.Checkpoint()
	return &index.Root{Origin: Origin, Size: size, Tree: index.Hash(root), Index: v.Root(), Keys: uint64(v.Keys())}
}

// Handler serves the statement log, an index log and the statements as a service does.
func (w *World) Handler(roots *tlog.Log) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/checkpoint", w.Statements.Handler())
	mux.Handle("/tile/", w.Statements.Handler())
	mux.Handle("/index/", http.StripPrefix("/index", roots.Handler()))
	mux.HandleFunc("GET /statements/by-index/{index}", func(rw http.ResponseWriter, r *http.Request) {
		at, err := strconv.ParseUint(r.PathValue("index"), 10, 64)
		w.mu.Lock()
		defer w.mu.Unlock()
		payload, ok := w.payloads[at]
		if n := w.hidden[at]; err != nil || !ok || n != 0 {
			w.hidden[at] = max(n-1, min(n, 0))
			http.NotFound(rw, r)
			return
		}
		_, _ = rw.Write(payload)
	})
	return mux
}
