//go:build interop

package witness

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	formatsnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	_ "modernc.org/sqlite" // litewitness keeps its logs in a database

	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/tlog/posix"
)

// litewitness is the witness of torchwood, which avow did not write. .ci/run installs it and names it in AVOW_LITEWITNESS.
type litewitness struct {
	t                *testing.T
	dir, fingerprint string
	addr, vkey       string
	cmd              *exec.Cmd
}

// startLitewitness starts one for the log of newTestLog. Its key lives in an SSH agent.
func startLitewitness(t *testing.T) *litewitness {
	t.Helper()
	dir, err := os.MkdirTemp("", "lw") // short: a socket's path has about 100 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l := &litewitness{t: t, dir: dir}
	key := filepath.Join(dir, "key")
	l.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
	agent := exec.Command("ssh-agent", "-D", "-a", l.socket())
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Process.Kill(); _ = agent.Wait() })
	l.await("the agent", func() bool { _, err := os.Stat(l.socket()); return err == nil })
	l.run("ssh-add", "-q", key)
	text, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	blob, err := base64.StdEncoding.DecodeString(strings.Fields(string(text))[1])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(blob)
	l.fingerprint = "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
	plain, err := note.NewEd25519VerifierKey("lite.example/w", ed25519.PublicKey(blob[len(blob)-ed25519.PublicKeySize:]))
	if err != nil {
		t.Fatal(err)
	}
	if l.vkey, err = formatsnote.VKeyToCosignatureV1(plain); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.addr = listener.Addr().String()
	listener.Close()
	l.start()
	l.enrol()
	return l
}

func (l *litewitness) socket() string { return filepath.Join(l.dir, "agent") }

func (l *litewitness) run(name string, args ...string) {
	l.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK="+l.socket())
	if out, err := cmd.CombinedOutput(); err != nil {
		l.t.Fatalf("%s: %v: %s", name, err, out)
	}
}

func (l *litewitness) await(what string, ok func() bool) {
	l.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatalf("not within 30s: %s", what)
		}
	}
}

func (l *litewitness) start() {
	l.t.Helper()
	program := os.Getenv("AVOW_LITEWITNESS")
	if program == "" {
		l.t.Fatal("AVOW_LITEWITNESS is not set; run: bash .ci/run interop")
	}
	l.cmd = exec.Command(program, "-db", filepath.Join(l.dir, "db"), "-name", "lite.example/w", "-key", l.fingerprint,
		"-ssh-agent", l.socket(), "-listen", l.addr)
	var out bytes.Buffer
	l.cmd.Stderr = &out
	if err := l.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(l.stop)
	l.await("litewitness", func() bool {
		c, err := net.Dial("tcp", l.addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (l *litewitness) stop() { _ = l.cmd.Process.Kill(); _ = l.cmd.Wait() }

// enrol tells it about the log.
func (l *litewitness) enrol() {
	l.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(l.dir, "db"))
	if err != nil {
		l.t.Fatal(err)
	}
	defer db.Close()
	root := emptyHead(testOrigin).root
	for _, q := range []struct {
		text string
		args []any
	}{{"INSERT INTO log VALUES(?, 0, ?)", []any{testOrigin, base64.StdEncoding.EncodeToString(root[:])}},
		{"INSERT INTO key(origin, key) VALUES(?, ?)", []any{testOrigin, newTestLog(0, 0, "").vkey()}}} {
		if _, err := db.Exec(q.text, q.args...); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *litewitness) post(body []byte) (status int, kind, text string) {
	l.t.Helper()
	r, err := http.Post("http://"+l.addr+"/add-checkpoint", "text/plain", bytes.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	defer r.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(r.Body); err != nil {
		l.t.Fatal(err)
	}
	return r.StatusCode, r.Header.Get("Content-Type"), b.String()
}

// TestAsLitewitness asks this witness and litewitness the same, and wants the same status of both. For another root of the
// same size litewitness answers 422, where the specification has 409; neither cosigns, so that is left out.
func TestAsLitewitness(t *testing.T) {
	lite, own := startLitewitness(t), newWitness(t)
	l, fork := newTestLog(20, 20, ""), newTestLog(20, 3, "fork")
	stranger, unknown := newTestLog(20, 20, ""), newTestLog(20, 20, "")
	stranger.key, unknown.origin = keyOf(9), "unknown.example"
	for i, body := range [][]byte{
		l.request(0, 5), l.request(0, 5), l.request(5, 5), l.request(4, 9), l.request(6, 9), body(9, nil, l.checkpoint(5)),
		body(5, nil, l.checkpoint(10)), fork.request(5, 10), stranger.request(5, 10), unknown.request(5, 10),
		body(5, append(l.consistency(5, 10), make([]byte, 32)), l.checkpoint(10)), []byte("garbage"), l.request(5, 10), l.request(10, 20),
	} {
		status, kind, text := lite.post(body)
		r := post(t, own, body)
		if r.StatusCode != status || (r.Header.Get("Content-Type") == sizeType) != (kind == sizeType) {
			t.Errorf("request %d: here %d %s, litewitness %d %s %q", i, r.StatusCode, r.Header.Get("Content-Type"), status, kind, text)
		}
	}
}

// TestLogWithLitewitness runs a real log that needs both a litewitness and this witness.
func TestLogWithLitewitness(t *testing.T) {
	lite, own := startLitewitness(t), newWitness(t)
	server := &http.Server{Handler: own.Handler(), ReadHeaderTimeout: time.Second}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	root := t.TempDir()
	cfg := tlog.Config{Dir: filepath.Join(root, "log"), AnchorPath: filepath.Join(root, "anchor", "a"), Origin: testOrigin,
		Signer: keyOf(1), Logger: slog.New(slog.DiscardHandler),
		WitnessPolicy: fmt.Appendf(nil, "witness a %s http://%s/\nwitness b %s http://%s/\ngroup g all a b\nquorum g\n",
			lite.vkey, lite.addr, own.VerifierKey(), listener.Addr())}
	if err := posix.Create(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	l, err := posix.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close(t.Context()) }()
	add := func(leaf string) {
		t.Helper()
		e, err := l.Append(t.Context(), []byte(leaf))
		if err != nil {
			t.Fatal(err)
		}
		for _, vkey := range []string{lite.vkey, own.VerifierKey()} {
			v, err := formatsnote.NewVerifierForCosignatureV1(vkey)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := note.Open(e.Checkpoint, note.VerifierList(v)); err != nil {
				t.Errorf("%s: %v in\n%s", v.Name(), err, e.Checkpoint)
			}
		}
	}
	for i := range 3 {
		add(fmt.Sprint("leaf ", i))
	}
	lite.stop()
	pending := make(chan error, 1)
	go func() { _, err := l.Append(t.Context(), []byte("waiting")); pending <- err }()
	lite.await("health tells", func() bool { return l.Health() != nil && strings.Contains(l.Health().Error(), "lite.example/w") })
	lite.start()
	if err := <-pending; err != nil {
		t.Fatal(err)
	}
	add("after")
	if l.Size() != 5 {
		t.Errorf("%d entries, want 5", l.Size())
	}
}
