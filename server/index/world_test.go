package index

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/internal/deptest"
	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/tlog/posix"
	vindex "github.com/avow-dev/avow/verify/index"
)

func TestDependencies(t *testing.T) {
	const module = "github.com/avow-dev/avow/"
	deptest.Forbid(t, map[string]string{
		"google.golang.org/grpc": "calls are package server's", module + "server/tlog/posix": "the caller opens the logs",
		module + "server/statements": "statements are handed in by a function", module + "api/avow/v1": "calls are package server's",
		"modernc.org/sqlite": "statements are handed in by a function", module + "cmd": "nobody imports a command",
		"cel.dev/cel-go": "nothing is judged here",
	})
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func logConfig(root, name string) tlog.Config {
	seed := sha256.Sum256([]byte(name))
	return tlog.Config{Dir: filepath.Join(root, name), AnchorPath: filepath.Join(root, "anchor", name), Origin: name + ".log.example",
		Signer: ed25519.NewKeyFromSeed(seed[:]), Logger: quiet()}
}

// world is two real logs and a directory of statements, one file for each entry.
type world struct {
	tb                testing.TB
	root              string
	statements, roots *tlog.Log
	key               *ecdsa.PrivateKey

	mu     sync.Mutex
	hidden map[uint64]bool
	broken error
}

func newWorld(tb testing.TB, root string) *world {
	tb.Helper()
	for _, name := range []string{"statements", "roots"} {
		if err := posix.Create(tb.Context(), logConfig(root, name)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(root, "payloads"), 0o700); err != nil {
		tb.Fatal(err)
	}
	return openWorld(tb, root)
}

func openWorld(tb testing.TB, root string) *world {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	w := &world{tb: tb, root: root, key: key, hidden: map[uint64]bool{}}
	w.statements, w.roots = w.openLog("statements"), w.openLog("roots")
	return w
}

func (w *world) openLog(name string) *tlog.Log {
	w.tb.Helper()
	l, err := posix.Open(w.tb.Context(), logConfig(w.root, name))
	if err != nil {
		w.tb.Fatal(err)
	}
	w.tb.Cleanup(func() { closeLog(l) })
	return l
}

func closeLog(l *tlog.Log) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = l.Close(ctx)
}

func payloadPath(root string, at uint64) string {
	return filepath.Join(root, "payloads", fmt.Sprint(at))
}

func (w *world) statement(_ context.Context, at uint64, _ []byte) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil || w.hidden[at] {
		return nil, w.broken
	}
	data, err := os.ReadFile(payloadPath(w.root, at))
	if os.IsNotExist(err) {
		return nil, nil
	}
	return data, err
}

// set changes what the statements answer.
func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *world) config() Config {
	return Config{Statements: w.statements, Roots: w.roots, Statement: w.statement, SnapshotPath: filepath.Join(w.root, "snapshot"),
		RetryInterval: 50 * time.Millisecond, Logger: quiet()}
}

func (w *world) open(cfg Config) *Index {
	w.tb.Helper()
	x, err := Open(w.tb.Context(), cfg)
	if err != nil {
		w.tb.Fatal(err)
	}
	w.tb.Cleanup(func() { _ = x.Close() })
	return x
}

// issue stores a payload and logs its entry. Only one caller issues.
func (w *world) issue(payload []byte) uint64 {
	w.tb.Helper()
	digest := sha256.Sum256(dsse.PAE("application/vnd.in-toto+json", payload))
	sig, err := ecdsa.SignASN1(rand.Reader, w.key, digest[:])
	if err != nil {
		w.tb.Fatal(err)
	}
	if err := os.WriteFile(payloadPath(w.root, w.statements.Size()), payload, 0o600); err != nil {
		w.tb.Fatal(err)
	}
	e, err := w.statements.Append(w.tb.Context(), bundletest.Leaf(w.tb, digest[:], sig, &w.key.PublicKey, nil))
	if err != nil {
		w.tb.Fatal(err)
	}
	return e.Index
}

func declaration(tb testing.TB, i int) []byte {
	return bundletest.Statement(tb, "data-flows", "00000000-0000-4000-8000", fmt.Sprintf("%08x-0000-4000-8000", i))
}

func idOf(payload []byte) string {
	sum := sha256.Sum256(payload)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func withdrawal(tb testing.TB, payload []byte) []byte {
	return bundletest.Statement(tb, "withdrawal", "2ffaec0dcc4e4a186dd534c6172d72e5b00118b9c9dbdcb363b2833890f75319", idOf(payload)[len("sha256:"):])
}

// await waits until a set is answered from for which ok is true.
func await(tb testing.TB, x *Index, ok func(*Set) bool) *Set {
	tb.Helper()
	for range 1000 {
		if s := x.Current(); s != nil && ok(s) {
			return s
		}
		time.Sleep(5 * time.Millisecond)
	}
	tb.Fatalf("no such set; health: %v", x.Health())
	return nil
}

func covers(n uint64) func(*Set) bool { return func(s *Set) bool { return s.Root.Size >= n } }

func lookup(s *Set, k vindex.Key) []vindex.Entry {
	entries, _ := s.Version.Lookup(k)
	return entries
}
