package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/vendors"
	"github.com/avow-dev/avow/verify"
)

// buyer verifies bundles as a buyer does: with the exported trusted root and the vendor's key, nothing of the service.
func (w *world) buyer(payload []byte, key *attest.KeyFile, bundles ...[]byte) *verify.Verdict {
	w.t.Helper()
	trust := must(verify.ParseTrust(w.trustedRoot()))(w.t)
	v := must(verify.New(verify.Config{Trust: trust, Clock: w.clock.Now}))(w.t)
	in := verify.Input{
		ArtifactSHA256: subjectOf(w.t, payload),
		Signers:        []verify.Signer{{Key: &verify.Key{PublicKey: key.PublicKey()}}},
	}
	for _, b := range bundles {
		in.Bundles = append(in.Bundles, verify.NamedBundle{Data: b})
	}
	return must(v.Verify(w.t.Context(), in))(w.t)
}

func subjectOf(t testing.TB, payload []byte) string {
	t.Helper()
	var st struct {
		Subject []struct{ Digest map[string]string } `json:"subject"`
	}
	if err := json.Unmarshal(payload, &st); err != nil {
		t.Fatal(err)
	}
	return st.Subject[0].Digest["sha256"]
}

func TestIssue(t *testing.T) {
	w := newWorld(t)
	flows := dataFlows(t)
	first := w.issue(flows, w.acme)
	if first.GetStatementId() != "sha256:"+digestOf(flows) || first.GetKeyId() != idOf(t, w.acme) ||
		first.GetLogOrigin() != origin || first.GetLogIndex() != 0 || first.GetAlreadyIssued() {
		t.Errorf("first answer: %v", first)
	}
	if codes := fmt.Sprint(warningCodes(first)); !strings.Contains(codes, "W05") {
		t.Errorf("got warnings %s, want W05 among them: the evidence is the vendor's own", codes)
	}
	claims := noBackdoor(t, flows)
	second := w.issue(claims, w.acme)
	if second.GetLogIndex() != 1 {
		t.Errorf("second statement: got log index %d, want 1", second.GetLogIndex())
	}
	verdict := w.buyer(flows, w.acme, first.GetBundle(), second.GetBundle())
	if verdict.Outcome != verify.Accepted {
		t.Fatalf("a buyer rejects: %v", verdict.Failures())
	}

	got := must(w.fetch(first.GetStatementId(), ""))(t)
	if !bytes.Equal(got.GetStatement(), flows) || got.GetSignerCount() != 1 || len(got.GetBundles()) != 1 {
		t.Fatalf("fetched: %d bytes, %d signers", len(got.GetStatement()), got.GetSignerCount())
	}
	if !bytes.Equal(got.GetBundles()[0].GetBundle(), first.GetBundle()) || got.GetBundles()[0].GetVendor() != "acme" {
		t.Error("the fetched bundle is not the one that was answered")
	}
}

func warningCodes(r *avowv1.IssueResponse) []string {
	var out []string
	for _, f := range r.GetWarnings() {
		out = append(out, f.GetCode())
	}
	return out
}

// TestIssueAgain: the same statement by the same key has one leaf and one bundle, also when it is signed again, when
// it is too old to be received, and after a restart.
func TestIssueAgain(t *testing.T) {
	w := newWorld(t)
	flows := dataFlows(t)
	req := signed(t, flows, w.acme)
	first := must(w.attestation().Issue(t.Context(), req))(t)
	again := func(when string, req *avowv1.IssueRequest) {
		t.Helper()
		got, err := w.attestation().Issue(t.Context(), req)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if !got.GetAlreadyIssued() || !bytes.Equal(got.GetBundle(), first.GetBundle()) || got.GetLogIndex() != first.GetLogIndex() {
			t.Errorf("%s: already_issued %v, index %d, same bundle %v", when, got.GetAlreadyIssued(), got.GetLogIndex(),
				bytes.Equal(got.GetBundle(), first.GetBundle()))
		}
	}
	again("at once", req)
	again("signed again", signed(t, flows, w.acme))
	w.restart()
	again("after a restart", req)
	w.clock.add(30 * time.Hour)
	again("when it is too old to be received", req)
	if size := w.log.Size(); size != 1 {
		t.Errorf("the log has %d leaves, want 1", size)
	}
	// Rule R05 still holds for a statement that was never issued.
	_, err := w.attestation().Issue(t.Context(), signed(t, dataFlows(t), w.acme))
	wantReason(t, err, reasonStatementInvalid)
}

// TestSecondSigner: a second signer of one statement gets a bundle of its own.
func TestSecondSigner(t *testing.T) {
	w := newWorld(t)
	flows := dataFlows(t)
	first, second := w.issue(flows, w.acme), w.issue(flows, w.acmeSecond)
	if second.GetAlreadyIssued() || second.GetLogIndex() != 1 || first.GetStatementId() != second.GetStatementId() {
		t.Errorf("second signer: %v index %d", second.GetAlreadyIssued(), second.GetLogIndex())
	}
	got := must(w.fetch(first.GetStatementId(), ""))(t)
	if got.GetSignerCount() != 2 || len(got.GetBundles()) != 2 {
		t.Errorf("got %d signers, %d bundles, want 2", got.GetSignerCount(), len(got.GetBundles()))
	}
	got = must(w.attestation().GetStatement(t.Context(), &avowv1.GetStatementRequest{
		StatementId: first.GetStatementId(), KeyId: second.GetKeyId()}))(t)
	if len(got.GetBundles()) != 1 || got.GetBundles()[0].GetKeyId() != second.GetKeyId() || got.GetSignerCount() != 2 {
		t.Errorf("by key: %d bundles of %d signers", len(got.GetBundles()), got.GetSignerCount())
	}
}

// TestIssueConcurrently: 1000 callers with one statement and two keys, and as many envelopes, make two leaves.
func TestIssueConcurrently(t *testing.T) {
	w := newWorld(t)
	flows := dataFlows(t)
	const callers = 1000
	requests := make([]*avowv1.IssueRequest, callers)
	for n := range requests {
		requests[n] = signed(t, flows, []*attest.KeyFile{w.acme, w.acmeSecond}[n%2])
	}
	answers := make([]*avowv1.IssueResponse, callers)
	errs := make([]error, callers)
	var wg sync.WaitGroup
	for n := range requests {
		wg.Go(func() { answers[n], errs[n] = w.attestation().Issue(t.Context(), requests[n]) })
	}
	wg.Wait()
	fresh := 0
	for n := range answers {
		if errs[n] != nil {
			t.Fatal(errs[n])
		}
		if !answers[n].GetAlreadyIssued() {
			fresh++
		}
		if !bytes.Equal(answers[n].GetBundle(), answers[n%2].GetBundle()) {
			t.Fatalf("caller %d got another bundle than caller %d", n, n%2)
		}
	}
	if size := w.log.Size(); size != 2 || fresh != 2 {
		t.Errorf("the log has %d leaves and %d callers were told that theirs is new, want 2 and 2", size, fresh)
	}
}

// TestCallerGoesAway: the work goes on, and the repeated call finds it done.
func TestCallerGoesAway(t *testing.T) {
	gate := &gatedTimestamper{entered: make(chan struct{}, 1), open: make(chan struct{})}
	w := newWorld(t, func(w *world) { gate.Timestamper = w.authority; w.stamps = []Timestamper{gate} })
	req := signed(t, dataFlows(t), w.acme)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := w.attestation().Issue(ctx, req)
		gone <- err
	}()
	<-gate.entered
	cancel()
	if err := <-gone; status.Code(err) != codes.Canceled {
		t.Fatalf("got %v, want CANCELLED", err)
	}
	close(gate.open)
	got := must(w.attestation().Issue(t.Context(), req))(t)
	if !got.GetAlreadyIssued() || w.log.Size() != 1 {
		t.Errorf("already_issued %v, %d leaves", got.GetAlreadyIssued(), w.log.Size())
	}
}

// gatedTimestamper is the real authority behind a gate.
type gatedTimestamper struct {
	Timestamper
	entered chan struct{}
	open    chan struct{}
}

func (g *gatedTimestamper) Timestamp(ctx context.Context, signature []byte) ([]byte, error) {
	select {
	case g.entered <- struct{}{}:
	default:
	}
	select {
	case <-g.open:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return g.Timestamper.Timestamp(ctx, signature)
}

func TestIssueBatch(t *testing.T) {
	w := newWorld(t)
	flows := dataFlows(t)
	claims := noBackdoor(t, flows)
	// The claims refer to the flows of the same batch, in whichever order they come.
	batch := &avowv1.IssueBatchRequest{Requests: []*avowv1.IssueRequest{signed(t, claims, w.acme), signed(t, flows, w.acme)}}
	got := must(w.attestation().IssueBatch(t.Context(), batch))(t)
	if len(got.GetResponses()) != 2 || got.GetResponses()[0].GetStatementId() != "sha256:"+digestOf(claims) {
		t.Fatalf("got %d responses", len(got.GetResponses()))
	}
	verdict := w.buyer(flows, w.acme, got.GetResponses()[0].GetBundle(), got.GetResponses()[1].GetBundle())
	if verdict.Outcome != verify.Accepted {
		t.Fatalf("a buyer rejects: %v", verdict.Failures())
	}
	again := must(w.attestation().IssueBatch(t.Context(), batch))(t)
	for n, r := range again.GetResponses() {
		if !r.GetAlreadyIssued() || !bytes.Equal(r.GetBundle(), got.GetResponses()[n].GetBundle()) {
			t.Errorf("repeated batch, member %d: already_issued %v", n, r.GetAlreadyIssued())
		}
	}
	if w.log.Size() != 2 {
		t.Errorf("the log has %d leaves, want 2", w.log.Size())
	}
}

// TestBatchOfOldAndNew: a batch whose member was issued before completes the rest.
func TestBatchOfOldAndNew(t *testing.T) {
	w := newWorld(t)
	flows := dataFlows(t)
	w.issue(flows, w.acme)
	got := must(w.attestation().IssueBatch(t.Context(), &avowv1.IssueBatchRequest{
		Requests: []*avowv1.IssueRequest{signed(t, flows, w.acme), signed(t, noBackdoor(t, flows), w.acme)}}))(t)
	if !got.GetResponses()[0].GetAlreadyIssued() || got.GetResponses()[1].GetAlreadyIssued() || w.log.Size() != 2 {
		t.Errorf("got %v, %d leaves", got.GetResponses(), w.log.Size())
	}
}

// TestBatchIsAllOrNothing: one bad member of any kind, at any place, and nothing is stored or logged.
func TestBatchIsAllOrNothing(t *testing.T) {
	w := newWorld(t)
	bad := map[string]struct {
		req    *avowv1.IssueRequest
		reason avowv1.ErrorReason
	}{
		"rules":        {signed(t, statement(t, "data-flows", noCountry), w.acme), reasonStatementInvalid},
		"related":      {signed(t, noBackdoor(t, dataFlows(t)), w.acme), reasonStatementInvalid},
		"signature":    {rawRequest(envelope(t, dataFlows(t), w.acme), idOf(t, w.acmeSecond)), reasonSignatureInvalid},
		"expired":      {signed(t, dataFlows(t), w.expired), reasonKeyNotValid},
		"empty":        {&avowv1.IssueRequest{}, reasonRequestInvalid},
		"other vendor": {signed(t, heldFlows(t), w.held), reasonBatchInvalid},
	}
	for name, c := range bad {
		for place := range 2 {
			good := dataFlows(t)
			requests := []*avowv1.IssueRequest{signed(t, good, w.acme), signed(t, good, w.acmeSecond)}[:1]
			if place == 0 {
				requests = append([]*avowv1.IssueRequest{c.req}, requests...)
			} else {
				requests = append(requests, c.req)
			}
			_, err := w.attestation().IssueBatch(t.Context(), &avowv1.IssueBatchRequest{Requests: requests})
			st := wantReason(t, err, c.reason)
			if _, fields := violations(st); len(fields) > 0 && !strings.HasPrefix(fields[0], fmt.Sprintf("requests[%d]", place)) {
				t.Errorf("%s at %d: violation at %q", name, place, fields[0])
			}
			if _, err := w.store.Get(t.Context(), "sha256:"+digestOf(good)); err == nil {
				t.Errorf("%s at %d: the good member was stored", name, place)
			}
		}
	}
	if rows := must(w.store.PendingRows(t.Context(), 0, 0))(t); len(rows) != 0 || w.log.Size() != 0 {
		t.Errorf("%d pending rows and %d leaves, want none", len(rows), w.log.Size())
	}
}

func noCountry(common, _, _ map[string]any) {
	delete(common["declarant"].(map[string]any)["party"].(map[string]any), "country")
}

// heldFlows is a statement of the vendor whose key the service holds.
func heldFlows(t testing.TB) []byte {
	t.Helper()
	return statement(t, "data-flows", func(common, _, _ map[string]any) {
		party := common["declarant"].(map[string]any)["party"].(map[string]any)
		party["name"], party["country"] = heldDeclarant, "US"
		product := common["product"].(map[string]any)
		product["identifiers"].([]any)[0].(map[string]any)["value"] = "pkg:generic/held/app@1.2.3"
	})
}

// TestServiceSideSigning: a vendor with credentials has the service sign; the result is an ordinary bundle of the
// held key.
func TestServiceSideSigning(t *testing.T) {
	w := newWorld(t)
	flows := heldFlows(t)
	ctx := withToken(t.Context(), w.heldToken)
	first := must(w.attestation().Issue(ctx, unsigned(flows)))(t)
	if first.GetKeyId() != idOf(t, w.held) {
		t.Errorf("signed by %s", first.GetKeyId())
	}
	if v := w.buyer(flows, w.held, first.GetBundle()); v.Outcome != verify.Accepted {
		t.Fatalf("a buyer rejects: %v", v.Failures())
	}
	again := must(w.attestation().Issue(ctx, unsigned(flows)))(t)
	if !again.GetAlreadyIssued() || !bytes.Equal(again.GetBundle(), first.GetBundle()) {
		t.Error("the repeated call got another bundle")
	}
	w.clock.add(30 * time.Hour)
	late := must(w.attestation().Issue(ctx, unsigned(flows)))(t)
	if !late.GetAlreadyIssued() || !bytes.Equal(late.GetBundle(), first.GetBundle()) {
		t.Error("the late call got another bundle")
	}
}

// TestReconcile: whatever step the process died after, the row is completed once, and the leaf is not appended twice.
func TestReconcile(t *testing.T) {
	died := map[string]func(w *world, sub *submission, row statements.Pending){
		"after the row was stored": func(*world, *submission, statements.Pending) {},
		"after the leaf was appended": func(w *world, sub *submission, _ statements.Pending) {
			leaf := must(sub.envelope.Leaf())(w.t)
			must(w.log.Append(w.t.Context(), leaf))(w.t)
		},
	}
	for name, step := range died {
		for _, by := range []string{"restart", "repeated call", "running service"} {
			t.Run(name+"/"+by, func(t *testing.T) {
				w := newWorld(t)
				w.issue(dataFlows(t), w.acme) // so that the tail does not begin at 0
				flows := dataFlows(t)
				sub := w.crashed(flows, step)
				var want uint64 = 2
				switch by {
				case "restart":
					w.restart()
					wantOK(t, w.server.Reconcile(t.Context()))
				case "running service":
					wantOK(t, w.server.Reconcile(t.Context()))
				}
				got := w.issue(flows, w.acme)
				if got.GetAlreadyIssued() != (by != "repeated call") || w.log.Size() != want || got.GetLogIndex() != 1 {
					t.Errorf("already_issued %v, %d leaves, index %d", got.GetAlreadyIssued(), w.log.Size(), got.GetLogIndex())
				}
				// The stored envelope was completed, not the one of the repeated call.
				rec := must(w.store.GetBy(t.Context(), sub.row().statementID, sub.row().keyID))(t)
				if !bytes.Equal(rec.Envelope, sub.envelope.JSON()) {
					t.Error("the stored envelope was replaced")
				}
				if v := w.buyer(flows, w.acme, got.GetBundle()); v.Outcome != verify.Accepted {
					t.Fatalf("a buyer rejects: %v", v.Failures())
				}
				if rows := must(w.store.PendingRows(t.Context(), 0, 0))(t); len(rows) != 0 {
					t.Errorf("%d rows are still pending", len(rows))
				}
			})
		}
	}
}

// crashed leaves the world as a process that died in the middle of an issuance.
func (w *world) crashed(payload []byte, step func(*world, *submission, statements.Pending)) *submission {
	t := w.t
	t.Helper()
	sub := must(w.server.issuer.open(t.Context(), signed(t, payload, w.acme), w.clock.Now()))(t)
	row := pendingRow(sub, w.log.Size(), w.clock.Now(), "")
	if _, _, err := w.store.PutPending(t.Context(), []statements.Pending{row}); err != nil {
		t.Fatal(err)
	}
	step(w, sub, row)
	return sub
}

// TestReconcileBatch: a declaration that a crash cut in half is completed whole.
func TestReconcileBatch(t *testing.T) {
	w := newWorld(t)
	flows := dataFlows(t)
	payloads := [][]byte{flows, noBackdoor(t, flows), dataFlows(t)}
	var rows []statements.Pending
	var subs []*submission
	for _, p := range payloads {
		sub := must(w.server.issuer.open(t.Context(), signed(t, p, w.acme), w.clock.Now()))(t)
		subs = append(subs, sub)
		rows = append(rows, pendingRow(sub, w.log.Size(), w.clock.Now(), "batch"))
	}
	if _, _, err := w.store.PutPending(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	must(w.log.Append(t.Context(), must(subs[1].envelope.Leaf())(t)))(t)
	w.restart()
	wantOK(t, w.server.Reconcile(t.Context()))
	list := must(w.attestation().ListStatements(t.Context(), &avowv1.ListStatementsRequest{}))(t)
	if len(list.GetStatements()) != 3 || w.log.Size() != 3 {
		t.Errorf("%d statements and %d leaves, want 3", len(list.GetStatements()), w.log.Size())
	}
}

// TestPendingIsNotPublic: a statement that is not in the log is neither fetched nor listed nor referred to.
func TestPendingIsNotPublic(t *testing.T) {
	w := newWorld(t)
	flows := dataFlows(t)
	sub := w.crashed(flows, func(*world, *submission, statements.Pending) {})
	_, err := w.fetch(sub.envelope.StatementID(), "")
	wantReason(t, err, reasonStatementNotFound)
	list := must(w.attestation().ListStatements(t.Context(), &avowv1.ListStatementsRequest{}))(t)
	if len(list.GetStatements()) != 0 {
		t.Error("a pending statement is listed")
	}
	_, err = w.attestation().Issue(t.Context(), signed(t, noBackdoor(t, flows), w.acme))
	if reasons, _ := violations(wantReason(t, err, reasonStatementInvalid)); !strings.Contains(fmt.Sprint(reasons), "R10") {
		t.Errorf("got rules %v, want R10", reasons)
	}
}

// TestSelfCheck: a bundle that does not verify is never answered; the alarm is counted and the row stays pending.
func TestSelfCheck(t *testing.T) {
	// The tokens of this authority are real, and not of the trusted root.
	w := newWorld(t, func(w *world) { w.stamps = []Timestamper{strangerAuthority(w)} })
	req := signed(t, dataFlows(t), w.acme)
	_, err := w.attestation().Issue(t.Context(), req)
	st := wantReason(t, err, reasonSelfCheckFailed)
	if strings.Contains(st.Message(), "timestamp") {
		t.Errorf("the cause was sent: %s", st.Message())
	}
	if got := metricValue(t, w, "avow_self_check_failures_total"); got != 1 {
		t.Errorf("the alarm metric is %v, want 1", got)
	}
	if rows := must(w.store.PendingRows(t.Context(), 0, 0))(t); len(rows) != 1 {
		t.Errorf("%d pending rows, want 1", len(rows))
	}
	// Once the authority is the right one, the repeated call completes it with the leaf that is there.
	w.stamps = []Timestamper{w.authority}
	w.restart()
	must(w.attestation().Issue(t.Context(), req))(t)
	if w.log.Size() != 1 {
		t.Errorf("%d leaves, want 1", w.log.Size())
	}
}

// TestDeclarantIsCompared: name and country must be the registered ones, byte for byte.
func TestDeclarantIsCompared(t *testing.T) {
	w := newWorld(t)
	for member, values := range map[string][]string{
		"name":    {"example devices gmbh", "Example Devices GmbH ", "Ехample Devices GmbH", "Example Devices GmbH\u200b", "Example Devices"},
		"country": {"AT", "US"},
	} {
		for _, value := range values {
			payload := statement(t, "data-flows", func(common, _, _ map[string]any) {
				common["declarant"].(map[string]any)["party"].(map[string]any)[member] = value
			})
			wantReason(t, w.refused(signed(t, payload, w.acme)), reasonDeclarantMismatch)
		}
	}
}

// panicking is what a defect looks like.
type panicking struct{}

func (panicking) Timestamp(context.Context, []byte) ([]byte, error) { panic("defect") }

// TestPanics: a panic in a handler, and one in the work behind it, is one call's INTERNAL; the service goes on.
func TestPanics(t *testing.T) {
	w := newWorld(t, func(w *world) { w.stamps = []Timestamper{panicking{}} })
	w.server.issuer.cfg.SigningKey = func(context.Context, *vendors.SigningKey) (attest.Signer, error) { panic("defect") }
	wantReason(t, w.refused(signed(t, dataFlows(t), w.acme)), reasonInternal)
	_, err := w.attestation().Issue(withToken(t.Context(), w.heldToken), unsigned(heldFlows(t)))
	wantReason(t, err, reasonInternal)
	if got := metricValue(t, w, "avow_panics_total"); got != 2 {
		t.Errorf("%v panics were counted, want 2", got)
	}
	if !strings.Contains(w.logs.String(), "defect") {
		t.Error("the panic was not logged")
	}
	must(w.logService().GetCheckpoint(t.Context(), &avowv1.GetCheckpointRequest{}))(t)
}

// TestResumeOfCommittedRow: a row that was committed between the listing and the claim is left alone.
func TestResumeOfCommittedRow(t *testing.T) {
	w := newWorld(t)
	first := w.issue(dataFlows(t), w.acme)
	rec := must(w.store.GetBy(t.Context(), first.GetStatementId(), first.GetKeyId()))(t)
	rec.State = statements.StatePending // as it was listed
	wantOK(t, w.server.issuer.resume(t.Context(), []statements.Record{rec}))
	if got := metricValue(t, w, "avow_statements_reconciled_total"); got != 0 || w.log.Size() != 1 {
		t.Errorf("%v statements were completed again, %d leaves", got, w.log.Size())
	}
}
