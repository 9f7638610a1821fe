package verify

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	sgverify "github.com/sigstore/sigstore-go/pkg/verify"
)

// What a service asks before it takes a statement, by the code with which a buyer will ask it of the bundle.

var (
	// ErrCertificate is wrapped by the errors of [Verifier.VerifyCertificate] about the certificate itself.
	ErrCertificate = errors.New("certificate")
	// ErrCertificateTime is wrapped where the certificate is fine and the time lies outside its validity.
	ErrCertificateTime = errors.New("certificate validity")
)

// VerifyCertificate verifies a signer's certificate, DER, at a time: the chain to a certificate authority of the trusted
// root that was valid then, the extended key usage for code signing, and a certificate timestamp by a CT log of the trusted
// root. A trusted root without CT logs is no reason to do without: then no certificate passes. Whom the certificate names
// is for the caller to read.
//
// The error wraps [ErrCertificate] or [ErrCertificateTime].
func (v *Verifier) VerifyCertificate(der []byte, at time.Time) error {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if !within(at, cert.NotBefore, cert.NotAfter) {
		return fmt.Errorf("%w: valid %s, the time is %s", ErrCertificateTime, window(cert.NotBefore, cert.NotAfter),
			at.UTC().Format(time.RFC3339))
	}
	if len(v.trust.material.CTLogs()) == 0 {
		return fmt.Errorf("%w: the trusted root names no certificate transparency log", ErrCertificate)
	}
	chainErr, sctErr := v.trust.certified(handledSAN(cert), at)
	if err := errors.Join(chainErr, sctErr); err != nil {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	return nil
}

// certified verifies a certificate at a time: its chain, and, where the trusted root names CT logs, its timestamp by one.
func (t *Trust) certified(cert *x509.Certificate, at time.Time) (chain, sct error) {
	chains, err := sgverify.VerifyLeafCertificate(at, cert, t.material)
	if err != nil {
		return err, nil
	}
	if len(t.material.CTLogs()) == 0 {
		return nil, nil
	}
	return nil, sgverify.VerifySignedCertificateTimestamp(chains, 1, t.material)
}

// AddTimestamps returns the RFC 3161 responses of first, which a verifier takes as they are, followed by those of more
// that it will take beside them: each is over the signature, by an authority of the trusted root that is not among those
// before, not further from them than the skew bound, and at a time that admit takes, where it is not nil. There are
// MaxTimestamps at most. If one of first does not verify the result is nil.
func (v *Verifier) AddTimestamps(signature []byte, first, more [][]byte, admit func(time.Time) bool) [][]byte {
	var taken []*stamp
	for _, response := range first {
		s, err := v.trust.verifyTimestamp(response, signature)
		if err != nil {
			return nil
		}
		taken = append(taken, s)
	}
	all := slices.Clone(first)
	for _, response := range more {
		s, err := v.trust.verifyTimestamp(response, signature)
		if err != nil || len(all) == MaxTimestamps || admit != nil && !admit(s.time) {
			continue
		}
		if slices.ContainsFunc(taken, func(o *stamp) bool { return s.same(o) || s.time.Sub(o.time).Abs() > v.skew }) {
			continue
		}
		taken, all = append(taken, s), append(all, response)
	}
	return all
}

// Parts are what a bundle consists of. Nothing of it is verified.
type Parts struct {
	// Envelope is the DSSE envelope, JSON.
	Envelope []byte
	// Certificate is the certificate of the signing key, DER; nil where KeyHint names the key.
	Certificate []byte
	// KeyHint is what the bundle calls the key.
	KeyHint string
	// Timestamps are the RFC 3161 responses, DER.
	Timestamps [][]byte
}

// ReadParts takes a bundle apart, as strictly as a verification does, for whoever is to find out by whom the bundle wants
// to be before it can be verified. A bundle of another form, or without exactly one signature and one log entry, is an
// error that says where.
func ReadParts(bundle []byte) (*Parts, error) {
	r := &run{data: bundle, req: &request{minTimestamps: 1}}
	for _, c := range r.walk("", partsChecks) {
		if c.Status != StatusPass {
			return nil, errors.New(c.String())
		}
	}
	envelope, err := json.Marshal(map[string]any{
		"payload": r.bundle.payload, "payloadType": r.bundle.payloadType,
		"signatures": []map[string][]byte{{"sig": r.bundle.signatures[0].sig}},
	})
	if err != nil {
		return nil, err
	}
	return &Parts{Envelope: envelope, Certificate: r.bundle.certificate, KeyHint: r.bundle.hint,
		Timestamps: r.bundle.timestamps}, nil
}

// partsChecks are those of a bundle's form.
var partsChecks = issuerChecks[:slices.Index(issuerChecks, CheckSigner)]
