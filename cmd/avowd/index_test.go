package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/server/tlog/posix"
	"github.com/avow-dev/avow/verify"
	vindex "github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/audit"
	"github.com/avow-dev/avow/verify/standing"
)

// run1 runs a command of avowd in this process.
func run1(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var stdout, stderr strings.Builder
	code = run(t.Context(), args, strings.NewReader(""), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// bundled is an issued statement, as the service answered it or as it was found.
type bundled interface {
	GetStatementId() string
	GetBundle() []byte
}

// standingOf asks the service, and verifies the answer by the keys of both logs.
func (w *world) standingOf(p *process, issued bundled) *standing.Result {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	r, err := avowv1.NewStandingServiceClient(p.conn).GetStanding(ctx, &avowv1.GetStandingRequest{
		Subject: &avowv1.GetStandingRequest_StatementId{StatementId: issued.GetStatementId()}})
	must(w.t, err)
	if len(r.GetStandings()) != 1 {
		w.t.Fatalf("got %d standings, want 1", len(r.GetStandings()))
	}
	logKey, err := w.config.logVerifierKey()
	must(w.t, err)
	indexKey, err := w.config.indexVerifierKey()
	must(w.t, err)
	at := w.at
	if at.IsZero() {
		at = time.Now()
	}
	o := standing.Options{At: at, AsOf: at, MaxStaleness: time.Hour, Verifier: w.verifier}
	o.Log, err = verify.ParseLogKey(logKey)
	must(w.t, err)
	o.IndexLog, err = verify.ParseLogKey(indexKey)
	must(w.t, err)
	result, err := standing.Check(w.t.Context(), r.GetStandings()[0].GetStatus(), w.mustVerify(issued.GetBundle()), o)
	must(w.t, err)
	return result
}

// TestIndexOfAnOldService: a service from before there was an index is served as it was; one command gives it one, over all
// that it has, and what it logs of it comes out again.
func TestIndexOfAnOldService(t *testing.T) {
	w := newWorld(t, t.TempDir())
	for _, p := range w.config.indexFiles() {
		must(t, os.RemoveAll(w.config.path(p)))
	}
	config := filepath.Join(w.dir, configName)
	p := w.start()
	before, err := w.issue(t.Context(), p, w.envelope())
	must(t, err)
	_, err = avowv1.NewStandingServiceClient(p.conn).GetStanding(t.Context(), &avowv1.GetStandingRequest{
		Subject: &avowv1.GetStandingRequest_StatementId{StatementId: before.GetStatementId()}})
	if reason, _ := refusalOf(err); reason != "INDEX_NOT_CONFIGURED" {
		t.Errorf("without an index: got %v, want INDEX_NOT_CONFIGURED", err)
	}
	p.stop()
	if code, out, errOut := run1(t, "fsck", "-c", config); code != exitOK || !strings.Contains(out, "index: there is none; avowd index init") {
		t.Errorf("fsck: %d, %s%s", code, out, errOut)
	}

	code, out, errOut := run1(t, "index", "init", "-c", config)
	_, key, _ := run1(t, "index", "key", "-c", config)
	if code != exitOK || !strings.HasPrefix(key, "index.test.localhost+") || !strings.Contains(out, strings.TrimSpace(key)) {
		t.Fatalf("index init: %d, %s%s; index key: %s", code, out, errOut, key)
	}
	if code, _, errOut := run1(t, "index", "init", "-c", config); code != exitUsage || !strings.Contains(errOut, "overwrites nothing") {
		t.Errorf("index init again: %d, %s", code, errOut)
	}
	p = w.start()
	after, err := w.issue(t.Context(), p, w.envelope())
	must(t, err)
	for _, r := range []*avowv1.IssueResponse{before, after} {
		if got := w.standingOf(p, r); got.Standing != standing.InForce || got.Reason != standing.ReasonNothing {
			t.Errorf("entry %d: %s, %s: %s", r.GetLogIndex(), got.Standing, got.Reason, got.Detail)
		}
	}
	p.stop()
	for _, command := range []string{"fsck", "reindex"} {
		code, out, errOut := run1(t, command, "-c", config)
		if code != exitOK || !strings.Contains(out, "roots came out as they were logged; 2 entries") || !strings.Contains(out, " 0 unresolved\n") {
			t.Errorf("%s: %d, %s%s", command, code, out, errOut)
		}
	}
}

// TestForgedIndex: a root that the log and the statements do not give is found, and the service answers nothing from it, while
// it issues and serves everything else.
func TestForgedIndex(t *testing.T) {
	w := newWorld(t, t.TempDir())
	p := w.start()
	before, err := w.issue(t.Context(), p, w.envelope())
	must(t, err)
	w.standingOf(p, before) // the index covers it
	p.stop()
	tc, err := w.config.indexLogConfig(slog.New(slog.DiscardHandler))
	must(t, err)
	roots, err := posix.Open(t.Context(), tc)
	must(t, err)
	raw, err := roots.Entry(t.Context(), roots.Size()-1)
	must(t, err)
	forged, err := vindex.ParseRoot(raw)
	must(t, err)
	forged.Late = []uint64{0}
	_, err = roots.Append(t.Context(), forged.Append(nil))
	must(t, err)
	must(t, roots.Close(t.Context()))
	for _, command := range []string{"fsck", "reindex"} {
		code, _, errOut := run1(t, command, "-c", filepath.Join(w.dir, configName))
		if code != exitNotDone || !strings.Contains(errOut, audit.CodeLateUnknown) {
			t.Errorf("%s: %d, %s", command, code, errOut)
		}
	}
	p = w.start()
	issued, err := w.issue(t.Context(), p, w.envelope())
	must(t, err)
	w.mustVerify(issued.GetBundle())
	_, err = avowv1.NewStandingServiceClient(p.conn).GetStanding(t.Context(), &avowv1.GetStandingRequest{
		Subject: &avowv1.GetStandingRequest_StatementId{StatementId: issued.GetStatementId()}})
	if reason, retry := refusalOf(err); reason != "INDEX_HALTED" || retry {
		t.Errorf("standing: got %v, want INDEX_HALTED", err)
	}
	key, err := w.config.indexVerifierKey()
	must(t, err)
	a := &party{t: t, dir: t.TempDir()}
	known := []string{"--trusted-root", w.config.path(w.config.TrustedRoot), "--index-key", key}
	a.want(3, []string{"misbehaviour index-late-unknown: "}, avowBinary(t), append(known, "audit", "--server", p.addresses.REST, "--state", "audit")...)
	p.stop()
	if !strings.Contains(p.stderr.String(), audit.CodeLateUnknown) {
		t.Errorf("the log does not say why: %s", p.stderr)
	}
	evidence, err := filepath.Glob(filepath.Join(a.dir, "audit", "evidence-index-late-unknown-*.json"))
	must(t, err)
	if len(evidence) != 1 {
		t.Fatalf("got the evidence files %q, want one", evidence)
	}
	a.want(exitOK, []string{"index-late-unknown: proven: "}, avowBinary(t), append(known, "prove-misbehaviour", evidence[0])...)
}
