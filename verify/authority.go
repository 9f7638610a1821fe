package verify

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/sigstore/sigstore-go/pkg/root"
)

// maxKnownSigners bounds the signing certificates whose chains an authority
// keeps. A root that names the authority's leaf has exactly one.
const maxKnownSigners = 16

// authority is one timestamp authority of the trusted root. It remembers the
// chains of signing certificates that sigstore-go accepted, because a chain is
// the same for every token while its verification costs more than the token's.
type authority struct {
	root  *root.SigstoreTimestampingAuthority
	other root.TimestampingAuthority // of another implementation: never remembered

	mu    sync.RWMutex
	known map[[32]byte][][]*x509.Certificate // by SHA-256 of the signing certificate
}

func newAuthority(a root.TimestampingAuthority) *authority {
	known := make(map[[32]byte][][]*x509.Certificate)
	if s, ok := a.(*root.SigstoreTimestampingAuthority); ok {
		return &authority{root: s, known: known}
	}
	return &authority{other: a, known: known}
}

// token is a parsed timestamp response. If it carries certificates, its CMS
// signature verified against the one that its signer info names; nothing is
// known yet about whether anybody trusts that certificate.
type token struct {
	response []byte
	stamp    *timestamp.Timestamp
	// signer is the certificate that the CMS signature verified against, set only
	// where it is beyond doubt: one certificate, for the one signer.
	signer *x509.Certificate
}

// stamp is a verified timestamp and who made it.
type stamp struct {
	time      time.Time
	uri       string
	authority *authority
	key       []byte // SubjectPublicKeyInfo of the signing certificate, nil if not known
}

// parseToken parses an RFC 3161 response. digitorus/timestamp verifies the CMS
// signature while parsing if the response carries certificates.
func parseToken(response []byte) (*token, error) {
	if err := checkTokenForm(response); err != nil {
		return nil, fmt.Errorf("timestamp response: %w", err)
	}
	ts, err := timestamp.ParseResponse(response)
	if err != nil {
		return nil, fmt.Errorf("timestamp response: %w", err)
	}
	t := &token{response: response, stamp: ts}
	if len(ts.Certificates) == 1 { // and one signer: checkTokenForm
		t.signer = ts.Certificates[0]
	}
	return t, nil
}

// verifyTimestamp verifies a response over message against every authority of
// the root and returns the first that vouches for it.
func (t *Trust) verifyTimestamp(response, message []byte) (*stamp, error) {
	if len(t.authorities) == 0 {
		return nil, errors.New("the trusted root names no timestamp authority")
	}
	tok, err := parseToken(response)
	if err != nil {
		return nil, err
	}
	for _, a := range t.authorities {
		if s := a.recall(tok, message); s != nil {
			return s, nil
		}
	}
	var errs []error
	for _, a := range t.authorities {
		s, err := a.verify(tok, message)
		if err == nil {
			return s, nil
		}
		errs = append(errs, err)
	}
	return nil, &strangerError{kind: "timestamp authority", claimed: tok.claimed(), err: errors.Join(errs...)}
}

// verify is sigstore-go's verification, chain included. If it accepts, the
// chain of the signing certificate is remembered.
func (a *authority) verify(tok *token, message []byte) (*stamp, error) {
	if a.root == nil {
		ts, err := a.other.Verify(tok.response, message)
		if err != nil {
			return nil, err
		}
		return &stamp{time: ts.Time.UTC(), uri: ts.URI, authority: a}, nil
	}
	ts, err := a.root.Verify(tok.response, message)
	if err != nil {
		return nil, err
	}
	s := &stamp{time: ts.Time.UTC(), uri: ts.URI, authority: a}
	switch {
	case a.root.Leaf != nil: // sigstore-go saw to it that this certificate signed
		s.key = a.root.Leaf.RawSubjectPublicKeyInfo
	case tok.signer != nil:
		s.key = tok.signer.RawSubjectPublicKeyInfo
	}
	if tok.signer != nil {
		a.remember(tok.signer, ts.Time)
	}
	return s, nil
}

// remember keeps the chains of a signing certificate that sigstore-go just
// accepted for this authority.
func (a *authority) remember(signer *x509.Certificate, at time.Time) {
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(a.root.Root)
	for _, c := range a.root.Intermediates {
		intermediates.AddCert(c)
	}
	chains, err := signer.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping},
	})
	if err != nil {
		return // it chained through certificates of the token only: verify it in full each time
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) < maxKnownSigners {
		a.known[sha256.Sum256(signer.Raw)] = chains
	}
}

// recall verifies a token whose signing certificate sigstore-go accepted for
// this authority before. What it leaves out (the chain's signatures, key usages
// and constraints) depends on nothing but that certificate and the root; what
// depends on the token is checked: its CMS signature (when it was parsed), the
// message imprint, and every validity window at the token's own time. It
// returns nil to say that the full verification has to decide.
func (a *authority) recall(tok *token, message []byte) *stamp {
	if a.root == nil || tok.signer == nil {
		return nil
	}
	a.mu.RLock()
	chains := a.known[sha256.Sum256(tok.signer.Raw)]
	a.mu.RUnlock()
	at := tok.stamp.Time
	if !within(at, a.root.ValidityPeriodStart, a.root.ValidityPeriodEnd) || !anyValidAt(chains, at) {
		return nil
	}
	switch tok.stamp.HashAlgorithm {
	case crypto.SHA256, crypto.SHA384, crypto.SHA512:
	default:
		return nil
	}
	h := tok.stamp.HashAlgorithm.New()
	h.Write(message)
	if !bytes.Equal(h.Sum(nil), tok.stamp.HashedMessage) {
		return nil
	}
	return &stamp{time: at.UTC(), uri: a.root.URI, authority: a, key: tok.signer.RawSubjectPublicKeyInfo}
}

// anyValidAt reports whether all certificates of one of the chains were valid at the time.
func anyValidAt(chains [][]*x509.Certificate, at time.Time) bool {
	for _, chain := range chains {
		valid := len(chain) > 0
		for _, c := range chain {
			valid = valid && within(at, c.NotBefore, c.NotAfter)
		}
		if valid {
			return true
		}
	}
	return false
}

// same reports whether two timestamps are one authority's word: the same entry
// of the root, the same URI, or the same signing key under two names.
func (s *stamp) same(o *stamp) bool {
	return s.authority == o.authority || s.uri == o.uri || (s.key != nil && bytes.Equal(s.key, o.key))
}
