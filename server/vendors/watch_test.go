package vendors_test

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/avow-dev/avow/server/vendors"
)

// watched is a watcher in a bubble of testing/synctest: its seconds pass when the test says so.
type watched struct {
	*vendors.Watcher
	t    *testing.T
	path string
	log  *bytes.Buffer

	reloads []error
}

func bubble(t *testing.T, text string, test func(t *testing.T, w *watched)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vendors.yaml")
	synctest.Test(t, func(t *testing.T) { test(t, watch(t, path, text)) })
}

const one = "vendors: [{name: one, declarant: One, country: DE}]\n"

func watch(t *testing.T, path, text string) *watched {
	t.Helper()
	w := &watched{t: t, path: path, log: &bytes.Buffer{}}
	write(t, w.path, text)
	var err error
	w.Watcher, err = vendors.Watch(t.Context(), vendors.WatcherConfig{
		Path: w.path, Logger: slog.New(slog.NewTextHandler(w.log, nil)),
		OnReload: func(r *vendors.Registry, err error) {
			if (r == nil) != (err != nil) {
				t.Errorf("told of registry %v and error %v", r, err)
			}
			w.reloads = append(w.reloads, err)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// look lets the watcher look n times, and returns when it has.
func (w *watched) look(n int) {
	time.Sleep(time.Duration(n) * vendors.DefaultInterval)
	synctest.Wait()
}

func (w *watched) names() string {
	var names []string
	for _, v := range w.Registry().All() {
		names = append(names, v.Name)
	}
	return strings.Join(names, " ")
}

func (w *watched) want(names string, healthy bool) {
	w.t.Helper()
	if got := w.names(); got != names {
		w.t.Errorf("vendors %q, want %q", got, names)
	}
	if err := w.Health(); (err == nil) != healthy {
		w.t.Errorf("health %v, want healthy: %v", err, healthy)
	}
}

func TestWatcherReloads(t *testing.T) {
	bubble(t, one, testWatcherReloads)
}

func testWatcherReloads(t *testing.T, w *watched) {
	w.want("one", true)
	w.look(3)
	if len(w.reloads) != 0 {
		t.Errorf("%d reloads of an unchanged file", len(w.reloads))
	}
	write(t, w.path, strings.ReplaceAll(one, "one", "two2"))
	w.look(1)
	w.want("two2", true)
	if len(w.reloads) != 1 || w.reloads[0] != nil {
		t.Errorf("reloads %v, want one good one", w.reloads)
	}
}

func TestWatcherKeepsTheLastGoodRegistry(t *testing.T) {
	bubble(t, one, testWatcherKeepsTheLastGoodRegistry)
}

func testWatcherKeepsTheLastGoodRegistry(t *testing.T, w *watched) {
	before := w.Registry()
	for _, bad := range []string{"vendors: [", "", "vendors: [{name: one}]"} {
		write(t, w.path, bad)
		w.look(1)
		w.want("one", false)
	}
	if err := os.Remove(w.path); err != nil {
		t.Fatal(err)
	}
	w.look(1)
	w.want("one", false)
	if w.Registry() != before {
		t.Error("the registry was replaced")
	}
	errs := len(w.reloads)
	w.look(5)
	if len(w.reloads) != errs || errs != 4 {
		t.Errorf("%d reports, then %d: want one for each new error", errs, len(w.reloads))
	}
	write(t, w.path, one)
	w.look(1)
	w.want("one", true)
	if n := strings.Count(w.log.String(), "level=ERROR"); n != 4 {
		t.Errorf("%d errors in the log, want 4:\n%s", n, w.log)
	}
}

// TestWatcherSeesKeyFiles: a key file is a part of the registry, also one that is missing at first.
func TestWatcherSeesKeyFiles(t *testing.T) {
	bubble(t, one, testWatcherSeesKeyFiles)
}

func testWatcherSeesKeyFiles(t *testing.T, w *watched) {
	keyFile := filepath.Join(filepath.Dir(w.path), "key.pub")
	write(t, w.path, "vendors: [{name: one, declarant: One, country: DE, keys: [{file: key.pub}]}]\n")
	w.look(1)
	w.want("one", false)
	first, second := newKey(t, elliptic.P256()), newKey(t, elliptic.P256())
	write(t, keyFile, first)
	w.look(1)
	w.want("one", true)
	if _, _, ok := w.Registry().ByKey(keyID(first)); !ok {
		t.Error("the key is not there")
	}
	write(t, keyFile, second)
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(keyFile, later, later); err != nil { // of the same size; do not depend on the clock's grain
		t.Fatal(err)
	}
	w.look(1)
	if _, _, ok := w.Registry().ByKey(keyID(first)); ok {
		t.Error("the replaced key still speaks")
	}
	if _, _, ok := w.Registry().ByKey(keyID(second)); !ok {
		t.Error("the new key is not there")
	}
}

// TestWatcherSeesWhatKeepsSizeAndTime: now and then the content is compared.
func TestWatcherSeesWhatKeepsSizeAndTime(t *testing.T) {
	bubble(t, one, testWatcherSeesWhatKeepsSizeAndTime)
}

func testWatcherSeesWhatKeepsSizeAndTime(t *testing.T, w *watched) {
	info, err := os.Stat(w.path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, w.path, strings.ReplaceAll(one, "one", "two"))
	if err := os.Chtimes(w.path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	w.look(60)
	w.want("two", true)
}

func TestReload(t *testing.T) {
	bubble(t, one, testReload)
}

func testReload(t *testing.T, w *watched) {
	write(t, w.path, strings.ReplaceAll(one, "one", "two"))
	if err := w.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.want("two", true)
	write(t, w.path, "vendors: 7\n")
	wantError(t, w.Reload(t.Context()), vendors.Syntax, 1)
	w.want("two", false)
}

func TestWatchRefusals(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	_, err := vendors.Watch(t.Context(), vendors.WatcherConfig{Path: filepath.Join(t.TempDir(), "none.yaml"), Logger: log})
	wantError(t, err, vendors.Unreadable, 0)
	_, err = vendors.Watch(t.Context(), vendors.WatcherConfig{Logger: log})
	wantError(t, err, vendors.Value, 0)
}

func TestWatcherEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	path := filepath.Join(t.TempDir(), "vendors.yaml")
	write(t, path, one)
	w, err := vendors.Watch(ctx, vendors.WatcherConfig{Path: path, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	w.Close()
	w.Close()
	if len(w.Registry().All()) != 1 {
		t.Error("the registry is gone")
	}
}
