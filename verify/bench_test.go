package verify_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	sgverify "github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

// The benchmarks stand beside BenchmarkSignature, one raw P-256 verification, in
// the same run: the quotients are what to compare between machines.
//
//	go test -run '^$' -bench . -cpu 1 ./verify

// BenchmarkSignature is one ecdsa.VerifyASN1, the unit of the others.
func BenchmarkSignature(b *testing.B) {
	key := bundletest.NewKey(b)
	digest := sha256.Sum256([]byte("message"))
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], sig) {
			b.Fatal("refused")
		}
	}
}

// BenchmarkVerify is a buyer's verification of one bundle that the verifier has
// not seen, with a checkpoint that it has not seen.
func BenchmarkVerify(b *testing.B) {
	w := bundletest.NewWorld(b)
	v := newVerifier(b, w.TrustedRoot())
	inputs := make([]verify.Input, 512) // more checkpoints than a verifier keeps
	for i := range inputs {
		inputs[i] = input(w, w.IssueJSON(b, bundletest.Spec{Payload: bundletest.Statement(b, "no-backdoor")}))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if verdict := verdictOf(b, v, inputs[i%len(inputs)]); verdict.Outcome != verify.Accepted {
			b.Fatal(verdict.Failures())
		}
	}
}

// BenchmarkVerifyBundle is the service's check of a bundle before it answers.
func BenchmarkVerifyBundle(b *testing.B) {
	w := bundletest.NewWorld(b)
	bundles := make([][]byte, 512)
	for i := range bundles {
		bundles[i] = w.IssueJSON(b, bundletest.Spec{Payload: bundletest.Statement(b, "no-backdoor")})
	}
	b.Run("new-checkpoint", func(b *testing.B) { benchmarkVerifyBundle(b, w, bundles) })
	b.Run("known-checkpoint", func(b *testing.B) { benchmarkVerifyBundle(b, w, bundles[:1]) })
	statement, err := predicate.Parse(bundletest.Statement(b, "no-backdoor"), predicate.Issuance)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("known-statement-and-checkpoint", func(b *testing.B) { benchmarkVerifyBundle(b, w, bundles[:1], statement) })
}

func benchmarkVerifyBundle(b *testing.B, w *bundletest.World, bundles [][]byte, known ...*predicate.Statement) {
	v, signer := newVerifier(b, w.TrustedRoot()), pinned(w)[0]
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e, checks, err := v.VerifyBundle(b.Context(), bundles[i%len(bundles)], signer, known...)
		if err != nil || e == nil {
			b.Fatal(err, checks)
		}
	}
}

// BenchmarkSigstoreGo is plain sigstore-go on the same bundles: parse and verify
// with a trusted root that was parsed before.
func BenchmarkSigstoreGo(b *testing.B) {
	w := bundletest.NewWorld(b)
	raw := w.IssueJSON(b, bundletest.Spec{Payload: bundletest.Statement(b, "no-backdoor")})
	material := sigstoreMaterial(b, w.TrustedRoot(), &w.Vendor.PublicKey)
	b.ReportAllocs()
	for b.Loop() {
		if err := plainSigstore(raw, material); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParseTrust is what a caller pays once per trusted root.
func BenchmarkParseTrust(b *testing.B) {
	raw := bundletest.NewWorld(b).TrustedRoot()
	for b.Loop() {
		if _, err := verify.ParseTrust(raw); err != nil {
			b.Fatal(err)
		}
	}
}

// sigstoreMaterial is a trusted root and a pinned key as sigstore-go's own callers build it.
func sigstoreMaterial(tb testing.TB, trustedRoot []byte, key *ecdsa.PublicKey) root.TrustedMaterial {
	tb.Helper()
	tr, err := root.NewTrustedRootFromJSON(trustedRoot)
	if err != nil {
		tb.Fatal(err)
	}
	v, err := signature.LoadVerifier(key, crypto.SHA256)
	if err != nil {
		tb.Fatal(err)
	}
	return root.TrustedMaterialCollection{root.NewTrustedPublicKeyMaterialFromMapping(map[string]*root.ExpiringKey{
		bundletest.Hint(tb, key): root.NewExpiringKey(v, bundletest.Start, bundletest.Start.AddDate(10, 0, 0)),
	}), tr}
}

// plainSigstore is sigstore-go without avow: the oracle of the differential tests.
func plainSigstore(raw []byte, material root.TrustedMaterial) error {
	var parsed bundle.Bundle
	if err := parsed.UnmarshalJSON(raw); err != nil {
		return err
	}
	v, err := sgverify.NewVerifier(material, sgverify.WithTransparencyLog(1), sgverify.WithSignedTimestamps(1))
	if err != nil {
		return err
	}
	digest, err := hex.DecodeString(bundletest.ArtifactSHA256)
	if err != nil {
		return err
	}
	_, err = v.Verify(&parsed, sgverify.NewPolicy(sgverify.WithArtifactDigest("sha256", digest), sgverify.WithKey()))
	return err
}
