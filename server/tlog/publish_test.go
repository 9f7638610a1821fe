package tlog

import (
	"context"
	"log/slog"
	"testing"
	"time"
)

// checkpointFile is a Reader that has nothing but a checkpoint.
type checkpointFile struct {
	tileMap
	raw []byte
}

func (c checkpointFile) ReadCheckpoint(context.Context) ([]byte, error) { return c.raw, nil }

// TestPublishedForkStopsTheLog puts a checkpoint into place that the log's key signed, of the awaited size but another root: it
// must not become the one that proofs are given with.
func TestPublishedForkStopsTheLog(t *testing.T) {
	id := testIdentity(t, "log.example", 1)
	signed := (&tree{}).extend(syntheticLeaves(0, 3))
	for _, root := range []hash{signed.root(), {1}} {
		l := &Log{id: id, cfg: Config{Logger: slog.New(slog.DiscardHandler), PaceCheckpoints: true, Clock: time.Now}}
		l.guard = &guard{ctx: t.Context()}
		l.storage.Reader = checkpointFile{raw: testCheckpoint(t, id, 3, root)}
		l.appending.signed = signed
		if !l.readPublished(t.Context()) {
			t.Fatal("not read")
		}
		switch good := root == signed.root(); {
		case good && (l.stopped() != nil || l.current.Load() == nil):
			t.Errorf("good checkpoint: stopped by %v", l.stopped())
		case !good && (CodeOf(l.stopped()) != CodeCorrupt || l.current.Load() != nil):
			t.Errorf("checkpoint of another root: stopped by %v, current %v", l.stopped(), l.current.Load())
		}
	}
}
