package identity

import (
	"crypto/x509/pkix"
	"net/url"
	"regexp"
	"strings"

	"github.com/sigstore/fulcio/pkg/certificate"
)

// Identity is whom a token names.
type Identity struct {
	// Issuer is the claim iss, Subject the claim sub.
	Issuer, Subject string
	// Challenge is what a proof of possession signs: the e-mail address, or the subject.
	Challenge string
	// Email is the certificate's name, or URI is; the other is absent.
	Email string
	URI   *url.URL
	// Extensions are Fulcio's, without those of certificates in general.
	Extensions []pkix.Extension
}

// Name is the certificate's name as verifiers compare it.
func (i *Identity) Name() string {
	if i.URI != nil {
		return i.URI.String()
	}
	return i.Email
}

// identify finds the name in verified claims.
func identify(c claims, issuer *Issuer) (*Identity, error) {
	subject, err := c.text("sub")
	if err != nil || len(subject) > MaxNameBytes || !isPrintable(subject) {
		return nil, fail(BadIdentity, err, "the token's sub is absent, longer than %d bytes, or has control characters", MaxNameBytes)
	}
	id := &Identity{Issuer: issuer.URL, Subject: subject, Challenge: subject}
	extensions := certificate.Extensions{Issuer: issuer.URL, Subject: subject}
	switch issuer.Kind {
	case Email:
		if id.Email, err = emailOf(c); err != nil {
			return nil, err
		}
		id.Challenge = id.Email
	case URI:
		if id.URI, err = subjectURI(subject, issuer.SubjectDomain); err != nil {
			return nil, err
		}
	default:
		if id.URI, err = issuer.Templates.apply(c, &extensions); err != nil {
			return nil, err
		}
	}
	if len(id.Name()) > MaxNameBytes {
		return nil, fail(BadIdentity, nil, "the name has %d bytes, want at most %d", len(id.Name()), MaxNameBytes)
	}
	if id.Extensions, err = extensions.Render(); err != nil {
		return nil, fail(BadIdentity, err, "the claims cannot be written into a certificate")
	}
	return id, nil
}

// plainEmail is the one form of an address that a certificate can carry and that nobody takes for another: a dot-atom of
// ASCII, and a host name in lower case without a dot at its end (RFC 5321, section 4.1.2, without quotes and literals).
var plainEmail = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*" +
	`@[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$`)

func emailOf(c claims) (string, error) {
	address, err := c.text("email")
	if err != nil {
		return "", fail(BadIdentity, err, "the token has no email")
	}
	// Some issuers write the truth value as a string.
	switch string(c["email_verified"]) {
	case "true", `"true"`:
	default:
		return "", fail(BadIdentity, nil, "the issuer does not say that it has verified the e-mail address (email_verified)")
	}
	if len(address) > 254 || !plainEmail.MatchString(address) {
		return "", fail(BadIdentity, nil, "%q is not a plain e-mail address in ASCII with a host in lower case", shorten(address))
	}
	return address, nil
}

// subjectURI accepts the URIs of one host. Fulcio compares host names and leaves ports aside; here the whole authority
// must be equal, because another port can be somebody else's.
func subjectURI(subject, domain string) (*url.URL, error) {
	u, err := plainURI(subject)
	if err != nil {
		return nil, err
	}
	if u.Scheme+"://"+u.Host != domain {
		return nil, fail(BadIdentity, nil, "the subject %q is not on %s, for which the issuer speaks", shorten(subject), domain)
	}
	return u, nil
}

// plainURI parses a URI that is written in its plain form: encoding it again gives the same text.
func plainURI(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fail(BadIdentity, err, "%q is not a URI", shorten(text))
	case u.Host == "" || u.User != nil || u.Opaque != "" || u.String() != text || !isASCII(text):
		return nil, fail(BadIdentity, nil, "%q is not a URI in its plain form", shorten(text))
	}
	return u, checkSegments(u)
}

// checkSegments refuses paths that mean another one.
func checkSegments(u *url.URL) error {
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return fail(BadIdentity, nil, "%q has dots for a segment", shorten(u.String()))
		}
	}
	return nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// isPrintable reports whether s is UTF-8 without control characters.
func isPrintable(s string) bool {
	for _, r := range s {
		if r < ' ' || (r >= 0x7f && r < 0xa0) || r == '\uFFFD' {
			return false
		}
	}
	return true
}
