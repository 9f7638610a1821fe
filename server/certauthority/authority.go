package certauthority

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/url"
	"slices"
	"time"

	ctx509 "github.com/google/certificate-transparency-go/x509"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// The extensions of RFC 6962: section 3.1, poison, and section 3.3, list of certificate timestamps.
var (
	oidPoison  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 3}
	oidSCTList = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}
)

// AppendFunc brings an entry into the certificate log. It returns after a published checkpoint covers the entry, and
// only then without an error: (*tlog.Log).Append is one.
type AppendFunc func(ctx context.Context, leaf []byte) error

// Config describes an [Authority].
type Config struct {
	// CertChain is the authority's chain: the certificate that signs first, the root last.
	CertChain []*x509.Certificate
	// Key is the key of the first, ECDSA P-256.
	Key *ecdsa.PrivateKey
	// LogKey signs certificate timestamps, ECDSA P-256: another key than Key.
	LogKey *ecdsa.PrivateKey
	// Append is the certificate log.
	Append AppendFunc
	// Lifetime is how long certificates are valid; DefaultLifetime if zero.
	Lifetime time.Duration
	// Clock gives the time of certificates; time.Now if nil.
	Clock func() time.Time
}

// Authority issues certificates. It is safe for concurrent use.
type Authority struct {
	chain    []*x509.Certificate
	key      *ecdsa.PrivateKey
	log      *timestamper
	append   AppendFunc
	lifetime time.Duration
	clock    func() time.Time
}

// New checks the configuration and returns the authority. It logs and signs nothing. Errors are *Error.
func New(c Config) (*Authority, error) {
	if err := checkChain(c.CertChain); err != nil {
		return nil, err
	}
	public, _ := c.CertChain[0].PublicKey.(*ecdsa.PublicKey) // checked by checkChain
	switch {
	case c.Key == nil || !public.Equal(c.Key.Public()):
		return nil, fail(BadKey, nil, "the key is not that of the certificate %q", c.CertChain[0].Subject)
	case c.LogKey == nil || c.LogKey.Curve != c.Key.Curve:
		return nil, fail(BadKey, nil, "the key of the certificate log is not on the curve P-256")
	case public.Equal(c.LogKey.Public()):
		return nil, fail(BadKey, nil, "the certificate log has the authority's own key: its word would be worth nothing more")
	case c.Append == nil:
		return nil, fail(BadConfig, nil, "there is no certificate log")
	case c.Lifetime != 0 && (c.Lifetime < MinLifetime || c.Lifetime > MaxLifetime):
		return nil, fail(BadConfig, nil, "lifetime: got %s, want %s to %s", c.Lifetime, MinLifetime, MaxLifetime)
	}
	a := &Authority{chain: slices.Clone(c.CertChain), key: c.Key, append: c.Append, lifetime: c.Lifetime, clock: c.Clock}
	if a.lifetime == 0 {
		a.lifetime = DefaultLifetime
	}
	if a.clock == nil {
		a.clock = time.Now
	}
	var err error
	a.log, err = newTimestamper(c.LogKey)
	return a, err
}

// CertChain returns the authority's chain, the certificate that signs first, the root last.
func (a *Authority) CertChain() []*x509.Certificate { return slices.Clone(a.chain) }

// LogKey returns the public key of the certificate log, by which its timestamps verify.
func (a *Authority) LogKey() *ecdsa.PublicKey { return &a.log.key.PublicKey }

// Name is what a certificate says about its holder.
type Name struct {
	// Email is the subject alternative name, or URI is; exactly one.
	Email string
	URI   *url.URL
	// Extensions are further extensions, Fulcio's, none critical.
	Extensions []pkix.Extension
}

// Issued is a certificate that is in the log.
type Issued struct {
	// Certificate is the certificate, with its SCT.
	Certificate *x509.Certificate
	// Leaf is its entry of the log.
	Leaf []byte
}

// Issue makes a certificate for a key whose possession was proved (KeyFromProof, KeyFromRequest) and a name that was
// verified. Errors are *Error with CA_KEY_UNSUPPORTED, CA_EXPIRED or CA_INTERNAL, or the log's own.
func (a *Authority) Issue(ctx context.Context, key crypto.PublicKey, name Name) (*Issued, error) {
	if err := checkSignersKey(key); err != nil {
		return nil, err
	}
	now := a.clock().UTC()
	// 1. What will be issued.
	template, err := a.template(key, name, now)
	if err != nil {
		return nil, err
	}
	// 2. The precertificate: the same, made useless for everything but being logged.
	pre, err := a.sign(template, key, pkix.Extension{Id: oidPoison, Critical: true, Value: asn1.NullBytes})
	if err != nil {
		return nil, err
	}
	tbs, err := ctx509.RemoveCTPoison(pre.RawTBSCertificate)
	if err != nil {
		return nil, fail(Internal, err, "the precertificate's poison cannot be removed")
	}
	// 3. Into the log.
	entry := newEntry(a.chain[0], tbs, now)
	leaf, err := entry.marshal()
	if err != nil {
		return nil, err
	}
	if err := a.append(ctx, leaf); err != nil {
		return nil, err
	}
	// 4. The log's word for it, and the certificate with it.
	sct, err := a.log.sign(entry)
	if err != nil {
		return nil, err
	}
	cert, err := a.sign(template, key, pkix.Extension{Id: oidSCTList, Value: sct})
	if err != nil {
		return nil, err
	}
	// 5. What was logged is what is handed out.
	if logged, err := ctx509.RemoveSCTList(cert.RawTBSCertificate); err != nil || !bytes.Equal(logged, tbs) {
		return nil, fail(Internal, err, "the certificate is not the one that was logged")
	}
	return &Issued{Certificate: cert, Leaf: leaf}, nil
}

// template is a certificate as Fulcio makes them.
func (a *Authority) template(key crypto.PublicKey, name Name, now time.Time) (*x509.Certificate, error) {
	start := now.Truncate(time.Second)
	end := start.Add(a.lifetime)
	for _, c := range a.chain {
		if start.Before(c.NotBefore) || end.After(c.NotAfter) {
			return nil, fail(Expired, nil, "the certificate would be valid from %s to %s, that of %q is from %s to %s",
				start.Format(time.RFC3339), end.Format(time.RFC3339), c.Subject, c.NotBefore.UTC().Format(time.RFC3339),
				c.NotAfter.UTC().Format(time.RFC3339))
		}
	}
	serial, err := cryptoutils.GenerateSerialNumber()
	if err != nil {
		return nil, fail(Internal, err, "no serial number")
	}
	keyID, err := cryptoutils.SKID(key)
	if err != nil {
		return nil, fail(Internal, err, "no key identifier")
	}
	t := &x509.Certificate{
		SerialNumber: serial, NotBefore: start, NotAfter: end, SubjectKeyId: keyID,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: slices.Clone(name.Extensions),
	}
	switch {
	case name.Email != "" && name.URI == nil:
		t.EmailAddresses = []string{name.Email}
	case name.URI != nil && name.Email == "":
		t.URIs = []*url.URL{name.URI}
	default:
		return nil, fail(Internal, nil, "a certificate has exactly one name")
	}
	return t, nil
}

// sign makes a certificate of the template and one more extension.
func (a *Authority) sign(template *x509.Certificate, key crypto.PublicKey, more pkix.Extension) (*x509.Certificate, error) {
	t := *template
	t.ExtraExtensions = append(slices.Clone(template.ExtraExtensions), more)
	return create(&t, a.chain[0], key, a.key)
}

// ChainPEM returns a certificate and the authority's chain, one PEM block each, as Fulcio's API answers them.
func (a *Authority) ChainPEM(cert *x509.Certificate) []string {
	out := make([]string, 0, 1+len(a.chain))
	if cert != nil {
		out = append(out, string(marshalCertificate(cert)))
	}
	for _, c := range a.chain {
		out = append(out, string(marshalCertificate(c)))
	}
	return out
}
