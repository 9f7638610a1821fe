package certauthority

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"slices"
	"time"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// Credentials are a new authority's secrets and certificates, for `avowd init`.
type Credentials struct {
	// ChainPEM is the chain in PEM form: intermediate, root.
	ChainPEM []byte
	// KeyPEM is the intermediate's private key, RootKeyPEM the root's, PKCS #8 in PEM form. The caller writes them with
	// mode 0600; the root's is needed for the next intermediate only.
	KeyPEM, RootKeyPEM []byte
	// Chain is the parsed chain, intermediate first.
	Chain []*x509.Certificate
	// Key is the parsed key of the intermediate.
	Key *ecdsa.PrivateKey
}

// Generate makes a root and an intermediate below it (P-256), valid for Validity. name goes into the certificates' names;
// the log's origin is a good one.
func Generate(name string, now time.Time) (*Credentials, error) {
	rootKey, rootPEM, err := GenerateKey()
	if err != nil {
		return nil, err
	}
	key, keyPEM, err := GenerateKey()
	if err != nil {
		return nil, err
	}
	start := now.UTC().Add(-backdate).Truncate(time.Second)
	template := func(what string, pathLength int) *x509.Certificate {
		return &x509.Certificate{
			Subject:   pkix.Name{CommonName: name + " " + what, Organization: []string{name}},
			NotBefore: start, NotAfter: start.Add(Validity), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
			IsCA: true, BasicConstraintsValid: true, MaxPathLen: pathLength, MaxPathLenZero: pathLength == 0,
		}
	}
	root, err := sign(template("certificate root", 1), nil, rootKey, rootKey)
	if err != nil {
		return nil, err
	}
	below := template("certificate authority", 0)
	// An intermediate without it would chain certificates for other purposes too.
	below.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	intermediate, err := sign(below, root, key, rootKey)
	if err != nil {
		return nil, err
	}
	chain := []*x509.Certificate{intermediate, root}
	return &Credentials{ChainPEM: marshalChain(chain), KeyPEM: keyPEM, RootKeyPEM: rootPEM, Chain: chain, Key: key}, nil
}

// GenerateKey makes an ECDSA P-256 key, and its PKCS #8 PEM form.
func GenerateKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fail(Internal, err, "no key")
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fail(Internal, err, "the key cannot be encoded")
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// sign makes a certificate of the authority; without a parent it is self-signed.
func sign(template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := cryptoutils.GenerateSerialNumber()
	if err != nil {
		return nil, fail(Internal, err, "no serial number")
	}
	template.SerialNumber = serial
	if parent == nil {
		parent = template
	}
	return create(template, parent, key.Public(), by)
}

// create signs a certificate and parses it.
func create(template, parent *x509.Certificate, key crypto.PublicKey, by *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, by)
	if err != nil {
		return nil, fail(Internal, err, "the certificate could not be signed")
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fail(Internal, err, "the certificate does not parse")
	}
	return cert, nil
}

func marshalChain(chain []*x509.Certificate) []byte {
	var out []byte
	for _, c := range chain {
		out = append(out, marshalCertificate(c)...)
	}
	return out
}

func marshalCertificate(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// ParseChain reads the authority's chain in PEM form, the certificate that signs first, the root last, and checks it.
// Errors are *Error with CA_CHAIN.
func ParseChain(data []byte) ([]*x509.Certificate, error) {
	if len(data) > MaxPEMBytes {
		return nil, fail(BadChain, nil, "the chain has %d bytes, want at most %d", len(data), MaxPEMBytes)
	}
	var chain []*x509.Certificate
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		data = rest
		if block.Type != "CERTIFICATE" {
			return nil, fail(BadChain, nil, "PEM block %d is %q, want CERTIFICATE", len(chain)+1, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fail(BadChain, err, "certificate %d of the chain does not parse", len(chain)+1)
		}
		chain = append(chain, cert)
	}
	if n := len(bytes.TrimSpace(data)); n != 0 {
		return nil, fail(BadChain, nil, "%d bytes of the chain are no PEM", n)
	}
	return chain, checkChain(chain)
}

// ParseKey reads an ECDSA P-256 private key, PKCS #8 in PEM form. Errors are *Error with CA_KEY and never show the key.
func ParseKey(data []byte) (*ecdsa.PrivateKey, error) {
	block, rest := pem.Decode(data)
	if len(data) > MaxPEMBytes || block == nil || block.Type != "PRIVATE KEY" || len(bytes.TrimSpace(rest)) != 0 {
		return nil, fail(BadKey, nil, "want one PRIVATE KEY block (PKCS #8 in PEM form) and nothing else")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || key.Curve != elliptic.P256() {
		return nil, fail(BadKey, nil, "the key is not an ECDSA key on the curve P-256")
	}
	return key, nil
}

// checkChain wants P-256 certificate authorities, each signed by the next up to a self-signed root, the first of which may
// sign certificates for code signing.
func checkChain(chain []*x509.Certificate) error {
	if len(chain) < 2 || len(chain) > MaxChain {
		return fail(BadChain, nil, "%d certificates, want an intermediate, a root, and at most %d in all", len(chain), MaxChain)
	}
	for n, cert := range chain {
		issuer := chain[min(n+1, len(chain)-1)]
		if err := cert.CheckSignatureFrom(issuer); err != nil {
			return fail(BadChain, err, "certificate %q is not signed by %q", cert.Subject, issuer.Subject)
		}
		if key, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
			return fail(BadChain, nil, "the key of %q is not on the curve P-256", cert.Subject)
		}
		if !cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign == 0 {
			return fail(BadChain, nil, "%q is not a certificate authority", cert.Subject)
		}
	}
	if !slices.Contains(chain[0].ExtKeyUsage, x509.ExtKeyUsageCodeSigning) {
		return fail(BadChain, nil, "%q has no extended key usage codeSigning", chain[0].Subject)
	}
	return nil
}
