package verify

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// What a trusted root does not know is perhaps newer than the root: the operator has a new log, a new authority. The words
// here tell a buyer with an old root so. What a bundle calls itself is its own claim: it is quoted, shortened, and decides
// nothing.

// strangerError says that nobody of the trusted root made something.
type strangerError struct {
	kind    string
	claimed string
	err     error
}

// Error names the kind and keeps the reasons of all who were asked.
func (e *strangerError) Error() string {
	return fmt.Sprintf("no %s of the trusted root vouches for it: %v", e.kind, e.err)
}

// Unwrap returns the reasons of all who were asked.
func (e *strangerError) Unwrap() error { return e.err }

// ofTrust names the trusted root: its date, where it is known, and the beginning of its digest.
func (v *Verifier) ofTrust() string {
	digest := v.trust.Digest()
	id := "sha256:" + hex.EncodeToString(digest[:6]) + "..."
	if v.trustDate.IsZero() {
		return "the trusted root (" + id + ")"
	}
	return "the trusted root (of " + v.trustDate.UTC().Format(time.DateOnly) + ", " + id + ")"
}

// claimedOrigin is the first line of an unverified checkpoint, for a sentence.
func claimedOrigin(checkpoint string) string {
	line, _, _ := strings.Cut(checkpoint, "\n")
	return claim(line)
}

// maxClaim is how much of a name that nobody vouched for is shown.
const maxClaim = 80

// claim quotes foreign text unless it is plain and short.
func claim(s string) string {
	if s == "" {
		return "without a name"
	}
	cut := ""
	if len(s) > maxClaim {
		s, cut = s[:maxClaim], "..."
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
		s = strconv.QuoteToASCII(s)
	}
	return s + cut
}

// claimed is who a token says that its authority is: the subject of the certificate that it carries, if it carries one.
func (t *token) claimed() string {
	if t.signer == nil {
		return ""
	}
	return t.signer.Subject.CommonName
}

// unknownAuthority is the sentence for a timestamp that does not verify.
func (v *Verifier) unknownAuthority(err error) string {
	var s *strangerError
	if !errors.As(err, &s) || s.claimed == "" {
		return err.Error()
	}
	return fmt.Sprintf("%s: %v; the timestamp calls its authority %s", v.ofTrust(), err, claim(s.claimed))
}

// hintFor tells what may be newer than the root from what is damaged.
func hintFor(err error) string {
	var s *strangerError
	if errors.As(err, &s) {
		return hintUpdate
	}
	return hintTrust
}

// unknownIssuer is the sentence for a certificate that chains to nobody: it tells an authority that the root does not know
// from one that it knows and that was not valid.
func (v *Verifier) unknownIssuer(cert *x509.Certificate, err error) string {
	if v.knowsIssuer(cert) {
		return err.Error()
	}
	return fmt.Sprintf("%s does not know the certificate authority %s: %v", v.ofTrust(), claim(cert.Issuer.CommonName), err)
}

func (v *Verifier) hintForIssuer(cert *x509.Certificate) string {
	if v.knowsIssuer(cert) {
		return hintTrust
	}
	return hintUpdate
}

// knowsIssuer reports whether an authority of the root has the key that the certificate says it was signed with.
func (v *Verifier) knowsIssuer(cert *x509.Certificate) bool {
	for _, id := range v.trust.issuers {
		if bytes.Equal(id, cert.AuthorityKeyId) {
			return true
		}
	}
	return false
}
