package bundletest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/url"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/sigstore/sigstore-go/pkg/root"
)

// TSA is an RFC 3161 timestamp authority with a chain of its own.
type TSA struct {
	// URI is its name in the trusted root.
	URI string
	// Start and End are its validity in the trusted root; a zero End is no end.
	Start, End time.Time
	// Root and Leaf are its certificates.
	Root, Leaf *x509.Certificate

	rootKey, key *ecdsa.PrivateKey
}

// NewTSA makes an authority whose certificates are valid from start for ten years.
func NewTSA(tb testing.TB, uri string, start time.Time) *TSA {
	tb.Helper()
	return NewTSAWithLeaf(tb, uri, start, start, start.AddDate(10, 0, 0))
}

// NewTSAWithLeaf makes an authority whose signing certificate has a window of its own.
func NewTSAWithLeaf(tb testing.TB, uri string, start, leafStart, leafEnd time.Time) *TSA {
	tb.Helper()
	t := &TSA{URI: uri, Start: start, rootKey: newKey(tb), key: newKey(tb)}
	t.Root = certify(tb, caTemplate(uri+" root", start), nil, t.rootKey.Public(), t.rootKey)
	t.Leaf = certify(tb, tsaTemplate(tb, uri, leafStart, leafEnd), t.Root, t.key.Public(), t.rootKey)
	return t
}

// StampOptions change how a timestamp is made; the zero value is a plain one.
type StampOptions struct {
	// Hash is the imprint's algorithm; zero means SHA-256.
	Hash crypto.Hash
	// NoCertificate leaves the signing certificate out of the response.
	NoCertificate bool
}

// Stamp makes a timestamp response over a message.
func (t *TSA) Stamp(tb testing.TB, message []byte, at time.Time, o StampOptions) []byte {
	tb.Helper()
	if o.Hash == 0 {
		o.Hash = crypto.SHA256
	}
	h := o.Hash.New()
	h.Write(message)
	ts := timestamp.Timestamp{
		HashAlgorithm: o.Hash, HashedMessage: h.Sum(nil), Time: at.UTC(),
		Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2}, AddTSACertificate: !o.NoCertificate,
	}
	response, err := ts.CreateResponseWithOpts(t.Leaf, t.key, crypto.SHA256)
	if err != nil {
		tb.Fatal(err)
	}
	return response
}

func (t *TSA) trusted() root.TimestampingAuthority {
	return &root.SigstoreTimestampingAuthority{
		Root: t.Root, Leaf: t.Leaf, ValidityPeriodStart: t.Start, ValidityPeriodEnd: t.End, URI: t.URI,
	}
}

// CA is a certificate authority for signers' identities: root and intermediate.
type CA struct {
	// URI is its name in the trusted root.
	URI string
	// Start and End are its validity in the trusted root; a zero End is no end.
	Start, End time.Time
	// Root and Intermediate are its certificates.
	Root, Intermediate *x509.Certificate

	key *ecdsa.PrivateKey // of the intermediate
}

// NewCA makes a certificate authority that is valid from start for ten years.
func NewCA(tb testing.TB, uri string, start time.Time) *CA {
	tb.Helper()
	rootKey := newKey(tb)
	c := &CA{URI: uri, Start: start, key: newKey(tb)}
	c.Root = certify(tb, caTemplate(uri+" root", start), nil, rootKey.Public(), rootKey)
	c.Intermediate = certify(tb, caTemplate(uri+" intermediate", start), c.Root, c.key.Public(), rootKey)
	return c
}

// oidIssuer is Fulcio's extension for the OpenID Connect issuer, version 2.
var oidIssuer = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}

// Certify makes a signer's certificate with the SAN (a URI) and issuer. change,
// where given, may alter the template.
func (c *CA) Certify(tb testing.TB, key crypto.PublicKey, san, issuer string, start, end time.Time,
	change func(*x509.Certificate),
) *x509.Certificate {
	tb.Helper()
	u, err := url.Parse(san)
	if err != nil {
		tb.Fatal(err)
	}
	value, err := asn1.MarshalWithParams(issuer, "utf8")
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(tb), NotBefore: start, NotAfter: end, URIs: []*url.URL{u},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{{Id: oidIssuer, Value: value}},
	}
	if change != nil {
		change(template)
	}
	return certify(tb, template, c.Intermediate, key, c.key)
}

func (c *CA) trusted() root.CertificateAuthority {
	return &root.FulcioCertificateAuthority{
		Root: c.Root, Intermediates: []*x509.Certificate{c.Intermediate},
		ValidityPeriodStart: c.Start, ValidityPeriodEnd: c.End, URI: c.URI,
	}
}

func caTemplate(name string, start time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject:   pkix.Name{CommonName: name, Organization: []string{"bundletest"}},
		NotBefore: start, NotAfter: start.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

// tsaTemplate has the extended key usage critical and alone, as RFC 3161 wants it.
func tsaTemplate(tb testing.TB, name string, start, end time.Time) *x509.Certificate {
	tb.Helper()
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	if err != nil {
		tb.Fatal(err)
	}
	return &x509.Certificate{
		Subject:   pkix.Name{CommonName: name, Organization: []string{"bundletest"}},
		NotBefore: start, NotAfter: end, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}},
	}
}

// certify signs a template; a nil parent makes it self-signed.
func certify(tb testing.TB, template, parent *x509.Certificate, key crypto.PublicKey,
	signer crypto.Signer) *x509.Certificate {
	tb.Helper()
	if template.SerialNumber == nil {
		template.SerialNumber = serial(tb)
	}
	if parent == nil {
		parent = template
	}
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	sum := sha256.Sum256(spki)
	template.SubjectKeyId = sum[:20]
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, signer)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return cert
}

func serial(tb testing.TB) *big.Int {
	tb.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		tb.Fatal(err)
	}
	return n.Add(n, big.NewInt(1))
}

// Forge makes an authority with another key whose certificate has the issuer, the
// serial number and the subject of a genuine one.
func Forge(tb testing.TB, genuine *TSA) *TSA {
	tb.Helper()
	f := &TSA{URI: genuine.URI, Start: genuine.Start, End: genuine.End, rootKey: newKey(tb), key: newKey(tb)}
	f.Root = certify(tb, caTemplate(genuine.Root.Subject.CommonName, genuine.Root.NotBefore), nil, f.rootKey.Public(),
		f.rootKey)
	template := tsaTemplate(tb, genuine.Leaf.Subject.CommonName, genuine.Leaf.NotBefore, genuine.Leaf.NotAfter)
	template.SerialNumber = genuine.Leaf.SerialNumber
	f.Leaf = certify(tb, template, f.Root, f.key.Public(), f.rootKey)
	return f
}
