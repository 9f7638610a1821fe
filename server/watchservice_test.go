package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/verdictpb"
	"github.com/avow-dev/avow/server/watch"
)

// watching is a stream of Watch.
type watching struct {
	t      testing.TB
	stream grpc.ServerStreamingClient[avowv1.WatchResponse]
	last   *avowv1.WatchProgress
}

func (w *world) watching(ctx context.Context, req *avowv1.WatchRequest) *watching {
	w.t.Helper()
	return &watching{t: w.t, stream: must(w.standing().Watch(ctx, req))(w.t)}
}

// begun waits for the first message.
func (x *watching) begun() *watching {
	x.t.Helper()
	m := must(x.stream.Recv())(x.t)
	if x.last = m.GetProgress(); x.last == nil {
		x.t.Fatalf("the first message is %v", m)
	}
	return x
}

// take returns the next n events.
func (x *watching) take(n int) (events []*avowv1.StatementEvent) {
	x.t.Helper()
	for len(events) < n {
		m := must(x.stream.Recv())(x.t)
		if p := m.GetProgress(); p != nil {
			x.last = p
		} else {
			events = append(events, m.GetStatement())
		}
	}
	return events
}

func indices(events []*avowv1.StatementEvent) (got []uint64) {
	for _, e := range events {
		got = append(got, e.GetLogIndex())
	}
	return got
}

func from(n uint64) *avowv1.WatchRequest { return &avowv1.WatchRequest{FromLogIndex: &n} }

// TestWatch: what is issued is told in the order of the log with its bundle; what is said about a statement comes with how that
// stands now, as a buyer sees it.
func TestWatch(t *testing.T) {
	w := newWorld(t)
	x := w.watching(t.Context(), &avowv1.WatchRequest{}).begun()
	if x.last.GetNextLogIndex() != 0 || x.last.GetCheckpoint() == "" || x.last.GetIndexCheckpoint() == "" || x.last.GetTime() == nil {
		t.Errorf("the beginning: %v", x.last)
	}
	issued := w.issue(dataFlows(t), w.acme)
	id, at := w.say(withdrawalOf(t, issued.GetStatementId()), w.acme)
	events := x.take(2)
	first, second := events[0], events[1]
	if first.GetLogIndex() != issued.GetLogIndex() || first.GetStatementId() != issued.GetStatementId() || first.GetKeyId() != idOf(t, w.acme) ||
		first.GetVendor() != "acme" || first.GetPredicateType() != "https://w3id.org/avow/data-flows/v1" || len(first.GetStandings()) != 0 ||
		string(first.GetBundle()) != string(issued.GetBundle()) || first.GetUnresolved() {
		t.Errorf("the first event: %v", first)
	}
	if second.GetLogIndex() != at || second.GetStatementId() != id || !slices.Equal(second.GetTargets(), []string{issued.GetStatementId()}) ||
		len(second.GetBundle()) == 0 || len(second.GetStandings()) != 1 {
		t.Fatalf("the second event: %v", second)
	}
	buyer, err := w.asBuyer(second.GetStandings()[0], issued.GetBundle(), w.acme)
	if err != nil || !proto.Equal(verdictpb.Standing(buyer), second.GetStandings()[0].GetResult()) || second.GetStandings()[0].GetResult().GetStanding() != avowv1.Standing_STANDING_WITHDRAWN {
		t.Errorf("%v: a buyer makes %v of it", err, buyer)
	}
	for next := range uint64(2) {
		y := w.watching(t.Context(), from(next)).begun()
		if got := indices(y.take(2 - int(next))); y.last.GetNextLogIndex() != next && len(got) == 0 || !slices.Equal(got, []uint64{0, 1}[next:]) {
			t.Errorf("from %d: %v", next, got)
		}
	}
}

// TestWatchUnresolved: an entry without a statement is told without a bundle, and with it when it comes.
func TestWatchUnresolved(t *testing.T) {
	w := newWorld(t)
	x := w.watching(t.Context(), &avowv1.WatchRequest{KeyIds: []string{idOf(t, w.acme)}}).begun()
	payload := dataFlows(t)
	env := must(attest.Reopen(envelope(t, payload, w.acme), w.acme.PublicKey()))(t)
	if _, err := w.log.Append(t.Context(), must(env.Leaf())(t)); err != nil {
		t.Fatal(err)
	}
	if e := x.take(1)[0]; !e.GetUnresolved() || len(e.GetBundle()) != 0 || e.GetStatementId() != "" || e.GetKeyId() != idOf(t, w.acme) {
		t.Errorf("told %v", e)
	}
}

// TestWatchFilters: each filter of a request reaches the hub; vendors are their signers.
func TestWatchFilters(t *testing.T) {
	w := newWorld(t)
	flows := dataFlows(t)
	issued := w.issue(flows, w.acme)
	waitFor(t, func() bool { return w.index.Current().Root.Size == 1 }) // or it is what comes next
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	open := map[string]*watching{}
	for name, req := range map[string]*avowv1.WatchRequest{
		"statement": {StatementIds: []string{issued.GetStatementId()}}, "artifact": {ArtifactSha256S: []string{subjectOf(t, flows)}},
		"key": {KeyIds: []string{idOf(t, w.acmeSecond)}}, "vendor": {Vendors: []string{"acme"}}, "other vendor": {Vendors: []string{"held"}},
		"product": {Products: []string{"pkg:generic/example-gateway"}}, "from": from(1),
	} {
		open[name] = w.watching(ctx, req).begun()
	}
	w.say(withdrawalOf(t, issued.GetStatementId()), w.acmeSecond)
	for name, x := range open {
		if name == "other vendor" {
			continue
		}
		if got := indices(x.take(1)); !slices.Equal(got, []uint64{1}) {
			t.Errorf("%s: %v", name, got)
		}
	}
	if n := w.server.watchers.open(); n != len(open) {
		t.Errorf("%d streams are open, want %d", n, len(open))
	}
	cancel()
	waitFor(t, func() bool { return w.server.watchers.open() == 0 })
}

// TestWatchCatchesUp: who comes before the index has what is logged already is told when it has, also if nothing of it concerns
// him, and not a heartbeat later.
func TestWatchCatchesUp(t *testing.T) {
	w := newWorld(t)
	issued := w.issue(dataFlows(t), w.acme)
	for range 8 {
		w.say(withdrawalOf(t, issued.GetStatementId()), w.acme)
		_, size, _ := w.server.cfg.Log.Checkpoint()
		ctx, cancel := context.WithTimeout(t.Context(), watchHeartbeat*4/5)
		x := w.watching(ctx, &avowv1.WatchRequest{Vendors: []string{"held"}}).begun()
		for x.last.GetNextLogIndex() < size {
			x.last = must(x.stream.Recv())(t).GetProgress()
		}
		cancel()
	}
}

// TestWatchRefusals: what is no subscription is refused with its field, before anything is done.
func TestWatchRefusals(t *testing.T) {
	w := newWorld(t)
	refused := func(req *avowv1.WatchRequest) error {
		_, err := w.watching(t.Context(), req).stream.Recv()
		return err
	}
	many := make([]string, MaxWatched+1)
	for name, req := range map[string]*avowv1.WatchRequest{
		"statement": {StatementIds: []string{"sha256:0"}}, "artifact": {ArtifactSha256S: []string{strings.Repeat("A", 64)}},
		"key": {KeyIds: []string{strings.Repeat("0", 64)}}, "vendor": {Vendors: []string{"nobody"}}, "product": {Products: []string{""}},
		"long product": {Products: []string{strings.Repeat("p", MaxFilterBytes+1)}}, "too many": {Products: many},
	} {
		if err := refused(req); err == nil {
			t.Errorf("%s: taken", name)
		} else {
			wantReason(t, err, reasonRequestInvalid)
		}
	}
	wantReason(t, refused(from(1)), reasonLogRange)
	w.index.Close()
	bare := newWorld(t, func(w *world) { w.change = func(c *Config) { c.Standing = nil } })
	_, err := bare.watching(t.Context(), &avowv1.WatchRequest{}).stream.Recv()
	wantReason(t, err, reasonIndexNotConfigured)
}

// TestWatchDrain: streams end with a reason that says to begin again, and what was told last is where.
func TestWatchDrain(t *testing.T) {
	w := newWorld(t)
	x := w.watching(t.Context(), &avowv1.WatchRequest{}).begun()
	w.issue(dataFlows(t), w.acme)
	x.take(1)
	drained := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		drained <- w.server.Drain(ctx)
	}()
	for {
		m, err := x.stream.Recv()
		if err != nil {
			wantReason(t, err, reasonShuttingDown)
			break
		}
		if m.GetStatement() != nil {
			t.Errorf("told again: %v", m)
		}
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// TestWatchSlots: one caller has only so many streams.
func TestWatchSlots(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	for range maxCallerWatchers {
		w.watching(ctx, &avowv1.WatchRequest{}).begun()
	}
	_, err := w.watching(t.Context(), &avowv1.WatchRequest{}).stream.Recv()
	wantReason(t, err, reasonOverloaded)
	cancel()
	waitFor(t, func() bool { return w.server.watchers.open() == 0 })
	w.watching(t.Context(), &avowv1.WatchRequest{}).begun()
}

// TestWatchPace: an event costs its caller what a read costs. Who has used up the rate is told the others later.
func TestWatchPace(t *testing.T) {
	w := newWorld(t, func(w *world) { w.limits = Limits{RatePerSecond: 8, Burst: 8} })
	w.clock.add(time.Hour)
	for range 3 {
		w.issue(dataFlows(t), w.acme) // 6 units
	}
	waitFor(t, func() bool { return w.index.Current().Root.Size == 3 }) // so that they come together
	x := w.watching(t.Context(), from(0)).begun()                       // and 1
	if got := indices(x.take(1)); !slices.Equal(got, []uint64{0}) {
		t.Errorf("with the last unit: %v", got)
	}
	if sent := labelledMetric(t, w, "grpc_server_msg_sent_total", "Watch"); sent != 2 {
		t.Errorf("%v messages were sent, want 2", sent)
	}
	w.clock.add(time.Second)
	if got := indices(x.take(2)); !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("with new units: %v", got)
	}
}

// TestRendered: thousands who are told of an event have its message made once; an error is not kept, and what is kept is bounded.
func TestRendered(t *testing.T) {
	made, fail := 0, true
	big := &avowv1.WatchResponse{Event: &avowv1.WatchResponse_Statement{Statement: &avowv1.StatementEvent{Bundle: make([]byte, maxRenderedBytes/4)}}}
	r := newRendered(func(context.Context, *watch.Event) (*avowv1.WatchResponse, error) {
		if made++; fail {
			return nil, errors.New("not now")
		}
		return big, nil
	})
	if _, err := r.get(t.Context(), &watch.Event{}); err == nil {
		t.Error("no error")
	}
	fail = false
	for range 3 {
		if m, err := r.get(t.Context(), &watch.Event{}); m != big || err != nil {
			t.Errorf("%v, %v", m.GetEvent() != nil, err)
		}
	}
	if made != 2 {
		t.Errorf("made %d times, want 2", made)
	}
	for n := range uint64(2 * maxRendered) {
		must(r.get(t.Context(), &watch.Event{LogIndex: n + 1}))(t)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) > 4 || len(r.known) != len(r.order) || r.bytes > maxRenderedBytes {
		t.Errorf("%d messages of %d bytes are kept", len(r.known), r.bytes)
	}
}

// BenchmarkWatch is from the issuing of a withdrawal to its event at a caller, with the bundle and the target's status
// bundle: on real gRPC on loopback, without witnesses.
func BenchmarkWatch(b *testing.B) {
	w := newWorld(b)
	x := w.watching(b.Context(), &avowv1.WatchRequest{KeyIds: []string{idOf(b, w.acme)}}).begun()
	var latencies []time.Duration
	for b.Loop() {
		payload := withdrawalOf(b, w.issue(dataFlows(b), w.acme).GetStatementId())
		x.take(1)
		start := time.Now()
		w.say(payload, w.acme)
		if e := x.take(1)[0]; len(e.GetStandings()) != 1 {
			b.Fatal(fmt.Sprint(e))
		}
		latencies = append(latencies, time.Since(start))
	}
	slices.Sort(latencies)
	b.ReportMetric(latencies[len(latencies)/2].Seconds()*1e3, "p50-ms")
	b.ReportMetric(latencies[len(latencies)*99/100].Seconds()*1e3, "p99-ms")
}
