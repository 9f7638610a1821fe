package verify

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// checkSigner finds the requirements that the bundle claims to meet. Whether it
// does is for the signature and the validity checks to show.
func (r *run) checkSigner() Check {
	if r.bundle.certificate != nil {
		return r.claimIdentity()
	}
	for _, s := range r.req.signers {
		if s.Key != nil && s.hint == r.bundle.hint {
			r.candidates = append(r.candidates, s)
			r.key, r.spki = s.Key.PublicKey, s.spki
		}
	}
	if len(r.candidates) == 0 {
		return fail(r.requirements(), "key hint "+clip(r.bundle.hint),
			"the bundle is by a key that is not among the required signers",
			"if the vendor changed keys, get the new one from the vendor, not from the bundle's source")
	}
	return pass("claims the pinned key %s", r.keyID())
}

// claimIdentity compares the certificate's identity with the required ones.
func (r *run) claimIdentity() Check {
	cert, err := x509.ParseCertificate(r.bundle.certificate)
	if err != nil {
		return fail("an X.509 certificate", "", err.Error(), hintDamaged)
	}
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return fail("a certificate for an ECDSA P-256 key", cert.PublicKeyAlgorithm.String(),
			"other algorithms do not verify in every Sigstore client",
			"the vendor has to sign with an ECDSA P-256 key")
	}
	if names := cryptoutils.GetSubjectAlternateNames(cert); len(names) != 1 {
		return fail("exactly one subject alternative name", fmt.Sprintf("%d", len(names)),
			"the certificate names several identities, or none", "")
	}
	summary, err := certificate.SummarizeCertificate(cert)
	if err != nil {
		return fail("a certificate with an identity", "", err.Error(), "")
	}
	for _, s := range r.req.signers {
		if s.Identity != nil && s.Identity.SAN == summary.SubjectAlternativeName && s.Identity.Issuer == summary.Issuer {
			r.candidates = append(r.candidates, s)
		}
	}
	if len(r.candidates) == 0 {
		return fail(r.requirements(),
			fmt.Sprintf("%s, issuer %s", clip(summary.SubjectAlternativeName), clip(summary.Issuer)),
			"the bundle is by an identity that is not among the required signers",
			"identity and issuer are compared exactly, letter by letter")
	}
	r.cert, r.key, r.spki = handledSAN(cert), key, cert.RawSubjectPublicKeyInfo
	return pass("claims %s, issuer %s", summary.SubjectAlternativeName, summary.Issuer)
}

// handledSAN marks a subject alternative name of type otherName, which crypto/x509
// does not know and SummarizeCertificate read, as handled, as sigstore-go does.
func handledSAN(cert *x509.Certificate) *x509.Certificate {
	var rest []asn1.ObjectIdentifier
	for _, oid := range cert.UnhandledCriticalExtensions {
		if !oid.Equal(cryptoutils.SANOID) {
			rest = append(rest, oid)
		}
	}
	cert.UnhandledCriticalExtensions = rest
	return cert
}

// requirements lists the required signers for a failure's text.
func (r *run) requirements() string {
	const most = 5
	var names []string
	for _, s := range r.req.signers {
		if len(names) == most {
			names = append(names, fmt.Sprintf("%d more", len(r.req.signers)-most))
			break
		}
		if s.Key != nil {
			names = append(names, "key hint "+s.hint)
		} else {
			names = append(names, fmt.Sprintf("%s, issuer %s", s.Identity.SAN, s.Identity.Issuer))
		}
	}
	return strings.Join(names, " or ")
}

// checkSignerValidity asks at every timestamp, not only at the first, whether
// the key was in its window or the certificate valid under the trusted root.
func (r *run) checkSignerValidity() Check {
	if r.cert != nil {
		return r.checkCertificate()
	}
	for i := range r.candidates {
		k := r.candidates[i].Key
		covered := true
		for _, s := range r.stamps {
			covered = covered && within(s.time, k.NotBefore, k.NotAfter)
		}
		if covered {
			r.signers = append(r.signers, &r.candidates[i])
		}
	}
	if len(r.signers) > 0 {
		r.signer = r.signers[0]
		return pass("the key was in its window")
	}
	k := r.candidates[0].Key
	return fail("timestamps "+window(k.NotBefore, k.NotAfter), r.stampTimes(),
		"the statement was signed outside the key's validity",
		"a statement signed after a key was withdrawn may be forged; ask the vendor for one by a valid key")
}

// checkCertificate verifies the chain at each timestamp and, where the trusted
// root names certificate transparency logs, the certificate's timestamp by one.
func (r *run) checkCertificate() Check {
	for _, s := range r.stamps {
		chain, sct := r.v.trust.certified(r.cert, s.time)
		if chain != nil {
			return fail("a certificate that chains to an authority of the trusted root at "+s.time.Format(time.RFC3339),
				"valid "+window(r.cert.NotBefore, r.cert.NotAfter), r.v.unknownIssuer(r.cert, chain), r.v.hintForIssuer(r.cert))
		}
		if sct != nil {
			return fail("a certificate timestamp by a CT log of the trusted root", "", sct.Error(),
				"the certificate was perhaps never published, so its owner could not see it")
		}
	}
	for i := range r.candidates {
		r.signers = append(r.signers, &r.candidates[i])
	}
	r.signer = r.signers[0]
	return pass("the certificate was valid at each timestamp")
}

// window describes a validity window.
func window(start, end time.Time) string {
	from, to := "always", "no end"
	if !start.IsZero() {
		from = start.UTC().Format(time.RFC3339)
	}
	if !end.IsZero() {
		to = end.UTC().Format(time.RFC3339)
	}
	return "from " + from + " to " + to
}

// stampTimes lists the verified timestamps for a failure's text.
func (r *run) stampTimes() string {
	var times []string
	for _, s := range r.stamps {
		times = append(times, s.time.Format(time.RFC3339))
	}
	return strings.Join(times, ", ")
}
