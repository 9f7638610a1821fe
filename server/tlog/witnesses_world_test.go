package tlog_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	formatsnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/witness"
)

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

// witnessServer is a real witness that can be stopped, restarted and made to misbehave.
type witnessServer struct {
	t       *testing.T
	name    string
	key     ed25519.PrivateKey
	dir     string
	addr    string
	instead atomic.Pointer[http.HandlerFunc] // answers in the place of the witness
	w       *witness.Witness
	server  *http.Server
}

func logVerifierKey(t *testing.T) string {
	t.Helper()
	public, _ := testKey().Public().(ed25519.PublicKey)
	vkey, err := note.NewEd25519VerifierKey(testOrigin, public)
	if err != nil {
		t.Fatal(err)
	}
	return vkey
}

func newWitnessServer(t *testing.T, i int) *witnessServer {
	t.Helper()
	s := &witnessServer{t: t, name: fmt.Sprintf("w%d.example", i), dir: t.TempDir(), addr: "127.0.0.1:0",
		key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i)}, ed25519.SeedSize))}
	if _, err := witness.Enrol(s.dir, []string{testOrigin}); err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(s.stop)
	return s
}

// start opens the witness's state again and listens on the same address as before.
func (s *witnessServer) start() {
	s.t.Helper()
	var err error
	s.w, err = witness.Open(witness.Config{Name: s.name, Key: s.key, Dir: s.dir, Clock: time.Now,
		Logger: slog.New(slog.DiscardHandler), Logs: []witness.Log{{Origin: testOrigin, VerifierKeys: []string{logVerifierKey(s.t)}}}})
	if err != nil {
		s.t.Fatal(err)
	}
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	honest := s.w.Handler()
	s.server = &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if f := s.instead.Load(); f != nil {
			(*f)(rw, r)
			return
		}
		honest.ServeHTTP(rw, r)
	})}
	go func() { _ = s.server.Serve(listener) }()
}

func (s *witnessServer) stop() {
	_ = s.server.Close()
	_ = s.w.Close()
}

func (s *witnessServer) misbehave(f http.HandlerFunc) { s.instead.Store(&f) }

// cosigned reports whether a checkpoint carries the witness's valid cosignature.
func (s *witnessServer) cosigned(checkpoint []byte) bool {
	v, err := formatsnote.NewVerifierForCosignatureV1(s.w.VerifierKey())
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = note.Open(checkpoint, note.VerifierList(v))
	return err == nil
}

// policyOf is a policy text that asks for n of the witnesses.
func policyOf(n int, servers ...*witnessServer) []byte {
	var b, names strings.Builder
	for i, s := range servers {
		fmt.Fprintf(&b, "witness w%d %s http://%s/\n", i, s.w.VerifierKey(), s.addr)
		fmt.Fprintf(&names, " w%d", i)
	}
	fmt.Fprintf(&b, "group g %d%s\nquorum g\n", n, names.String())
	return []byte(b.String())
}

// witnessedConfig makes a log whose checkpoints need n of the witnesses.
func witnessedConfig(t *testing.T, n int, servers ...*witnessServer) (tlog.Config, *lines) {
	t.Helper()
	logged := &lines{}
	cfg := create(t)
	cfg.WitnessPolicy, cfg.WitnessTimeout = policyOf(n, servers...), 500*time.Millisecond
	cfg.Logger = slog.New(slog.NewTextHandler(logged, nil))
	return cfg, logged
}

// eventually waits for something that other goroutines bring about; the time only bounds a failing test.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30s: %s", what)
		}
	}
}

func count(servers []*witnessServer, checkpoint []byte) int {
	n := 0
	for _, s := range servers {
		if s.cosigned(checkpoint) {
			n++
		}
	}
	return n
}
