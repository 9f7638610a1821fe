package main

import (
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/avow-dev/avow/server/authority"
)

// TestTimeNeverRunsBackOverARestart: the authority of a restarted service starts where the newest statement left off.
func TestTimeNeverRunsBackOverARestart(t *testing.T) {
	w := newWorld(t, t.TempDir())
	before := time.Now().Truncate(time.Second)
	p := w.start()
	issueSome(t, w, p, 1)
	p.stop()
	logger := slog.New(slog.DiscardHandler)
	again, err := openParts(t.Context(), w.config, logger)
	must(t, err)
	defer func() { must(t, again.close(t.Context())) }()
	floor, err := newestCommit(t.Context(), again.log, again.store)
	must(t, err)
	if floor.Before(before) || floor.After(time.Now()) {
		t.Errorf("newest commit: got %s, want between %s and now", floor, before)
	}
	_, _, err = w.config.timestampers(readFile(t, w.config.path(w.config.TrustedRoot)), time.Now().Add(time.Hour), logger)
	var refused *authority.Error
	if !errors.As(err, &refused) || refused.Code != authority.TimeWentBack {
		t.Errorf("a clock an hour behind the newest statement: got %v, want %s", err, authority.TimeWentBack)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return data
}
