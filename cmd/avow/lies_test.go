package main

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
	tilesnote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore/pkg/signature"
	formats "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"

	"github.com/avow-dev/avow/internal/testworld"
)

// lies stands before the HTTP port of a script's service and answers some paths itself.
type lies struct {
	mu      sync.Mutex
	real    http.Handler
	key     ed25519.PrivateKey
	answers map[string]func(http.ResponseWriter)
	down    bool
}

// liesKey is where a script keeps its lies.
type liesKey struct{}

func (l *lies) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	answer, down := l.answers[r.URL.Path], l.down
	l.mu.Unlock()
	switch {
	case down:
		w.WriteHeader(http.StatusServiceUnavailable)
	case answer != nil:
		answer(w)
	default:
		l.real.ServeHTTP(w, r)
	}
}

// serveHTTP serves the service's HTTP port for the rest of the script and sets AVOW_URL.
func serveHTTP(ts *testscript.TestScript, world *testworld.World) {
	l := ts.Value(liesKey{}).(*lies)
	handler, err := world.Handler(context.Background())
	ts.Check(err)
	l.real, l.key = handler, world.LogKey
	server := httptest.NewServer(l)
	ts.Defer(server.Close)
	ts.Setenv("AVOW_URL", server.URL)
}

// lie is `lie withhold PATH | fork | down | truth`: what the service's HTTP port does from now on. A fork is a
// checkpoint of the same size with another root, signed with the log's own key.
func lie(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: lie withhold PATH | fork | down | truth")
	}
	l := ts.Value(liesKey{}).(*lies)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers, l.down = map[string]func(http.ResponseWriter){}, args[0] == "down"
	switch args[0] {
	case "withhold":
		l.answers[args[1]] = func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }
	case "fork":
		forked := l.fork(ts)
		l.answers["/checkpoint"] = func(w http.ResponseWriter) { _, _ = w.Write(forked) }
	}
}

func (l *lies) fork(ts *testscript.TestScript) []byte {
	rec := httptest.NewRecorder()
	l.real.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/checkpoint", nil))
	var cp formats.Checkpoint
	_, err := cp.Unmarshal(rec.Body.Bytes())
	ts.Check(err)
	other := sha256.Sum256(cp.Hash)
	cp.Hash = other[:]
	signer, err := signature.LoadSigner(l.key, crypto.SHA256)
	ts.Check(err)
	noteSigner, err := tilesnote.NewNoteSigner(context.Background(), cp.Origin, signer)
	ts.Check(err)
	signed, err := note.Sign(&note.Note{Text: string(cp.Marshal())}, noteSigner)
	ts.Check(err)
	return signed
}

// oneFile is `onefile VARIABLE DIR PREFIX`: sets the variable to the path of the only file in DIR with that prefix, bundles beside
// their statements left out.
func oneFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: onefile VARIABLE DIR PREFIX")
	}
	entries, err := os.ReadDir(ts.MkAbs(args[1]))
	ts.Check(err)
	found := ""
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), args[2]) && !strings.HasSuffix(e.Name(), ".sigstore.json") {
			if found != "" {
				ts.Fatalf("%s and %s begin with %s", found, e.Name(), args[2])
			}
			found = e.Name()
		}
	}
	if found == "" {
		ts.Fatalf("no file in %s begins with %s", args[1], args[2])
	}
	ts.Setenv(args[0], args[1]+"/"+found)
}
