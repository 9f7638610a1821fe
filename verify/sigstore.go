package verify

import (
	"bytes"
	"crypto"
	"errors"
	"io"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	sgverify "github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	sigoptions "github.com/sigstore/sigstore/pkg/signature/options"
)

// checkSigstore is the second opinion: sigstore-go itself, from the raw bytes
// of the bundle and with its own parsers, under the same trust and
// requirements. The checks before it are stricter and give the readable reasons;
// this one makes it true by construction that what sigstore-go refuses is refused
// here. It recalls two things from them, what this run verified a moment ago by
// the same functions, and only for the same bytes: the timestamps (see
// [askedAuthority]) and the pinned key's signature (see [askedKey]).
func (r *run) checkSigstore() Check {
	if !r.subjectFound {
		return Check{Status: StatusSkipped, Detail: "not asked about an artifact that is not a subject"}
	}
	if err := r.askSigstore(); err != nil {
		return fail("acceptance by sigstore-go", "", err.Error(), hintForged)
	}
	return pass("sigstore-go accepts it")
}

func (r *run) askSigstore() error {
	var b bundle.Bundle
	if err := b.UnmarshalJSON(r.data); err != nil {
		return err
	}
	var material root.TrustedMaterial = &recallingMaterial{TrustedMaterial: r.v.trust.material, run: r}
	policy := []sgverify.PolicyOption{sgverify.WithKey()}
	options := []sgverify.VerifierOption{
		sgverify.WithTransparencyLog(1), sgverify.WithSignedTimestamps(r.req.minTimestamps),
		// The result is not looked at, so its tree of the predicate need not be
		// made. What that would refuse, CheckStatementFormat has refused: see
		// FuzzStatementReaders.
		sgverify.WithoutStatementPredicate(),
	}
	if r.cert == nil {
		keys, err := r.keyMaterial()
		if err != nil {
			return err
		}
		material = root.TrustedMaterialCollection{keys, material}
	} else {
		if len(material.CTLogs()) > 0 {
			options = append(options, sgverify.WithSignedCertificateTimestamps(1))
		}
		id, err := sgverify.NewShortCertificateIdentity(r.signer.Identity.Issuer, "", r.signer.Identity.SAN, "")
		if err != nil {
			return err
		}
		policy = []sgverify.PolicyOption{sgverify.WithCertificateIdentity(id)}
	}
	v, err := sgverify.NewVerifier(material, options...)
	if err != nil {
		return err
	}
	_, err = v.Verify(&entity{Bundle: &b}, sgverify.NewPolicy(sgverify.WithArtifactDigest("sha256", r.req.digest), policy...))
	return err
}

// entity is a bundle that takes its envelope apart once, and not each time that
// sigstore-go asks for it.
type entity struct {
	*bundle.Bundle
	signature sgverify.SignatureContent
}

// SignatureContent returns the bundle's own answer.
func (e *entity) SignatureContent() (content sgverify.SignatureContent, err error) {
	if e.signature == nil {
		e.signature, err = e.Bundle.SignatureContent()
	}
	return e.signature, err
}

// keyMaterial is the signer's pinned key in sigstore-go's terms: found by its
// hint alone, and only in its window.
func (r *run) keyMaterial() (*root.TrustedPublicKeyMaterial, error) {
	key := r.signer.Key
	v, err := signature.LoadVerifier(key.PublicKey, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return root.NewTrustedPublicKeyMaterialFromMapping(map[string]*root.ExpiringKey{
		r.signer.hint: root.NewExpiringKey(askedKey{v, r}, key.NotBefore, key.NotAfter),
	}), nil
}

// askedKey is a pinned key that recalls the one signature that checkSignature
// verified with it in the same run. Asked about another message or another
// signature, it verifies.
type askedKey struct {
	signature.Verifier
	run *run
}

// VerifySignature implements signature.Verifier. It hashes the message that
// sigstore-go made of the bundle, and asks for the elliptic curve only if digest
// or signature are others than those that were verified.
func (k askedKey) VerifySignature(sig, message io.Reader, opts ...signature.VerifyOption) error {
	sha256Only := []crypto.Hash{crypto.SHA256}
	digest, _, err := signature.ComputeDigestForVerifying(message, crypto.SHA256, sha256Only, opts...)
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(sig)
	if err != nil {
		return err
	}
	if bytes.Equal(digest, k.run.pae[:]) && bytes.Equal(raw, k.run.bundle.signatures[0].sig) {
		return nil
	}
	return k.Verifier.VerifySignature(bytes.NewReader(raw), nil, sigoptions.WithDigest(digest))
}

// recallingMaterial is the trusted root, with the timestamp authorities
// replaced by one that knows the answers of this run.
type recallingMaterial struct {
	root.TrustedMaterial
	run *run
}

// TimestampingAuthorities returns the one authority that recalls.
func (m *recallingMaterial) TimestampingAuthorities() []root.TimestampingAuthority {
	return []root.TimestampingAuthority{askedAuthority{m.run}}
}

// askedAuthority answers for the timestamps that checkTimestamp verified in the
// same run, and for no others. Verifying a timestamp is most of the cost of a
// verification, and sigstore-go does it by the functions that checkTimestamp
// called: asking twice would add time and no certainty.
type askedAuthority struct{ run *run }

// Verify returns the time of a timestamp over the bundle's signature that was verified in this run.
func (a askedAuthority) Verify(signedTimestamp, signature []byte) (*root.Timestamp, error) {
	if !bytes.Equal(signature, a.run.bundle.signatures[0].sig) {
		return nil, errors.New("asked about another signature than the bundle's")
	}
	for i, response := range a.run.bundle.timestamps {
		if i < len(a.run.stamps) && bytes.Equal(response, signedTimestamp) {
			return &root.Timestamp{Time: a.run.stamps[i].time, URI: a.run.stamps[i].uri}, nil
		}
	}
	return nil, errors.New("asked about a timestamp that was not verified")
}
