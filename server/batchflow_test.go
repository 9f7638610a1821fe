package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
)

// TestBatchHoldsLittle: of a thousand items that are sent at once, the service reads what it can judge and leaves the
// others with the caller, so that memory does not grow with the batch. All are answered in the end.
func TestBatchHoldsLittle(t *testing.T) {
	const items = 1000
	gate := newGatedPolicy()
	w := newWorld(t, withPolicy(gate, PolicyRequirements{}))
	bundle := w.issue(dataFlows(t), w.acme).GetBundle()
	artifact := subjectOf(t, dataFlows(t))
	b := w.batchFor(t.Context(), policySetup)
	go func() {
		for n := range items {
			b.item(fmt.Sprint(n), artifact, bundle)
		}
		_ = b.stream.CloseSend()
	}()
	cores := runtime.GOMAXPROCS(0)
	for range cores {
		<-gate.entered
	}
	size := int64(proto.Size(&avowv1.BatchVerifyItem{Id: "999", ArtifactSha256: artifact,
		Bundles: []*avowv1.NamedBundle{{Name: "flows", Bundle: bundle}}}))
	if calls, held := w.server.load.calls.Load(), w.server.load.bytes.Load(); calls != int64(cores) || held > int64(cores)*size {
		t.Errorf("%d items of %d bytes are in hand, want %d of at most %d each", calls, held, cores, size)
	}
	close(gate.open)
	answers := map[string]bool{}
	for range items {
		a := must(b.stream.Recv())(t)
		if said(a) != "ACCEPTED" || answers[a.GetId()] {
			t.Fatalf("%s: %s, answered before: %v", a.GetId(), said(a), answers[a.GetId()])
		}
		answers[a.GetId()] = true
	}
	if _, err := b.stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after all answers: %v", err)
	}
	if most := gate.at.Load(); most > int64(cores) {
		t.Errorf("%d items were judged at once on %d cores", most, cores)
	}
}

// TestBatchSlowReader: a caller who does not take the answers is not read any more.
func TestBatchSlowReader(t *testing.T) {
	w := newWorld(t)
	bundle := w.issue(dataFlows(t), w.acme).GetBundle()
	artifact := subjectOf(t, dataFlows(t))
	ctx, cancel := context.WithCancel(t.Context())
	b := w.batchFor(ctx, nil)
	sent := make(chan int, 1)
	go func() {
		n := 0
		for b.stream.Send(&avowv1.BatchVerifyRequest{Message: &avowv1.BatchVerifyRequest_Item{Item: &avowv1.BatchVerifyItem{
			Id: fmt.Sprint(n), ArtifactSha256: artifact, Bundles: []*avowv1.NamedBundle{{Bundle: bundle}}}}}) == nil {
			n++
		}
		sent <- n
	}()
	// Both windows are full when nothing has moved for a while, on however slow a machine: received stays the same
	// as long as nobody reads.
	var received, before float64 = 0, -1
	for received != before || received < 3 {
		before = received
		time.Sleep(200 * time.Millisecond)
		received = labelledMetric(t, w, "grpc_server_msg_received_total", "BatchVerify")
	}
	if held := w.server.load.calls.Load(); held > int64(runtime.GOMAXPROCS(0)) {
		t.Errorf("%d items are in hand", held)
	}
	cancel()
	t.Logf("%d items were sent, %v received", <-sent, received)
	waitFor(t, func() bool { return w.server.streams.open() == 0 && w.server.load.calls.Load() == 0 })
}

// TestBatchIdle: a stream that nobody uses ends.
func TestBatchIdle(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.limits.DefaultDeadline, w.limits.MaxDeadline = 100*time.Millisecond, 100*time.Millisecond
	})
	_, err := w.batch(t.Context()).stream.Recv()
	wantReason(t, err, reasonDeadlineExceeded)
	_, err = w.batchFor(t.Context(), nil).stream.Recv()
	wantReason(t, err, reasonDeadlineExceeded)
}

// TestBatchStreams: one caller has only so many.
func TestBatchStreams(t *testing.T) {
	w := newWorld(t)
	open := make([]*testBatch, maxCallerStreams)
	for n := range open {
		open[n] = w.batchFor(t.Context(), nil)
	}
	waitFor(t, func() bool { return w.server.streams.open() == maxCallerStreams })
	_, err := w.batchFor(t.Context(), nil).rest()
	wantReason(t, err, reasonOverloaded)
	if _, err := open[0].rest(); err != nil {
		t.Error(err)
	}
	waitFor(t, func() bool { return w.server.streams.open() == maxCallerStreams-1 })
	if _, err := w.batchFor(t.Context(), nil).rest(); err != nil {
		t.Errorf("after one has ended: %v", err)
	}
	slots := newStreamSlots(maxStreams, maxCallerStreams)
	for n := range maxStreams {
		must(slots.enter(fmt.Sprint(n)))(t)
	}
	if _, err := slots.enter("one more"); err == nil || toRefusal(err).reason != reasonOverloaded {
		t.Errorf("over all slots: %v", err)
	}
}

// TestBatchRate: each message costs what a verification costs. Who has used up the rate is read slower, and who loses
// the credentials is read no further.
func TestBatchRate(t *testing.T) {
	w := newWorld(t, func(w *world) { w.limits = Limits{RatePerSecond: 100, Burst: 100} })
	w.clock.add(time.Hour)
	key := caller{address: netip.MustParseAddr("127.0.0.1")}.limitKey()
	bundle := w.issue(dataFlows(t), w.acme).GetBundle()
	if err := w.server.rates.take(key, 98-4-4, w.clock.Now()); err != nil { // 2 were the issue's
		t.Fatal(err)
	}
	b := w.batchFor(t.Context(), nil)
	for n := range 3 {
		b.item(fmt.Sprint(n), subjectOf(t, dataFlows(t)), bundle)
	}
	must(b.stream.Recv())(t) // the setup and one item were paid for
	if received := labelledMetric(t, w, "grpc_server_msg_received_total", "BatchVerify"); received != 2 {
		t.Errorf("%v messages were received, want 2", received)
	}
	w.clock.add(time.Second)
	if answers, err := b.rest(); err != nil || len(answers) != 2 {
		t.Errorf("with new units: %d answers, %v", len(answers), err)
	}

	revoked := func(context.Context) (caller, error) { return caller{}, refuse(reasonCredentialsInvalid, "revoked") }
	err := w.server.readmit(t.Context(), revoked, avowv1.VerificationService_BatchVerify_FullMethodName)
	if toRefusal(err).reason != reasonCredentialsInvalid {
		t.Errorf("with revoked credentials: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.server.rates.take(key, 88, w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	if err := w.server.readmit(ended, func(context.Context) (caller, error) {
		return caller{address: netip.MustParseAddr("127.0.0.1")}, nil
	}, avowv1.VerificationService_BatchVerify_FullMethodName); !errors.Is(err, context.Canceled) {
		t.Errorf("without units in an ended call: %v", err)
	}
}

// open is how many slots are taken.
func (s *streamSlots) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// labelledMetric returns a counter of a gRPC method.
func labelledMetric(t testing.TB, w *world, name, method string) float64 {
	t.Helper()
	for _, f := range must(w.reg.Gather())(t) {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "grpc_method" && l.GetValue() == method {
					return m.GetCounter().GetValue()
				}
			}
		}
	}
	t.Fatalf("there is no %s of %s", name, method)
	return 0
}
