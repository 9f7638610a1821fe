package main

import (
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/result"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const acceptingPolicy = `
apiVersion: avow.dev/policy/v1
metadata: {name: house, version: "1", title: House rules, description: What this house asks for.}
rules:
  - id: some-flows
    title: Flows are listed
    description: The statement lists at least one flow.
    needs: [dataFlows]
    expression: size(dataFlows.flows) > 0
    message: no flow is listed
`

// TestVerifyWithPolicyAndSignedVerdict asks a running service for a verdict under a policy, as its own signed statement, and reads
// that as a buyer would, with the key that the service names.
func TestVerifyWithPolicyAndSignedVerdict(t *testing.T) {
	w := newWorld(t, t.TempDir())
	p := w.start()
	issued, err := w.issue(t.Context(), p, w.envelope())
	must(t, err)
	public, err := os.ReadFile(filepath.Join(w.dir, "vendor.pub"))
	must(t, err)
	verifier, trust := avowv1.NewVerificationServiceClient(p.conn), avowv1.NewTrustServiceClient(p.conn)
	request := func(policy string, form avowv1.SignedVerdictForm) *avowv1.VerifyRequest {
		return &avowv1.VerifyRequest{
			ArtifactSha256: subjectOf(t, issued.GetBundle()), Policy: []byte(policy), SignedVerdictForm: form,
			Bundles: []*avowv1.NamedBundle{{Name: "b", Bundle: issued.GetBundle()}},
			Signers: []*avowv1.SignerRequirement{{Signer: &avowv1.SignerRequirement_Key{
				Key: &avowv1.KeyRequirement{PublicKeyPem: string(public)}}}},
		}
	}
	answer, err := verifier.Verify(t.Context(), request(acceptingPolicy, avowv1.SignedVerdictForm_SIGNED_VERDICT_FORM_SVR))
	must(t, err)
	v := answer.GetVerdict()
	if v.GetOutcome() != avowv1.Outcome_OUTCOME_ACCEPTED || v.GetPolicy().GetName() != "house" || len(v.GetPolicy().GetRules()) != 1 {
		t.Fatalf("%s under %v", v.GetOutcome(), v.GetPolicy())
	}
	root, err := trust.GetTrustedRoot(t.Context(), &avowv1.GetTrustedRootRequest{})
	must(t, err)
	open := func(bundle []byte) (*result.Result, error) {
		key, err := attest.ParsePublicKey([]byte(root.GetVerdictKeyPem()))
		must(t, err)
		parsed, err := verify.ParseTrust(root.GetTrustedRoot())
		must(t, err)
		digest := policyDigestOf(t, acceptingPolicy)
		return result.Open(bundle, []result.Pinned{{Key: key, ID: root.GetVerifierId()}}, time.Now(), result.Expect{
			ArtifactSHA256: subjectOf(t, issued.GetBundle()), TrustedRoot: parsed.Digest(), Policy: &digest,
			Signers: []verify.Signer{{Key: &verify.Key{PublicKey: w.key.PublicKey()}}},
		})
	}
	if r, err := open(answer.GetSignedVerdict()); err != nil || !r.Accepted {
		t.Fatalf("the service's verdict is not taken: %v", err)
	}

	denying := strings.Replace(acceptingPolicy, "> 0", "> 100", 1)
	answer, err = verifier.Verify(t.Context(), request(denying, avowv1.SignedVerdictForm_SIGNED_VERDICT_FORM_SVR))
	must(t, err)
	if v := answer.GetVerdict(); v.GetOutcome() != avowv1.Outcome_OUTCOME_REJECTED || len(answer.GetSignedVerdict()) != 0 {
		t.Errorf("%s with a signed result of %d bytes", v.GetOutcome(), len(answer.GetSignedVerdict()))
	}
	answer, err = verifier.Verify(t.Context(), request(denying, avowv1.SignedVerdictForm_SIGNED_VERDICT_FORM_VSA))
	must(t, err)
	var refusal *result.Error
	if _, err := open(answer.GetSignedVerdict()); !errors.As(err, &refusal) || refusal.Code != result.CodeNotPassed {
		t.Errorf("a failed summary: %v", err)
	}

	_, err = verifier.Verify(t.Context(), request("rules: 7", avowv1.SignedVerdictForm_SIGNED_VERDICT_FORM_UNSPECIFIED))
	if s := status.Convert(err); s.Code() != codes.InvalidArgument || !strings.Contains(s.Message(), "policy.yaml:1") {
		t.Errorf("a policy that is none: %v", err)
	}
	past := request(acceptingPolicy, avowv1.SignedVerdictForm_SIGNED_VERDICT_FORM_SVR)
	past.At = timestamppb.New(time.Now().Add(-time.Hour))
	if _, err := verifier.Verify(t.Context(), past); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a signed verdict about the past: %v", err)
	}
}

// policyDigestOf is the digest of a policy as a buyer computes it.
func policyDigestOf(t *testing.T, text string) [32]byte {
	t.Helper()
	p, _, err := compilePolicy(t.Context(), []byte(text))
	must(t, err)
	digester, ok := p.(interface{ Digest() [32]byte })
	if !ok {
		t.Fatal("the policy has no digest")
	}
	return digester.Digest()
}

// TestServiceWithoutVerdictKey: a configuration from before there were signed verdicts still serves, and says that it signs none.
func TestServiceWithoutVerdictKey(t *testing.T) {
	w := newWorld(t, t.TempDir())
	path := filepath.Join(w.dir, configName)
	text, err := os.ReadFile(path)
	must(t, err)
	before, rest, _ := strings.Cut(string(text), "# Verdicts that this service signs")
	_, after, ok := strings.Cut(rest, "\n\n")
	if !ok {
		t.Fatal("the configuration has no paragraph on verdicts")
	}
	must(t, os.WriteFile(path, []byte(before+after), 0o644))
	must(t, os.Remove(w.config.path(w.config.Verdicts.Key)))
	p := w.start()
	root, err := avowv1.NewTrustServiceClient(p.conn).GetTrustedRoot(t.Context(), &avowv1.GetTrustedRootRequest{})
	must(t, err)
	if root.GetVerdictKeyPem() != "" || root.GetVerifierId() != "" {
		t.Errorf("names a key: %v", root)
	}
	_, err = avowv1.NewVerificationServiceClient(p.conn).Verify(t.Context(), &avowv1.VerifyRequest{
		ArtifactSha256: strings.Repeat("0", 64), SignedVerdictForm: avowv1.SignedVerdictForm_SIGNED_VERDICT_FORM_VSA,
	})
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a signed verdict without a key: %v", err)
	}
}

// TestVerdictKey: only a P-256 key that nobody else can read signs verdicts, and only under a URI.
func TestVerdictKey(t *testing.T) {
	w := newWorld(t, t.TempDir())
	path := w.config.path(w.config.Verdicts.Key)
	if _, err := w.config.verdictSigner(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, ed25519Key, err := newLogKey()
	must(t, err)
	good, err := os.ReadFile(path)
	must(t, err)
	block, _ := pem.Decode(good)
	for name, text := range map[string][]byte{
		"an ed25519 key": ed25519Key, "no PEM": []byte("x"), "a damaged key": pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes[1:]}),
	} {
		must(t, os.WriteFile(path, text, 0o600))
		if _, err := w.config.verdictSigner(t.Context()); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, os.WriteFile(path, good, 0o600))
	must(t, os.Chmod(path, 0o644))
	if _, err := w.config.verdictSigner(t.Context()); err == nil {
		t.Error("a key that everybody can read was taken")
	}
	c := *w.config
	c.Verdicts.VerifierID = "not a uri"
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "verdicts.verifierId") {
		t.Errorf("a verifier id that is no URI: %v", err)
	}
}
