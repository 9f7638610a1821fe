package tlog_test

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/tlog/posix"
)

const testOrigin = "2026-1.log.example"

// testKey is a fixed log key of the tests.
func testKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte("avow tlog tests: 32 byte seed...")[:ed25519.SeedSize])
}

// testConfig describes a log below root: the log's directory and the anchor lie side by side.
func testConfig(root string) tlog.Config {
	return tlog.Config{Dir: filepath.Join(root, "log"), AnchorPath: filepath.Join(root, "anchor", "statements"),
		Origin: testOrigin, Signer: testKey(), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// create makes a log and returns its configuration.
func create(t testing.TB) tlog.Config {
	t.Helper()
	cfg := testConfig(t.TempDir())
	if err := posix.Create(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// open opens a log and closes it with the test.
func open(t testing.TB, cfg tlog.Config) *tlog.Log {
	t.Helper()
	l, err := posix.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("%v (cause: %v)", err, errors.Unwrap(err))
	}
	t.Cleanup(func() { closeLog(t, l) })
	return l
}

func closeLog(t testing.TB, l *tlog.Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // the test's own context has ended in a cleanup
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Errorf("close: %v (cause: %v)", err, errors.Unwrap(err))
	}
}

// leafOf is the i-th distinct leaf of the tests.
func leafOf(i int) []byte { return fmt.Appendf(nil, "leaf %d of the tests", i) }

func leavesOf(from, to int) [][]byte {
	var leaves [][]byte
	for i := from; i < to; i++ {
		leaves = append(leaves, leafOf(i))
	}
	return leaves
}

// fill appends the leaves [from, to) to a log whose size is from.
func fill(t testing.TB, l *tlog.Log, from, to int) []tlog.Entry {
	t.Helper()
	var entries []tlog.Entry
	for from < to {
		n := min(to-from, tlog.MaxLeavesPerCall)
		got, err := l.AppendAll(t.Context(), leavesOf(from, from+n))
		if err != nil {
			t.Fatalf("%v (cause: %v)", err, errors.Unwrap(err))
		}
		entries = append(entries, got...)
		from += n
	}
	return entries
}

// verify checks an entry as a client would.
func verify(t testing.TB, e tlog.Entry, leaf []byte) {
	t.Helper()
	h := rfc6962.DefaultHasher
	if err := proof.VerifyInclusion(h, e.Index, e.TreeSize, h.HashLeaf(leaf), e.Proof, e.RootHash); err != nil {
		t.Errorf("entry %d in %d: %v", e.Index, e.TreeSize, err)
	}
	verifyCheckpoint(t, e.Checkpoint, e.TreeSize, e.RootHash)
}

// wantCode fails the test unless err has the code.
func wantCode(t testing.TB, err error, code tlog.Code) {
	t.Helper()
	if !errors.Is(err, &tlog.Error{Code: code}) {
		t.Fatalf("got %v (cause: %v), want %s", err, errors.Unwrap(err), code)
	}
}

// flip flips one bit of a file.
func flip(t testing.TB, path string, offset int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[(offset+len(data))%len(data)] ^= 1
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// copyTree replaces the directory to by a copy of from.
func copyTree(t testing.TB, to, from string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t testing.TB, to, from string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func benchLeaf(i uint64) []byte {
	leaf := make([]byte, 489) // a hashedrekord entry's typical size
	binary.BigEndian.PutUint64(leaf, i)
	return leaf
}
