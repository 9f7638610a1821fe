package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/verify"
)

// testBatch is a caller's end of a stream.
type testBatch struct {
	t      testing.TB
	stream avowv1.VerificationService_BatchVerifyClient
}

// batch opens a stream without sending anything.
func (w *world) batch(ctx context.Context) *testBatch {
	w.t.Helper()
	return &testBatch{w.t, must(w.verification().BatchVerify(ctx))(w.t)}
}

// batchFor opens a stream with the demands of verifyRequest.
func (w *world) batchFor(ctx context.Context, change func(*avowv1.BatchVerifySetup)) *testBatch {
	w.t.Helper()
	b := w.batch(ctx)
	setup := demandsOf(w.verifyRequest(nil))
	if change != nil {
		change(setup)
	}
	b.send(&avowv1.BatchVerifyRequest{Message: &avowv1.BatchVerifyRequest_Setup{Setup: setup}})
	return b
}

// send sends a message. That the stream has ended is for receive to say.
func (b *testBatch) send(m *avowv1.BatchVerifyRequest) {
	b.t.Helper()
	if err := b.stream.Send(m); err != nil && !errors.Is(err, io.EOF) {
		b.t.Fatal(err)
	}
}

func (b *testBatch) item(id, artifact string, bundles ...[]byte) {
	b.t.Helper()
	item := &avowv1.BatchVerifyItem{Id: id, ArtifactSha256: artifact}
	for _, raw := range bundles {
		item.Bundles = append(item.Bundles, &avowv1.NamedBundle{Name: "flows", Bundle: raw})
	}
	b.send(&avowv1.BatchVerifyRequest{Message: &avowv1.BatchVerifyRequest_Item{Item: item}})
}

// rest ends the sending and returns all answers and the error that ended the stream, nil at its orderly end.
func (b *testBatch) rest() (answers []*avowv1.BatchVerifyResponse, err error) {
	b.t.Helper()
	if err := b.stream.CloseSend(); err != nil {
		b.t.Fatal(err)
	}
	for {
		answer, err := b.stream.Recv()
		if errors.Is(err, io.EOF) {
			return answers, nil
		}
		if err != nil {
			return answers, err
		}
		answers = append(answers, answer)
	}
}

// said is an answer in one word: its outcome, or the reason for which there is none.
func said(a *avowv1.BatchVerifyResponse) string {
	if e := a.GetError(); e != nil {
		return reasonName(e.GetReason())
	}
	return strings.TrimPrefix(a.GetVerdict().GetOutcome().String(), "OUTCOME_")
}

// TestBatchVerify: every item has one answer, the same that Verify gives, whatever the others are.
func TestBatchVerify(t *testing.T) {
	w := newWorld(t)
	bundle := w.issue(dataFlows(t), w.acme).GetBundle()
	artifact := subjectOf(t, dataFlows(t))
	tampered := bytes.Replace(bundle, []byte(`"payload":"ey`), []byte(`"payload":"ez`), 1)
	b := w.batchFor(t.Context(), nil)
	long := strings.Repeat("l", MaxItemIDBytes+1)
	b.item("good", artifact, bundle)
	b.item("tampered", artifact, tampered)
	b.item("other artifact", strings.Repeat("0", 64), bundle)
	b.item("no bundles", artifact)
	b.item("no artifact", "", bundle)
	b.item("too many bundles", artifact, make([][]byte, verify.MaxBundles+1)...)
	b.item("good", artifact, bundle)
	b.item("", artifact, bundle)
	b.item(long, artifact, bundle)
	b.item(strings.Repeat("l", MaxItemIDBytes), artifact, bundle)
	answers, err := b.rest()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, a := range answers {
		got[a.GetId()+": "+said(a)]++
		if a.GetId() == "good" && a.GetVerdict() != nil {
			want := must(w.verification().Verify(t.Context(), w.verifyRequest(bundle)))(t).GetVerdict()
			if !proto.Equal(a.GetVerdict(), want) {
				t.Errorf("the batch answers\n%v\nVerify\n%v", a.GetVerdict(), want)
			}
		}
		if e := a.GetError(); e != nil && e.GetMessage() == "" {
			t.Errorf("%s: an error without a sentence", a.GetId())
		}
	}
	want := []string{
		"good: ACCEPTED", "good: REQUEST_INVALID", "tampered: REJECTED", "other artifact: REJECTED", "no bundles: REJECTED",
		"no artifact: VERIFICATION_INPUT", "too many bundles: REQUEST_INVALID", ": REQUEST_INVALID",
		clip(long, MaxItemIDBytes) + ": REQUEST_INVALID", strings.Repeat("l", MaxItemIDBytes) + ": ACCEPTED",
	}
	if len(answers) != len(want) {
		t.Errorf("%d answers to %d items", len(answers), len(want))
	}
	for _, line := range want {
		if got[line] != 1 {
			t.Errorf("%q was answered %d times; answers: %v", line, got[line], got)
		}
	}
	if w.server.load.calls.Load() != 0 || w.server.load.bytes.Load() != 0 || w.server.streams.total != 0 {
		t.Error("something is still counted as in hand")
	}
}

// TestBatchSetup: a stream without a usable setup ends, and says why; what was read before is answered.
func TestBatchSetup(t *testing.T) {
	w := newWorld(t)
	bundle := w.issue(dataFlows(t), w.acme).GetBundle()
	artifact := subjectOf(t, dataFlows(t))
	for name, c := range map[string]struct {
		open    func() *testBatch
		reason  avowv1.ErrorReason
		answers int
	}{
		"no setup": {func() *testBatch {
			b := w.batch(t.Context())
			b.item("a", artifact, bundle)
			return b
		}, reasonRequestInvalid, 0},
		"nothing": {func() *testBatch { return w.batch(t.Context()) }, reasonRequestInvalid, 0},
		"an empty message": {func() *testBatch {
			b := w.batch(t.Context())
			b.send(&avowv1.BatchVerifyRequest{})
			return b
		}, reasonRequestInvalid, 0},
		"two setups": {func() *testBatch {
			b := w.batchFor(t.Context(), nil)
			b.item("a", artifact, bundle)
			b.send(&avowv1.BatchVerifyRequest{Message: &avowv1.BatchVerifyRequest_Setup{Setup: &avowv1.BatchVerifySetup{}}})
			b.item("b", artifact, bundle)
			return b
		}, reasonRequestInvalid, 1},
		"an empty message later": {func() *testBatch {
			b := w.batchFor(t.Context(), nil)
			b.item("a", artifact, bundle)
			b.send(&avowv1.BatchVerifyRequest{})
			return b
		}, reasonRequestInvalid, 1},
		"a bad root": {func() *testBatch {
			return w.batchFor(t.Context(), func(s *avowv1.BatchVerifySetup) { s.TrustedRoot = []byte("{") })
		}, reasonVerificationInput, 0},
		"a bad key": {func() *testBatch {
			return w.batchFor(t.Context(), func(s *avowv1.BatchVerifySetup) { s.Signers[0].GetKey().PublicKeyPem = "x" })
		}, reasonVerificationInput, 0},
		"no signers": {func() *testBatch {
			return w.batchFor(t.Context(), func(s *avowv1.BatchVerifySetup) { s.Signers = nil })
		}, reasonVerificationInput, 0},
		"an unknown type": {func() *testBatch {
			return w.batchFor(t.Context(), func(s *avowv1.BatchVerifySetup) { s.RequiredPredicateTypes = []string{"x"} })
		}, reasonVerificationInput, 0},
		"a policy": {func() *testBatch {
			return w.batchFor(t.Context(), func(s *avowv1.BatchVerifySetup) { s.Policy = []byte("x") })
		}, reasonPolicyInvalid, 0},
		"a signature": {func() *testBatch {
			return w.batchFor(t.Context(), func(s *avowv1.BatchVerifySetup) { s.SignedVerdictForm = 1 })
		}, reasonVerdictSigningNotConfigured, 0},
	} {
		t.Run(name, func(t *testing.T) {
			answers, err := c.open().rest()
			wantReason(t, err, c.reason)
			if len(answers) != c.answers {
				t.Errorf("%d items were answered, want %d", len(answers), c.answers)
			}
		})
	}
}

// gatedPolicy accepts once the gate is open, and counts who waits before it.
type gatedPolicy struct {
	open        chan struct{}
	entered     chan struct{}
	waiting, at atomic.Int64
}

func newGatedPolicy() *gatedPolicy {
	return &gatedPolicy{open: make(chan struct{}), entered: make(chan struct{}, 1<<12)}
}

// Judge implements verify.Policy.
func (g *gatedPolicy) Judge(ctx context.Context, _ verify.Facts) (*verify.PolicyResult, error) {
	g.at.Store(max(g.at.Load(), g.waiting.Add(1)))
	defer g.waiting.Add(-1)
	g.entered <- struct{}{}
	select {
	case <-g.open:
		return oneRule(true), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func policySetup(s *avowv1.BatchVerifySetup) { s.Policy = []byte("gated") }

// TestBatchCancel: a caller who goes away leaves nothing behind.
func TestBatchCancel(t *testing.T) {
	gate := newGatedPolicy()
	w := newWorld(t, withPolicy(gate, PolicyRequirements{}))
	bundle := w.issue(dataFlows(t), w.acme).GetBundle()
	ctx, cancel := context.WithCancel(t.Context())
	b := w.batchFor(ctx, policySetup)
	for n := range 5 { // fewer than the window holds
		b.item(fmt.Sprint(n), subjectOf(t, dataFlows(t)), bundle)
	}
	<-gate.entered
	cancel()
	if _, err := b.rest(); status.Code(err) != codes.Canceled {
		t.Errorf("got %v, want CANCELLED", err)
	}
	waitFor(t, func() bool {
		return w.server.streams.open() == 0 && w.server.load.calls.Load() == 0 && gate.waiting.Load() == 0
	})
}

// TestBatchDrain: what was read is answered, what was not is the caller's to send again, and the service stops.
func TestBatchDrain(t *testing.T) {
	gate := newGatedPolicy()
	w := newWorld(t, withPolicy(gate, PolicyRequirements{}))
	bundle := w.issue(dataFlows(t), w.acme).GetBundle()
	idle := w.batchFor(t.Context(), nil)
	idle.item("first", subjectOf(t, dataFlows(t)), bundle)
	must(idle.stream.Recv())(t)
	b := w.batchFor(t.Context(), policySetup)
	b.item("in hand", subjectOf(t, dataFlows(t)), bundle)
	<-gate.entered
	drained := make(chan error, 1)
	go func() { drained <- w.server.Drain(t.Context()) }()
	_, err := idle.stream.Recv()
	wantReason(t, err, reasonShuttingDown)
	b.item("too late", subjectOf(t, dataFlows(t)), bundle)
	close(gate.open)
	answers, err := b.rest()
	wantReason(t, err, reasonShuttingDown)
	if len(answers) == 0 || answers[0].GetId() != "in hand" || said(answers[0]) != "ACCEPTED" {
		t.Errorf("got %v", answers)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// TestBatchItemFaults: a panic, a deadline and an overload are the answer of the item that met them.
func TestBatchItemFaults(t *testing.T) {
	calls := 0
	policy := rulesOf(func(ctx context.Context, _ verify.Facts) (*verify.PolicyResult, error) {
		switch calls++; calls {
		case 1:
			panic("a defect")
		case 2:
			<-ctx.Done()
			return nil, ctx.Err()
		default:
			return oneRule(true), nil
		}
	})
	w := newWorld(t, withPolicy(policy, PolicyRequirements{}), func(w *world) { w.limits.DefaultDeadline = 500 * time.Millisecond })
	bundle := w.issue(dataFlows(t), w.acme).GetBundle()
	artifact := subjectOf(t, dataFlows(t))
	b := w.batchFor(t.Context(), policySetup)
	ask := func(id, want string) {
		t.Helper()
		b.item(id, artifact, bundle)
		if a := must(b.stream.Recv())(t); a.GetId() != id || said(a) != want {
			t.Errorf("%s: got %s, want %s", a.GetId(), said(a), want)
		}
	}
	ask("panics", "INTERNAL")
	ask("takes too long", "DEADLINE_EXCEEDED")
	leave := must(w.server.load.enter(w.server.load.maxBytes))(t)
	ask("too much in hand", "OVERLOADED")
	leave()
	ask("good", "ACCEPTED")
	if answers, err := b.rest(); err != nil || len(answers) != 0 {
		t.Errorf("%d more answers, %v", len(answers), err)
	}
	if got := metricValue(t, w, "avow_panics_total"); got != 1 {
		t.Errorf("%v panics were counted, want 1", got)
	}
	if log := w.logs.String(); !strings.Contains(log, "a defect") {
		t.Error("the panic was not logged")
	}
}

// TestBatchEmptyFields is TestEmptyFields for the stream: none of the fields may be what the service stumbles over.
func TestBatchEmptyFields(t *testing.T) {
	w := newWorld(t)
	bundle := w.issue(dataFlows(t), w.acme).GetBundle()
	setup := &avowv1.BatchVerifyRequest{Message: &avowv1.BatchVerifyRequest_Setup{Setup: demandsOf(w.verifyRequest(nil))}}
	item := &avowv1.BatchVerifyRequest{Message: &avowv1.BatchVerifyRequest_Item{Item: &avowv1.BatchVerifyItem{
		Id: "a", ArtifactSha256: subjectOf(t, dataFlows(t)), Bundles: []*avowv1.NamedBundle{{Name: "b", Bundle: bundle}}}}}
	ask := func(setup, item proto.Message) {
		t.Helper()
		b := w.batch(t.Context())
		b.send(setup.(*avowv1.BatchVerifyRequest))
		b.send(item.(*avowv1.BatchVerifyRequest))
		answers, err := b.rest()
		for _, a := range answers {
			if said(a) == "INTERNAL" {
				t.Errorf("%v: %v", item, a)
			}
		}
		if c := status.Code(err); c == codes.Internal || c == codes.Unknown || c == codes.Unavailable {
			t.Errorf("%v %v: %v", setup, item, err)
		}
	}
	for _, m := range variants(setup.ProtoReflect()) {
		ask(m.Interface(), item)
	}
	for _, m := range variants(item.ProtoReflect()) {
		ask(setup, m.Interface())
	}
	if got := metricValue(t, w, "avow_panics_total"); got != 0 {
		t.Errorf("%v panics", got)
	}
}

// waitFor waits until something is so that has to come about by itself.
func waitFor(t testing.TB, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come about")
		}
	}
}
