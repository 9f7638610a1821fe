package authority

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"slices"
	"time"
)

var oidExtKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}

// Credentials are a new authority's secrets and certificates, for `avowd init`.
type Credentials struct {
	// ChainPEM is the chain in PEM form: leaf, root.
	ChainPEM []byte
	// KeyPEM is the leaf's private key, PKCS #8 in PEM form. The caller writes it with mode 0600.
	KeyPEM []byte
	// Chain is the parsed chain, leaf first.
	Chain []*x509.Certificate
	// Key is the parsed key.
	Key *ecdsa.PrivateKey
}

// Generate makes a root CA and a TSA leaf below it (P-256), valid for Validity.
// The key of the root is thrown away: it signs one certificate in its life, and
// a successor of the authority comes with a root of its own. name goes into the
// certificates' names; the log's origin is a good one.
func Generate(name string, now time.Time) (*Credentials, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fail(Internal, err, "no root key")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fail(Internal, err, "no key")
	}
	start := now.UTC().Add(-backdate).Truncate(time.Second)
	root, err := certificate(&x509.Certificate{
		Subject:   pkix.Name{CommonName: name + " timestamp root", Organization: []string{name}},
		NotBefore: start, NotAfter: start.Add(Validity),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:     true, BasicConstraintsValid: true, MaxPathLenZero: true,
	}, nil, rootKey, rootKey)
	if err != nil {
		return nil, err
	}
	leaf, err := certificate(&x509.Certificate{
		Subject:   pkix.Name{CommonName: name + " timestamp authority", Organization: []string{name}},
		NotBefore: start, NotAfter: start.Add(Validity),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		// RFC 3161, section 2.3:
		// > "The corresponding certificate MUST contain only one instance of the
		// > extended key usage field extension [...] with KeyPurposeID having value:
		// > id-kp-timeStamping. This extension MUST be critical."
		ExtraExtensions: []pkix.Extension{{
			Id: oidExtKeyUsage, Critical: true,
			// SEQUENCE { OBJECT IDENTIFIER 1.3.6.1.5.5.7.3.8 }
			Value: []byte{0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08},
		}},
	}, root, key, rootKey)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fail(Internal, err, "the key cannot be encoded")
	}
	return &Credentials{
		ChainPEM: slices.Concat(
			pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}),
			pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})),
		KeyPEM: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
		Chain:  []*x509.Certificate{leaf, root},
		Key:    key,
	}, nil
}

// certificate signs one; without a parent it is self-signed.
func certificate(template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fail(Internal, err, "no serial number")
	}
	template.SerialNumber = serial.SetBit(serial, 127, 1)
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		return nil, fail(Internal, err, "the certificate could not be signed")
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fail(Internal, err, "the certificate does not parse")
	}
	return cert, nil
}

// ParseChain reads a certificate chain in PEM form, leaf first, at most
// MaxPEMBytes and MaxChain certificates. Anything but certificates is refused.
// Errors are *Error with TSA_CHAIN.
func ParseChain(data []byte) ([]*x509.Certificate, error) {
	if len(data) > MaxPEMBytes {
		return nil, fail(BadChain, nil, "the chain has %d bytes, want at most %d", len(data), MaxPEMBytes)
	}
	var chain []*x509.Certificate
	for {
		var block *pem.Block
		block, data = pem.Decode(data)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fail(BadChain, nil, "PEM block %d is %q, want CERTIFICATE", len(chain)+1, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fail(BadChain, err, "certificate %d of the chain does not parse", len(chain)+1)
		}
		if chain = append(chain, cert); len(chain) > MaxChain {
			return nil, fail(BadChain, nil, "more than %d certificates", MaxChain)
		}
	}
	if len(chain) == 0 || len(bytes.TrimSpace(data)) != 0 {
		return nil, fail(BadChain, nil, "%d certificates and %d bytes that are no PEM, want certificates alone", len(chain), len(bytes.TrimSpace(data)))
	}
	return chain, nil
}

// ParseKey reads an ECDSA P-256 private key in PEM form (PKCS #8 or SEC 1),
// unencrypted. Errors are *Error with TSA_KEY and never show the key.
func ParseKey(data []byte) (*ecdsa.PrivateKey, error) {
	if len(data) > MaxPEMBytes {
		return nil, fail(BadKey, nil, "the key has %d bytes, want at most %d", len(data), MaxPEMBytes)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fail(BadKey, nil, "the key is not in PEM form")
	}
	var parsed any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		parsed, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, fail(BadKey, nil, "PEM block %q, want PRIVATE KEY or EC PRIVATE KEY", block.Type)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return nil, fail(BadKey, err, "not an ECDSA key")
	}
	return key, checkKey(key)
}

// checkKey: other curves cost verifiers five times as much, and some refuse them.
func checkKey(key *ecdsa.PrivateKey) error {
	if key == nil || key.Curve != elliptic.P256() {
		return fail(BadKey, nil, "the key is not on the curve P-256")
	}
	return nil
}

// checkChain enforces RFC 3161, section 2.3 on the leaf, and that each
// certificate is signed by the next up to a self-signed root.
func checkChain(chain []*x509.Certificate) error {
	if len(chain) < 2 || len(chain) > MaxChain {
		return fail(BadChain, nil, "%d certificates, want a leaf, a root, and at most %d in all", len(chain), MaxChain)
	}
	if err := checkLeaf(chain[0]); err != nil {
		return err
	}
	return checkIssuers(chain)
}

func checkIssuers(chain []*x509.Certificate) error {
	for i, cert := range chain {
		issuer := cert
		if i+1 < len(chain) {
			issuer = chain[i+1]
		}
		if err := cert.CheckSignatureFrom(issuer); err != nil {
			return fail(BadChain, err, "certificate %q is not signed by %q", cert.Subject, issuer.Subject)
		}
	}
	return nil
}

func checkLeaf(leaf *x509.Certificate) error {
	if leaf.IsCA {
		return fail(BadChain, nil, "the leaf %q is a CA", leaf.Subject)
	}
	if len(leaf.UnknownExtKeyUsage) != 0 || !slices.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}) {
		return fail(BadChain, nil, "the leaf %q has extended key usages other than timeStamping alone", leaf.Subject)
	}
	for _, ext := range leaf.Extensions {
		if ext.Id.Equal(oidExtKeyUsage) && !ext.Critical {
			return fail(BadChain, nil, "the extended key usage of the leaf %q is not critical", leaf.Subject)
		}
	}
	return nil
}
