package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/server/tlog/posix"
)

const (
	crashRounds      = 20
	crashRoundsShort = 3
	crashWriters     = 16
	fsckEvery        = 4 // rounds; it reads everything, and everything grows
)

// acknowledged is what the service promised to somebody outside it.
type acknowledged struct {
	envelope *attest.Envelope
	response *avowv1.IssueResponse
}

// TestKillNine kills the real service at random moments under load and starts it again on the same directory. What it
// acknowledged is recorded here, outside its process.
//
// It proves the order of writes and the recovery, not durability: only a power cut can tell an fsync from a missing one.
func TestKillNine(t *testing.T) {
	rounds := crashRounds
	if testing.Short() {
		rounds = crashRoundsShort
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t, t.TempDir())
	h := &history{world: w, byID: map[string]acknowledged{}}
	var slowest time.Duration
	p := w.start()
	for round := range rounds {
		load := h.write(p)
		time.Sleep(50*time.Millisecond + time.Duration(random.Int64N(int64(600*time.Millisecond))))
		p.kill9()
		load.Wait()
		h.checkFiles(round)
		p = w.start()
		slowest = max(slowest, p.started)
		h.checkService(p, round)
		if t.Failed() {
			t.Fatalf("seed %d, round %d", seed, round)
		}
	}
	h.retryAll(p)
	p.kill9()
	h.checkFiles(0) // a round of fsck
	t.Logf("seed %d: %d rounds, %d statements acknowledged, %d left unanswered by a kill and sent again, slowest start to serving %s",
		seed, rounds, len(h.byID), h.retried, slowest.Round(time.Millisecond))
	if len(h.byID) < rounds*crashWriters {
		t.Errorf("only %d statements in %d rounds: too little load to prove anything", len(h.byID), rounds)
	}
}

// history is what was sent, and what was answered.
type history struct {
	*world
	mu      sync.Mutex
	byID    map[string]acknowledged
	fresh   []string           // acknowledged since the last check
	open    []*attest.Envelope // sent, and never answered
	sealed  bool               // answers do not count any more
	retried int
}

// seal ends the time in which an answer is a promise. A power cut is not one moment: while the file system is being stopped, an
// fsync may report success that a machine without power could not have reported to anybody.
func (h *history) seal() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sealed = true
}

// write starts the writers. Each goes on until the service is gone; what it had in flight then is sent again in the next round.
func (h *history) write(p *process) *sync.WaitGroup {
	var wg sync.WaitGroup
	h.mu.Lock()
	again := h.open
	h.open, h.retried, h.sealed = nil, h.retried+len(again), false
	h.mu.Unlock()
	for i := range crashWriters {
		wg.Go(func() {
			for n := 0; ; n++ {
				e := (*attest.Envelope)(nil)
				if at := n*crashWriters + i; at < len(again) {
					e = again[at]
				} else {
					e = h.envelope()
				}
				r, err := h.issue(context.Background(), p, e)
				if !h.record(e, r, err) {
					return
				}
			}
		})
	}
	return &wg
}

func (h *history) record(e *attest.Envelope, r *avowv1.IssueResponse, err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil || h.sealed {
		h.open = append(h.open, e)
		return err == nil
	}
	h.byID[e.StatementID()] = acknowledged{e, r}
	h.fresh = append(h.fresh, e.StatementID())
	return true
}

// checkFiles looks at what the dead process left: the log opens, which checks its right edge against the anchor; every
// acknowledged statement is where the answer said, and none is there twice; and, every few rounds, fsck is clean.
func (h *history) checkFiles(round int) {
	h.t.Helper()
	if round%fsckEvery == 0 {
		if err := fsck(h.t.Context(), h.config, io.Discard); err != nil {
			h.t.Errorf("round %d: fsck: %v", round, err)
			return
		}
	}
	tc, err := h.config.tlogConfig(slog.New(slog.DiscardHandler))
	must(h.t, err)
	log, err := posix.Open(h.t.Context(), tc)
	must(h.t, err)
	defer func() { must(h.t, log.Close(context.Background())) }()
	seen := map[string]uint64{}
	for leaf, err := range log.Leaves(h.t.Context(), 0, log.Size()) {
		must(h.t, err)
		if first, twice := seen[string(leaf.Data)]; twice {
			h.t.Errorf("round %d: one leaf at indexes %d and %d", round, first, leaf.Index)
		}
		seen[string(leaf.Data)] = leaf.Index
	}
	for id, a := range h.byID {
		leaf, err := a.envelope.Leaf()
		must(h.t, err)
		if index, ok := seen[string(leaf)]; !ok || index != a.response.GetLogIndex() {
			h.t.Errorf("round %d: %s was acknowledged at index %d; in the log: %v, at %d", round, id, a.response.GetLogIndex(), ok, index)
		}
	}
}

// checkService asks the new process for everything that was acknowledged in the last round, and verifies the bundles that were
// handed out before the kill.
func (h *history) checkService(p *process, round int) {
	h.t.Helper()
	for _, id := range h.fresh {
		a := h.byID[id]
		got, err := p.issuing.GetStatement(h.t.Context(), &avowv1.GetStatementRequest{StatementId: id})
		if err != nil {
			h.t.Errorf("round %d: %s was acknowledged and is lost: %v", round, id, err)
			continue
		}
		if n := len(got.GetBundles()); n != 1 || got.GetBundles()[0].GetLogIndex() != a.response.GetLogIndex() {
			h.t.Errorf("round %d: %s has %d bundles, want the one at index %d", round, id, n, a.response.GetLogIndex())
		}
		if !bytes.Equal(got.GetStatement(), a.envelope.Statement().Payload()) {
			h.t.Errorf("round %d: %s has other bytes now", round, id)
		}
		if e := h.mustVerify(a.response.GetBundle()); e.LogIndex != a.response.GetLogIndex() {
			h.t.Errorf("round %d: %s: the bundle proves index %d, answered was %d", round, id, e.LogIndex, a.response.GetLogIndex())
		}
	}
	h.fresh = nil
}

// retryAll sends everything once more: each statement is answered with the bundle of its one leaf.
func (h *history) retryAll(p *process) {
	h.t.Helper()
	var again []acknowledged
	for _, a := range h.byID {
		if again = append(again, a); len(again) == 200 {
			break
		}
	}
	for _, a := range again {
		r, err := h.issue(h.t.Context(), p, a.envelope)
		if err != nil {
			h.t.Errorf("sent again: %v", err)
			continue
		}
		if !r.GetAlreadyIssued() || r.GetLogIndex() != a.response.GetLogIndex() {
			h.t.Errorf("sent again: already issued %v at index %d, want true at %d", r.GetAlreadyIssued(), r.GetLogIndex(), a.response.GetLogIndex())
		}
	}
}

func getStatement(id string) *avowv1.GetStatementRequest {
	return &avowv1.GetStatementRequest{StatementId: id}
}

// payloadOf takes the statement out of a bundle, unverified.
func payloadOf(t testing.TB, bundle []byte) []byte {
	t.Helper()
	var b struct {
		Envelope struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	must(t, json.Unmarshal(bundle, &b))
	return b.Envelope.Payload
}

// subjectOf reads the first subject's digest out of a bundle, unverified: it is the question, not the answer.
func subjectOf(t testing.TB, bundle []byte) string {
	t.Helper()
	var s struct {
		Subject []struct {
			Digest map[string]string `json:"digest"`
		} `json:"subject"`
	}
	must(t, json.Unmarshal(payloadOf(t, bundle), &s))
	return s.Subject[0].Digest["sha256"]
}
