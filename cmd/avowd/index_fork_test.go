package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/avow-dev/avow/server/tlog/posix"
)

// offer asks a witness to cosign a checkpoint, on the word that it cosigned a tree of that size before.
func (p *witnessProcess) offer(old int, checkpoint string) (status int, answer string) {
	p.t.Helper()
	r, err := http.Post(p.url+"/add-checkpoint", "text/plain", strings.NewReader(fmt.Sprintf("old %d\n\n%s", old, checkpoint)))
	must(p.t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	must(p.t, err)
	return r.StatusCode, string(body)
}

// leavesOf is the size of the tree of a checkpoint.
func leavesOf(t *testing.T, checkpoint string) int {
	t.Helper()
	size, err := strconv.Atoi(strings.Split(checkpoint, "\n")[1])
	must(t, err)
	return size
}

// refused is the checkpoint in the only line in which the witness says that two trees contradict each other.
func (p *witnessProcess) refused() []byte {
	p.t.Helper()
	var found []byte
	for line := range strings.Lines(p.stderr.String()) {
		var l struct{ Level, Msg, Log, Checkpoint string }
		if json.Unmarshal([]byte(line), &l) == nil && l.Level == "ERROR" && l.Msg == "checkpoint not cosigned" {
			if found != nil {
				p.t.Errorf("a second line: %s", line)
			}
			found = []byte(l.Checkpoint)
		}
	}
	return found
}

// TestIndexOfTwoRoots: the operator signs two roots of one size of its index log. A witness that cosigned one of them cosigns
// neither the other nor an older one, its log line holds the other, and both together convince whoever has the operator's key.
func TestIndexOfTwoRoots(t *testing.T) {
	w := newWorld(t, t.TempDir())
	p := w.start()
	var shown []string // checkpoints of the index log, each covering a statement more
	for range 2 {
		issued, err := w.issue(t.Context(), p, w.envelope())
		must(t, err)
		w.standingOf(p, issued)
		shown = append(shown, get(t, http.DefaultClient, p.addresses.REST+"/index/checkpoint", http.StatusOK))
	}
	p.stop()
	tc, err := w.config.indexLogConfig(slog.New(slog.DiscardHandler))
	must(t, err)
	tc.Dir, tc.AnchorPath = filepath.Join(t.TempDir(), "another"), filepath.Join(t.TempDir(), "anchor")
	must(t, posix.Create(t.Context(), tc))
	forked, err := posix.Open(t.Context(), tc)
	must(t, err)
	size := leavesOf(t, shown[1])
	for i := range size {
		_, err := forked.Append(t.Context(), fmt.Appendf(nil, "another history, leaf %d", i))
		must(t, err)
	}
	raw, _, _ := forked.Checkpoint()
	other := string(raw)
	must(t, forked.Close(t.Context()))

	key, err := w.config.indexVerifierKey()
	must(t, err)
	witness := newWitnessProcess(t, "w1.example", w.config.indexOrigin(), key)
	witness.kill9()
	witness.edit("format: text", "format: json")
	witness.start()
	if status, answer := witness.offer(0, shown[1]); status != http.StatusOK {
		t.Fatalf("the honest tree: %d %s", status, answer)
	}
	if status, answer := witness.offer(leavesOf(t, shown[0]), shown[0]); status != http.StatusConflict || answer != fmt.Sprintf("%d\n", size) {
		t.Errorf("an older tree: %d %s", status, answer)
	}
	if status, answer := witness.offer(size, other); status != http.StatusConflict || !strings.Contains(answer, "another root was cosigned for the size ") {
		t.Errorf("another tree of that size: %d %s", status, answer)
	}
	witness.kill9()

	a := &party{t: t, dir: t.TempDir()}
	a.write("shown", []byte(shown[1]))
	a.write("refused", witness.refused())
	proven := fmt.Sprintf("fork: proven: the log %s signed two trees of %d entries, with roots ", w.config.indexOrigin(), size)
	a.want(exitOK, []string{proven}, avowBinary(t),
		"prove-misbehaviour", "shown", "refused", "--trusted-root", w.config.path(w.config.TrustedRoot), "--index-key", key)
}
