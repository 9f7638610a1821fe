package tlog_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/tlog/posix"
)

// values gathers the metrics of a registry as name{label=value} to value; histograms by their count.
func values(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			switch name := family.GetName() + "{" + strings.Join(labels, ",") + "}"; family.GetType().String() {
			case "HISTOGRAM":
				all[name] = float64(m.GetHistogram().GetSampleCount())
			case "COUNTER":
				all[name] = m.GetCounter().GetValue()
			default:
				all[name] = m.GetGauge().GetValue()
			}
		}
	}
	return all
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	cfg, other := create(t), testConfig(t.TempDir())
	cfg.Registerer, other.Registerer, other.Origin = registry, registry, "index.example"
	if err := posix.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	l, err := posix.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	open(t, other) // a second log beside it
	before := len(values(t, registry))
	for i := range 5 {
		if _, err := l.Append(t.Context(), leafOf(i)); err != nil {
			t.Fatal(err)
		}
	}
	_, err = l.Append(t.Context(), nil)
	wantCode(t, err, tlog.CodeLeafInvalid)
	got := values(t, registry)
	for name, want := range map[string]float64{
		"avow_log_tree_size{log=" + testOrigin + "}":                      5,
		"avow_log_published_size{log=" + testOrigin + "}":                 5,
		"avow_log_append_seconds{log=" + testOrigin + "}":                 5,
		"avow_log_healthy{log=" + testOrigin + "}":                        1,
		"avow_log_errors_total{code=LEAF_INVALID,log=" + testOrigin + "}": 1,
		"avow_log_errors_total{code=LOG_CORRUPT,log=" + testOrigin + "}":  0,
		"avow_log_tree_size{log=index.example}":                           0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s = %v (%v), want %v", name, v, ok, want)
		}
	}
	if len(got) != before {
		t.Errorf("%d series before, %d after: requests add series", before, len(got))
	}
	closeLog(t, l)
	if left := values(t, registry); len(left) != before/2 {
		t.Errorf("%d series left after closing one of two logs with %d", len(left), before)
	}
}

// TestUnpublishedEntries holds publication back, so that entries are integrated and unpublished: Find sees them, Prove
// waits for them, Close gives up at its deadline, and the next server publishes them.
func TestUnpublishedEntries(t *testing.T) {
	cfg := create(t)
	l, err := posix.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 0, 3)
	obstacle := cfg.AnchorPath + ".new"
	if err := os.Mkdir(obstacle, 0o755); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = l.Append(short, leafOf(3))
	wantCode(t, err, tlog.CodeUnavailable)
	for l.Size() < 4 {
		time.Sleep(time.Millisecond)
	}
	if index, found, err := l.Find(t.Context(), leafOf(3), 0); err != nil || !found || index != 3 {
		t.Errorf("find: %d, %v, %v", index, found, err)
	}
	short, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = l.Prove(short, 3)
	wantCode(t, err, tlog.CodeUnavailable)
	if _, size, _ := l.Checkpoint(); size != 3 {
		t.Errorf("published %d, want 3", size)
	}
	if r := request(l.Handler(), "GET", "/tile/0/000.p/4"); r.StatusCode != 404 {
		t.Errorf("unpublished tile: %s", r.Status)
	}
	// The files of the published tree are still read by clients, although the log itself reads those of the integrated one.
	for _, name := range []string{"tile/0/000.p/3", "tile/entries/000.p/3"} {
		flip(t, filepath.Join(cfg.Dir, name), 20)
		wantCode(t, l.Fsck(t.Context(), nil), tlog.CodeCorrupt)
		flip(t, filepath.Join(cfg.Dir, name), 20)
	}
	if err := l.Fsck(t.Context(), nil); err != nil {
		t.Error(err)
	}
	var proving sync.WaitGroup
	proving.Go(func() {
		_, err := l.Prove(t.Context(), 3)
		if tlog.CodeOf(err) != tlog.CodeClosed {
			t.Errorf("proof of an entry that was not published: %v", err)
		}
	})
	short, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err = l.Close(short)
	wantCode(t, err, tlog.CodeUnavailable)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a chain with context.DeadlineExceeded", err)
	}
	proving.Wait()
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	l = open(t, cfg)
	e, err := l.Prove(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	verify(t, e, leafOf(3))
}

// TestFsckWhileAppending checks a log again and again while it grows.
func TestFsckWhileAppending(t *testing.T) {
	l := open(t, create(t))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 3000 {
			if i%3 == 0 {
				go func() { _, _ = l.Append(t.Context(), leafOf(i)) }() // its answer is not the question
				continue
			}
			if i%50 == 1 {
				if _, err := l.Append(t.Context(), leafOf(i)); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	checks := 0
	for {
		if err := l.Fsck(t.Context(), nil); err != nil {
			t.Fatalf("%v (cause: %v)", err, errors.Unwrap(err))
		}
		checks++
		select {
		case <-done:
			t.Logf("%d checks while growing to %d", checks, l.Size())
			return
		default:
		}
	}
}
