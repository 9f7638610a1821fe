package command

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/internal/indexworld"
	"github.com/avow-dev/avow/verify/index/audit"
	"github.com/avow-dev/avow/verify/index/replay"
)

// auditRun is what a run of the command said.
func auditRun(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	a, out, errOut := newApp(t)
	a.env.Sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	a.env.Args = args
	code = Run(t.Context(), a.env)
	return code, out.String(), errOut.String()
}

// auditWorld is three entries, of which the last withdraws the first, and two honest leaves; the files are what the commands take.
func auditWorld(t *testing.T) (w *indexworld.World, leaves [][]byte, dir, root, key string) {
	t.Helper()
	w = indexworld.New(t)
	w.Declare(0)
	w.Declare(1)
	leaves = w.Index(audit.NewBuilder(indexworld.Origin), 1, 2)
	w.Withdraw(0)
	dir = t.TempDir()
	root, key = filepath.Join(dir, "trusted_root.json"), filepath.Join(dir, "index.vkey")
	for path, data := range map[string]string{root: string(w.TrustedRoot), key: w.IndexKey + "\n"} {
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return w, leaves, dir, root, key
}

// TestAuditAndProve: an operator leaves a withdrawal out; one machine finds it, and another is shown.
func TestAuditAndProve(t *testing.T) {
	w, leaves, dir, root, key := auditWorld(t)
	roots := w.IndexLog(leaves...)
	server := httptest.NewServer(w.Handler(roots))
	defer server.Close()
	state := filepath.Join(dir, "audit")
	args := []string{"audit", "--server", server.URL, "--trusted-root", root, "--index-key", key, "--state", state}
	code, out, errOut := auditRun(t, args...)
	const clean = "notice checked: index.example.test: 2 leaves, 2 of them new, over 2 of 3 entries of log.example.test; "
	if code != exitYes || !strings.HasPrefix(out, clean) || errOut != "" {
		t.Fatalf("exit code %d: %s%s", code, out, errOut)
	}
	w.Log(roots, w.Cheat(2, func(*replay.Tree, func(uint64) replay.LogEntry) {}).Append(nil))
	code, out, errOut = auditRun(t, append(args, "--format", "json")...)
	var f follow.Finding
	if err := json.Unmarshal([]byte(out), &f); err != nil || code != exitMisbehaviour || f.Code != follow.CodeIndexDiffers || errOut != "" {
		t.Fatalf("exit code %d, %v: %s%s", code, err, out, errOut)
	}
	if code, again, _ := auditRun(t, append(args, "--format", "json")...); code != exitMisbehaviour || again != out {
		t.Errorf("the next run exits with %d and says %s", code, again)
	}
	server.Close() // from here on there is the file alone
	prove := []string{"prove-misbehaviour", f.Evidence, "--trusted-root", root}
	code, out, _ = auditRun(t, append(prove, "--index-key", w.IndexKey)...)
	if code != exitYes || !strings.HasPrefix(out, "index-differs: proven: leaf 2 of the index log index.example.test says") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if code, _, errOut = auditRun(t, prove...); code != exitError || !strings.Contains(errOut, "the key of the index log was not given") {
		t.Errorf("without the key: exit code %d: %s", code, errOut)
	}
	other := bundletest.NewLog(t, indexworld.IndexOrigin, indexworld.Start).VKey(t)
	if code, out, _ = auditRun(t, append(prove, "--index-key", other)...); code != exitNo || !strings.Contains(out, "not proven") {
		t.Errorf("with another key: exit code %d: %s", code, out)
	}
}

// TestProveByReplay: a step that is not in the file is replayed from the service, and only then.
func TestProveByReplay(t *testing.T) {
	w, leaves, dir, root, key := auditWorld(t)
	cheat := w.Cheat(2, func(*replay.Tree, func(uint64) replay.LogEntry) {}).Append(nil)
	server := httptest.NewServer(w.Handler(w.IndexLog(append(leaves, cheat)...)))
	defer server.Close()
	code, out, errOut := auditRun(t, "audit", "--server-url", server.URL, "--trusted-root", root, "--index-key", w.IndexKey, "--state", dir, "--format", "json")
	var f follow.Finding
	if err := json.Unmarshal([]byte(out), &f); err != nil || code != exitMisbehaviour {
		t.Fatalf("exit code %d, %v: %s%s", code, err, out, errOut)
	}
	data, err := os.ReadFile(f.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	e, err := follow.ParseEvidence(data)
	if err != nil {
		t.Fatal(err)
	}
	e.Kind, e.Proof = follow.KindIndexReplay, &follow.IndexProof{Log: e.Proof.Log, Previous: e.Proof.Previous}
	name, err := e.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	prove := []string{"prove-misbehaviour", filepath.Join(dir, name), "--trusted-root", root, "--index-key", key}
	if code, out, _ = auditRun(t, prove...); code != exitNo || !strings.Contains(out, "replay the index to compare") {
		t.Errorf("without a replay: exit code %d: %s", code, out)
	}
	if code, out, _ = auditRun(t, append(prove, "--replay", server.URL)...); code != exitYes || !strings.Contains(out, "a replay of the index finds that leaf 2 is wrong") {
		t.Errorf("exit code %d: %s", code, out)
	}
	honest := httptest.NewServer(w.Handler(w.IndexLog(leaves...)))
	defer honest.Close()
	if code, out, _ = auditRun(t, append(prove, "--replay", honest.URL)...); code != exitNo || !strings.Contains(out, "finds nothing") {
		t.Errorf("of an honest index: exit code %d: %s", code, out)
	}
	server.Close()
	if code, out, errOut = auditRun(t, append(prove, "--replay", server.URL)...); code != exitError || out != "" {
		t.Errorf("of nobody: exit code %d: %s%s", code, out, errOut)
	}
}

// TestAuditRefuses: what cannot be evaluated is exit code 2, with what to do about it.
func TestAuditRefuses(t *testing.T) {
	w, leaves, dir, root, key := auditWorld(t)
	server := httptest.NewServer(w.Handler(w.IndexLog(leaves...)))
	defer server.Close()
	state, policy := filepath.Join(dir, "s"), filepath.Join(dir, "policy")
	witness := bundletest.NewWitness("witness.example.test")
	if err := os.WriteFile(policy, []byte("witness w "+witness.VKey()+"\nquorum w\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	given := map[string]string{"--server": server.URL, "--trusted-root": root, "--index-key": key, "--state": state}
	for name, c := range map[string]struct{ flag, value, says string }{
		"no server":         {"--server", "", "are needed"},
		"no TLS":            {"--server", "http://avow.example", "without TLS"},
		"no such key":       {"--index-key", filepath.Join(dir, "none"), "no such file"},
		"a key of no log":   {"--index-key", root, "the file holds one line"},
		"too parallel":      {"--parallel", "65", "want 1 to 64"},
		"a negative lag":    {"--max-lag", "-1s", "want 0 or more"},
		"no quorum":         {"--witness-policy", policy, "it may be a view that others are not shown"},
		"nobody there":      {"--server", "http://127.0.0.1:1", "no answer"},
		"another index key": {"--index-key", bundletest.NewLog(t, indexworld.IndexOrigin, indexworld.Start).VKey(t), "/index/checkpoint"},
		"webhook":           {"--webhook", "http://ops.example", "--webhook"},
	} {
		args := []string{"audit"}
		for flag, value := range given {
			if flag != c.flag {
				args = append(args, flag, value)
			}
		}
		code, out, errOut := auditRun(t, append(args, c.flag, c.value)...)
		if code != exitError || !strings.Contains(errOut, c.says) || !strings.Contains(errOut, "hint: ") || out != "" {
			t.Errorf("%s: exit code %d: %s%s, want %q", name, code, out, errOut, c.says)
		}
	}
}
