package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/avow-dev/avow/internal/bundletest"
)

// TestStatusRemembered: a status of an older tree than one that was seen, and one of another tree, are refused, offline, and the second leaves
// evidence that the log's key proves.
func TestStatusRemembered(t *testing.T) {
	r := newWatched(t)
	old := r.status("old.status")
	r.say(bundletest.NewKey(t), "dispute")
	newer := r.status("newer.status")
	state := filepath.Join(r.dir, "state", "seen.json")
	when := []string{"--status-time", "2026-09-02T11:00:00Z"}
	r.want(exitYes, "in force", append(when, "--status", newer)...)
	r.want(exitYes, "in force", append(when, "--status", old, "--state", state)...)
	r.want(exitYes, "in force", append(when, "--status", newer, "--state", state)...)
	r.want(exitYes, "in force", append(when, "--status", newer, "--state", state)...)
	r.want(exitNo, "unknown (STATUS_ROLLED_BACK)", append(when, "--status", old, "--state", state)...)
	r.want(exitYes, "in force", append(when, "--status", old, "--state", "none")...)
	r.want(exitError, "--state is about a status", "--state", state)

	roots := r.Roots
	r.Roots = roots.Fork(roots.Size() - 1)
	r.Roots.Append([]byte("another leaf"))
	forked := r.status("forked.status")
	r.want(exitNo, "unknown (STATUS_FORK)", append(when, "--status", forked, "--state", state)...)
	files, err := filepath.Glob(filepath.Join(r.dir, "state", "evidence-fork-*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("evidence: %q, %v", files, err)
	}
	code, out, errOut := runAvow(t, "prove-misbehaviour", files[0], "--trusted-root", r.path("trusted_root.json"), "--index-key", r.path("index_log.vkey"))
	if code != exitYes || !strings.Contains(out, "signed two trees of") {
		t.Errorf("exit code %d: %s%s", code, out, errOut)
	}
	if err := os.WriteFile(state, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.want(exitError, "what is remembered of logs", append(when, "--status", newer, "--state", state)...)
}
