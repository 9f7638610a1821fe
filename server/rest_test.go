package server

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/verify"
)

// verifyRequest asks about a bundle of acme over the subject of testdata.
func (w *world) verifyRequest(bundle []byte) *avowv1.VerifyRequest {
	w.t.Helper()
	return &avowv1.VerifyRequest{
		ArtifactSha256: subjectOf(w.t, dataFlows(w.t)),
		Bundles:        []*avowv1.NamedBundle{{Name: "flows", Bundle: bundle}},
		Signers: []*avowv1.SignerRequirement{{Name: "acme", Signer: &avowv1.SignerRequirement_Key{
			Key: &avowv1.KeyRequirement{PublicKeyPem: pemOf(w.t, w.acme)}}}},
		TrustedRoot: w.trustedRoot(), RequiredPredicateTypes: []string{"https://w3id.org/avow/data-flows/v1"}, MinTimestamps: 1,
		At: timestamppb.New(w.clock.Now()),
	}
}

// call makes a REST call and returns status, headers and body.
func call(t testing.TB, method, address string, body []byte, headers ...string) (*http.Response, []byte) {
	t.Helper()
	req := must(http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(body)))(t)
	for n := 0; n+1 < len(headers); n += 2 {
		req.Header.Add(headers[n], headers[n+1])
	}
	resp := must(http.DefaultClient.Do(req))(t)
	defer resp.Body.Close()
	return resp, must(io.ReadAll(resp.Body))(t)
}

// TestRESTEqualsGRPC: every method answers the same over both.
func TestRESTEqualsGRPC(t *testing.T) {
	w := newWorld(t, func(w *world) { w.change = func(c *Config) { c.SigningConfig = []byte(`{"mediaType":"x"}`) } })
	rest := w.rest()
	flows := dataFlows(t)
	issue := signed(t, flows, w.acme)
	first := must(w.attestation().Issue(t.Context(), issue))(t)
	id := first.GetStatementId()
	batch := &avowv1.IssueBatchRequest{Requests: []*avowv1.IssueRequest{issue}}
	verifyReq := w.verifyRequest(first.GetBundle())
	attestation, trust, logs := w.attestation(), w.trust(), w.logService()
	ctx := t.Context()
	const product = "pkg:generic/example-gateway@1.2.3"
	for name, c := range map[string]struct {
		method, path string
		body         proto.Message
		rest         proto.Message
		grpc         func() (proto.Message, error)
	}{
		"Issue": {"POST", "/api/v1/statements", issue, &avowv1.IssueResponse{},
			func() (proto.Message, error) { return attestation.Issue(ctx, issue) }},
		"IssueBatch": {"POST", "/api/v1/statements:batch", batch, &avowv1.IssueBatchResponse{},
			func() (proto.Message, error) { return attestation.IssueBatch(ctx, batch) }},
		"GetStatement": {"GET", "/api/v1/statements/" + id, nil, &avowv1.GetStatementResponse{}, func() (proto.Message, error) {
			return attestation.GetStatement(ctx, &avowv1.GetStatementRequest{StatementId: id})
		}},
		"ListStatements": {"GET", "/api/v1/statements?vendor=acme&pageSize=1&product=" + url.QueryEscape(product), nil,
			&avowv1.ListStatementsResponse{}, func() (proto.Message, error) {
				return attestation.ListStatements(ctx, &avowv1.ListStatementsRequest{Vendor: "acme", PageSize: 1, Product: product})
			}},
		"Verify": {"POST", "/api/v1/verify", verifyReq, &avowv1.VerifyResponse{},
			func() (proto.Message, error) {
				return w.verification().Verify(ctx, verifyReq)
			}},
		"GetCheckpoint": {"GET", "/api/v1/log/checkpoint", nil, &avowv1.GetCheckpointResponse{},
			func() (proto.Message, error) { return logs.GetCheckpoint(ctx, &avowv1.GetCheckpointRequest{}) }},
		"GetInclusionProof": {"GET", "/api/v1/log/entries/0/proof", nil, &avowv1.GetInclusionProofResponse{},
			func() (proto.Message, error) { return logs.GetInclusionProof(ctx, &avowv1.GetInclusionProofRequest{}) }},
		"GetConsistencyProof": {"GET", "/api/v1/log/consistency?firstTreeSize=1", nil, &avowv1.GetConsistencyProofResponse{},
			func() (proto.Message, error) {
				return logs.GetConsistencyProof(ctx, &avowv1.GetConsistencyProofRequest{FirstTreeSize: 1})
			}},
		"GetTrustedRoot": {"GET", "/api/v1/trusted-root", nil, &avowv1.GetTrustedRootResponse{},
			func() (proto.Message, error) { return trust.GetTrustedRoot(ctx, &avowv1.GetTrustedRootRequest{}) }},
		"GetSigningConfig": {"GET", "/api/v1/signing-config", nil, &avowv1.GetSigningConfigResponse{},
			func() (proto.Message, error) { return trust.GetSigningConfig(ctx, &avowv1.GetSigningConfigRequest{}) }},
		"ListVendors": {"GET", "/api/v1/vendors?pageSize=1", nil, &avowv1.ListVendorsResponse{},
			func() (proto.Message, error) { return trust.ListVendors(ctx, &avowv1.ListVendorsRequest{PageSize: 1}) }},
		"GetVendor": {"GET", "/api/v1/vendors/acme", nil, &avowv1.GetVendorResponse{},
			func() (proto.Message, error) { return trust.GetVendor(ctx, &avowv1.GetVendorRequest{Name: "acme"}) }},
	} {
		var body []byte
		if c.body != nil {
			body = must(protojson.Marshal(c.body))(t)
		}
		resp, got := call(t, c.method, rest.URL+c.path, body)
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %s", name, resp.Status, got)
			continue
		}
		if err := protojson.Unmarshal(got, c.rest); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		want, err := c.grpc()
		wantOK(t, err)
		if !proto.Equal(c.rest, want) {
			t.Errorf("%s: REST and gRPC differ:\n%v\n%v", name, c.rest, want)
		}
	}
}

// restReason reads the reason of an error answer.
func restReason(t testing.TB, body []byte) string {
	t.Helper()
	var st struct {
		Details []struct{ Reason, Domain string } `json:"details"`
	}
	if err := json.Unmarshal(body, &st); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	for _, d := range st.Details {
		if d.Domain == ErrorDomain {
			return d.Reason
		}
	}
	return ""
}

// TestRESTErrors: status, reason, and what HTTP has a header for.
func TestRESTErrors(t *testing.T) {
	w := newWorld(t)
	rest := w.rest()
	acmeCert := certFingerprint(w.acmeCert.Raw)
	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		reason             string
	}{
		"no such path":      {method: "GET", path: "/api/v1/nothing", status: 404, reason: "ROUTE_UNKNOWN"},
		"outside the API":   {method: "GET", path: "/nothing", status: 404, reason: "ROUTE_UNKNOWN"},
		"wrong method":      {method: "DELETE", path: "/api/v1/statements", status: 405, reason: "ROUTE_UNKNOWN"},
		"not JSON":          {method: "POST", path: "/api/v1/statements", body: "{", status: 400, reason: "REQUEST_INVALID"},
		"unknown member":    {method: "POST", path: "/api/v1/statements", body: `{"statement":""}`, status: 400, reason: "REQUEST_INVALID"},
		"unknown parameter": {method: "GET", path: "/api/v1/statements?pageSize=x", status: 400, reason: "REQUEST_INVALID"},
		"not found": {method: "GET", path: "/api/v1/statements/sha256:" + strings.Repeat("0", 64), status: 404,
			reason: "STATEMENT_NOT_FOUND"},
		"no credentials": {method: "POST", path: "/api/v1/statements", body: `{"unsignedStatement":{"statement":"e30="}}`, status: 401,
			reason: "CREDENTIALS_REQUIRED"},
		"forged gateway metadata": {method: "POST", path: "/api/v1/statements", body: `{"unsignedStatement":{"statement":"e30="}}`, status: 401,
			headers: []string{"Grpc-Metadata-" + gatewayCertKey, acmeCert, gatewayCertKey, acmeCert},
			reason:  "CREDENTIALS_REQUIRED"},
		"bad credentials": {method: "GET", path: "/api/v1/vendors", headers: []string{"Authorization", "Bearer x"}, status: 401,
			reason: "CREDENTIALS_INVALID"},
		"held signing over REST": {method: "POST", path: "/api/v1/statements", body: `{"unsignedStatement":{"statement":"e30="}}`,
			headers: []string{"Authorization", "Bearer " + w.heldToken}, status: 400, reason: "STATEMENT_INVALID"},
		"too large": {method: "POST", path: "/api/v1/statements", body: strings.Repeat(" ", MaxMessageBytes+1), status: 413,
			reason: "MESSAGE_TOO_LARGE"},
		"bad digest": {method: "GET", path: "/statements/sha256/XYZ", status: 400, reason: "REQUEST_INVALID"},
		"no statement": {method: "GET", path: "/statements/sha256/" + strings.Repeat("0", 64), status: 404,
			reason: "STATEMENT_NOT_FOUND"},
		"no statement at the index":   {method: "GET", path: "/statements/by-index/7", status: 404, reason: "STATEMENT_NOT_FOUND"},
		"second spelling of an index": {method: "GET", path: "/statements/by-index/00", status: 400, reason: "REQUEST_INVALID"},
		"negative index":              {method: "GET", path: "/statements/by-index/-1", status: 400, reason: "REQUEST_INVALID"},
	} {
		resp, body := call(t, c.method, rest.URL+c.path, []byte(c.body), c.headers...)
		if resp.StatusCode != c.status || restReason(t, body) != c.reason {
			t.Errorf("%s: got %s with %q, want %d with %s: %s", name, resp.Status, restReason(t, body), c.status, c.reason, body)
		}
		if resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", name, resp.Header)
		}
	}
}

// TestRESTRateLimit: REST callers are counted by their own address, and told when to come back.
func TestRESTRateLimit(t *testing.T) {
	w := newWorld(t, func(w *world) { w.limits = Limits{RatePerSecond: 0.001, Burst: maxCost} })
	rest := w.rest()
	for _, path := range []string{"/api/v1/log/checkpoint", "/checkpoint"} {
		var resp *http.Response
		var body []byte
		for range maxCost + 1 {
			resp, body = call(t, "GET", rest.URL+path, nil, "X-Forwarded-For", "198.51.100.1")
		}
		if resp.StatusCode != http.StatusTooManyRequests || restReason(t, body) != "RATE_LIMITED" || resp.Header.Get("Retry-After") == "" {
			t.Errorf("%s: got %s with Retry-After %q: %s", path, resp.Status, resp.Header.Get("Retry-After"), body)
		}
	}
	if _, ok := w.server.rates.callers["address 127.0.0.1"]; !ok {
		t.Error("the caller is not counted by the address of its connection")
	}
}

// TestStaticFiles: statements, the log and the description of the API, with what caches need.
func TestStaticFiles(t *testing.T) {
	w := newWorld(t)
	rest := w.rest()
	flows := dataFlows(t)
	w.issue(flows, w.acme)
	path := rest.URL + "/statements/sha256/" + digestOf(flows)
	resp, body := call(t, "GET", path, nil)
	if !bytes.Equal(body, flows) || !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") ||
		resp.Header.Get("Content-Type") != "application/vnd.in-toto+json" {
		t.Errorf("statement: %s %v", resp.Status, resp.Header)
	}
	resp, body = call(t, "GET", path, nil, "If-None-Match", resp.Header.Get("ETag"))
	if resp.StatusCode != http.StatusNotModified || len(body) != 0 {
		t.Errorf("not modified: %s with %d bytes", resp.Status, len(body))
	}
	if resp, body := call(t, "GET", rest.URL+"/statements/by-index/0", nil); resp.StatusCode != 200 || !bytes.Equal(body, flows) {
		t.Errorf("statement by index: %s", resp.Status)
	}
	if resp, body := call(t, "GET", rest.URL+"/checkpoint", nil); resp.StatusCode != 200 || !strings.HasPrefix(string(body), origin+"\n1\n") {
		t.Errorf("checkpoint: %s %q", resp.Status, body)
	}
	if resp, _ := call(t, "GET", rest.URL+"/tile/0/000.p/1", nil); resp.StatusCode != 200 {
		t.Errorf("tile: %s", resp.Status)
	}
	if resp, body := call(t, "GET", rest.URL+"/api/openapi.json", nil); resp.StatusCode != 200 || !json.Valid(body) {
		t.Errorf("OpenAPI: %s", resp.Status)
	}
	resp, body = call(t, "POST", rest.URL+"/api/v1/timestamp", []byte("junk"), "Content-Type", "application/timestamp-query")
	if resp.StatusCode == 404 {
		t.Errorf("timestamp: %s %q", resp.Status, body)
	}
}

// TestVerifyRPC: the verdict is the library's, a rejection is an answer, and what cannot be evaluated is an error.
func TestVerifyRPC(t *testing.T) {
	w := newWorld(t)
	client := w.verification()
	bundle := w.issue(dataFlows(t), w.acme).GetBundle()
	got := must(client.Verify(t.Context(), w.verifyRequest(bundle)))(t)
	if got.GetVerdict().GetOutcome() != avowv1.Outcome_OUTCOME_ACCEPTED || len(got.GetVerdict().GetEvidence()) != 1 {
		t.Fatalf("got %v", got.GetVerdict().GetOutcome())
	}
	own := w.verifyRequest(bundle)
	own.TrustedRoot = nil
	if got := must(client.Verify(t.Context(), own))(t); got.GetVerdict().GetOutcome() != avowv1.Outcome_OUTCOME_ACCEPTED {
		t.Errorf("with the service's own root: %v", got.GetVerdict().GetOutcome())
	}
	tampered := w.verifyRequest(bytes.Replace(bundle, []byte(`"payload":"ey`), []byte(`"payload":"ez`), 1))
	verdict := must(client.Verify(t.Context(), tampered))(t).GetVerdict()
	if verdict.GetOutcome() != avowv1.Outcome_OUTCOME_REJECTED || len(verdict.GetEvidence()) != 0 ||
		len(verdict.GetChecks()) != len(verify.CheckIDs()) {
		t.Errorf("tampered: %v", verdict)
	}
	for name, change := range map[string]func(*avowv1.VerifyRequest){
		"no artifact":    func(r *avowv1.VerifyRequest) { r.ArtifactSha256 = "" },
		"no signer":      func(r *avowv1.VerifyRequest) { r.Signers = nil },
		"a bad root":     func(r *avowv1.VerifyRequest) { r.TrustedRoot = []byte("{") },
		"a bad key":      func(r *avowv1.VerifyRequest) { r.Signers[0].GetKey().PublicKeyPem = "x" },
		"too many times": func(r *avowv1.VerifyRequest) { r.MinTimestamps = 1 << 31 },
	} {
		req := w.verifyRequest(bundle)
		change(req)
		_, err := client.Verify(t.Context(), req)
		if err == nil {
			t.Errorf("%s was evaluated", name)
			continue
		}
		wantReason(t, err, reasonVerificationInput)
	}
}

// TestPaging: pages are complete and in order, and a token is good for its filter only.
func TestPaging(t *testing.T) {
	w := newWorld(t)
	var requests []*avowv1.IssueRequest
	for range 7 {
		requests = append(requests, signed(t, dataFlows(t), w.acme))
	}
	must(w.attestation().IssueBatch(t.Context(), &avowv1.IssueBatchRequest{Requests: requests}))(t)
	must(w.attestation().Issue(withToken(t.Context(), w.heldToken), unsigned(heldFlows(t))))(t)
	list := func(req *avowv1.ListStatementsRequest) *avowv1.ListStatementsResponse {
		t.Helper()
		return must(w.attestation().ListStatements(t.Context(), req))(t)
	}
	req := &avowv1.ListStatementsRequest{Vendor: "acme", SubjectSha256: subjectOf(t, dataFlows(t)), PageSize: 3}
	var indexes []uint64
	for {
		page := list(req)
		for _, s := range page.GetStatements() {
			indexes = append(indexes, s.GetLogIndex())
			if s.GetVendor() != "acme" || len(s.GetProducts()) != 1 || len(s.GetSubjectSha256S()) != 1 {
				t.Errorf("summary %v", s)
			}
		}
		if page.GetNextPageToken() == "" {
			break
		}
		other := proto.Clone(req).(*avowv1.ListStatementsRequest)
		other.Vendor, other.PageToken = "held", page.GetNextPageToken()
		_, err := w.attestation().ListStatements(t.Context(), other)
		wantReason(t, err, reasonPageTokenInvalid)
		req.PageToken = page.GetNextPageToken()
	}
	if len(indexes) != 7 {
		t.Errorf("got indexes %v, want 7", indexes)
	}
	for n := range indexes {
		if indexes[n] != uint64(n) {
			t.Fatalf("got indexes %v, want 0 to 6 in order", indexes)
		}
	}
	if all := list(&avowv1.ListStatementsRequest{PageSize: 1 << 31}); len(all.GetStatements()) != 8 {
		t.Errorf("got %d statements, want 8", len(all.GetStatements()))
	}
	for _, bad := range []*avowv1.ListStatementsRequest{
		{SubjectSha256: strings.Repeat("A", 64)}, {SubjectSha256: "00"}, {Product: strings.Repeat("p", MaxFilterBytes+1)},
	} {
		_, err := w.attestation().ListStatements(t.Context(), bad)
		wantReason(t, err, reasonRequestInvalid)
	}
	trust := w.trust()
	first := must(trust.ListVendors(t.Context(), &avowv1.ListVendorsRequest{PageSize: 1}))(t)
	second := must(trust.ListVendors(t.Context(), &avowv1.ListVendorsRequest{PageSize: 1, PageToken: first.GetNextPageToken()}))(t)
	if first.GetVendors()[0].GetName() != "acme" || second.GetVendors()[0].GetName() != "held" || second.GetNextPageToken() != "" {
		t.Errorf("vendors: %v then %v", first, second)
	}
	if shown := first.GetVendors()[0].String(); strings.Contains(shown, "token") || len(first.GetVendors()[0].GetKeys()) != 3 {
		t.Errorf("acme is shown as %s", shown)
	}
}

// FuzzPageToken: a token that is taken is one that was given out for that filter.
func FuzzPageToken(f *testing.F) {
	filter := []string{"a", "", "b", "c"}
	f.Add(pageToken(7, filter))
	f.Add("")
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, token string) {
		from, err := readPageToken(token, filter)
		if err == nil && token != "" && pageToken(from, filter) != token {
			t.Errorf("%q was taken as %d", token, from)
		}
		if _, err := readPageToken(token, []string{"a", "b", "", "c"}); err == nil && token != "" && token == pageToken(from, filter) {
			t.Errorf("%q is good for two filters", token)
		}
	})
}
