package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/avow-dev/avow/cmd/avow/internal/command"
	"github.com/avow-dev/avow/internal/testkms"
	"github.com/avow-dev/avow/internal/testworld"
)

// scriptNow is what the clock of avow and of the service says in scripts, unless AVOW_TEST_NOW says otherwise:
// shortly after the issuedAt of the example statements.
const scriptNow = "2026-09-01T09:05:00Z"

// TestMain makes this binary be avow when a script calls it so: the same main, with a clock that the script sets. It is also the
// plugin of a key management service, which avow starts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"avow": func() {
		env := environment()
		now, err := time.Parse(time.RFC3339, os.Getenv("AVOW_TEST_NOW"))
		if err != nil {
			panic(err)
		}
		env.Now = func() time.Time { return now }
		if os.Getenv("AVOW_TEST_NO_SLEEP") != "" {
			env.Sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
		}
		if columns, err := strconv.Atoi(os.Getenv("AVOW_TEST_COLUMNS")); err == nil {
			env.Width = columns
		}
		env.OutputIsTerminal = os.Getenv("AVOW_TEST_TERMINAL") != ""
		env.ErrorIsTerminal = os.Getenv("AVOW_TEST_PROGRESS") != ""
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := command.Run(ctx, env)
		stop()
		os.Exit(code)
	}, testkms.Program: func() { os.Exit(testkms.Main(os.Args, os.Stdin, os.Stdout, os.Stderr)) }})
}

// TestScripts runs testdata/script/*.txtar. Each is a story that can be read as documentation of its command.
func TestScripts(t *testing.T) {
	runScripts(t, "script")
}

func runScripts(t *testing.T, directory string) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", directory),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition: func(name string) (bool, error) {
			return name == "proc" && runtime.GOOS == "linux" || name == "namespaces" && namespaces(), nil
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("AVOW_TEST_NOW", scriptNow)
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector makes each process wait a second at its end
			e.Values[liesKey{}], e.Values[oldAnswer{}] = &lies{}, &oldAnswer{}
			vectors, err := filepath.Abs(filepath.Join("..", "..", "testdata", "vectors", "v1"))
			e.Setenv("VECTORS", vectors)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"service": startService, "identities": startIdentities(t), "edit": edit, "exits": exits, "digest": digest, "tamper": tamper,
			"registry": startRegistry, "cosign": cosign, "lie": lie, "listlies": listLies, "onefile": oneFile,
			"sparse": sparse, "bundled": bundled, "signalled": signalled,
		},
	})
}

// startService is `service [-tls] [-url=URL] [-registry=FILE] KEY.pub...`: a real service for the rest of the script whose vendor
// may sign with the keys, or whose vendors are those of the registry (names of files in it are relative to $WORK/service), and that
// with -url tells Sigstore clients to write there. It writes trusted_root.json, and with -tls ca.pem, and sets
// AVOW_SERVER, and AVOW_URL for its HTTP port.
func startService(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("service cannot be negated")
	}
	now, err := time.Parse(time.RFC3339, ts.Getenv("AVOW_TEST_NOW"))
	ts.Check(err)
	config := testworld.Config{Dir: ts.MkAbs("service"), Clock: func() time.Time { return now }}
	ts.Check(os.Mkdir(config.Dir, 0o700))
	for _, arg := range args {
		if arg == "-tls" {
			config.TLS = true
			continue
		}
		if address, ok := strings.CutPrefix(arg, "-url="); ok {
			config.PublicURL = address
			continue
		}
		if file, ok := strings.CutPrefix(arg, "-registry="); ok {
			config.Registry = []byte(ts.ReadFile(file))
			continue
		}
		config.VendorKeys = append(config.VendorKeys, []byte(ts.ReadFile(arg)))
	}
	world, err := testworld.Start(context.Background(), config)
	ts.Check(err)
	ts.Defer(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := world.Close(ctx); err != nil {
			ts.Logf("service: %v", err)
		}
	})
	ts.Check(os.WriteFile(ts.MkAbs("trusted_root.json"), world.TrustedRoot, 0o600))
	if config.TLS {
		ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), world.CertificatePEM, 0o600))
	}
	ts.Setenv("AVOW_SERVER", world.Address)
	serveHTTP(ts, world)
}

// edit is `edit FILE OLD NEW`: replaces every OLD in a file and fails if there is none. "\xNN" and the like are
// unquoted.
func edit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: edit FILE OLD NEW")
	}
	text := ts.ReadFile(args[0])
	from, to := unquote(ts, args[1]), unquote(ts, args[2])
	if !strings.Contains(text, from) {
		ts.Fatalf("%s does not contain %q", args[0], from)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(text, from, to)), 0o600))
}

// digest is `digest VARIABLE FILE`: sets the variable to the hexadecimal SHA-256 of the file.
func digest(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: digest VARIABLE FILE")
	}
	sum := sha256.Sum256([]byte(ts.ReadFile(args[1])))
	ts.Setenv(args[0], hex.EncodeToString(sum[:]))
}

// tamper is `tamper BUNDLE OLD NEW`: replaces text inside the bundle's statement and leaves the rest as it is.
func tamper(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: tamper BUNDLE OLD NEW")
	}
	var bundle map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &bundle))
	envelope := bundle["dsseEnvelope"].(map[string]any)
	payload, err := base64.StdEncoding.DecodeString(envelope["payload"].(string))
	ts.Check(err)
	if !strings.Contains(string(payload), args[1]) {
		ts.Fatalf("the statement does not contain %q", args[1])
	}
	envelope["payload"] = []byte(strings.ReplaceAll(string(payload), args[1], args[2]))
	changed, err := json.Marshal(bundle)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), changed, 0o600))
}

// bundled is `bundled STATEMENT BUNDLE`: writes the statement into an envelope whose signature nobody could verify.
func bundled(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: bundled STATEMENT BUNDLE")
	}
	bundle, err := json.Marshal(map[string]any{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": map[string]any{
		"payload": []byte(ts.ReadFile(args[0])), "payloadType": "application/vnd.in-toto+json", "signatures": []any{map[string]any{"sig": []byte("none")}}}})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), bundle, 0o600))
}

// sparse is `sparse FILE BYTES`: a file of zeros that takes long to read and no space.
func sparse(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sparse FILE BYTES")
	}
	size, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), nil, 0o600))
	ts.Check(os.Truncate(ts.MkAbs(args[0]), size))
}

// signalled is `signalled KILL|INT FILE CODE avow ARGS...`: sends the signal as soon as the program has the file open,
// and compares the exit code, -1 for a program that was killed. What it printed is in the files signalled.stdout and
// signalled.stderr.
func signalled(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: signalled KILL|INT FILE CODE PROGRAM ARGS...")
	}
	sig := map[string]os.Signal{"KILL": os.Kill, "INT": os.Interrupt}[args[0]]
	want, err := strconv.Atoi(args[2])
	ts.Check(err)
	program, err := lookPath(ts.Getenv("PATH"), args[3])
	ts.Check(err)
	var out, errOut strings.Builder
	c := exec.Command(program, args[4:]...)
	c.Dir, c.Stdout, c.Stderr = ts.Getenv("WORK"), &out, &errOut
	for _, name := range []string{"WORK", "PATH", "HOME", "AVOW_TEST_NOW", "AVOW_PASSWORD"} {
		c.Env = append(c.Env, name+"="+ts.Getenv(name))
	}
	ts.Check(c.Start())
	for !hasOpen(c.Process.Pid, ts.MkAbs(args[1])) {
		time.Sleep(time.Millisecond)
	}
	ts.Check(c.Process.Signal(sig))
	_ = c.Wait() // its exit code is what is looked at
	ts.Check(os.WriteFile(ts.MkAbs("signalled.stdout"), []byte(out.String()), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("signalled.stderr"), []byte(errOut.String()), 0o600))
	if got := c.ProcessState.ExitCode(); got != want {
		ts.Fatalf("%s exits %d, want %d\n%s%s", strings.Join(args[3:], " "), got, want, out.String(), errOut.String())
	}
}

// lookPath finds a program on another PATH than this process's.
func lookPath(path, program string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		if found, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return found, nil
		}
	}
	return "", &exec.Error{Name: program, Err: exec.ErrNotFound}
}

// hasOpen reports whether a process has a file open, on Linux. A process that has ended has.
func hasOpen(pid int, path string) bool {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return true
	}
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && to == path {
			return true
		}
	}
	return false
}

func unquote(ts *testscript.TestScript, s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	unquoted, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
	ts.Check(err)
	return unquoted
}

// exits is `exits CODE avow ARGS...`: runs the program and compares its exit code. The conditions stdout and stderr
// look at what it printed.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	out, errOut := ts.ReadFile("stdout"), ts.ReadFile("stderr")
	got := 0
	if exit, ok := err.(interface{ ExitCode() int }); ok {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%s: %v", args[1], err)
	}
	if got != want {
		ts.Fatalf("%s exits %d, want %d\n%s%s", strings.Join(args[1:], " "), got, want, out, errOut)
	}
	if got == 2 && !strings.Contains(errOut, "\nhint: ") {
		ts.Fatalf("the error of %s has no hint:\n%s", strings.Join(args[1:], " "), errOut)
	}
	if strings.Contains(out, "\x1b") && ts.Getenv("AVOW_TEST_TERMINAL") == "" {
		ts.Fatalf("escape sequences where there is no terminal: %q", out)
	}
}
