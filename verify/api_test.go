package verify_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

// TestEvidence reads the facts of an accepted bundle.
func TestEvidence(t *testing.T) {
	w := bundletest.NewWorld(t)
	payload := bundletest.Statement(t, "no-backdoor")
	b := w.Issue(t, bundletest.Spec{Payload: payload, After: 2, TSAs: []*bundletest.TSA{w.TSA, w.Foreign},
		Times: []time.Time{bundletest.Epoch.Add(time.Minute), bundletest.Epoch}})
	in := input(w, bundletest.JSON(t, b))
	in.Bundles[0].Name = "release"
	verdict := verdictOf(t, newVerifier(t, w.TrustedRoot()), in)
	if verdict.Outcome != verify.Accepted || len(verdict.Evidence) != 1 {
		t.Fatal(verdict.Failures())
	}
	e, entry := verdict.Evidence[0], b.GetVerificationMaterial().GetTlogEntries()[0]
	for name, ok := range map[string]bool{
		"bundle": e.Bundle == "release" && verdict.Bundles[0] == verify.BundleResult{Name: "release",
			Outcome: verify.Accepted, Use: verify.UseCounts},
		"statement id": e.StatementID == fmt.Sprintf("sha256:%x", sha256.Sum256(payload)),
		"statement":    e.Statement.Type == predicate.NoBackdoorType && e.Statement.NoBackdoor != nil,
		"signer":       e.Signer.Name == "vendor" && e.Signer.Key.PublicKey.Equal(&w.Vendor.PublicKey),
		"key id":       strings.HasPrefix(e.KeyID, "sha256:") && len(e.KeyID) == 71,
		"log":          e.LogOrigin == w.Log.Origin && bytes.Equal(e.LogID, w.Log.ID()),
		"place":        int64(e.LogIndex) == entry.GetLogIndex() && int64(e.TreeSize) == w.Log.Size() && bytes.Equal(e.RootHash, w.Log.Root()),
		"timestamps": slices.Equal(e.Timestamps, []verify.Timestamp{
			{Time: bundletest.Epoch.Add(time.Minute), Authority: w.TSA.URI}, {Time: bundletest.Epoch, Authority: w.Foreign.URI},
		}),
		"signed by": e.SignedBy.Equal(bundletest.Epoch),
		"subject":   e.SubjectName == "example-tool-1.2.3.tar.gz",
	} {
		if !ok {
			t.Errorf("%s is wrong: %+v", name, e)
		}
	}
}

// TestVerifyBundle is the service's view: no artifact, no policy, no date.
func TestVerifyBundle(t *testing.T) {
	w := bundletest.NewWorld(t)
	v := newVerifier(t, w.TrustedRoot())
	signer := pinned(w)[0]
	for _, statement := range []string{"no-backdoor", "data-flows", "undertakings", "withdrawal", "assessment"} {
		e, checks, err := v.VerifyBundle(t.Context(),
			w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, statement)}), signer)
		if err != nil || e == nil || e.SubjectName != "" {
			t.Errorf("%s: %+v, %v, %v", statement, e, checks, err)
		}
	}
	b := w.Issue(t, bundletest.Spec{Payload: bundletest.Statement(t, "no-backdoor")})
	raw := bundletest.JSON(t, b)
	parse := func(name string) *predicate.Statement {
		t.Helper()
		s, err := predicate.Parse(bundletest.Statement(t, name), predicate.Issuance)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	same, other := parse("no-backdoor"), parse("data-flows")
	if e, checks, err := v.VerifyBundle(t.Context(), raw, signer, nil, other, same); err != nil || e == nil || e.Statement != same {
		t.Errorf("with the caller's parse: %+v, %v, %v", e, checks, err)
	}
	e, _, err := v.VerifyBundle(t.Context(), raw, signer, other, &predicate.Statement{})
	if err != nil || e == nil || e.Statement == other || e.StatementID != same.ID() {
		t.Errorf("with the parse of another statement: %+v, %v", e, err)
	}
	b.GetDsseEnvelope().Payload[0]++
	e, checks, err := v.VerifyBundle(t.Context(), bundletest.JSON(t, b), signer, same)
	if err != nil || e != nil {
		t.Errorf("a changed statement: %+v, %v", e, err)
	}
	i := slices.IndexFunc(checks, func(c verify.Check) bool { return c.Status == verify.StatusFail })
	if i < 0 || checks[i].ID != verify.CheckSignature {
		t.Errorf("got %v, want a failure of %s", checks, verify.CheckSignature)
	}
	for _, c := range checks[i+1:] {
		if c.Status != verify.StatusSkipped {
			t.Errorf("%s after the failure is %s, want skipped", c.ID, c.Status)
		}
	}
	if _, _, err := v.VerifyBundle(t.Context(), nil, verify.Signer{}); !errors.Is(err, verify.ErrInput) {
		t.Errorf("no signer: %v", err)
	}
}

// TestIndependentChecks: what does not build on each other is all reported.
func TestIndependentChecks(t *testing.T) {
	w := bundletest.NewWorld(t)
	in := input(w, w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "no-backdoor", `"country": "DE",
     "controlledFrom"`, `"country": "XX",
     "controlledFrom"`)}))
	in.ArtifactSHA256, in.At = bundletest.OtherSHA256, bundletest.Epoch.AddDate(2, 0, 0)
	var got []verify.CheckID
	for _, c := range verdictOf(t, newVerifier(t, w.TrustedRoot()), in).Failures() {
		got = append(got, c.ID)
	}
	want := []verify.CheckID{
		verify.CheckSubject, verify.CheckStatementRules, verify.CheckValidity, verify.CheckBundlesGiven, verify.CheckRequiredTypes,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestInputErrors: what is the caller's mistake is an error, not a verdict.
func TestInputErrors(t *testing.T) {
	w := bundletest.NewWorld(t)
	v := newVerifier(t, w.TrustedRoot())
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := pinned(w)[0].Key
	for name, change := range map[string]func(*verify.Input){
		"no artifact":           func(in *verify.Input) { in.ArtifactSHA256 = "" },
		"short digest":          func(in *verify.Input) { in.ArtifactSHA256 = in.ArtifactSHA256[:62] },
		"upper-case digest":     func(in *verify.Input) { in.ArtifactSHA256 = strings.ToUpper(in.ArtifactSHA256) },
		"digest with algorithm": func(in *verify.Input) { in.ArtifactSHA256 = "sha256:" + in.ArtifactSHA256 },
		"no signers":            func(in *verify.Input) { in.Signers = nil },
		"empty signer":          func(in *verify.Input) { in.Signers[0] = verify.Signer{} },
		"key without a key":     func(in *verify.Input) { in.Signers[0].Key = &verify.Key{} },
		"P-384 key":             func(in *verify.Input) { in.Signers[0].Key = &verify.Key{PublicKey: &p384.PublicKey} },
		"identity and key": func(in *verify.Input) {
			in.Signers[0] = verify.Signer{Key: key, Identity: &verify.Identity{SAN: "x", Issuer: "y"}}
		},
		"identity without issuer": func(in *verify.Input) { in.Signers[0] = verify.Signer{Identity: &verify.Identity{SAN: "x"}} },
		"identity without SAN":    func(in *verify.Input) { in.Signers[0] = verify.Signer{Identity: &verify.Identity{Issuer: "x"}} },
		"too many signers":        func(in *verify.Input) { in.Signers = slices.Repeat(in.Signers, verify.MaxSigners+1) },
		"too many bundles":        func(in *verify.Input) { in.Bundles = make([]verify.NamedBundle, verify.MaxBundles+1) },
		"unknown type":            func(in *verify.Input) { in.RequiredTypes = []string{"https://slsa.dev/provenance/v1"} },
		"too many timestamps":     func(in *verify.Input) { in.MinTimestamps = verify.MaxTimestamps + 1 },
		"negative timestamps":     func(in *verify.Input) { in.MinTimestamps = -1 },
		"ambiguous names":         func(in *verify.Input) { in.Bundles = []verify.NamedBundle{{Name: "#2"}, {}} },
	} {
		in := input(w, []byte("{}"))
		change(&in)
		if verdict, err := v.Verify(t.Context(), in); !errors.Is(err, verify.ErrInput) || verdict != nil {
			t.Errorf("%s: got %v, %v", name, verdict, err)
		}
	}
	if _, err := verify.New(verify.Config{}); !errors.Is(err, verify.ErrInput) {
		t.Errorf("no trust: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Verify(ended, input(w, []byte("{}"))); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: %v", err)
	}
}

// TestNames gives every bundle a name of its own in the verdict.
func TestNames(t *testing.T) {
	w := bundletest.NewWorld(t)
	in := input(w)
	in.Bundles = []verify.NamedBundle{{Name: "a"}, {Name: "a"}, {}}
	var got []string
	for _, b := range verdictOf(t, newVerifier(t, w.TrustedRoot()), in).Bundles {
		got = append(got, b.Name)
	}
	if !slices.Equal(got, []string{"a", "#2", "#3"}) {
		t.Errorf("got %v", got)
	}
}

// TestSignerWindows: of several requirements on one key, one whose window covers
// the timestamps is enough, and the evidence says which.
func TestSignerWindows(t *testing.T) {
	w := bundletest.NewWorld(t)
	in := input(w, w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "no-backdoor")}))
	retired := verify.Signer{Name: "retired",
		Key: &verify.Key{PublicKey: &w.Vendor.PublicKey, NotAfter: bundletest.Epoch.Add(-time.Hour)}}
	in.Signers = []verify.Signer{retired, in.Signers[0]}
	verdict := verdictOf(t, newVerifier(t, w.TrustedRoot()), in)
	if verdict.Outcome != verify.Accepted || verdict.Evidence[0].Signer.Name != "vendor" {
		t.Errorf("got %s, %v", verdict.Outcome, verdict.Failures())
	}
}

// TestConcurrentUse shares one verifier, and what it remembers, between callers.
func TestConcurrentUse(t *testing.T) {
	w := bundletest.NewWorld(t)
	v := newVerifier(t, w.TrustedRoot())
	good := input(w, w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "no-backdoor"), TSAs: []*bundletest.TSA{w.TSA, w.Foreign}}))
	bad := input(w, w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "no-backdoor"), StampMessage: []byte("x")}))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10 {
				if got := verdictOf(t, v, good).Outcome; got != verify.Accepted {
					t.Error("good: rejected")
				}
				if got := verdictOf(t, v, bad).Outcome; got != verify.Rejected {
					t.Error("bad: accepted")
				}
			}
		})
	}
	all.Wait()
}

// TestVerifySigstoreInput: a wrong question is not a verdict about the bundle.
func TestVerifySigstoreInput(t *testing.T) {
	w := bundletest.NewWorld(t)
	trust, err := verify.ParseTrust(w.TrustedRoot())
	if err != nil {
		t.Fatal(err)
	}
	good := verify.SigstoreInput{
		Bundle: w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "no-backdoor")}), Trust: trust,
		Key: &w.Vendor.PublicKey, Digest: bytes.Repeat([]byte{1}, 32), DigestAlgorithm: "sha256",
	}
	for name, change := range map[string]func(*verify.SigstoreInput){
		"no trust":            func(in *verify.SigstoreInput) { in.Trust = nil },
		"nobody":              func(in *verify.SigstoreInput) { in.Key = nil },
		"key and identity":    func(in *verify.SigstoreInput) { in.Identity = &verify.Identity{SAN: "x", Issuer: "y"} },
		"half an identity":    func(in *verify.SigstoreInput) { in.Key, in.Identity = nil, &verify.Identity{SAN: "x"} },
		"unusable key":        func(in *verify.SigstoreInput) { in.Key = "key" },
		"nothing":             func(in *verify.SigstoreInput) { in.Digest = nil },
		"artifact and digest": func(in *verify.SigstoreInput) { in.Artifact = strings.NewReader("x") },
		"digest of what":      func(in *verify.SigstoreInput) { in.DigestAlgorithm = "" },
	} {
		in := good
		change(&in)
		if err := verify.VerifySigstore(t.Context(), in); !errors.Is(err, verify.ErrInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := verify.VerifySigstore(t.Context(), good); err == nil || errors.Is(err, verify.ErrInput) {
		t.Errorf("another artifact: %v", err)
	}
	good.Bundle = bytes.Repeat([]byte("["), verify.MaxSigstoreBundleBytes)
	if err := verify.VerifySigstore(t.Context(), good); err == nil {
		t.Error("too deep: accepted")
	}
	good.Bundle = append(good.Bundle, '[')
	if err := verify.VerifySigstore(t.Context(), good); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("too large: %v", err)
	}
}

// TestWords: a failure says what was expected, a hint fits what the caller did, and one is not plural.
func TestWords(t *testing.T) {
	w := bundletest.NewWorld(t)
	trust, err := verify.ParseTrust(w.TrustedRoot())
	if err != nil {
		t.Fatal(err)
	}
	bundle := w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "no-backdoor")})
	early, later := bundletest.Start, bundletest.Epoch.Add(time.Hour)
	for name, c := range map[string]struct {
		clock, at time.Time
		bundle    string
		id        verify.CheckID
		want      string // in one of the check's texts
	}{
		"nothing required, nothing accepted": {later, time.Time{}, "{}", verify.CheckRequiredTypes, "at least one declaration"},
		"the clock is wrong":                 {early, time.Time{}, string(bundle), verify.CheckTimestampAgreement, "this machine's clock"},
		"the given time is wrong":            {later, early, string(bundle), verify.CheckTimestampAgreement, "was given"},
		"one timestamp":                      {later, later, string(bundle), verify.CheckTimestampCount, "1 timestamp"},
		"one authority":                      {later, later, string(bundle), verify.CheckTimestampAuthorities, "1 authority"},
		"one bundle":                         {later, later, string(bundle), verify.CheckBundlesGiven, "1 of 1 bundle accepted"},
	} {
		v, err := verify.New(verify.Config{Trust: trust, Clock: func() time.Time { return c.clock }})
		if err != nil {
			t.Fatal(err)
		}
		verdict, err := v.Verify(t.Context(), verify.Input{ArtifactSHA256: bundletest.ArtifactSHA256, At: c.at,
			Bundles: []verify.NamedBundle{{Name: "b", Data: []byte(c.bundle)}},
			Signers: []verify.Signer{{Key: &verify.Key{PublicKey: &w.Vendor.PublicKey}}}})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(verdict.Checks, func(check verify.Check) bool { return check.ID == c.id })
		if got := verdict.Checks[i]; got.Expected != c.want && got.Detail != c.want && !strings.Contains(got.Hint, c.want) {
			t.Errorf("%s: got %+v, want %q", name, got, c.want)
		}
	}
}

// TestEstablished: only a verifier that accepted establishes facts, and what a caller does to a verdict cannot make any.
func TestEstablished(t *testing.T) {
	w := bundletest.NewWorld(t)
	v := newVerifier(t, w.TrustedRoot())
	in := input(w, w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows")}))
	accepted := verdictOf(t, v, in)
	facts, ok := accepted.Established()
	if !ok || facts.ArtifactSHA256 != in.ArtifactSHA256 || facts.At.IsZero() || len(facts.Evidence) != 1 || facts.Evidence[0].StatementID != accepted.Evidence[0].StatementID {
		t.Fatalf("%v %+v", ok, facts)
	}
	facts.Evidence[0].StatementID = "changed"
	accepted.Evidence[0].StatementID = "changed"
	if again, ok := accepted.Established(); !ok || again.Evidence[0].StatementID == "changed" {
		t.Errorf("what was established changes with a copy: %v %+v", ok, again)
	}
	in.ArtifactSHA256 = bundletest.OtherSHA256
	rejected := verdictOf(t, v, in)
	turned, back := *rejected, *accepted
	turned.Outcome, back.Outcome = verify.Accepted, verify.Rejected
	for name, verdict := range map[string]*verify.Verdict{"nil": nil, "zero": {}, "written": {Outcome: verify.Accepted, Evidence: accepted.Evidence},
		"rejected": rejected, "turned to accepted": &turned, "turned to rejected": &back} {
		if facts, ok := verdict.Established(); ok || facts.Evidence != nil {
			t.Errorf("%s: establishes %+v", name, facts)
		}
	}
}
