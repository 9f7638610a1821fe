package server

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	fulciopb "github.com/sigstore/fulcio/pkg/generated/protobuf"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/server/authority"
	"github.com/avow-dev/avow/server/certauthority"
	"github.com/avow-dev/avow/server/identity"
	"github.com/avow-dev/avow/server/index"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/vendors"
)

// strangerAuthority is a real authority that no trusted root names.
func strangerAuthority(w *world) Timestamper {
	w.t.Helper()
	c := must(authority.Generate("stranger.example.test", issuedAt.Add(-time.Hour)))(w.t)
	return must(authority.New(authority.Config{CertChain: c.Chain, Key: c.Key, Clock: w.clock.Now}))(w.t)
}

// downAuthority does not answer.
type downAuthority struct{}

func (downAuthority) Timestamp(context.Context, []byte) ([]byte, error) {
	return nil, errors.New("dial tcp 192.0.2.1:443: connection refused")
}

// TestReasons provokes every reason of the closed list. A reason without a case here fails the test.
func TestReasons(t *testing.T) {
	const prefix = "ERROR_REASON_"
	cases := map[string]func(t *testing.T) error{
		"REQUEST_INVALID": onWorld(func(w *world) error {
			_, err := w.attestation().Issue(w.t.Context(), &avowv1.IssueRequest{})
			return err
		}),
		"PAGE_TOKEN_INVALID": onWorld(func(w *world) error {
			_, err := w.attestation().ListStatements(w.t.Context(), &avowv1.ListStatementsRequest{PageToken: "AAAA"})
			return err
		}),
		"STATEMENT_INVALID": onWorld(func(w *world) error {
			return w.refused(signed(w.t, statement(w.t, "data-flows", noCountry), w.acme))
		}),
		"ENVELOPE_TOO_LARGE": onWorld(func(w *world) error {
			return w.refused(rawRequest(make([]byte, attest.MaxEnvelopeBytes+1), idOf(w.t, w.acme)))
		}),
		"ENVELOPE_MALFORMED": onWorld(func(w *world) error {
			return w.refused(rawRequest([]byte(`{"payload":"", "payload":""}`), idOf(w.t, w.acme)))
		}),
		"PAYLOAD_TYPE": onWorld(func(w *world) error {
			return w.refused(rawRequest(dsse(w.t, "text/plain", []byte("hello"), w.acme), idOf(w.t, w.acme)))
		}),
		"SIGNATURE_COUNT": onWorld(func(w *world) error {
			none := `{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[]}`
			return w.refused(rawRequest([]byte(none), idOf(w.t, w.acme)))
		}),
		"SIGNATURE_INVALID": onWorld(func(w *world) error {
			return w.refused(rawRequest(envelope(w.t, dataFlows(w.t), w.acme), idOf(w.t, w.acmeSecond)))
		}),
		"KEY_UNSUPPORTED": mapped(&attest.Error{Code: attest.CodeKeyUnsupported, Detail: "P-384"}), // the registry takes no such key
		"PREDICATE_TYPE_UNSUPPORTED": onWorld(func(w *world) error {
			return toStatus(toRefusal(checkPermitted(&vendors.Vendor{}, &predicate.Statement{Type: predicate.StandingType}))).Err()
		}),
		"CERTIFICATE_INVALID": onWorld(func(w *world) error { return w.refused(certifiedRequest([]byte("{}"), []byte("x"))) }),
		"BUNDLE_INVALID":      onWorld(func(w *world) error { return w.refused(bundleRequest([]byte("{}"))) }),
		"IDENTITY_UNKNOWN": onIdentities(func(w *world) error {
			env, cert := w.certified(dataFlows(w.t), certificate{san: ciSAN + "-evil"})
			return w.refused(certifiedRequest(env, cert))
		}),
		"IDENTITY_NOT_VALID": onIdentities(func(w *world) error {
			env, cert := w.certified(dataFlows(w.t), certificate{san: retiredSAN})
			return w.refused(certifiedRequest(env, cert))
		}),
		"CERTIFICATE_NOT_VALID": onIdentities(func(w *world) error {
			env, cert := w.certified(dataFlows(w.t), certificate{})
			w.clock.add(time.Hour)
			return w.refused(certifiedRequest(env, cert))
		}),
		"BATCH_INVALID": onWorld(func(w *world) error {
			r := signed(w.t, dataFlows(w.t), w.acme)
			_, err := w.attestation().IssueBatch(w.t.Context(), &avowv1.IssueBatchRequest{Requests: []*avowv1.IssueRequest{r, r}})
			return err
		}),
		"VERIFICATION_INPUT": onWorld(func(w *world) error {
			_, err := w.verification().Verify(w.t.Context(), &avowv1.VerifyRequest{TrustedRoot: []byte("{}")})
			return err
		}),
		"POLICY_INVALID": onWorld(func(w *world) error {
			req := w.verifyRequest(w.issue(dataFlows(w.t), w.acme).GetBundle())
			req.Policy = []byte("rules: []")
			_, err := w.verification().Verify(w.t.Context(), req)
			return err
		}),
		"VERDICT_SIGNING_NOT_CONFIGURED": onWorld(func(w *world) error {
			req := w.verifyRequest(w.issue(dataFlows(w.t), w.acme).GetBundle())
			req.SignedVerdictForm = avowv1.SignedVerdictForm_SIGNED_VERDICT_FORM_SVR
			_, err := w.verification().Verify(w.t.Context(), req)
			return err
		}),
		"KEY_UNKNOWN": onWorld(func(w *world) error {
			return w.refused(signed(w.t, dataFlows(w.t), must(attest.GenerateKey())(w.t)))
		}),
		"KEY_NOT_VALID": onWorld(func(w *world) error { return w.refused(signed(w.t, dataFlows(w.t), w.expired)) }),
		"PRODUCT_NOT_PERMITTED": onWorld(func(w *world) error {
			return w.refused(signed(w.t, statement(w.t, "data-flows", func(common, _, _ map[string]any) {
				product := common["product"].(map[string]any)
				// One permitted identifier does not cover the other.
				product["identifiers"] = append(product["identifiers"].([]any), map[string]any{
					"scheme": "purl", "value": "pkg:generic/example-gateway-evil@1.2.3"})
			}), w.acme))
		}),
		"DECLARANT_MISMATCH": onWorld(func(w *world) error {
			return w.refused(signed(w.t, statement(w.t, "data-flows", func(common, _, _ map[string]any) {
				common["declarant"].(map[string]any)["party"].(map[string]any)["name"] = "Example Devices GmbH "
			}), w.acme))
		}),
		"CREDENTIALS_REQUIRED": onWorld(func(w *world) error { return w.refused(unsigned(heldFlows(w.t))) }),
		"CREDENTIALS_INVALID": onWorld(func(w *world) error {
			_, err := w.trust().ListVendors(withToken(w.t.Context(), "nobody's"), &avowv1.ListVendorsRequest{})
			return err
		}),
		"METHOD_NOT_PERMITTED": onWorld(func(w *world) error {
			_, err := w.server.admit(w.t.Context(), w.server.auth.fromNetwork, "/avow.v1.AttestationService/Delete")
			return toStatus(toRefusal(err)).Err()
		}),
		"SIGNING_NOT_CONFIGURED": onWorld(func(w *world) error {
			_, err := w.attestation().Issue(withToken(w.t.Context(), w.acmeToken), unsigned(dataFlows(w.t)))
			return err
		}),
		"LOG_WRITES_NOT_CONFIGURED": onWorld(func(w *world) error {
			_, err := w.rekor().CreateEntry(w.t.Context(), w.entry(w.acme, "closed"))
			return err
		}),
		"SIGNING_CONFIG_NOT_CONFIGURED": onWorld(func(w *world) error {
			_, err := w.trust().GetSigningConfig(w.t.Context(), &avowv1.GetSigningConfigRequest{})
			return err
		}),
		"LOG_NOT_IN_USE": func(t *testing.T) error {
			w := newWorld(t, withWindow(t, issuedAt.Add(-time.Hour), issuedAt))
			return w.refused(signed(t, dataFlows(t), w.acme))
		},
		"TARGET_NOT_FOUND": onWorld(func(w *world) error {
			return w.refused(signed(w.t, withdrawal(w.t, dataFlows(w.t)), w.acme))
		}),
		"TARGET_NOT_YOURS": onWorld(func(w *world) error {
			target := dataFlows(w.t)
			w.issue(target, w.acme)
			return w.refused(signed(w.t, withdrawal(w.t, target), w.acmeSecond))
		}),
		"ROLE_REQUIRED": onWorld(func(w *world) error {
			target := dataFlows(w.t)
			w.issue(target, w.acme)
			return w.refused(signed(w.t, dispute(w.t, target, "opened", acmeDeclarant, nil), w.acme))
		}),
		"TARGET_LIMIT": func(t *testing.T) error {
			w := newLifeWorld(t)
			target := dataFlows(t)
			w.issue(target, w.acme)
			var err error
			for n := 0; err == nil && n <= MaxWithdrawals; n++ {
				err = w.try(withdrawal(t, target), w.successor)
			}
			return err
		},
		"STATEMENT_NOT_FOUND": onWorld(func(w *world) error {
			_, err := w.fetch("sha256:"+strings.Repeat("0", 64), "")
			return err
		}),
		"VENDOR_NOT_FOUND": onWorld(func(w *world) error {
			_, err := w.trust().GetVendor(w.t.Context(), &avowv1.GetVendorRequest{Name: "nobody"})
			return err
		}),
		"LOG_RANGE": onWorld(func(w *world) error {
			_, err := w.logService().GetInclusionProof(w.t.Context(), &avowv1.GetInclusionProofRequest{LogIndex: 1 << 63})
			return err
		}),
		"ROUTE_UNKNOWN":     provokedOverREST, // rest_test.go
		"MESSAGE_TOO_LARGE": provokedOverREST,
		"RATE_LIMITED": onWorld(func(w *world) error {
			var err error
			for err == nil {
				_, err = w.logService().GetCheckpoint(w.t.Context(), &avowv1.GetCheckpointRequest{})
			}
			return err
		}, func(w *world) { w.limits = Limits{RatePerSecond: 10, Burst: 20} }),
		"OVERLOADED": onWorld(func(w *world) error {
			leave := must(w.server.load.enter(w.server.load.maxBytes))(w.t)
			defer leave()
			return w.refused(signed(w.t, dataFlows(w.t), w.acme))
		}),
		"STORAGE_FULL":      mapped(&statements.Error{Code: statements.Full, Message: "the disk is full"}),
		"LOG_UNAVAILABLE":   mapped(&tlog.Error{Code: tlog.CodeUnavailable}),
		"LOG_HALTED":        mapped(&tlog.Error{Code: tlog.CodeRollback}),
		"STORE_UNAVAILABLE": mapped(&statements.Error{Code: statements.ReadOnly}),
		"TIMESTAMP_UNAVAILABLE": onWorld(func(w *world) error { return w.refused(signed(w.t, dataFlows(w.t), w.acme)) },
			func(w *world) { w.stamps = []Timestamper{downAuthority{}} }),
		"SHUTTING_DOWN": onWorld(func(w *world) error {
			w.server.draining.Store(true)
			defer w.server.draining.Store(false)
			return w.refused(signed(w.t, dataFlows(w.t), w.acme))
		}),
		"SIGNER_UNAVAILABLE": onWorld(func(w *world) error {
			w.server.issuer.cfg.SigningKey = func(context.Context, *vendors.SigningKey) (attest.Signer, error) {
				return nil, errors.New("hsm is off")
			}
			_, err := w.attestation().Issue(withToken(w.t.Context(), w.heldToken), unsigned(heldFlows(w.t)))
			return err
		}),
		"DEADLINE_EXCEEDED": onWorld(func(w *world) error {
			// The server's own deadline, so that the answer is the server's and not that of gRPC's client.
			defer close(w.stamps[0].(*gatedTimestamper).open)
			return w.refused(signed(w.t, dataFlows(w.t), w.acme))
		}, func(w *world) {
			w.limits.DefaultDeadline = 200 * time.Millisecond
			w.stamps = []Timestamper{&gatedTimestamper{Timestamper: w.authority, open: make(chan struct{})}}
		}),
		"CANCELLED": mapped(context.Canceled),
		// By the whole service in certificates_test.go, but for the last.
		"TOKEN_MALFORMED":               mapped(&identity.Error{Code: identity.Malformed}),
		"TOKEN_ISSUER_UNKNOWN":          mapped(&identity.Error{Code: identity.IssuerUnknown}),
		"TOKEN_SIGNATURE":               mapped(&identity.Error{Code: identity.BadSignature}),
		"TOKEN_TIME":                    mapped(&identity.Error{Code: identity.WrongTime}),
		"TOKEN_AUDIENCE":                mapped(&identity.Error{Code: identity.WrongAudience}),
		"TOKEN_IDENTITY":                mapped(&identity.Error{Code: identity.BadIdentity}),
		"ISSUER_UNAVAILABLE":            mapped(&identity.Error{Code: identity.IssuerUnavailable}),
		"POSSESSION_UNPROVEN":           mapped(&certauthority.Error{Code: certauthority.Unproven}),
		"CERTIFICATE_AUTHORITY_EXPIRED": mapped(&certauthority.Error{Code: certauthority.Expired}),
		"CERTIFICATES_NOT_CONFIGURED": onWorld(func(w *world) error {
			_, err := fulciopb.NewCAClient(w.conn).GetTrustBundle(w.t.Context(), &fulciopb.GetTrustBundleRequest{})
			return err
		}),
		"INDEX_NOT_CONFIGURED": onWorld(func(w *world) error {
			_, err := w.standing().GetStanding(w.t.Context(), byID("sha256:"+strings.Repeat("0", 64)))
			return err
		}, withoutIndex),
		"INDEX_UNAVAILABLE": onWorld(func(w *world) error {
			w.fallBehind()
			_, err := w.standing().GetStanding(w.t.Context(), byID("sha256:"+strings.Repeat("0", 64)))
			return err
		}, withIndexClock),
		"INDEX_HALTED": mapped(&index.Error{Code: index.CodeForeign}),
		"LISTING_TOO_LARGE": func(t *testing.T) error { // by the whole service in standing_test.go
			return toStatus(toRefusal(new(answering).tooLarge())).Err()
		},
		"SELF_CHECK_FAILED": onWorld(func(w *world) error { return w.refused(signed(w.t, dataFlows(w.t), w.acme)) },
			func(w *world) { w.stamps = []Timestamper{strangerAuthority(w)} }),
		"INTERNAL": mapped(errors.New("something else")),
	}
	for value, name := range avowv1.ErrorReason_name {
		reason := avowv1.ErrorReason(value)
		if reason == avowv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
			continue
		}
		provoke, ok := cases[strings.TrimPrefix(name, prefix)]
		if !ok {
			t.Errorf("%s has no case", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			if err := provoke(t); !errors.Is(err, errElsewhere) {
				wantReason(t, err, reason)
			}
		})
	}
}

var errElsewhere = errors.New("provoked by another test")

func provokedOverREST(*testing.T) error { return errElsewhere }

// onWorld provokes an error on a world of its own.
func onWorld(provoke func(*world) error, opts ...option) func(*testing.T) error {
	return func(t *testing.T) error { return provoke(newWorld(t, opts...)) }
}

// mapped is an error that a test cannot provoke on the real parts without a broken machine.
func mapped(err error) func(*testing.T) error {
	return func(*testing.T) error { return toStatus(toRefusal(fmt.Errorf("wrapped: %w", err))).Err() }
}

// refused issues and returns the error.
func (w *world) refused(req *avowv1.IssueRequest) error {
	w.t.Helper()
	_, err := w.attestation().Issue(w.t.Context(), req)
	return err
}

// TestOutcomesAreComplete: every reason has a status code, and the code is an error.
func TestOutcomesAreComplete(t *testing.T) {
	for value, name := range avowv1.ErrorReason_name {
		reason := avowv1.ErrorReason(value)
		o, ok := outcomes[reason]
		if reason == avowv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
			if ok {
				t.Errorf("%s is sent", name)
			}
			continue
		}
		if !ok || o.code == codes.OK || o.code == codes.Unknown {
			t.Errorf("%s: got code %s", name, o.code)
		}
	}
}

// TestDomainCodes: every code of the packages below has a reason, and what a client could do about it is not INTERNAL.
func TestDomainCodes(t *testing.T) {
	internal := map[string]bool{
		string(tlog.CodeInvalidConfig): true, string(tlog.CodeExists): true, string(tlog.CodeLeafInvalid): true,
		string(attest.CodeKeyMalformed): true, string(attest.CodeKeyPassword): true, string(attest.CodeNotPrepared): true,
		string(attest.CodeEntryMismatch): true, string(attest.CodeSubject): true, string(attest.CodeEvidence): true,
	}
	check := func(code string, err error) {
		t.Helper()
		isInternal := toRefusal(err).reason == reasonInternal
		if isInternal != internal[code] {
			t.Errorf("%s: INTERNAL is %v, want %v", code, isInternal, internal[code])
		}
	}
	for _, c := range tlog.Codes() {
		check(string(c), &tlog.Error{Code: c})
	}
	for _, c := range attest.Codes() {
		check(string(c), &attest.Error{Code: c})
	}
	for code := range storeReasons {
		check(code, &statements.Error{Code: code})
	}
}

// TestCausesAreNotSent: what the caller receives holds no cause, no path and no credential.
func TestCausesAreNotSent(t *testing.T) {
	const secret = "/var/lib/avow/secret-canary"
	cause := errors.New(secret)
	for _, err := range []error{
		cause, fmt.Errorf("x: %w", cause), &tlog.Error{Code: tlog.CodeUnavailable, Err: cause},
		&statements.Error{Code: statements.Unavailable, Message: "m", Err: cause},
		&attest.Error{Code: attest.CodeEnvelopeMalformed, Err: cause},
		signerRefusal(cause), &refusal{reason: reasonTimestampUnavailable, cause: cause},
	} {
		if got := toStatus(toRefusal(err)).Proto().String(); strings.Contains(got, secret) {
			t.Errorf("%T: the cause was sent: %s", err, got)
		}
	}
	w := newWorld(t)
	canary := "canary-token-0123456789"
	_, err := w.attestation().Issue(withToken(t.Context(), canary), unsigned(heldFlows(t)))
	st := wantReason(t, err, reasonCredentialsInvalid)
	if strings.Contains(st.Proto().String(), canary) || strings.Contains(w.logs.String(), canary) {
		t.Error("the token was sent back or logged")
	}
	if !strings.Contains(w.logs.String(), "CREDENTIALS_INVALID") {
		t.Error("the refusal was not logged")
	}
}

// TestRuleViolations: findings travel as violations with code, JSON pointer and text, and fit into a trailer.
func TestRuleViolations(t *testing.T) {
	w := newWorld(t)
	st := wantReason(t, w.refused(signed(t, statement(t, "data-flows", noCountry), w.acme)), reasonStatementInvalid)
	reasons, fields := violations(st)
	if len(reasons) != 1 || reasons[0] != "R06" || !strings.HasPrefix(fields[0], "/predicate/common/declarant/party") {
		t.Errorf("got %v at %v, want R06 at /predicate/common/declarant/party", reasons, fields)
	}
	var many predicate.Findings
	for range predicate.MaxFindings {
		many = append(many, predicate.Finding{Code: "R03", Severity: predicate.SeverityError,
			Pointer: "/predicate/" + strings.Repeat("x", 200), Message: strings.Repeat("m", 4000)})
	}
	status := toStatus(rulesRefusal("requests[3]", many))
	if size := proto.Size(status.Proto()); size > 6<<10 {
		t.Errorf("the status has %d bytes, want at most 6 KiB", size)
	}
	reasons, _ = violations(status)
	if reasons[len(reasons)-1] != "MORE" {
		t.Errorf("what was left out is not said: %v", reasons)
	}
}

// TestBearerToken: only exactly one well-formed bearer token is taken.
func TestBearerToken(t *testing.T) {
	for _, c := range []struct {
		values []string
		want   string
	}{
		{[]string{"Bearer abc"}, "abc"}, {[]string{"bearer abc"}, "abc"},
		{nil, ""}, {[]string{""}, ""}, {[]string{"abc"}, ""}, {[]string{"Bearer "}, ""}, {[]string{"Basic abc"}, ""},
		{[]string{"Bearer a", "Bearer b"}, ""}, {[]string{"Bearer " + strings.Repeat(".", MaxTokenBytes+1)}, ""},
	} {
		if got, ok := bearerToken(c.values); got != c.want || ok != (c.want != "") {
			t.Errorf("%.40q: got %q, %v", c.values, got, ok)
		}
	}
}

// TestBasicToken: only exactly one well-formed password is taken.
func TestBasicToken(t *testing.T) {
	basic := func(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }
	for _, c := range []struct {
		values []string
		want   string
	}{
		{[]string{basic("vendor:abc")}, "abc"}, {[]string{basic(":abc")}, "abc"}, {[]string{basic("v:a:b")}, "a:b"},
		{nil, ""}, {[]string{""}, ""}, {[]string{"Basic"}, ""}, {[]string{basic("abc")}, ""}, {[]string{basic("abc:")}, ""},
		{[]string{"Basic !!"}, ""}, {[]string{"Bearer " + basic("v:abc")[6:]}, ""}, {[]string{basic("v:a"), basic("v:b")}, ""},
		{[]string{basic("v:" + strings.Repeat(".", MaxTokenBytes+1))}, ""},
	} {
		if got, ok := basicToken(c.values); got != c.want || ok != (c.want != "") {
			t.Errorf("%.40q: got %q, %v", c.values, got, ok)
		}
	}
}

// TestCredentials: token and certificate are checked wherever they come, and must agree.
func TestCredentials(t *testing.T) {
	w := newWorld(t)
	acmeCert := certFingerprint(w.acmeCert.Raw)
	for name, c := range map[string]struct {
		token, cert, vendor string
		reason              avowv1.ErrorReason
	}{
		"none":                {},
		"token":               {token: w.acmeToken, vendor: "acme"},
		"certificate":         {cert: acmeCert, vendor: "acme"},
		"both":                {token: w.acmeToken, cert: acmeCert, vendor: "acme"},
		"both, disagreeing":   {token: w.heldToken, cert: acmeCert, reason: reasonCredentialsInvalid},
		"unknown token":       {token: "x", cert: acmeCert, reason: reasonCredentialsInvalid},
		"unknown certificate": {token: w.acmeToken, cert: "sha256:" + strings.Repeat("0", 64), reason: reasonCredentialsInvalid},
	} {
		md := metadata.MD{}
		if c.token != "" {
			md.Set("authorization", "Bearer "+c.token)
		}
		if c.cert != "" {
			md.Set(gatewayCertKey, c.cert)
		}
		got, err := w.server.auth.fromGateway(metadata.NewIncomingContext(t.Context(), md))
		if c.reason != 0 {
			if err == nil || toRefusal(err).reason != c.reason || got.vendor != nil {
				t.Errorf("%s: got a vendor: %v, error %v", name, got.vendor != nil, err)
			}
			continue
		}
		if err != nil || (got.vendor != nil) != (c.vendor != "") || (got.vendor != nil && got.vendor.Name != c.vendor) {
			t.Errorf("%s: got a vendor: %v, error %v", name, got.vendor != nil, err)
		}
	}
	// A signed envelope of one vendor with the credentials of another.
	_, err := w.attestation().Issue(withToken(t.Context(), w.heldToken), signed(t, dataFlows(t), w.acme))
	wantReason(t, err, reasonCredentialsInvalid)
	// The gateway's metadata is nobody's business on a network connection.
	forged := metadata.AppendToOutgoingContext(t.Context(), gatewayCertKey, acmeCert)
	_, err = w.attestation().Issue(forged, unsigned(dataFlows(t)))
	wantReason(t, err, reasonCredentialsRequired)
}

// TestUnavailableAuthorityIsRetried: the statement waits, and the repeated call gets it through with one leaf.
func TestUnavailableAuthorityIsRetried(t *testing.T) {
	w := newWorld(t, func(w *world) { w.stamps = []Timestamper{downAuthority{}} })
	req := signed(t, dataFlows(t), w.acme)
	st := wantReason(t, w.refused(req), reasonTimestampUnavailable)
	for _, d := range st.Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok && r.GetRetryDelay().AsDuration() <= 0 {
			t.Error("RetryInfo without a delay")
		}
	}
	if w.log.Size() != 0 {
		t.Error("a leaf without a timestamp was appended")
	}
	// With a second authority the first may stay down.
	w.stamps = []Timestamper{downAuthority{}, w.authority}
	w.restart()
	must(w.attestation().Issue(t.Context(), req))(t)
	if w.log.Size() != 1 {
		t.Errorf("%d leaves, want 1", w.log.Size())
	}
}
