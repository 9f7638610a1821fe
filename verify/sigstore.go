package verify

import (
	"bytes"
	"crypto"
	"errors"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	sgverify "github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
)

// checkSigstore is the second opinion: sigstore-go itself, from the raw bytes
// of the bundle and with its own parsers, under the same trust and
// requirements. The checks before it are stricter and give the readable reasons;
// this one makes it true by construction that what sigstore-go refuses is refused
// here. It recalls one thing from them, the timestamps that this run verified a
// moment ago, by their exact bytes: see [askedAuthority].
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
	}
	if r.cert == nil {
		keys, err := keyMaterial(r.signer)
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
	_, err = v.Verify(&b, sgverify.NewPolicy(sgverify.WithArtifactDigest("sha256", r.req.digest), policy...))
	return err
}

// keyMaterial is a pinned key in sigstore-go's terms: found by its hint alone,
// and only in its window.
func keyMaterial(s *pinnedSigner) (*root.TrustedPublicKeyMaterial, error) {
	v, err := signature.LoadVerifier(s.Key.PublicKey, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return root.NewTrustedPublicKeyMaterialFromMapping(map[string]*root.ExpiringKey{
		s.hint: root.NewExpiringKey(v, s.Key.NotBefore, s.Key.NotAfter),
	}), nil
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
