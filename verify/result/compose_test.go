package result

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	vsav1 "github.com/in-toto/attestation/go/predicates/vsa/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

// TestComposeRefuses: what is signed is believed elsewhere, so a verdict that
// does not belong to the inputs, or contradicts itself, is not signed.
func TestComposeRefuses(t *testing.T) {
	for name, change := range map[string]func(v *verify.Verdict, in *Inputs, form *Form){
		"another artifact":        func(_ *verify.Verdict, in *Inputs, _ *Form) { in.ArtifactSHA256 = bundletest.OtherSHA256 },
		"no artifact":             func(_ *verify.Verdict, in *Inputs, _ *Form) { in.ArtifactSHA256 = "" },
		"no trusted root":         func(_ *verify.Verdict, in *Inputs, _ *Form) { in.TrustedRoot = [32]byte{} },
		"no time":                 func(_ *verify.Verdict, in *Inputs, _ *Form) { in.VerifiedAt = time.Time{} },
		"no lifetime":             func(_ *verify.Verdict, in *Inputs, _ *Form) { in.Lifetime = 0 },
		"less than a second":      func(_ *verify.Verdict, in *Inputs, _ *Form) { in.Lifetime = time.Second - 1 },
		"negative lifetime":       func(_ *verify.Verdict, in *Inputs, _ *Form) { in.Lifetime = -time.Hour },
		"too long":                func(_ *verify.Verdict, in *Inputs, _ *Form) { in.Lifetime = MaxLifetime + time.Second },
		"no verifier":             func(_ *verify.Verdict, in *Inputs, _ *Form) { in.VerifierID = "" },
		"verifier without scheme": func(_ *verify.Verdict, in *Inputs, _ *Form) { in.VerifierID = "buyer.example" },
		"scheme in upper case":    func(_ *verify.Verdict, in *Inputs, _ *Form) { in.VerifierID = "HTTPS://buyer.example" },
		"host in upper case":      func(_ *verify.Verdict, in *Inputs, _ *Form) { in.VerifierID = "https://Buyer.example" },
		"verifier with line":      func(_ *verify.Verdict, in *Inputs, _ *Form) { in.VerifierID = "https://buyer.example/\n" },
		"only a scheme":           func(_ *verify.Verdict, in *Inputs, _ *Form) { in.VerifierID = "https:" },
		"version is not UTF-8":    func(_ *verify.Verdict, in *Inputs, _ *Form) { in.VerifierVersion = "\xff" },
		"long version": func(_ *verify.Verdict, in *Inputs, _ *Form) {
			in.VerifierVersion = strings.Repeat("x", predicate.MaxStringBytes+1)
		},
		"no form":                 func(_ *verify.Verdict, _ *Inputs, form *Form) { *form = "" },
		"accepted by nothing":     func(v *verify.Verdict, _ *Inputs, _ *Form) { *v = verify.Verdict{Outcome: verify.Accepted} },
		"nothing counts":          func(v *verify.Verdict, _ *Inputs, _ *Form) { v.Bundles = nil },
		"accepted with a failure": func(v *verify.Verdict, _ *Inputs, _ *Form) { v.Checks[3].Status = verify.StatusFail },
		"no root hash":            func(v *verify.Verdict, _ *Inputs, _ *Form) { v.Evidence[0].RootHash = nil },
		"no timestamp":            func(v *verify.Verdict, _ *Inputs, _ *Form) { v.Evidence[0].Timestamps = nil },
		"no statement":            func(v *verify.Verdict, _ *Inputs, _ *Form) { v.Evidence[0].Statement = nil },
		"no statement id":         func(v *verify.Verdict, _ *Inputs, _ *Form) { v.Evidence[0].StatementID = "" },
		"policy without digest": func(v *verify.Verdict, _ *Inputs, _ *Form) {
			v.Policy = &verify.PolicyResult{Name: "p", Rules: []verify.RuleResult{{ID: "r", Passed: true}}}
		},
		"policy without rule": func(v *verify.Verdict, _ *Inputs, _ *Form) {
			v.Policy = &verify.PolicyResult{Name: "p", Digest: [32]byte{1}}
		},
		"policy not met": func(v *verify.Verdict, _ *Inputs, _ *Form) {
			v.Policy = &verify.PolicyResult{Name: "p", Digest: [32]byte{1}, Rules: []verify.RuleResult{{ID: "r"}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, form := range []Form{SVR, VSA} {
				w := newWorld(t)
				verdict, in := w.verdict(), w.inputs
				change(verdict, &in, &form)
				if s, err := Compose(verdict, in, form); s != nil || !errors.Is(err, verify.ErrInput) {
					t.Errorf("%s: got %v, %v; want an error that wraps ErrInput", form, s, err)
				}
			}
		})
	}
	if _, err := Compose(nil, newWorld(t).inputs, SVR); !errors.Is(err, verify.ErrInput) {
		t.Errorf("no verdict: got %v, want an error that wraps ErrInput", err)
	}
}

// TestZeroVerdict: what was not evaluated is a rejection, in every form.
func TestZeroVerdict(t *testing.T) {
	w := newWorld(t)
	var refusal *Error
	if _, err := Compose(&verify.Verdict{}, w.inputs, SVR); !errors.As(err, &refusal) || refusal.Code != CodeNotPassed {
		t.Errorf("svr: got %v, want %s", err, CodeNotPassed)
	}
	bundle, err := Sign(t.Context(), &verify.Verdict{}, w.inputs, VSA, w.buyer)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.open(bundle, w.expect()); got != "VERDICT_NOT_PASSED" {
		t.Errorf("vsa: got %s, want VERDICT_NOT_PASSED", got)
	}
}

// TestLifetimeEndsWithStatements: a verdict does not outlive what it builds on.
func TestLifetimeEndsWithStatements(t *testing.T) {
	w := newWorld(t)
	statement := bundletest.Statement(t, "data-flows", `"notAfter": "2027-09-01T09:00:00Z"`, `"notAfter": "2026-09-01T12:00:00Z"`)
	w.input.Bundles[1].Data = w.IssueJSON(t, bundletest.Spec{Payload: statement})
	bundle := w.sign(SVR)
	end := time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	r, err := Open(bundle, w.buyer.pinned(), end.Add(-time.Second), w.expect())
	if err != nil {
		t.Fatal(err)
	}
	if !r.ValidUntil.Equal(end) {
		t.Errorf("valid until %s, want %s", r.ValidUntil, end)
	}
	if got := outcome(t, bundle, w.buyer.pinned(), end, w.expect()); got != "VERDICT_EXPIRED" {
		t.Errorf("at the statement's end: got %s, want VERDICT_EXPIRED", got)
	}
}

// TestIdentity: a signer that a certificate vouches for is pinned by its identity, not by its short-lived key.
func TestIdentity(t *testing.T) {
	w := newWorld(t)
	const san, issuer = "release@example.test", "https://issuer.example.test"
	key := bundletest.NewKey(t)
	cert := w.CA.Certify(t, &key.PublicKey, san, issuer, bundletest.Epoch.Add(-time.Minute), bundletest.Epoch.Add(9*time.Minute), nil)
	w.input.Signers = []verify.Signer{{Identity: &verify.Identity{SAN: san, Issuer: issuer}}}
	w.input.Bundles = []verify.NamedBundle{{Data: w.IssueJSON(t,
		bundletest.Spec{Payload: bundletest.Statement(t, "data-flows"), Key: key, Certificate: cert})}}
	bundle, expect := w.sign(SVR), w.expect()
	for want, signer := range map[string]verify.Signer{
		"accepted":               w.input.Signers[0],
		"VERDICT_SIGNER_DIFFERS": {Key: &verify.Key{PublicKey: &key.PublicKey}},
	} {
		expect.Signers = []verify.Signer{signer}
		if got := w.open(bundle, expect); got != want {
			t.Errorf("signer %+v: got %s, want %s", signer, got, want)
		}
	}
	expect.Signers = []verify.Signer{{Identity: &verify.Identity{SAN: san, Issuer: issuer + "/"}}}
	if got := w.open(bundle, expect); got != "VERDICT_SIGNER_DIFFERS" {
		t.Errorf("another issuer: got %s, want VERDICT_SIGNER_DIFFERS", got)
	}
}

// TestOnlyWhatCountsIsPinned: a superseded statement is no reason to accept.
func TestOnlyWhatCountsIsPinned(t *testing.T) {
	w := newWorld(t)
	verdict := w.verdict()
	verdict.Bundles[0].Use = verify.UseSuperseded
	bundle, err := Sign(t.Context(), verdict, w.inputs, SVR, w.buyer)
	if err != nil {
		t.Fatal(err)
	}
	expect := w.expect()
	expect.RequiredTypes = []string{predicate.NoBackdoorType}
	if got := w.open(bundle, expect); got != "VERDICT_TYPES_DIFFER" {
		t.Errorf("got %s, want VERDICT_TYPES_DIFFER", got)
	}
}

// TestNoDeclaration: a verdict about an assessment alone is none about the artifact.
func TestNoDeclaration(t *testing.T) {
	w := newWorld(t)
	w.input.RequiredTypes = []string{predicate.AssessmentType}
	w.inputs.VerifiedAt = time.Date(2026, 9, 15, 12, 0, 0, 0, time.UTC)
	w.input.Bundles = []verify.NamedBundle{{Data: w.IssueJSON(t,
		bundletest.Spec{Payload: bundletest.Statement(t, "assessment"), At: w.inputs.VerifiedAt})}}
	bundle, expect := w.sign(VSA), w.expect()
	if got := outcome(t, bundle, w.buyer.pinned(), w.inputs.VerifiedAt, expect); got != "VERDICT_TYPES_DIFFER" {
		t.Errorf("any declaration: got %s, want VERDICT_TYPES_DIFFER", got)
	}
	expect.RequiredTypes = w.input.RequiredTypes
	if got := outcome(t, bundle, w.buyer.pinned(), w.inputs.VerifiedAt, expect); got != "accepted" {
		t.Errorf("an assessment: got %s, want accepted", got)
	}
}

// TestUpstreamTypes: the statements are what in-toto's own types read.
func TestUpstreamTypes(t *testing.T) {
	w := newWorld(t)
	w.input.Policy = policyOf("strict", true)
	for _, form := range []Form{SVR, VSA} {
		var b bundle.Bundle
		if err := b.UnmarshalJSON(w.sign(form)); err != nil {
			t.Fatalf("%s: sigstore-go: %v", form, err)
		}
		signed := payload(t, w.sign(form))
		var s intoto.Statement
		if err := protojson.Unmarshal(signed, &s); err != nil {
			t.Fatalf("%s: %v", form, err)
		}
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", form, err)
		}
		for _, policy := range s.GetPredicate().GetFields()["verifier"].GetStructValue().GetFields()["policies"].GetListValue().GetValues() {
			validDescriptor(t, policy)
		}
	}
	var s struct{ Predicate json.RawMessage }
	if err := json.Unmarshal(payload(t, w.sign(VSA)), &s); err != nil {
		t.Fatal(err)
	}
	var summary vsav1.VerificationSummary
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(s.Predicate, &summary); err != nil {
		t.Fatal(err)
	}
	if summary.GetVerifier().GetId() != buyerID || !summary.GetTimeVerified().AsTime().Equal(now) ||
		summary.GetPolicy().GetUri() == "" || len(summary.GetPolicy().GetDigest()["sha256"]) != 64 || summary.GetResourceUri() == "" ||
		len(summary.GetInputAttestations()) != 2 || summary.GetVerificationResult() != "PASSED" ||
		!slices.Contains(summary.GetVerifiedLevels(), "AVOW_POLICY_MET") {
		t.Errorf("got %v", &summary)
	}
}

func validDescriptor(t *testing.T, v json.Marshaler) {
	t.Helper()
	data, err := v.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var d intoto.ResourceDescriptor
	if err := protojson.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	if err := d.Validate(); err != nil {
		t.Error(err)
	}
}

// TestTimestamps: tokens are over the signature, carried as they are, and at most four.
func TestTimestamps(t *testing.T) {
	w := newWorld(t)
	statement, err := Compose(w.verdict(), w.inputs, SVR)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := statement.Sign(t.Context(), w.buyer)
	if err != nil {
		t.Fatal(err)
	}
	token := w.TSA.Stamp(t, signed.Signature(), now, bundletest.StampOptions{})
	stamped, err := signed.Bundle(token)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.open(stamped, w.expect()); got != "accepted" {
		t.Errorf("got %s, want accepted", got)
	}
	var b bundle.Bundle
	if err := b.UnmarshalJSON(stamped); err != nil {
		t.Fatal(err)
	}
	if tokens, err := b.Timestamps(); err != nil || len(tokens) != 1 || !bytes.Equal(tokens[0], token) {
		t.Errorf("sigstore-go reads %d timestamps, %v; want the one", len(tokens), err)
	}
	for name, tokens := range map[string][][]byte{"empty": {nil}, "five": {token, token, token, token, token}} {
		if _, err := signed.Bundle(tokens...); !errors.Is(err, verify.ErrInput) {
			t.Errorf("%s: got %v, want an error that wraps ErrInput", name, err)
		}
	}
}

// halves is a signer whose two halves do not belong together.
type halves struct {
	buyer
	public *ecdsa.PublicKey
}

func (h halves) PublicKey() *ecdsa.PublicKey { return h.public }

// broken is a signer that does not answer.
type broken struct{ buyer }

var errUnavailable = errors.New("key service unavailable")

func (broken) SignDigest(context.Context, [32]byte) ([]byte, error) { return nil, errUnavailable }

func TestSigners(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		signer Signer
		want   error
	}{
		"halves": {halves{w.buyer, newBuyer(t).PublicKey()}, verify.ErrInput},
		"no key": {halves{w.buyer, nil}, verify.ErrInput},
		"broken": {broken{w.buyer}, errUnavailable},
	} {
		for _, id := range []string{buyerID, ""} {
			w.inputs.VerifierID = id
			if b, err := Sign(t.Context(), w.verdict(), w.inputs, SVR, c.signer); b != nil || !errors.Is(err, c.want) {
				t.Errorf("%s: got %s, %v; want %v", name, b, err, c.want)
			}
		}
	}
}
