package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/server/tlog/posix"
	vindex "github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/standing"
)

// oldIndexRoot is the root of the index over the three entries of the old service's log. Log and statements alone determine
// it, so it is the same in every version, and for everybody who rebuilds it.
const oldIndexRoot = "23ea28436f5d8e4c1bd7991ffe238eb94dd7776c0f1677aa249a1fba6e0a8752"

// oldServiceTime is when the old service was left, and a buyer's time of verification ever since.
var oldServiceTime = time.Date(2026, 11, 27, 0, 15, 0, 0, time.UTC)

// oldStatements are the names of the old service's statements, in the order of their entries.
var oldStatements = []string{"data-flows", "no-backdoor", "other"}

// oldService unpacks testdata/before-index/service.tar.gz (made.md there says how it was made).
func oldService(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), at: oldServiceTime}
	archive, err := os.Open(filepath.Join("testdata", "before-index", "service.tar.gz"))
	must(t, err)
	defer archive.Close()
	unzipped, err := gzip.NewReader(archive)
	must(t, err)
	for files := tar.NewReader(unzipped); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		if h.Typeflag == tar.TypeDir {
			must(t, os.MkdirAll(filepath.Join(w.dir, filepath.Clean(h.Name)), 0o700))
			continue
		}
		if !filepath.IsLocal(h.Name) || h.Size > 1<<20 {
			t.Fatalf("%s of %d bytes does not belong there", h.Name, h.Size)
		}
		data, err := io.ReadAll(io.LimitReader(files, h.Size))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(w.dir, h.Name), data, h.FileInfo().Mode().Perm()))
	}
	w.load()
	w.key, err = attest.LoadKey(readFile(t, filepath.Join(w.dir, "vendor.key")), []byte("quickstart"))
	must(t, err)
	return w
}

// old is what the old service answered when it issued a statement.
func (w *world) old(name string) *avowv1.IssueResponse {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.dir, name+".sigstore.json"))
	must(w.t, err)
	return &avowv1.IssueResponse{StatementId: w.mustVerify(data).Statement.ID(), Bundle: data}
}

// indexRoots are the roots of the index log, by the size of the statement log that they are over; the last one of each size.
func (w *world) indexRoots() map[uint64]string {
	w.t.Helper()
	tc, err := w.config.indexLogConfig(slog.New(slog.DiscardHandler))
	must(w.t, err)
	log, err := posix.Open(w.t.Context(), tc)
	must(w.t, err)
	defer func() { must(w.t, log.Close(w.t.Context())) }()
	roots := map[uint64]string{}
	for l, err := range log.Leaves(w.t.Context(), 0, log.Size()) {
		must(w.t, err)
		r, err := vindex.ParseRoot(l.Data)
		must(w.t, err)
		roots[r.Size] = fmt.Sprintf("%x", r.Index)
	}
	return roots
}

// TestServiceFromBeforeTheIndex: the present avowd takes over the directory of one that knew of no index. Everything that was
// issued before verifies and is answered byte for byte; one command makes the index; what was issued before stands, and can be
// withdrawn; and the roots come out again, as they were logged and as one is written in this file.
func TestServiceFromBeforeTheIndex(t *testing.T) {
	w := oldService(t)
	config := filepath.Join(w.dir, configName)
	for _, command := range []string{"fsck", "reindex"} {
		if code, out, errOut := run1(t, command, "-c", config); code != exitOK || !strings.Contains(out, "index: there is none; avowd index init") {
			t.Errorf("%s: %d, %s%s", command, code, out, errOut)
		}
	}
	p := w.start()
	checkpoint := get(t, http.DefaultClient, p.addresses.REST+"/checkpoint", http.StatusOK)
	if text, _, _ := strings.Cut(string(readFile(t, filepath.Join(w.dir, "log", "checkpoint"))), "\n\n"); !strings.HasPrefix(checkpoint, text+"\n\n") {
		t.Errorf("the tree is another one: %s", checkpoint)
	}
	for i, name := range oldStatements {
		old := w.old(name)
		got, err := p.issuing.GetStatement(t.Context(), &avowv1.GetStatementRequest{StatementId: old.GetStatementId()})
		must(t, err)
		if b := got.GetBundles(); len(b) != 1 || !bytes.Equal(b[0].GetBundle(), old.GetBundle()) || b[0].GetLogIndex() != uint64(i) {
			t.Errorf("%s: the service answers another bundle than it did", name)
		}
		_, err = avowv1.NewStandingServiceClient(p.conn).GetStanding(t.Context(), &avowv1.GetStandingRequest{
			Subject: &avowv1.GetStandingRequest_StatementId{StatementId: old.GetStatementId()}})
		if reason, _ := refusalOf(err); reason != "INDEX_NOT_CONFIGURED" {
			t.Errorf("%s: without an index: got %v, want INDEX_NOT_CONFIGURED", name, err)
		}
	}
	p.stop()

	if code, out, errOut := run1(t, "index", "init", "-c", config); code != exitOK {
		t.Fatalf("index init: %d, %s%s", code, out, errOut)
	}
	p = w.start()
	for _, name := range oldStatements {
		if got := w.standingOf(p, w.old(name)); got.Standing != standing.InForce || got.Reason != standing.ReasonNothing || got.TreeSize != 3 {
			t.Errorf("%s: %s, %s: %s", name, got.Standing, got.Reason, got.Detail)
		}
	}
	vendor := &party{t: t, dir: w.dir, env: []string{"AVOW_PASSWORD=quickstart", "AVOW_SERVER=" + p.addresses.GRPC}}
	vendor.want(exitOK, []string{"withdrawal, entry 3 of quickstart.localhost"}, avowBinary(t), "withdraw", w.old("other").GetStatementId(), "--reason",
		"falseStatement", "--key", "vendor.key", "--insecure", "-o", "withdrawn")
	if got := w.standingOf(p, w.old("other")); got.Standing != standing.Withdrawn || got.Reason != standing.ReasonWithdrawal {
		t.Errorf("withdrawn: %s, %s: %s", got.Standing, got.Reason, got.Detail)
	}
	p.stop()
	for _, name := range oldStatements {
		w.old(name) // verifies without anybody
	}
	logged := w.indexRoots()
	if logged[3] != oldIndexRoot || logged[4] == "" {
		t.Errorf("the roots by tree size are %v, want %s over 3", logged, oldIndexRoot)
	}
	must(t, os.Remove(w.config.path(w.config.Index.Snapshot)))
	must(t, os.Remove(w.config.path(w.config.Statements.Path)+".index"))
	for _, command := range []string{"reindex", "fsck"} {
		code, out, errOut := run1(t, command, "-c", config)
		if code != exitOK || !strings.Contains(out, "roots came out as they were logged; 4 entries") || !strings.Contains(out, " 0 unresolved\n") {
			t.Errorf("%s: %d, %s%s", command, code, out, errOut)
		}
	}
	w.start().stop()
	if again := w.indexRoots(); fmt.Sprint(again) != fmt.Sprint(logged) {
		t.Errorf("the roots were %v and are %v", logged, again)
	}
}

// TestChangedIndexLeaf: a leaf of the index log that was changed on disk is found by whoever reads everything, and nothing is
// served or signed from there.
func TestChangedIndexLeaf(t *testing.T) {
	w := oldService(t)
	config := filepath.Join(w.dir, configName)
	if code, out, errOut := run1(t, "index", "init", "-c", config); code != exitOK {
		t.Fatalf("index init: %d, %s%s", code, out, errOut)
	}
	p := w.start()
	w.standingOf(p, w.old("other"))
	p.stop()
	var changed int
	must(t, filepath.WalkDir(filepath.Join(w.config.path(w.config.Index.Dir), "tile", "entries"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		must(t, err)
		other := bytes.Replace(data, []byte("\nquickstart.localhost\n3\n"), []byte("\nquickstart.localhost\n2\n"), 1)
		if !bytes.Equal(data, other) {
			changed++
		}
		return os.WriteFile(path, other, 0o600)
	}))
	if changed == 0 {
		t.Fatal("no leaf is over three entries")
	}
	const found = "index log: LOG_CORRUPT: the entries on disk do not give the root of the published checkpoint"
	for _, command := range []string{"fsck", "reindex"} {
		if code, _, errOut := run1(t, command, "-c", config); code != exitNotDone || !strings.Contains(errOut, found) {
			t.Errorf("%s: %d, %s", command, code, errOut)
		}
	}
	if _, err := w.tryStart(); err == nil || !strings.Contains(err.Error(), found) {
		t.Errorf("serve: %v", err)
	}
}
