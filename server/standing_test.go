package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/internal/verdictpb"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/standing"
)

func (w *world) standing() avowv1.StandingServiceClient {
	return avowv1.NewStandingServiceClient(w.conn)
}

func byID(id string) *avowv1.GetStandingRequest {
	return &avowv1.GetStandingRequest{Subject: &avowv1.GetStandingRequest_StatementId{StatementId: id}}
}

func byArtifact(digest string) *avowv1.GetStandingRequest {
	return &avowv1.GetStandingRequest{Subject: &avowv1.GetStandingRequest_ArtifactSha256{ArtifactSha256: digest}}
}

// say issues a statement of any type, past the rules of who may say what: by the steps that every statement takes.
func (w *world) say(payload []byte, key *attest.KeyFile) (id string, at uint64) {
	w.t.Helper()
	env := must(attest.Reopen(envelope(w.t, payload, key), key.PublicKey()))(w.t)
	vendor, ok := w.vendors.Registry().ByName("acme")
	if !ok {
		w.t.Fatal("no vendor")
	}
	sub := &submission{vendor: vendor, envelope: env}
	results := must(w.server.issuer.issue(w.t.Context(), []*submission{sub}, "", func() {}))(w.t)
	return env.StatementID(), results[sub.row()].logIndex
}

// withdrawalOf withdraws a statement as a whole.
func withdrawalOf(t testing.TB, id string) []byte {
	t.Helper()
	return bundletest.Statement(t, "withdrawal", "2ffaec0dcc4e4a186dd534c6172d72e5b00118b9c9dbdcb363b2833890f75319",
		strings.TrimPrefix(id, "sha256:"), "00000000-0000-4000-8000-000000000007",
		fmt.Sprintf("00000000-0000-4000-8000-%012d", serial.Add(1)))
}

// successor is a statement that supersedes another.
func successor(t testing.TB, id, typ string) []byte {
	t.Helper()
	return statement(t, "data-flows", func(common, _, _ map[string]any) {
		common["supersedes"] = []any{map[string]any{
			"digest": map[string]any{"sha256": strings.TrimPrefix(id, "sha256:")}, "predicateType": typ}}
	})
}

// asBuyer judges an answer with what a buyer has: the trusted root, the keys of both logs and perhaps the arbiters whom he accepts.
func (w *world) asBuyer(one *avowv1.StatementStanding, bundle []byte, key *attest.KeyFile, arbiters ...verify.Signer) (*standing.Result, error) {
	w.t.Helper()
	root := must(w.trust().GetTrustedRoot(w.t.Context(), &avowv1.GetTrustedRootRequest{}))(w.t)
	trust := must(verify.ParseTrust(root.GetTrustedRoot()))(w.t)
	verifier := must(verify.New(verify.Config{Trust: trust, Clock: w.clock.Now}))(w.t)
	evidence, _, err := verifier.VerifyBundle(w.t.Context(), bundle, verify.Signer{Key: &verify.Key{PublicKey: key.PublicKey()}})
	if err != nil || evidence == nil {
		w.t.Fatalf("the target does not verify: %v", err)
	}
	return standing.Check(w.t.Context(), one.GetStatus(), evidence, standing.Options{
		Log: must(logKey(w.log))(w.t), IndexLog: must(verify.ParseLogKey(root.GetIndexLogKey()))(w.t),
		At: w.clock.Now(), AsOf: w.clock.Now(), MaxStaleness: time.Hour, Verifier: verifier, Arbiters: arbiters})
}

// one asks for a statement by its id and wants one answer, which a buyer comes to as well.
func (w *world) one(issued *avowv1.IssueResponse, key *attest.KeyFile) *avowv1.StatementStanding {
	w.t.Helper()
	resp := must(w.standing().GetStanding(w.t.Context(), byID(issued.GetStatementId())))(w.t)
	if len(resp.GetStandings()) != 1 {
		w.t.Fatalf("got %d standings, want 1", len(resp.GetStandings()))
	}
	got := resp.GetStandings()[0]
	buyer, err := w.asBuyer(got, issued.GetBundle(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	if want := verdictpb.Standing(buyer); !proto.Equal(want, got.GetResult()) {
		w.t.Errorf("the service makes %v of it, a buyer %v", got.GetResult(), want)
	}
	return got
}

// TestStanding: each answer is there at once after what changes it was issued, and shows the same to a buyer.
func TestStanding(t *testing.T) {
	w := newWorld(t)
	issued := w.issue(dataFlows(t), w.acme)
	want := func(what string, s avowv1.Standing, reason standing.Reason, said int) {
		t.Helper()
		got := w.one(issued, w.acme)
		r := got.GetResult()
		if r.GetStanding() != s || r.GetReason() != string(reason) || len(r.GetSaid()) != said {
			t.Errorf("%s: got %v, want %v, %s and %d said", what, r, s, reason, said)
		}
		if got.GetKeyId() != idOf(t, w.acme) || got.GetVendor() != "acme" || got.GetLogIndex() != issued.GetLogIndex() ||
			got.GetPredicateType() != "https://w3id.org/avow/data-flows/v1" || !r.GetAsOf().AsTime().Equal(w.clock.Now()) || r.GetWitnessed() {
			t.Errorf("%s: got %v", what, got)
		}
	}
	want("issued", avowv1.Standing_STANDING_IN_FORCE, standing.ReasonNothing, 0)
	w.issue(successor(t, issued.GetStatementId(), "https://w3id.org/avow/data-flows/v1"), w.acme)
	want("superseded", avowv1.Standing_STANDING_SUPERSEDED, standing.ReasonSuccessor, 1)
	w.say(withdrawalOf(t, issued.GetStatementId()), w.acmeSecond)
	want("withdrawn by another key", avowv1.Standing_STANDING_UNKNOWN, standing.ReasonForeign, 2)
	id, at := w.say(withdrawalOf(t, issued.GetStatementId()), w.acme)
	want("withdrawn", avowv1.Standing_STANDING_WITHDRAWN, standing.ReasonWithdrawal, 3)
	last := w.one(issued, w.acme).GetResult().GetSaid()[2]
	if last.GetStatementId() != id || last.GetLogIndex() != at || !last.GetOwn() || "sha256:"+digestOf(last.GetStatement()) != id {
		t.Errorf("said: %v", last)
	}
}

// TestStandingUnresolved: an entry of the signer's that came without a statement makes its standing unknown, and only its own.
func TestStandingUnresolved(t *testing.T) {
	w := newWorld(t)
	first, other := w.issue(dataFlows(t), w.acme), w.issue(dataFlows(t), w.acmeSecond)
	env := must(attest.Reopen(envelope(t, dataFlows(t), w.acme), w.acme.PublicKey()))(t)
	if _, err := w.log.Append(t.Context(), must(env.Leaf())(t)); err != nil {
		t.Fatal(err)
	}
	if r := w.one(first, w.acme).GetResult(); r.GetStanding() != avowv1.Standing_STANDING_UNKNOWN || r.GetReason() != string(standing.ReasonUnresolved) {
		t.Errorf("got %v", r)
	}
	if r := w.one(other, w.acmeSecond).GetResult(); r.GetStanding() != avowv1.Standing_STANDING_IN_FORCE {
		t.Errorf("the other signer: %v", r)
	}
}

// TestStandingOfArtifact: all declarations about it, by every signer, in the order of the log; withdrawals are none.
func TestStandingOfArtifact(t *testing.T) {
	w := newWorld(t)
	flows := dataFlows(t)
	subject := subjectOf(t, flows)
	first := w.issue(flows, w.acme)
	second := w.issue(flows, w.acmeSecond)
	third := w.issue(noBackdoor(t, flows), w.acme)
	w.say(withdrawalOf(t, first.GetStatementId()), w.acme)
	ask := func(req *avowv1.GetStandingRequest) []string {
		t.Helper()
		var got []string
		for _, s := range must(w.standing().GetStanding(t.Context(), req))(t).GetStandings() {
			got = append(got, fmt.Sprint(s.GetLogIndex(), " ", s.GetResult().GetStanding()))
		}
		return got
	}
	// The statement that both signed is withdrawn by one of them: of the other's it is not known whether that counts.
	want := []string{fmt.Sprint(first.GetLogIndex(), " STANDING_WITHDRAWN"), fmt.Sprint(second.GetLogIndex(), " STANDING_UNKNOWN"),
		fmt.Sprint(third.GetLogIndex(), " STANDING_IN_FORCE")}
	if got := ask(byArtifact(subject)); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	req := byArtifact(subject)
	req.KeyId = idOf(t, w.acmeSecond)
	if got := ask(req); fmt.Sprint(got) != fmt.Sprint(want[1:2]) {
		t.Errorf("one signer: got %v", got)
	}
	if got := ask(byID(first.GetStatementId())); len(got) != 2 {
		t.Errorf("both signers of the statement: got %v", got)
	}
	if got := ask(byArtifact(strings.Repeat("0", 64))); len(got) != 0 {
		t.Errorf("nothing was said about it: got %v", got)
	}
}

// TestBatchStanding: one set for all answers; what is not there fails nothing else.
func TestBatchStanding(t *testing.T) {
	w := newWorld(t)
	flows := dataFlows(t)
	first := w.issue(flows, w.acme)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan struct{})
	requests := make([]*avowv1.IssueRequest, 40)
	for n := range requests {
		requests[n] = signed(t, dataFlows(t), w.acme)
	}
	go func() { // the index goes on meanwhile
		defer close(done)
		for _, r := range requests {
			if _, err := w.attestation().Issue(ctx, r); err != nil {
				return
			}
		}
	}()
	batch := &avowv1.BatchGetStandingRequest{Requests: []*avowv1.GetStandingRequest{byID(first.GetStatementId()),
		byID("sha256:" + strings.Repeat("0", 64)), byArtifact(subjectOf(t, flows)), byArtifact(strings.Repeat("0", 64))}}
	for range 20 {
		resp := must(w.standing().BatchGetStanding(t.Context(), batch))(t)
		if n := len(resp.GetResponses()); n != 4 || len(resp.GetResponses()[0].GetStandings()) != 1 ||
			len(resp.GetResponses()[1].GetStandings()) != 0 || len(resp.GetResponses()[2].GetStandings()) == 0 {
			t.Fatalf("got %v", resp)
		}
		checkpoints := map[string]bool{}
		for _, r := range resp.GetResponses() {
			for _, s := range r.GetStandings() {
				checkpoints[s.GetStatus().GetCheckpoint()+s.GetStatus().GetIndexCheckpoint()+s.GetStatus().GetIndexRoot()] = true
			}
		}
		if len(checkpoints) != 1 {
			t.Errorf("%d different sets in one answer", len(checkpoints))
		}
	}
	stop()
	<-done
}

// TestStandingRequests: what is no question is refused before anything is looked up.
func TestStandingRequests(t *testing.T) {
	w := newWorld(t)
	zero := strings.Repeat("0", 64)
	for name, c := range map[string]struct {
		req    *avowv1.GetStandingRequest
		reason avowv1.ErrorReason
	}{
		"nothing":              {&avowv1.GetStandingRequest{}, reasonRequestInvalid},
		"an id without sha256": {byID(zero), reasonRequestInvalid},
		"a short digest":       {byArtifact(zero[1:]), reasonRequestInvalid},
		"upper case":           {byArtifact(strings.Repeat("A", 64)), reasonRequestInvalid},
		"no key id": {&avowv1.GetStandingRequest{KeyId: zero,
			Subject: &avowv1.GetStandingRequest_ArtifactSha256{ArtifactSha256: zero}}, reasonRequestInvalid},
		"not there": {byID("sha256:" + zero), reasonStatementNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.standing().GetStanding(t.Context(), c.req)
			wantReason(t, err, c.reason)
			if c.reason == reasonRequestInvalid {
				_, err = w.standing().BatchGetStanding(t.Context(), &avowv1.BatchGetStandingRequest{Requests: []*avowv1.GetStandingRequest{c.req}})
				if _, fields := violations(wantReason(t, err, c.reason)); len(fields) != 1 || !strings.HasPrefix(fields[0], "requests[0].") {
					t.Errorf("fields %v", fields)
				}
			}
		})
	}
	for _, n := range []int{0, MaxStandings + 1} {
		_, err := w.standing().BatchGetStanding(t.Context(), &avowv1.BatchGetStandingRequest{Requests: make([]*avowv1.GetStandingRequest, n)})
		wantReason(t, err, reasonRequestInvalid)
	}
}

// TestStandingCosts: each question of a batch costs one unit, and each thing that was said.
func TestStandingCosts(t *testing.T) {
	w := newWorld(t, func(w *world) { w.limits = Limits{RatePerSecond: 1, Burst: 12} })
	issued := w.issue(dataFlows(t), w.acme) // 2
	w.say(withdrawalOf(t, issued.GetStatementId()), w.acme)
	ask := func(n int) error {
		req := &avowv1.BatchGetStandingRequest{}
		for range n {
			req.Requests = append(req.Requests, byID(issued.GetStatementId()))
		}
		_, err := w.standing().BatchGetStanding(t.Context(), req)
		return err
	}
	wantOK(t, ask(5)) // 5 questions and 5 withdrawals: all of it
	wantReason(t, ask(1), reasonRateLimited)
	w.clock.add(2 * time.Second)
	wantOK(t, ask(1))
}

// TestStandingTooLarge: an answer that clients would not take is refused.
func TestStandingTooLarge(t *testing.T) {
	w := newWorld(t)
	issued := w.issue(dataFlows(t), w.acme)
	w.say(withdrawalOf(t, issued.GetStatementId()), w.acme)
	one := must(w.standing().GetStanding(t.Context(), byID(issued.GetStatementId())))(t)
	fits := min(maxAnswerBytes/proto.Size(one), MaxStandings)
	req := &avowv1.BatchGetStandingRequest{}
	for range MaxStandings {
		req.Requests = append(req.Requests, byID(issued.GetStatementId()))
	}
	if fits < MaxStandings {
		_, err := w.standing().BatchGetStanding(t.Context(), req)
		wantReason(t, err, reasonListingTooLarge)
	}
	req.Requests = req.Requests[:fits-1]
	_, err := w.standing().BatchGetStanding(t.Context(), req)
	wantOK(t, err)
	// By the bundles alone: before they are verified.
	a := must(w.server.standing.answering(t.Context(), t.Context()))(t)
	a.size = maxAnswerBytes - 100
	if _, err := a.answer(t.Context(), byID(issued.GetStatementId())); err == nil || toRefusal(err).reason != reasonListingTooLarge {
		t.Errorf("got %v", err)
	}
	a.size, a.count = 0, MaxStandings
	if _, err := a.answer(t.Context(), byID(issued.GetStatementId())); err == nil || toRefusal(err).reason != reasonListingTooLarge {
		t.Errorf("too many: got %v", err)
	}
}

// TestStandingIndexFails: an index that stopped answers nothing, and the reason says which kind of stop it is.
func TestStandingIndexFails(t *testing.T) {
	w := newWorld(t)
	issued := w.issue(dataFlows(t), w.acme)
	w.one(issued, w.acme)
	if _, err := w.roots.Append(t.Context(), []byte("somebody else's")); err != nil {
		t.Fatal(err)
	}
	issued = w.issue(dataFlows(t), w.acme)
	_, err := w.standing().GetStanding(t.Context(), byID(issued.GetStatementId()))
	wantReason(t, err, reasonIndexHalted)
}

// TestStandingNotCovered: an index that does not keep up says of itself how far it is.
func TestStandingNotCovered(t *testing.T) {
	w := newWorld(t)
	w.one(w.issue(dataFlows(t), w.acme), w.acme)
	if err := w.roots.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	issued := w.issue(dataFlows(t), w.acme)
	resp := must(w.standing().GetStanding(t.Context(), byID(issued.GetStatementId())))(t)
	r := resp.GetStandings()[0].GetResult()
	if !r.GetAsOf().AsTime().Before(w.clock.Now().Add(-time.Second)) {
		t.Errorf("as of %v, which is no earlier than %v", r.GetAsOf().AsTime(), w.clock.Now())
	}
	if r.GetStanding() != avowv1.Standing_STANDING_UNKNOWN || r.GetReason() != string(standing.ReasonNotCovered) || r.GetTreeSize() != 1 {
		t.Errorf("got %v", r)
	}
}

// TestStandingREST: the same over REST.
func TestStandingREST(t *testing.T) {
	w := newWorld(t)
	issued := w.issue(dataFlows(t), w.acme)
	srv := w.rest()
	resp := must(http.Get(srv.URL + "/api/v1/standing?statementId=" + issued.GetStatementId()))(t) //nolint:noctx // a test's
	defer func() { _ = resp.Body.Close() }()
	var got struct {
		Standings []struct{ Result struct{ Standing string } }
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || len(got.Standings) != 1 ||
		got.Standings[0].Result.Standing != "STANDING_IN_FORCE" {
		t.Errorf("%d: got %v, %v", resp.StatusCode, got, err)
	}
	batch := must(http.Post(srv.URL+"/api/v1/standing:batch", "application/json",
		strings.NewReader(`{"requests":[{"statementId":"`+issued.GetStatementId()+`"}]}`)))(t) //nolint:noctx // a test's
	defer func() { _ = batch.Body.Close() }()
	if batch.StatusCode != http.StatusOK {
		t.Errorf("batch: %d", batch.StatusCode)
	}
}

// withIndexClock lets the lag of the index be by the world's clock.
func withIndexClock(w *world) { w.indexClock = w.clock.Now }

// fallBehind stops the index by taking its log away, and waits until that is noticed: more than [index.MaxLag] later.
func (w *world) fallBehind() {
	w.t.Helper()
	w.issue(dataFlows(w.t), w.acme)
	waitFor(w.t, func() bool { return w.index.Current() != nil && w.index.Current().Root.Size == w.size() })
	if err := w.roots.Close(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.issue(dataFlows(w.t), w.acme)
	waitFor(w.t, func() bool { w.clock.add(time.Second); return w.index.Health() != nil })
}

// TestIndexBehind: where the index has fallen behind the log, nothing that asks it is answered from it, whoever asks is told to come
// again, and statements are issued as before.
func TestIndexBehind(t *testing.T) {
	w := newWorld(t, withIndexClock)
	w.fallBehind()
	id := w.issue(dataFlows(t), w.acme).GetStatementId()
	for name, ask := range map[string]func() error{
		"standing": func() error { _, err := w.standing().GetStanding(t.Context(), byID(id)); return err },
		"batch": func() error {
			_, err := w.standing().BatchGetStanding(t.Context(), &avowv1.BatchGetStandingRequest{Requests: []*avowv1.GetStandingRequest{byID(id)}})
			return err
		},
		"a proved list": func() error {
			_, err := w.attestation().ListStatements(t.Context(), &avowv1.ListStatementsRequest{Vendor: "acme", Prove: true})
			return err
		},
		"watch": func() error { _, err := w.watching(t.Context(), from(0)).stream.Recv(); return err },
	} {
		st := wantReason(t, ask(), reasonIndexUnavailable)
		var pause time.Duration
		for _, d := range st.Details() {
			if r, ok := d.(*errdetails.RetryInfo); ok {
				pause = r.GetRetryDelay().AsDuration()
			}
		}
		if pause != time.Second || !strings.Contains(st.Message(), "behind the log") {
			t.Errorf("%s: to be tried again after %s: %q", name, pause, st.Message())
		}
	}
	if _, err := w.attestation().ListStatements(t.Context(), &avowv1.ListStatementsRequest{Vendor: "acme"}); err != nil {
		t.Errorf("a plain list: %v", err)
	}
	srv := w.rest()
	resp := must(http.Get(srv.URL + "/api/v1/standing?statementId=" + id))(t) //nolint:noctx // a test's
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "1" {
		t.Errorf("over REST: %d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
}
