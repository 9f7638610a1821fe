package command

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/internal/testworld"
)

// guardStart is shortly after the issuedAt of the example statements.
var guardStart = time.Date(2026, 9, 1, 9, 5, 0, 0, time.UTC)

// screen is an output that a test can wait on.
type screen struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newScreen() *screen { return &screen{changed: make(chan struct{})} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// until waits until it shows a text.
func (s *screen) until(t *testing.T, want string) {
	t.Helper()
	for {
		s.mu.Lock()
		shown, changed := strings.Contains(s.text.String(), want), s.changed
		s.mu.Unlock()
		if shown {
			return
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatalf("nothing like %q was said:\n%s", want, s)
		}
	}
}

// guardWorld is a service, and a buyer with a file, its bundle and a list.
type guardWorld struct {
	t       *testing.T
	dir     string
	address string
	id      string

	mu    sync.Mutex
	now   time.Time
	ticks chan struct{}
}

func (w *guardWorld) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// pass lets time go by, and wakes who sleeps.
func (w *guardWorld) pass(d time.Duration) {
	w.mu.Lock()
	w.now = w.now.Add(d)
	w.mu.Unlock()
	w.ticks <- struct{}{}
}

func (w *guardWorld) path(name string) string { return filepath.Join(w.dir, name) }

func newGuardWorld(t *testing.T) *guardWorld {
	t.Helper()
	w := &guardWorld{t: t, dir: t.TempDir(), now: guardStart, ticks: make(chan struct{})}
	w.run(exitYes, "keygen", "-o", w.path("vendor"))
	service, err := testworld.Start(t.Context(), testworld.Config{Dir: t.TempDir(), Clock: w.clock, VendorKeys: [][]byte{readFile(t, w.path("vendor.pub"))}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := service.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	w.address = service.Address
	w.write("trusted_root.json", string(service.TrustedRoot))
	w.write("index_log.vkey", service.IndexKey+"\n")
	w.write("app.bin", "the application\n")
	digest := sha256Hex([]byte("the application\n"))
	payload := bundletest.Statement(t, "data-flows", bundletest.ArtifactSHA256, digest)
	w.id = "sha256:" + sha256Hex(payload)
	w.write("flows.json", string(payload))
	w.write("SUMS", digest+"  app.bin\n")
	w.run(exitYes, "attest", w.path("flows.json"), "--key", w.path("vendor.key"), "--server", w.address, "--insecure", "-o", w.dir)
	return w
}

func (w *guardWorld) write(name, data string) string {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(w.path(name)), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.path(name), []byte(data), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return w.path(name)
}

func (w *guardWorld) env(out, errOut io.Writer, args []string) Env {
	return Env{Args: args, Stdin: strings.NewReader(""), Stdout: out, Stderr: errOut, Now: w.clock,
		Environ:   []string{"PATH=/usr/bin:/bin", "AVOW_PASSWORD=secret", "KEPT=yes"},
		LookupEnv: func(name string) (string, bool) { return "secret", name == passwordVariable },
		Sleep: func(ctx context.Context, _ time.Duration) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-w.ticks:
				return nil
			}
		}}
}

// run runs a command to its end.
func (w *guardWorld) run(code int, args ...string) string {
	w.t.Helper()
	var out bytes.Buffer
	if got := Run(w.t.Context(), w.env(&out, &out, args)); got != code {
		w.t.Fatalf("%q: exit code %d, want %d\n%s", args, got, code, &out)
	}
	return out.String()
}

func (w *guardWorld) withdraw() {
	w.t.Helper()
	w.run(exitYes, "withdraw", w.id, "--reason", "falseStatement", "--effect", "neverValid", "--key", w.path("vendor.key"), "--server", w.address,
		"--insecure", "-o", w.path("withdrawal"))
}

// guarding is a guard that runs.
type guarding struct {
	out, errOut *screen
	stop        func()
	code        chan int
}

func (w *guardWorld) guard(more ...string) *guarding {
	ctx, stop := context.WithCancel(w.t.Context())
	g := &guarding{out: newScreen(), errOut: newScreen(), stop: stop, code: make(chan int, 1)}
	args := append([]string{"watch", "--manifest", w.path("SUMS"), "--artifacts", w.dir, "--bundle", w.path("flows.sigstore.json"),
		"--trusted-root", w.path("trusted_root.json"), "--key", w.path("vendor.pub"), "--server", w.address, "--insecure",
		"--state", filepath.Join(w.t.TempDir(), "seen.json")}, more...)
	go func() { g.code <- Run(ctx, w.env(g.out, g.errOut, args)) }()
	w.t.Cleanup(stop)
	return g
}

// ends waits for the end, and compares the exit code.
func (g *guarding) ends(t *testing.T, want int) {
	t.Helper()
	select {
	case got := <-g.code:
		if got != want {
			t.Errorf("exit code %d, want %d\n%s%s", got, want, g.out, g.errOut)
		}
	case <-t.Context().Done():
		t.Fatalf("it does not end:\n%s%s", g.out, g.errOut)
	}
}

func wantText(t *testing.T, got fmt.Stringer, texts ...string) {
	t.Helper()
	for _, want := range texts {
		if !strings.Contains(got.String(), want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// TestGuardFlips: a withdrawal ends the guard with the reason.
func TestGuardFlips(t *testing.T) {
	w := newGuardWorld(t)
	g := w.guard()
	g.out.until(t, "watching 1 entries: 1 accepted, 0 rejected, 0 not evaluated\n")
	w.withdraw()
	g.ends(t, exitNo)
	wantText(t, g.out, "2026-09-01T09:05:00Z  app.bin: accepted -> rejected: standing: ", "is withdrawn: withdrawn by entry 1")
	wantText(t, g.errOut, "entry 1: withdrawal by acme\n")
	once := w.guard("--once", "--format", "json")
	once.ends(t, exitNo)
	wantText(t, once.out, `{"kind":"start",`, `"name":"app.bin"`, `"verdict":"rejected","reason":"standing"`, `"standing":"withdrawn (WITHDRAWAL)"`,
		`{"kind":"watching","entries":1,"accepted":0,"rejected":1,"notEvaluated":0}`)
}

// TestGuardCalls: a program is run for a flip, with the facts and without secrets, and what becomes of it is said.
func TestGuardCalls(t *testing.T) {
	w := newGuardWorld(t)
	told := w.guard("--exec", "env", "--", "ARGUMENT=$HOME; x")
	fails := w.guard("--exec", "false", "--format", "json")
	slow := w.guard("--exec", "sleep", "--exec-timeout", "1ms", "--", "600")
	for _, g := range []*guarding{told, fails, slow} {
		g.out.until(t, "watching")
	}
	w.withdraw()
	told.errOut.until(t, "AVOW_AT=2026-09-01T09:05:00Z\n")
	wantText(t, told.errOut, "AVOW_FILE=app.bin\n", "AVOW_VERDICT=rejected\n", "AVOW_BEFORE=accepted\n", "AVOW_REASON=standing\n", "AVOW_DETAIL=",
		"AVOW_STANDING=withdrawn (WITHDRAWAL)\n", "AVOW_STATEMENTS="+w.id+"\n", "AVOW_SHA256="+sha256Hex([]byte("the application\n"))+"\n", "KEPT=yes\n",
		"ARGUMENT=$HOME; x\n")
	if strings.Contains(told.errOut.String(), "secret") {
		t.Errorf("a password was handed on:\n%s", told.errOut)
	}
	fails.errOut.until(t, "false of app.bin: exit status 1\n")
	wantText(t, fails.out, `{"kind":"flip","at":"2026-09-01T09:05:00Z","name":"app.bin"`, `"before":"accepted","verdict":"rejected"`)
	slow.errOut.until(t, "sleep of app.bin: killed after 1ms")
	for _, g := range []*guarding{told, fails, slow} {
		g.stop()
		g.ends(t, exitYes)
	}
}

// TestGuardKeepsTime: statuses are fetched anew before they are too old, a period ends when it ends, and nothing is accepted on the word
// of a service that answers no more.
func TestGuardKeepsTime(t *testing.T) {
	w := newGuardWorld(t)
	way := w.through()
	g := w.guard("--max-staleness", "1h", "--server", way.address, "--format", "json")
	g.out.until(t, "watching")
	for range 5 { // long after the first status is too old
		w.pass(40 * time.Minute)
	}
	if strings.Contains(g.out.String(), "flip") {
		t.Fatalf("a verdict flipped:\n%s", g.out)
	}
	way.cut()
	w.hurry(g, 10*time.Minute)
	g.ends(t, exitNo)
	wantText(t, g.out, `"verdict":"rejected","reason":"standing"`, "the service could not be asked")
	wantText(t, g.errOut, "the service could not be asked how statements stand: ")

	late := w.guard("--max-staleness", "20000h")
	late.out.until(t, "1 accepted")
	w.pass(366 * 24 * time.Hour)
	late.ends(t, exitNo)
	wantText(t, late.out, "accepted -> rejected: validity: expired at ")
}

// hurry wakes whoever sleeps, and lets time go by, until the guard ends.
func (w *guardWorld) hurry(g *guarding, step time.Duration) {
	w.t.Helper()
	for {
		select {
		case w.ticks <- struct{}{}: // those who try again sleep, too
			w.mu.Lock()
			w.now = w.now.Add(step)
			w.mu.Unlock()
		case code := <-g.code:
			g.code <- code
			return
		case <-w.t.Context().Done():
			w.t.Fatalf("it does not end:\n%s%s", g.out, g.errOut)
		}
	}
}

// way is a way to the service that can be cut.
type way struct {
	address string
	mu      sync.Mutex
	down    bool
	open    []net.Conn
}

func (w *guardWorld) through() *way {
	w.t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(w.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	x := &way{address: listener.Addr().String()}
	w.t.Cleanup(func() { _ = listener.Close(); x.cut() })
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			x.carry(in, w.address)
		}
	}()
	return x
}

func (x *way) carry(in net.Conn, to string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	out, err := (&net.Dialer{}).Dial("tcp", to)
	if x.down || err != nil {
		_ = in.Close()
		return
	}
	x.open = append(x.open, in, out)
	go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
	go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
}

func (x *way) cut() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.down = true
	for _, c := range x.open {
		_ = c.Close()
	}
	x.open = nil
}

func (x *way) mend() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.down = false
}

// TestGuardComesBack: what was said while the connection was broken is found when it is made again.
func TestGuardComesBack(t *testing.T) {
	w := newGuardWorld(t)
	x := w.through()
	g := w.guard("--server", x.address)
	g.out.until(t, "watching 1 entries: 1 accepted")
	x.cut()
	w.withdraw()
	g.errOut.until(t, "trying again in")
	x.mend()
	w.hurry(g, 0)
	g.ends(t, exitNo)
	if wantText(t, g.out, "app.bin: accepted -> rejected: standing: ", "is withdrawn"); t.Failed() {
		t.Log(g.errOut)
	}
}

// TestGuardArguments: what cannot be asked is refused before anything is asked.
func TestGuardArguments(t *testing.T) {
	w := newGuardWorld(t)
	for says, more := range map[string][]string{
		"--vendor is not for a list":               {"--vendor", "acme"},
		"--from is not for a list":                 {"--from", "0"},
		"unexpected argument \"app.bin\": --manif": {"app.bin"},
		"those of --exec come after --":            {"--exec", "env", "x"},
		"--exec-timeout is about a program":        {"--exec-timeout", "1s"},
		"--exec-timeout must be more than 0":       {"--exec", "env", "--exec-timeout", "0s"},
		"--max-staleness must be more than 0":      {"--max-staleness", "0s"},
		"no key of the index log was given":        {"--trusted-root", w.write("elsewhere/root.json", string(readFile(t, w.path("trusted_root.json"))))},
		"no such file or directory":                {"--manifest", w.path("none")},
	} {
		g := w.guard(more...)
		g.ends(t, exitError)
		if !strings.Contains(g.errOut.String(), says) || !strings.Contains(g.errOut.String(), "hint: ") {
			t.Errorf("%q: no %q, or no hint, in\n%s", more, says, g.errOut)
		}
	}
	if out := w.run(exitError, "watch", "--exec", "env", "--server", w.address, "--insecure"); !strings.Contains(out, "--exec is about a list") {
		t.Errorf("a program without a list: %s", out)
	}
}
