package attest

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"strconv"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
)

// PrepareOptions is what the issuance rules need besides the statement.
type PrepareOptions struct {
	// Tables are the dated registries (countries, public suffixes, definitions). Nil means predicate.EmbeddedTables().
	Tables *predicate.Tables
	// Now is the time of the check, for the receipt-time half of rule R05. Prepare leaves that half to the receiver when
	// Now is zero; Open always checks it, so a zero Now makes Open refuse.
	Now time.Time
	// Related are the other statements of the same declaration and those of the store that the statement refers to, for
	// the rules that need a second document (R10, R13, R16, R21, R31). Nil leaves these rules to the caller, who then
	// has to load what (*predicate.Statement).References names and call CheckRelated; an empty list checks them and
	// finds nothing.
	Related []*predicate.Statement
	// Strict turns the warnings W01 to W05 into rejections (strict issuance profile).
	Strict bool
}

// Prepared is a statement that passed the issuance rules, and the only thing that can be signed. Prepare makes it;
// the zero value is refused.
type Prepared struct {
	statement *predicate.Statement
	warnings  predicate.Findings
	pae       [sha256.Size]byte
}

// Prepare parses the statement strictly and applies the issuance rules. The bytes are kept exactly as given.
//
// The error is *predicate.RulesError with every finding that blocks; findings that do not are in Warnings.
func Prepare(payload []byte, o PrepareOptions) (*Prepared, error) {
	return prepare(payload, o, !o.Now.IsZero())
}

// prepare is what Prepare and Open share; receipt says whether the receipt-time half of R05 applies.
func prepare(payload []byte, o PrepareOptions, receipt bool) (*Prepared, error) {
	st, err := predicate.Parse(payload, predicate.Issuance)
	if err != nil {
		return nil, err
	}
	tables := o.Tables
	if tables == nil {
		tables = predicate.EmbeddedTables()
	}
	findings := st.Check(tables)
	if receipt {
		findings = append(findings, st.CheckReceipt(o.Now)...)
	}
	if o.Related != nil {
		findings = append(findings, st.CheckRelated(o.Related)...)
	}
	if blocking := blockers(findings, o.Strict); len(blocking) > 0 {
		return nil, &predicate.RulesError{Findings: blocking}
	}
	return &Prepared{statement: st, warnings: findings.Warnings(), pae: paeDigest(payload)}, nil
}

// blockers returns the findings that forbid issuance: the errors, and in the strict profile W01 to W05 too.
func blockers(findings predicate.Findings, strict bool) predicate.Findings {
	blocking := findings.Errors()
	if !strict {
		return blocking
	}
	for _, f := range findings.Warnings() {
		switch f.Code {
		case "W01", "W02", "W03", "W04", "W05":
			f.Severity = predicate.SeverityError
			blocking = append(blocking, f)
		}
	}
	return blocking
}

// valid reports whether Prepare made p.
func (p *Prepared) valid() bool { return p != nil && p.statement != nil }

// StatementID returns "sha256:" and the hex SHA-256 of the payload.
func (p *Prepared) StatementID() string { return p.statement.ID() }

// Statement returns the parsed statement. It must not be changed.
func (p *Prepared) Statement() *predicate.Statement { return p.statement }

// Warnings returns the findings that do not block issuance.
func (p *Prepared) Warnings() predicate.Findings { return p.warnings }

// PAEDigest returns SHA-256 of the DSSE pre-authentication encoding of the payload: what is signed and what the log
// holds.
func (p *Prepared) PAEDigest() [32]byte { return p.pae }

// Signer makes ECDSA P-256 signatures: a key file (KeyFile), a key management service, a hardware token.
type Signer interface {
	// PublicKey returns the P-256 public key that verifies the signatures. It must not change during the signer's life.
	PublicKey() *ecdsa.PublicKey
	// SignDigest signs a SHA-256 digest and returns the signature in ASN.1 DER (RFC 3279, 2.2.3). It must not hash again.
	SignDigest(ctx context.Context, digest [32]byte) ([]byte, error)
}

// Sign signs the prepared statement and returns the envelope. The signature is verified with the signer's own public
// key before it is used, so a signer whose two halves do not belong together is found here and not by the first
// buyer.
//
// The error is *Error (CodeNotPrepared, CodeKeyUnsupported, CodeSignatureInvalid) or the signer's own.
func (p *Prepared) Sign(ctx context.Context, s Signer) (*Envelope, error) { return p.sign(ctx, s, nil) }

// SignCertified is Sign with a key that a certificate authority certified: the envelope carries the certificate, and its
// leaf and its bundle name the identity instead of the key. Errors are as for Sign.
func (p *Prepared) SignCertified(ctx context.Context, s *CertifiedSigner) (*Envelope, error) {
	if s == nil || !s.certificate.valid() {
		return nil, &Error{Code: CodeNotPrepared, Detail: "only a signer returned by Certify can sign with a certificate"}
	}
	return p.sign(ctx, s.signer, s.certificate)
}

func (p *Prepared) sign(ctx context.Context, s Signer, c *Certificate) (*Envelope, error) {
	if !p.valid() {
		return nil, &Error{Code: CodeNotPrepared, Detail: "only a statement returned by Prepare can be signed"}
	}
	key, err := newVerificationKey(s.PublicKey())
	if err != nil {
		return nil, err
	}
	if c != nil { // the certificate's key: a signer that changed its key since Certify does not pass
		key = c.key
	}
	signature, err := s.SignDigest(ctx, p.pae)
	if err != nil {
		return nil, err
	}
	if err := key.verify(p.pae, signature); err != nil {
		return nil, err
	}
	return &Envelope{statement: p.statement, warnings: p.warnings, signature: signature, key: key, certificate: c, pae: p.pae,
		json: appendOwnForm(nil, p.statement.Payload(), signature)}, nil
}

// paeDigest returns SHA-256 of PAE(predicate.PayloadType, payload).
//
//	> PAE(type, body) = "DSSEv1" + SP + LEN(type) + SP + type + SP + LEN(body) + SP + body
//
// (DSSE v1, "Signature definition".) The encoding is hashed piece by piece, so the payload is not copied.
func paeDigest(payload []byte) [sha256.Size]byte {
	prefix := "DSSEv1 " + strconv.Itoa(len(predicate.PayloadType)) + " " + predicate.PayloadType + " " +
		strconv.Itoa(len(payload)) + " "
	h := sha256.New()
	h.Write([]byte(prefix))
	h.Write(payload)
	return [sha256.Size]byte(h.Sum(nil))
}
