package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/avow-dev/avow/cmd/avow/internal/manifest"
	"github.com/avow-dev/avow/verify"
)

const (
	firstDigest  = "1111111111111111111111111111111111111111111111111111111111111111"
	secondDigest = "2222222222222222222222222222222222222222222222222222222222222222"
)

// writeBundle writes a file that speaks of digests as a bundle does.
func writeBundle(t *testing.T, path string, digests ...string) {
	t.Helper()
	var subjects []string
	for _, d := range digests {
		subjects = append(subjects, `{"name":"x","digest":{"sha256":"`+d+`"}}`)
	}
	var envelope struct {
		Envelope struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	envelope.Envelope.Payload = []byte(`{"subject":[` + strings.Join(subjects, ",") + `]}`)
	data, err := json.Marshal(envelope)
	if err != nil {
		t.Fatal(err)
	}
	writeTestFile(t, path, string(data))
}

func writeTestFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestBundleIndex: bundles are found by digest, in subdirectories too, and what is none is left out and named.
func TestBundleIndex(t *testing.T) {
	a, _, errOut := newApp(t)
	dir := t.TempDir()
	writeBundle(t, filepath.Join(dir, "b.sigstore.json"), firstDigest)
	writeBundle(t, filepath.Join(dir, "deep", "er", "a.sigstore.json"), firstDigest, secondDigest, secondDigest)
	writeBundle(t, filepath.Join(dir, "other.json"), firstDigest)
	writeBundle(t, filepath.Join(dir, "none.sigstore.json"))
	writeTestFile(t, filepath.Join(dir, "junk\x1b.sigstore.json"), "junk")
	writeTestFile(t, filepath.Join(dir, "text.sigstore.json"), `{"dsseEnvelope":{"payload":"dGV4dA=="}}`)
	writeTestFile(t, filepath.Join(dir, "big.sigstore.json"), strings.Repeat(" ", verify.MaxBundleBytes+1))
	outside := filepath.Join(t.TempDir(), "x.sigstore.json")
	writeBundle(t, outside, firstDigest)
	for link, to := range map[string]string{"inside.sigstore.json": "b.sigstore.json", "outside.sigstore.json": outside} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.sigstore.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	single := filepath.Join(t.TempDir(), "single")
	writeBundle(t, single, secondDigest)

	x, err := a.indexBundles(t.Context(), dir, []string{single})
	if err != nil {
		t.Fatal(err)
	}
	defer x.root.Close()
	names := func(digest string) (list []string) {
		t.Helper()
		bundles, err := x.of(manifest.Item{}, digest)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range bundles {
			list = append(list, filepath.Base(b.Name))
			if len(b.Data) == 0 {
				t.Errorf("%s is empty", b.Name)
			}
		}
		return list
	}
	if got := names(firstDigest); !slices.Equal(got, []string{"b.sigstore.json", "a.sigstore.json", "inside.sigstore.json"}) {
		t.Errorf("first: %v", got)
	}
	if got := names(secondDigest); len(got) != 2 || !slices.Contains(got, "single") || !slices.Contains(got, "a.sigstore.json") {
		t.Errorf("second: %v", got)
	}
	if got := names(strings.Repeat("3", 64)); got != nil {
		t.Errorf("third: %v", got)
	}
	notes := errOut.String()
	for _, left := range []string{`junk\x1b.sigstore.json: no bundle: `, "text.sigstore.json: no bundle with a statement: ",
		"big.sigstore.json: no bundle: it has more than", "outside.sigstore.json: ", "pipe.sigstore.json: "} {
		if !strings.Contains(notes, left) {
			t.Errorf("%q is not said: %s", left, notes)
		}
	}
	if strings.Contains(notes, "none.sigstore") || strings.Contains(notes, "\x1b") {
		t.Errorf("notes: %q", notes)
	}

	// What the list names is read, and nothing outside of the directory.
	got, err := x.of(manifest.Item{Bundles: []string{"other.json", "deep/er/a.sigstore.json"}}, firstDigest)
	if err != nil || len(got) != 2 || got[0].Name != "other.json" {
		t.Errorf("named: %v, %v", got, err)
	}
	if _, err := x.of(manifest.Item{Bundles: []string{"missing.json"}}, firstDigest); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing bundle: %v", err)
	}
	for _, path := range []string{outside, "../x", "outside.sigstore.json", "deep"} {
		if got, err := x.of(manifest.Item{Bundles: []string{path}}, firstDigest); err == nil {
			t.Errorf("%s was read: %v", path, got)
		}
	}
}

// TestBundleIndexErrors: what was named and cannot be read ends the command.
func TestBundleIndexErrors(t *testing.T) {
	a, _, errOut := newApp(t)
	dir := t.TempDir()
	if _, err := a.indexBundles(t.Context(), filepath.Join(dir, "missing"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	if _, err := a.indexBundles(t.Context(), "", []string{filepath.Join(dir, "missing")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	writeTestFile(t, filepath.Join(dir, "junk"), "junk")
	if _, err := a.indexBundles(t.Context(), "", []string{filepath.Join(dir, "junk")}); err == nil || !strings.Contains(err.Error(), "no bundle") {
		t.Errorf("no bundle: %v", err)
	}
	for n := range verify.MaxBundles + 1 {
		writeBundle(t, filepath.Join(dir, fmt.Sprintf("%d.sigstore.json", n)), firstDigest)
	}
	for n := range maxSkippedNotes + 2 {
		writeTestFile(t, filepath.Join(dir, fmt.Sprintf("junk%d.sigstore.json", n)), "junk")
	}
	x, err := a.indexBundles(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer x.root.Close()
	if _, err := x.of(manifest.Item{}, firstDigest); err == nil || !strings.Contains(err.Error(), "65 bundles speak of it") {
		t.Errorf("too many: %v", err)
	}
	if got := errOut.String(); strings.Count(got, "\n") != maxSkippedNotes+1 || !strings.HasSuffix(got, "left out: 2 more files\n") {
		t.Errorf("notes: %s", got)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.indexBundles(ended, dir, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// FuzzSubjectsOf: whatever a file holds, it selects by digests that really stand in it, and a file that is none says so.
func FuzzSubjectsOf(f *testing.F) {
	f.Add([]byte(`{"dsseEnvelope":{"payload":"eyJzdWJqZWN0IjpbeyJkaWdlc3QiOnsic2hhMjU2IjoiYWIifX1dfQ=="}}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := subjectsOf(data)
		if s.err != nil && len(s.digests) > 0 {
			t.Errorf("%v, and %v", s.digests, s.err)
		}
		if slices.Contains(s.digests, "") {
			t.Error("an empty digest selects")
		}
	})
}

// entries yields n entries, and counts how many were asked for.
func entries(n int, taken *atomic.Int64) iter.Seq[manifest.Item] {
	return func(yield func(manifest.Item) bool) {
		for i := range n {
			taken.Add(1)
			if !yield(manifest.Item{Position: fmt.Sprint(i)}) {
				return
			}
		}
	}
}

// TestInOrder: results come in the order of the entries, however they become ready, and what is judged ahead is bounded.
func TestInOrder(t *testing.T) {
	var taken atomic.Int64
	first := make(chan struct{})
	var open sync.Once
	if runtime.GOMAXPROCS(0) == 1 {
		open.Do(func() { close(first) }) // nobody else could judge while the first waits
	}
	judge := func(_ context.Context, item manifest.Item) *entryResult {
		if taken.Load() >= aheadOfReport {
			open.Do(func() { close(first) })
		}
		if item.Position == "0" {
			<-first
		}
		return &entryResult{item: item}
	}
	next := 0
	for r := range inOrder(t.Context(), entries(3*aheadOfReport, &taken), judge) {
		if r.item.Position != fmt.Sprint(next) {
			t.Fatalf("got %s, want %d", r.item.Position, next)
		}
		if next == 0 && taken.Load() > aheadOfReport+1 {
			t.Errorf("%d entries were taken before the first was ready", taken.Load())
		}
		next++
	}
	if next != 3*aheadOfReport {
		t.Errorf("%d results", next)
	}
}

// TestInOrderEnds: a loop that ends, and a context that does, end the work, also while the source waits for a place.
func TestInOrderEnds(t *testing.T) {
	var taken atomic.Int64
	judge := func(_ context.Context, item manifest.Item) *entryResult { return &entryResult{item: item} }
	for range inOrder(t.Context(), entries(1<<20, &taken), judge) {
		break
	}
	if taken.Load() > 2*aheadOfReport {
		t.Errorf("%d entries were taken for one result", taken.Load())
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for range inOrder(ctx, entries(1<<20, &taken), judge) {
		if n++; n == 10 {
			cancel()
		}
	}
	if n > 10+2*aheadOfReport {
		t.Errorf("%d results after the context ended", n)
	}
}

// TestReportFile: nothing is seen of a report until it is whole, and what was there before stays until then.
func TestReportFile(t *testing.T) {
	a, out, errOut := newApp(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "report")
	writeTestFile(t, path, "before")
	for _, end := range []struct {
		do   func(*reportFile) error
		want string
	}{{(*reportFile).discard, "before"}, {(*reportFile).commit, "after"}} {
		r, err := a.newReportFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Write([]byte("after")); err != nil {
			t.Fatal(err)
		}
		if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
			t.Errorf("%v, %v", list, err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != "before" {
			t.Errorf("before the end: %s, %v", data, err)
		}
		if err := end.do(r); err != nil {
			t.Error(err)
		}
		if err := r.discard(); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != end.want {
			t.Errorf("at the end: %s, %v, want %s", data, err, end.want)
		}
	}
	if _, err := a.newReportFile(filepath.Join(dir, "missing", "report")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	r, err := a.newReportFile("-")
	if err == nil {
		_, err = r.Write([]byte("x"))
	}
	if err != nil || r.commit() != nil || r.discard() != nil || out.String() != "x" {
		t.Errorf("standard output: %q, %v", out, err)
	}
	if got := errOut.String(); got != "wrote "+path+"\n" {
		t.Errorf("notes: %q", got)
	}
}

// TestSummaryExit: one exit code, and nothing is not accepted.
func TestSummaryExit(t *testing.T) {
	for want, s := range map[int]*summary{
		exitYes:   {entries: 2, accepted: 2},
		exitNo:    {entries: 2, accepted: 1, rejected: 1},
		exitError: {entries: 3, accepted: 1, rejected: 1, failed: 1},
	} {
		a, _, _ := newApp(t)
		if got := a.report(s.exit()); got != want {
			t.Errorf("%+v: exit %d, want %d", s, got, want)
		}
	}
	for _, s := range []*summary{{}, {entries: 1}} {
		if s.exit() == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
}

// TestReportsEscape: foreign names and texts reach no terminal as they are, in no format.
func TestReportsEscape(t *testing.T) {
	const evil = "x\x1b[31m\u202e\n"
	r := &entryResult{item: manifest.Item{Position: "line 1", Name: evil, Product: evil}, verdict: &verify.Verdict{Checks: []verify.Check{
		{ID: verify.CheckSubject, Status: verify.StatusFail, Bundle: evil, Detail: evil, Got: evil, Hint: evil}}}}
	failing := &entryResult{item: r.item, err: errors.New(evil)}
	for _, f := range []string{"text", "json", "jsonl"} {
		a, out, _ := newApp(t)
		report := a.newManifestReport(format{value: f}, out)
		sum := &summary{byCheck: map[verify.CheckID]*reasonCount{}}
		for _, r := range []*entryResult{r, failing} {
			sum.add(r)
			if err := report.row(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := report.end(sum); err != nil {
			t.Fatal(err)
		}
		got := out.String()
		if strings.ContainsAny(got, "\x1b\u202e") || !strings.Contains(got, "subject") {
			t.Errorf("%s: %q", f, got)
		}
		if f == "json" && !json.Valid(out.Bytes()) {
			t.Errorf("not JSON: %s", got)
		}
		if lines := strings.Count(got, "\n"); f == "jsonl" && lines != 3 {
			t.Errorf("%d lines of JSON, want 3", lines)
		}
	}
}
