package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/keyref"
	"github.com/avow-dev/avow/internal/testkms"
	"github.com/avow-dev/avow/server/vendors"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/result"
)

// keyService is a key management service with two keys, and the public half of each.
func keyService(t *testing.T) (dir string, public map[string][]byte) {
	t.Helper()
	dir, public = t.TempDir(), map[string][]byte{}
	t.Setenv(testkms.DirVariable, dir)
	for _, name := range []string{"acme", "verdicts"} {
		key, err := keyref.Create(t.Context(), "testkms://"+name, keyOptions())
		must(t, err)
		public[name], err = attest.MarshalPublicKey(key.PublicKey())
		must(t, err)
	}
	return dir, public
}

// TestKeysInAService: the running service signs a vendor's statement and its own verdict with keys that it does not hold.
func TestKeysInAService(t *testing.T) {
	_, public := keyService(t)
	w := newWorld(t, t.TempDir())
	yaml, err := os.ReadFile(filepath.Join(w.dir, configName))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(w.dir, configName), []byte(strings.Replace(string(yaml), `key: "keys/verdict.key"`,
		`key: "testkms://verdicts"`, 1)), 0o600))
	w.load()
	if w.config.Verdicts.Key != "testkms://verdicts" {
		t.Fatalf("verdicts.key is %q: the configuration has another form than this test knows", w.config.Verdicts.Key)
	}
	must(t, os.WriteFile(filepath.Join(w.dir, "kms.pub"), public["acme"], 0o600))
	bearer, hash, err := vendors.NewToken()
	must(t, err)
	must(t, os.WriteFile(w.config.path(w.config.Vendors), fmt.Appendf(nil, `vendors:
  - name: acme
    declarant: %q
    country: %s
    products: [%q]
    keys: [{file: %q}]
    tokens: [%q]
    signingKey: {reference: "testkms://acme"}
`, quickstartDeclarant, quickstartCountry, quickstartPackage, filepath.Join(w.dir, "kms.pub"), hash), 0o600))
	p := w.start()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+bearer)
	payload := w.envelope().Statement().Payload()
	issued, err := p.issuing.Issue(ctx, &avowv1.IssueRequest{Content: &avowv1.IssueRequest_UnsignedStatement{
		UnsignedStatement: &avowv1.UnsignedStatement{Statement: payload}}})
	must(t, err)
	answer, err := avowv1.NewVerificationServiceClient(p.conn).Verify(t.Context(), &avowv1.VerifyRequest{
		ArtifactSha256: subjectOf(t, issued.GetBundle()), SignedVerdictForm: avowv1.SignedVerdictForm_SIGNED_VERDICT_FORM_SVR,
		Bundles: []*avowv1.NamedBundle{{Name: "b", Bundle: issued.GetBundle()}},
		Signers: []*avowv1.SignerRequirement{{Signer: &avowv1.SignerRequirement_Key{
			Key: &avowv1.KeyRequirement{PublicKeyPem: string(public["acme"])}}}},
	})
	must(t, err)
	if answer.GetVerdict().GetOutcome() != avowv1.Outcome_OUTCOME_ACCEPTED {
		t.Fatalf("the bundle is not accepted: %v", answer.GetVerdict())
	}
	key, err := attest.ParsePublicKey(public["verdicts"])
	must(t, err)
	signer, err := attest.ParsePublicKey(public["acme"])
	must(t, err)
	id, err := result.KeyVerifierID(key)
	must(t, err)
	root, err := os.ReadFile(w.config.path(w.config.TrustedRoot))
	must(t, err)
	trust, err := verify.ParseTrust(root)
	must(t, err)
	r, err := result.Open(answer.GetSignedVerdict(), []result.Pinned{{Key: key, ID: id}}, time.Now(), result.Expect{
		ArtifactSHA256: subjectOf(t, issued.GetBundle()), TrustedRoot: trust.Digest(),
		Signers: []verify.Signer{{Key: &verify.Key{PublicKey: signer}}}})
	if err != nil || !r.Accepted {
		t.Errorf("the verdict is not by the service's key: %v", err)
	}
}

// TestSigningKeyIsOpenedAnew: a key is opened once, and again after a signature that was not made.
func TestSigningKeyIsOpenedAnew(t *testing.T) {
	dir, _ := keyService(t)
	keys, ref := newSigningKeys(), &vendors.SigningKey{Reference: "testkms://acme"}
	open := func() attest.Signer {
		t.Helper()
		signer, err := keys.open(t.Context(), ref)
		must(t, err)
		return signer
	}
	first := open()
	if open() != first {
		t.Error("the key is opened for each statement")
	}
	lie := filepath.Join(dir, testkms.LieFile)
	must(t, os.WriteFile(lie, []byte(testkms.Rotated), 0o600))
	_, err := first.SignDigest(t.Context(), [32]byte{1})
	var refused *keyref.Error
	if !errors.As(err, &refused) || refused.Code != keyref.CodeKeyChanged {
		t.Fatalf("%v, want %s", err, keyref.CodeKeyChanged)
	}
	must(t, os.Remove(lie))
	second := open()
	if second == first || second.PublicKey().Equal(first.PublicKey()) {
		t.Error("the key that is no more is still the one that is used")
	}
	if _, err := second.SignDigest(t.Context(), [32]byte{1}); err != nil {
		t.Error(err)
	}
	if _, err := keys.open(t.Context(), &vendors.SigningKey{Reference: "testkms://nobody"}); err == nil || hintOf(err) == "" {
		t.Errorf("a key that is not there: %v, hint %q", err, hintOf(err))
	}
}
