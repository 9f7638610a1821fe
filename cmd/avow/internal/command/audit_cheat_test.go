package command

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/internal/indexworld"
	"github.com/avow-dev/avow/verify/index/replay"
)

// TestOperatorCheats: what an operator with the real keys can do to hide a withdrawal is found by an auditor who saw the honest
// index before, who is left with a file; and the file alone convinces somebody else wherever the operator signed the lie.
// What it did not sign, but answered, convinces nobody, and the command says so.
func TestOperatorCheats(t *testing.T) {
	for name, c := range map[string]struct {
		roots func(w *indexworld.World, leaves [][]byte) *indexworld.Log // what the operator shows instead
		code  follow.Code
		kind  follow.Kind
		says  string // of the proof, or of why there is none
	}{
		"leaves a withdrawal out": {func(w *indexworld.World, leaves [][]byte) *indexworld.Log {
			return w.IndexLog(append(leaves, w.Cheat(2, func(*replay.Tree, func(uint64) replay.LogEntry) {}).Append(nil))...)
		}, follow.CodeIndexDiffers, follow.KindIndexStep, "proven: leaf 2 of the index log index.example.test says"},
		"gives an old root out for a new one": {func(w *indexworld.World, leaves [][]byte) *indexworld.Log {
			return w.IndexLog(append(leaves, bytes.Replace(leaves[1], []byte("\n2\n"), []byte("\n3\n"), 1))...)
		}, follow.CodeIndexTree, follow.KindIndexTree, "proven: leaf 2 of the index log index.example.test says"},
		"shows an old tree": {func(w *indexworld.World, leaves [][]byte) *indexworld.Log { return w.IndexLog(leaves[:1]...) },
			follow.CodeRolledBack, follow.KindNotProvable, "not proven: that /index/checkpoint was asked for and what was answered is signed by nobody"},
		"signs two roots for a size": {func(w *indexworld.World, leaves [][]byte) *indexworld.Log {
			return w.IndexLog(leaves[0], w.Cheat(2, func(*replay.Tree, func(uint64) replay.LogEntry) {}).Append(nil))
		}, follow.CodeFork, follow.KindFork, "proven: the log index.example.test signed two trees of 2 entries"},
		"goes on from another past": {func(w *indexworld.World, leaves [][]byte) *indexworld.Log {
			return w.IndexLog(leaves[1], leaves[0], []byte("more"))
		}, follow.CodeInconsistent, follow.KindInconsistent, "proven: the log index.example.test signed a tree of 2 entries"},
	} {
		t.Run(name, func(t *testing.T) {
			w, leaves, dir, root, key := auditWorld(t)
			state := filepath.Join(dir, "audit")
			audit := func(roots *indexworld.Log) (int, string) {
				server := httptest.NewServer(w.Handler(roots))
				defer server.Close()
				code, out, errOut := auditRun(t, "audit", "--server", server.URL, "--trusted-root", root, "--index-key", key, "--state", state,
					"--format", "json")
				if errOut != "" {
					t.Errorf("audit: %s", errOut)
				}
				return code, out
			}
			if code, out := audit(w.IndexLog(leaves...)); code != exitYes {
				t.Fatalf("honest: exit code %d: %s", code, out)
			}
			code, out := audit(c.roots(w, leaves[:2:2]))
			var f follow.Finding
			if err := json.Unmarshal([]byte(out), &f); err != nil || code != exitMisbehaviour || f.Code != c.code || f.Class != follow.Misbehaviour ||
				f.Origin != indexworld.IndexOrigin {
				t.Fatalf("exit code %d, %v: %s, want %s", code, err, out, c.code)
			}
			data, err := os.ReadFile(f.Evidence)
			if err != nil {
				t.Fatal(err)
			}
			if e, err := follow.ParseEvidence(data); err != nil || e.Kind != c.kind {
				t.Errorf("%v, evidence of kind %s, want %s", err, e.Kind, c.kind)
			}
			want := exitYes
			if c.kind == follow.KindNotProvable {
				want = exitNo
			}
			code, out, _ = auditRun(t, "prove-misbehaviour", f.Evidence, "--trusted-root", root, "--index-key", key)
			if code != want || !strings.HasPrefix(out, string(c.code)+": "+c.says) {
				t.Errorf("exit code %d, want %d: %s, want %s", code, want, out, c.says)
			}
		})
	}
}

// TestTwoCheckpoints: whoever holds two checkpoints of one size needs no monitor to show that the log signed both.
func TestTwoCheckpoints(t *testing.T) {
	w, leaves, dir, root, key := auditWorld(t)
	file := func(name string, l *indexworld.Log) string {
		raw, _, _ := l.Checkpoint()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	kept := file("kept", w.IndexLog(leaves...))
	for name, c := range map[string]struct {
		other string
		code  int
		says  string
	}{
		"two roots": {file("forked", w.IndexLog(leaves[0], []byte("another"))), exitYes,
			"fork: proven: the log index.example.test signed two trees of 2 entries, with roots "},
		"the same":  {kept, exitNo, "fork: not proven: sizes 2 and 2, want one size with two roots"},
		"two sizes": {file("older", w.IndexLog(leaves[0])), exitNo, "fork: not proven: sizes 2 and 1, want one size with two roots"},
		"another log": {file("statements", w.Statements), exitNo,
			"fork: not proven: the checkpoints are of two logs, index.example.test and log.example.test"},
		"no checkpoint": {root, exitNo, "fork: not proven: second checkpoint: "},
	} {
		code, out, _ := auditRun(t, "prove-misbehaviour", kept, c.other, "--trusted-root", root, "--index-key", key)
		if code != c.code || !strings.HasPrefix(out, c.says) {
			t.Errorf("%s: exit code %d, want %d: %s, want %s", name, code, c.code, out, c.says)
		}
	}
	if code, out, _ := auditRun(t, "prove-misbehaviour", kept, kept, "--trusted-root", root); code != exitNo || !strings.Contains(out, "second checkpoint") {
		t.Errorf("without the key of the index log: exit code %d: %s", code, out)
	}
}
