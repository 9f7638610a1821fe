package attest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Certificate is a signer's certificate, parsed: an ECDSA P-256 key and exactly one identity. ParseCertificate makes it;
// the zero value is refused. It says who claims to have signed. Whether the claim is to be believed (the chain, the
// window, the certificate timestamp) is for the verifier, which has a trusted root, to say.
type Certificate struct {
	der      []byte
	key      *verificationKey
	identity Identity
}

// Identity is who a certificate authority certified: a name, and who vouched for it. Both are compared byte for byte.
type Identity struct {
	// Issuer is the OpenID Connect issuer (Fulcio's extension 1.3.6.1.4.1.57264.1.8), at most MaxIdentityBytes.
	Issuer string
	// Subject is the certificate's only subject alternative name: a URI, an e-mail address, or Fulcio's other name; at
	// most MaxIdentityBytes.
	Subject string
}

// identityLabel begins what an identity's id is the hash of.
const identityLabel = "avow-identity-v1"

// Canonical returns the bytes that ID is the SHA-256 of:
//
//	avow-identity-v1 LF issuer LF subject LF
//
// Neither value holds a line break (ParseCertificate and the registry of vendors refuse it), so no two identities have
// the same bytes. The encoding of a public key (SubjectPublicKeyInfo, DER) begins with 0x30 and this with 'a': the id of
// an identity is never the id of a key.
func (i Identity) Canonical() []byte {
	return []byte(identityLabel + "\n" + i.Issuer + "\n" + i.Subject + "\n")
}

// ParseIdentity is the inverse of Canonical. Bytes that no identity has, such as those of a key, are not one.
func ParseIdentity(canonical []byte) (Identity, bool) {
	fields := strings.Split(string(canonical), "\n")
	if len(fields) != 4 || fields[0] != identityLabel || fields[1] == "" || fields[2] == "" || fields[3] != "" {
		return Identity{}, false
	}
	return Identity{Issuer: fields[1], Subject: fields[2]}, true
}

// ID returns the signer id of the identity: "sha256:" and the hex SHA-256 of Canonical. It does not depend on the
// certificate, so a statement that an identity signs twice is the same statement by the same signer.
func (i Identity) ID() string {
	sum := sha256.Sum256(i.Canonical())
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Fulcio's extensions: https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
var (
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidIssuerV1       = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}
	oidOtherName      = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 7}
	oidIssuerV2       = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}
)

const hintCertificate = "get a certificate from the certificate authority of the service or from a Fulcio instance that it trusts"

// ParseCertificate reads a signer's certificate, DER, at most MaxCertificateBytes. It must have an ECDSA P-256 key,
// exactly one subject alternative name, which is a URI, an e-mail address or Fulcio's other name, and the issuer in
// Fulcio's extension of version 2. An issuer in the extension of version 1, which some certificates carry besides, must be
// the same: verifiers differ in which one they read.
//
// The error is *Error with CodeCertificate, CodeKeyUnsupported or CodeKeyMalformed.
func ParseCertificate(der []byte) (*Certificate, error) {
	if len(der) == 0 || len(der) > MaxCertificateBytes {
		return nil, badCertificate(nil, "the certificate has %d bytes, want 1 to %d", len(der), MaxCertificateBytes)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, badCertificate(err, "the certificate does not parse")
	}
	public, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return nil, unsupportedKey(cert.PublicKey)
	}
	key, err := newVerificationKey(public)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(key.spki, cert.RawSubjectPublicKeyInfo) {
		return nil, badCertificate(nil, "the certificate's key is not in the usual encoding (DER, uncompressed point)")
	}
	c := &Certificate{der: bytes.Clone(der), key: key}
	if c.identity.Subject, err = subjectOf(cert); err != nil {
		return nil, err
	}
	if c.identity.Issuer, err = issuerOf(cert); err != nil {
		return nil, err
	}
	return c, nil
}

// subjectOf reads the only subject alternative name, from the extension's own bytes: crypto/x509 leaves out the kinds that
// it does not know, and a name that one reader does not see must not be beside one that it sees.
func subjectOf(cert *x509.Certificate) (string, error) {
	names, err := generalNames(cert)
	if err != nil {
		return "", err
	}
	if len(names) != 1 {
		return "", badCertificate(nil, "the certificate has %d subject alternative names, want exactly 1", len(names))
	}
	var subject string
	switch n := names[0]; {
	case n.Class != asn1.ClassContextSpecific:
		return "", badCertificate(nil, "the subject alternative name is not one of RFC 5280")
	case n.Tag == 1 && len(cert.EmailAddresses) == 1:
		subject = string(n.Bytes)
		ok := subject == cert.EmailAddresses[0]
		if !ok {
			return "", badCertificate(nil, "the e-mail address is read differently by different readers")
		}
	case n.Tag == 6 && len(cert.URIs) == 1:
		if subject = string(n.Bytes); subject != cert.URIs[0].String() {
			return "", badCertificate(nil, "the URI %.200q is not in its canonical form %.200q", subject, cert.URIs[0])
		}
	case n.Tag == 0:
		if subject, err = otherName(n); err != nil {
			return "", err
		}
	default:
		return "", badCertificate(nil,
			"the subject alternative name has type %d, want a URI, an e-mail address or Fulcio's other name", n.Tag)
	}
	return subject, checkIdentityText("subject alternative name", subject)
}

// generalNames splits the extension into its names.
func generalNames(cert *x509.Certificate) ([]asn1.RawValue, error) {
	var names []asn1.RawValue
	for _, e := range cert.Extensions {
		if !e.Id.Equal(oidSubjectAltName) {
			continue
		}
		var all asn1.RawValue
		rest, err := asn1.Unmarshal(e.Value, &all)
		if err != nil || len(rest) != 0 || all.Class != asn1.ClassUniversal || all.Tag != asn1.TagSequence || !all.IsCompound {
			return nil, badCertificate(err, "the subject alternative names are not a sequence")
		}
		for rest = all.Bytes; len(rest) > 0; {
			var name asn1.RawValue
			if rest, err = asn1.Unmarshal(rest, &name); err != nil {
				return nil, badCertificate(err, "the subject alternative names do not parse")
			}
			names = append(names, name)
		}
	}
	return names, nil
}

// otherName reads the name that Fulcio gives to users who have neither an address nor a URI.
func otherName(name asn1.RawValue) (string, error) {
	var other struct {
		ID    asn1.ObjectIdentifier
		Value string `asn1:"utf8,explicit,tag:0"`
	}
	rest, err := asn1.UnmarshalWithParams(name.FullBytes, &other, "tag:0")
	if err != nil || len(rest) != 0 {
		return "", badCertificate(err, "the other name does not parse")
	}
	if !other.ID.Equal(oidOtherName) {
		return "", badCertificate(nil, "the other name is of type %s, want Fulcio's %s", other.ID, oidOtherName)
	}
	return other.Value, nil
}

// issuerOf reads the issuer from the extension of version 2.
func issuerOf(cert *x509.Certificate) (string, error) {
	var issuer, first string
	found, both := false, false
	for _, e := range cert.Extensions {
		switch {
		case e.Id.Equal(oidIssuerV1):
			first, both = string(e.Value), true
		case e.Id.Equal(oidIssuerV2):
			rest, err := asn1.UnmarshalWithParams(e.Value, &issuer, "utf8")
			if err != nil || len(rest) != 0 {
				return "", badCertificate(err, "the issuer's extension is not a UTF8String")
			}
			found = true
		}
	}
	switch {
	case !found:
		return "", badCertificate(nil, "the certificate names no issuer in the extension %s", oidIssuerV2)
	case both && first != issuer:
		return "", badCertificate(nil, "the certificate names two issuers, %.200q and %.200q", first, issuer)
	}
	return issuer, checkIdentityText("issuer", issuer)
}

// checkIdentityText refuses what would make two identities look alike or have the same canonical bytes.
func checkIdentityText(what, s string) error {
	switch {
	case s == "" || len(s) > MaxIdentityBytes:
		return badCertificate(nil, "the %s has %d bytes, want 1 to %d", what, len(s), MaxIdentityBytes)
	case !utf8.ValidString(s):
		return badCertificate(nil, "the %s is not UTF-8", what)
	case strings.ContainsFunc(s, unicode.IsControl):
		return badCertificate(nil, "the %s %.200q has a control character", what, s)
	}
	return nil
}

func badCertificate(err error, format string, args ...any) *Error {
	return &Error{Code: CodeCertificate, Detail: fmt.Sprintf(format, args...), Err: err, Hint: hintCertificate}
}

// valid reports whether ParseCertificate made c.
func (c *Certificate) valid() bool { return c != nil && c.key != nil }

// DER returns a copy of the certificate.
func (c *Certificate) DER() []byte { return bytes.Clone(c.der) }

// Identity returns whom the certificate names.
func (c *Certificate) Identity() Identity { return c.identity }

// PublicKey returns the certified key.
func (c *Certificate) PublicKey() *ecdsa.PublicKey { return c.key.public }

// CertifiedSigner is a signer together with the certificate of its key. Certify makes it.
type CertifiedSigner struct {
	signer      Signer
	certificate *Certificate
}

// Certify joins a signer with the certificate that an authority made for its key, so that no statement can be signed with
// one key and carry the certificate of another.
//
// The error is *Error with CodeCertificate, CodeKeyUnsupported or CodeKeyMalformed.
func Certify(s Signer, c *Certificate) (*CertifiedSigner, error) {
	if !c.valid() {
		return nil, badCertificate(nil, "there is no certificate")
	}
	key, err := newVerificationKey(s.PublicKey())
	if err != nil {
		return nil, err
	}
	if key.digest != c.key.digest {
		return nil, badCertificate(nil, "the certificate is for key %s, the signer has %s", c.key.id(), key.id())
	}
	return &CertifiedSigner{signer: s, certificate: c}, nil
}

// Certificate returns the certificate of the signer's key.
func (s *CertifiedSigner) Certificate() *Certificate { return s.certificate }

// SignDigest signs a SHA-256 digest of something else than a statement of avow, such as a file for another Sigstore client.
// Statements are signed with SignCertified. The signature is not verified.
func (s *CertifiedSigner) SignDigest(ctx context.Context, digest [32]byte) ([]byte, error) {
	return s.signer.SignDigest(ctx, digest)
}
