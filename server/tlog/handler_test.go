package tlog_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"

	"github.com/avow-dev/avow/server/tlog"
)

// request sends a path to a handler as it is, without cleaning it.
func request(h http.Handler, method, path string) *http.Response {
	r := httptest.NewRequest(method, "http://log.example/", nil)
	u, err := url.Parse(path)
	if err != nil {
		u = &url.URL{Path: path}
	}
	r.URL = u
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t testing.TB, r *http.Response) []byte {
	t.Helper()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestHandlerServesTheLayout(t *testing.T) {
	cfg := create(t)
	l := open(t, cfg)
	fill(t, l, 0, 300)
	fill(t, l, 300, 700)
	h := l.Handler()
	for _, path := range []string{"/tile/0/000", "/tile/0/001", "/tile/0/002.p/188", "/tile/1/000.p/2", "/tile/entries/000",
		"/tile/entries/001", "/tile/entries/002.p/188"} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			r := request(h, method, path)
			want := read(t, filepath.Join(cfg.Dir, path))
			if r.StatusCode != http.StatusOK || r.ContentLength != int64(len(want)) {
				t.Errorf("%s %s: %s, %d bytes, want %d", method, path, r.Status, r.ContentLength, len(want))
			}
			if got := body(t, r); method == http.MethodGet && !bytes.Equal(got, want) {
				t.Errorf("%s %s: differs from the file", method, path)
			}
			if got := r.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
				t.Errorf("%s %s: Cache-Control %q", method, path, got)
			}
			if got := r.Header.Get("Content-Type"); got != "application/octet-stream" {
				t.Errorf("%s %s: Content-Type %q", method, path, got)
			}
		}
	}
	r := request(h, http.MethodGet, "/checkpoint")
	raw, _, _ := l.Checkpoint()
	if got := body(t, r); !bytes.Equal(got, raw) || r.Header.Get("Cache-Control") != "no-cache" ||
		r.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("checkpoint: %q, %v", got, r.Header)
	}
}

// TestHandlerCutsPartialTiles asks for partial tiles of which there is no file: they are cut from the full ones, byte
// for byte what they would have been.
func TestHandlerCutsPartialTiles(t *testing.T) {
	cfg := create(t)
	l := open(t, cfg)
	fill(t, l, 0, 100)
	fill(t, l, 100, 300)
	h := l.Handler()
	for _, path := range []string{"/tile/0/000.p/100", "/tile/entries/000.p/100"} {
		want := read(t, filepath.Join(cfg.Dir, path))
		if err := os.RemoveAll(filepath.Join(cfg.Dir, filepath.Dir(path))); err != nil {
			t.Fatal(err)
		}
		if got := body(t, request(h, http.MethodGet, path)); !bytes.Equal(got, want) {
			t.Errorf("%s: got %d bytes, want %d", path, len(got), len(want))
		}
	}
}

// strangePaths are not in the layout, or beyond the checkpoint of 300 entries; the last is in it, with a query.
const strangePaths = `
	/ /checkpoint/ //checkpoint /%63heckpoint /tile/../checkpoint /tile /tile/ /TILE/0/000
	/tile/0 /tile/0/ /tile/0/0 /tile/0/00 /tile/0/0000 /tile/0/x000/000 /tile/0/x001 /tile/00/000 /tile/+0/000 /tile/64/000
	/tile/0/001 /tile/0/001.p /tile/0/001.p/0 /tile/0/001.p/044 /tile/0/001.p/99 /tile/0/001.p/256 /tile/0/001.p/44/
	/tile/0/000.p/x /tile/1/000 /tile/2/000.p/1 /tile/8/000.p/1 /tile/0/%30%30%30 /tile%2f0/000 /tile/0/000\x00
	/tile/0/x18/x446/744/073/709/551 /tile/0/x072/x057/x594/x037/x927/935
	/tile/entries/001 /tile/entries/002.p/1 /tile/entries/0/000 /tile/entries/x999/x999/x999/x999/x999/x999/999
	/tile/0/../../.state/treeState /.state/treeState /.lock
	/tile/0/000?x=%2e`

func TestHandlerRefusesTheRest(t *testing.T) {
	cfg := create(t)
	l := open(t, cfg)
	fill(t, l, 0, 300)
	// A file beyond the checkpoint, as a crash leaves one: it may still be replaced, so it must not be served.
	orphan := filepath.Join(cfg.Dir, "tile/0/001.p/99")
	if err := os.WriteFile(orphan, make([]byte, 99*32), 0o644); err != nil {
		t.Fatal(err)
	}
	h := l.Handler()
	for _, path := range strings.Fields(strangePaths) {
		r := request(h, http.MethodGet, path)
		want := http.StatusNotFound
		if path == "/tile/0/000?x=%2e" {
			want = http.StatusOK // a query changes nothing
		}
		if r.StatusCode != want {
			t.Errorf("%q: %s", path, r.Status)
		}
		if want == http.StatusNotFound && strings.Contains(r.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%q: an error that is cached for ever", path)
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, "BREW"} {
		if r := request(h, method, "/checkpoint"); r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %s, Allow %q", method, r.Status, r.Header.Get("Allow"))
		}
	}
	if err := os.Remove(filepath.Join(cfg.Dir, "tile/0/000")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(cfg.Dir, "tile/0/000"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := request(h, http.MethodGet, "/tile/0/000")
	if got := string(body(t, r)); r.StatusCode != http.StatusServiceUnavailable || strings.Contains(got, cfg.Dir) {
		t.Errorf("unreadable tile: %s, %q", r.Status, got)
	}
}

// FuzzHandlerPath asserts that whatever is served has the bytes of the file of exactly that path.
func FuzzHandlerPath(f *testing.F) {
	cfg := create(f)
	l := open(f, cfg)
	fill(f, l, 0, 300)
	h := l.Handler()
	for _, path := range []string{"/checkpoint", "/tile/0/000", "/tile/0/001.p/44", "/tile/1/000.p/1", "/tile/entries/001.p/44", "/tile/0/..", "/.state/treeState"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r := httptest.NewRequest(http.MethodGet, "http://log.example/", nil)
		r.URL = &url.URL{Path: path}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code == http.StatusNotFound {
			return
		}
		if w.Code != http.StatusOK || filepath.Clean(path) != path || strings.Contains(path, "..") || strings.HasPrefix(path, "/.") {
			t.Fatalf("%q: %d", path, w.Code)
		}
		if want, err := os.ReadFile(filepath.Join(cfg.Dir, path)); err == nil && !bytes.Equal(want, w.Body.Bytes()) {
			t.Fatalf("%q: %d bytes served, %d on disk", path, w.Body.Len(), len(want))
		}
	})
}

// TestClientsReadTheHandler lets Tessera's client and its fsck, which share no code with this package's reading side,
// check the log over HTTP.
func TestClientsReadTheHandler(t *testing.T) {
	l := open(t, create(t))
	fill(t, l, 0, 700)
	server := httptest.NewServer(http.StripPrefix("/log", l.Handler()))
	defer server.Close()
	base, err := url.Parse(server.URL + "/log/")
	if err != nil {
		t.Fatal(err)
	}
	fetcher, err := client.NewHTTPFetcher(base, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	vkey, err := note.NewEd25519VerifierKey(testOrigin, testKey().Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	if err := fsck.New(testOrigin, verifier, fetcher, leafHashes, fsck.Opts{N: 2}).Check(t.Context()); err != nil {
		t.Error(err)
	}
	cp, _, _, err := client.FetchCheckpoint(t.Context(), fetcher.ReadCheckpoint, verifier, testOrigin)
	if err != nil {
		t.Fatal(err)
	}
	builder, err := client.NewProofBuilder(t.Context(), cp.Size, fetcher.ReadTile)
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range []uint64{0, 255, 256, 600, 699} {
		want, err := builder.InclusionProof(t.Context(), index)
		if err != nil {
			t.Fatal(err)
		}
		got, err := l.Prove(t.Context(), index)
		if err != nil || fmt.Sprint(got.Proof) != fmt.Sprint(want) {
			t.Errorf("%d: %v", index, err)
		}
	}
}

func leafHashes(data []byte) ([][]byte, error) {
	var bundle api.EntryBundle
	if err := bundle.UnmarshalText(data); err != nil {
		return nil, err
	}
	var hashes [][]byte
	for _, entry := range bundle.Entries {
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(entry))
	}
	return hashes, nil
}

func BenchmarkFsck(b *testing.B) {
	const entries = 20_000
	l := open(b, create(b))
	for i := 0; i < entries; i += tlog.MaxLeavesPerCall {
		var leaves [][]byte
		for j := i; j < min(i+tlog.MaxLeavesPerCall, entries); j++ {
			leaves = append(leaves, benchLeaf(uint64(j)))
		}
		if _, err := l.AppendAll(b.Context(), leaves); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for range b.N {
		if err := l.Fsck(context.WithoutCancel(b.Context()), nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(entries*b.N)/b.Elapsed().Seconds(), "entries/s")
}
