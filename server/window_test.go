package server

import (
	"context"
	"strings"
	"testing"
	"time"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/internal/trustroot"
)

// withWindow gives the world's log a window in the trusted root, and opens it to the Rekor API; a zero end is none.
func withWindow(t testing.TB, start, end time.Time) option {
	return func(w *world) {
		w.change = func(c *Config) {
			rc := w.rootConfig()
			rc.LogStart = start
			root := must(trustroot.Parse(must(TrustedRoot(rc))(t)))(t)
			if !end.IsZero() {
				if err := root.Retire("log:"+origin, end); err != nil {
					t.Fatal(err)
				}
			}
			c.TrustedRoot = must(root.JSON())(t)
			c.Rekor = &RekorConfig{}
		}
	}
}

// TestLogWindow: nothing is logged before the log's window begins and after it ended; what was logged is answered for ever.
func TestLogWindow(t *testing.T) {
	start, end := issuedAt.Add(time.Hour), issuedAt.Add(2*time.Hour)
	w := newWorld(t, withWindow(t, start, end))
	size := w.log.Size()
	before, after := signed(t, dataFlows(t), w.acme), signed(t, dataFlows(t), w.acme)
	entry, late := w.entry(w.acme, "in time"), w.entry(w.acme, "late")

	st := wantReason(t, w.refused(before), reasonLogNotInUse)
	if !strings.Contains(st.Message(), "announced and takes entries from "+start.Format(time.RFC3339)+" on") {
		t.Errorf("before: %s", st.Message())
	}
	_, err := w.rekor().CreateEntry(t.Context(), entry)
	wantReason(t, err, reasonLogNotInUse)
	if got := w.log.Size(); got != size {
		t.Fatalf("the log has %d entries, want %d: a refused statement was logged", got, size)
	}
	if err := w.server.Health(); !notInUse(err) {
		t.Errorf("health before the window: %v", err)
	}

	w.clock.set(start) // the window includes both its ends
	if err := w.server.Health(); err != nil {
		t.Errorf("health in the window: %v", err)
	}
	issued := must(w.attestation().Issue(t.Context(), before))(t)
	must(w.rekor().CreateEntry(t.Context(), entry))(t)

	w.clock.set(end.Add(time.Second))
	st = wantReason(t, w.refused(after), reasonLogNotInUse)
	if !strings.Contains(st.Message(), "took its last entry at "+end.Format(time.RFC3339)) {
		t.Errorf("after: %s", st.Message())
	}
	_, err = w.attestation().IssueBatch(t.Context(), &avowv1.IssueBatchRequest{Requests: []*avowv1.IssueRequest{before, after}})
	wantReason(t, err, reasonLogNotInUse)
	_, err = w.rekor().CreateEntry(t.Context(), late)
	wantReason(t, err, reasonLogNotInUse)
	again := must(w.attestation().Issue(t.Context(), before))(t)
	if !again.GetAlreadyIssued() || again.GetLogIndex() != issued.GetLogIndex() {
		t.Error("an issued statement is not answered with its bundle after the end")
	}
	must(w.rekor().CreateEntry(t.Context(), entry))(t)
	must(w.fetch(issued.GetStatementId(), ""))(t)
	if rows := must(w.store.PendingRows(t.Context(), 0, 10))(t); len(rows) != 0 {
		t.Errorf("%d statements were stored although they were refused", len(rows))
	}
}

// TestLateTimestamp: an authority whose clock is past the end dates nothing into the log.
func TestLateTimestamp(t *testing.T) {
	end := issuedAt.Add(time.Minute)
	w := newWorld(t, func(w *world) {
		withWindow(t, issuedAt.Add(-time.Hour), end)(w)
		windowed := w.change
		w.change = func(c *Config) {
			windowed(c)
			c.Clock = func() time.Time { return end.Add(-time.Second) } // the authority has the world's, 5 minutes later
		}
	})
	size := w.log.Size()
	wantReason(t, w.refused(signed(t, dataFlows(t), w.acme)), reasonLogNotInUse)
	if got := w.log.Size(); got != size {
		t.Errorf("the log has %d entries, want %d", got, size)
	}
}

// TestUnnamedLog: a service whose log was taken out of the trusted root logs nothing.
func TestUnnamedLog(t *testing.T) {
	w := newWorld(t, func(w *world) {
		withWindow(t, issuedAt.Add(-time.Hour), time.Time{})(w)
		windowed := w.change
		w.change = func(c *Config) {
			windowed(c)
			root := must(trustroot.Parse(c.TrustedRoot))(t)
			if err := root.Remove("log:" + origin); err != nil {
				t.Fatal(err)
			}
			c.TrustedRoot = must(root.JSON())(t)
		}
	})
	st := wantReason(t, w.refused(signed(t, dataFlows(t), w.acme)), reasonLogNotInUse)
	if !strings.Contains(st.Message(), "does not name the log "+origin) {
		t.Error(st.Message())
	}
}

// TestSuccessorIsNamed: who comes too late is told where to go, once.
func TestSuccessorIsNamed(t *testing.T) {
	end := issuedAt
	w := newWorld(t, func(w *world) {
		withWindow(t, issuedAt.Add(-time.Hour), end)(w)
		windowed := w.change
		w.change = func(c *Config) {
			windowed(c)
			rc := w.rootConfig()
			rc.Origin, rc.LogStart, rc.LogID = "next.example.test", end, make([]byte, 32)
			root := must(trustroot.Parse(c.TrustedRoot))(t)
			if err := root.Merge(must(trustroot.Parse(must(TrustedRoot(rc))(t)))(t)); err != nil {
				t.Fatal(err)
			}
			c.TrustedRoot = must(root.JSON())(t)
		}
	})
	st := wantReason(t, w.refused(signed(t, dataFlows(t), w.acme)), reasonLogNotInUse)
	if !strings.Contains(st.Message(), "its successor is next.example.test") {
		t.Error(st.Message())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	_ = w.server.Run(ctx)
	logs := w.logs.String()
	if n := strings.Count(logs, "the log's window"); n != 1 {
		t.Errorf("the closed window is logged %d times, want once", n)
	}
	if strings.Contains(logs, "is not healthy") {
		t.Error("a closed window is logged as a fault")
	}
}

// TestTokensOfAnotherLog: a bundle that was time-stamped before this log's window cannot be logged in it: no verifier would take
// the entry.
func TestTokensOfAnotherLog(t *testing.T) {
	w := newWorld(t, withWindow(t, issuedAt.Add(time.Hour), time.Time{}))
	token := must(w.server.cfg.Timestampers[0].Timestamp(t.Context(), []byte("signature")))(t)
	if err := w.server.issuer.window.checkTokens([][]byte{token}); !notInUse(err) {
		t.Errorf("got %v, want %s", err, reasonLogNotInUse)
	}
	w.clock.set(issuedAt.Add(2 * time.Hour))
	token = must(w.server.cfg.Timestampers[0].Timestamp(t.Context(), []byte("signature")))(t)
	if err := w.server.issuer.window.checkTokens([][]byte{token}); err != nil {
		t.Error(err)
	}
}
