package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/vendors"
)

// submission is a statement that passed steps 5 and 6 of the issue flow: its signer, a key or a certified identity, may
// speak for the vendor, the vendor may speak about the product, and the issuance rules are met. Nothing else can be issued.
type submission struct {
	vendor   *vendors.Vendor
	envelope *attest.Envelope
	// tokens are the RFC 3161 tokens that came with it, verified.
	tokens [][]byte
	// warnings are what the service has to say about it besides the rules' own.
	warnings predicate.Findings
	// known is set if the statement was taken before; then the rules were met.
	known *statements.Record
}

func (s *submission) row() rowKey {
	return rowKey{statementID: s.envelope.StatementID(), keyID: s.envelope.SignerID()}
}

// open takes one request through steps 5 and 6, except for the rules that need other statements.
func (i *issuer) open(ctx context.Context, req *avowv1.IssueRequest, now time.Time) (*submission, error) {
	switch content := req.GetContent().(type) {
	case *avowv1.IssueRequest_SignedEnvelope:
		return i.openSigned(ctx, content.SignedEnvelope, now)
	case *avowv1.IssueRequest_UnsignedStatement:
		return i.signUnsigned(ctx, content.UnsignedStatement, now)
	case *avowv1.IssueRequest_SignedBundle:
		return i.openBundle(ctx, content.SignedBundle, now)
	default:
		return nil, invalidField("content", "none of signed_envelope, unsigned_statement and signed_bundle is given")
	}
}

// openSigned opens an envelope that the vendor signed.
func (i *issuer) openSigned(ctx context.Context, in *avowv1.SignedEnvelope, now time.Time) (*submission, error) {
	if len(in.GetEnvelope()) == 0 {
		return nil, invalidField("signed_envelope.envelope", "is empty")
	}
	if len(in.GetCertificate()) > 0 {
		if in.GetKeyId() != "" {
			return nil, invalidField("signed_envelope", "both key_id and certificate are given; exactly one says who signed")
		}
		return i.openCertified(ctx, in, now)
	}
	vendor, key, err := i.signerFor(ctx, in.GetKeyId(), now)
	if err != nil {
		return nil, err
	}
	return i.openWith(ctx, &submission{vendor: vendor}, envelopeReader{
		open: func(o attest.PrepareOptions) (*attest.Envelope, error) {
			return attest.Open(in.GetEnvelope(), key.PublicKey, o)
		},
		reopen: func() (*attest.Envelope, error) { return attest.Reopen(in.GetEnvelope(), key.PublicKey) },
	}, now)
}

// signUnsigned signs a statement with the key that the service holds for the calling vendor. It is Prepare and Sign
// with the service's signer: the types are those of the vendor's own side.
func (i *issuer) signUnsigned(ctx context.Context, in *avowv1.UnsignedStatement, now time.Time) (*submission, error) {
	vendor := callerOf(ctx).vendor
	switch {
	case vendor == nil:
		return nil, refuse(reasonCredentialsRequired,
			"service-side signing needs a vendor's bearer token or client certificate")
	case len(in.GetStatement()) == 0:
		return nil, invalidField("unsigned_statement.statement", "is empty")
	case vendor.SigningKey == nil || i.cfg.SigningKey == nil:
		return nil, refuse(reasonSigningNotConfigured,
			"the service holds no key for %s; sign on your side and send a signed envelope", vendor.Name)
	}
	signer, err := i.cfg.SigningKey(ctx, vendor.SigningKey)
	if err != nil {
		return nil, signerRefusal(err)
	}
	keyID, err := attest.KeyID(signer.PublicKey())
	if err != nil {
		return nil, signerRefusal(err)
	}
	// The held key needs to be registered like any other: the registry alone says which keys speak for a vendor.
	_, key, err := i.signerFor(ctx, keyID, now)
	if err != nil {
		return nil, err
	}
	prepared, err := attest.Prepare(in.GetStatement(), i.prepareOptions(now))
	if err != nil {
		return i.knownUnsigned(ctx, vendor, key, in.GetStatement(), err)
	}
	if err := checkPermitted(vendor, prepared.Statement()); err != nil {
		return nil, err
	}
	env, err := prepared.Sign(ctx, signer)
	if err != nil {
		return nil, signerRefusal(err)
	}
	return &submission{vendor: vendor, envelope: env}, nil
}

func signerRefusal(err error) error {
	return &refusal{reason: reasonSignerUnavailable, cause: err,
		message: "the key that the service holds for the vendor does not answer; repeat the call"}
}

// knownUnsigned answers a statement that breaks a rule now and was signed and committed before.
func (i *issuer) knownUnsigned(
	ctx context.Context, v *vendors.Vendor, key *vendors.Key, payload []byte, refused error,
) (*submission, error) {
	sum := sha256.Sum256(payload)
	rec, err := i.cfg.Store.GetBy(ctx, "sha256:"+hex.EncodeToString(sum[:]), key.ID)
	if err != nil || rec.State != statements.StateCommitted {
		return nil, refused
	}
	env, err := attest.Reopen(rec.Envelope, key.PublicKey)
	if err != nil {
		return nil, refused
	}
	return &submission{vendor: v, envelope: env, known: &rec}, nil
}

// knownOr returns the submission with its committed record, or the error that stands otherwise.
func (i *issuer) knownOr(ctx context.Context, sub *submission, refused error) (*submission, error) {
	row := sub.row()
	rec, err := i.cfg.Store.GetBy(ctx, row.statementID, row.keyID)
	if err != nil || rec.State != statements.StateCommitted {
		return nil, refused
	}
	sub.known = &rec
	return sub, nil
}

func (i *issuer) prepareOptions(now time.Time) attest.PrepareOptions {
	return attest.PrepareOptions{Tables: i.cfg.Tables, Now: now, Strict: i.cfg.StrictRules}
}

// signerFor finds whom the key speaks for now. Credentials, if there are any, must be the same vendor's.
func (i *issuer) signerFor(ctx context.Context, keyID string, now time.Time) (*vendors.Vendor, *vendors.Key, error) {
	if !isDigestID(keyID) {
		return nil, nil, invalidField("signed_envelope.key_id", wantDigestID, clip(keyID, 80))
	}
	vendor, key, ok := i.cfg.Vendors.Registry().ByKey(keyID)
	if !ok { // what a recovery key may sign is decided when the statement is known
		vendor, key, ok = i.cfg.Vendors.Registry().ByRecoveryKey(keyID)
	}
	if !ok {
		return nil, nil, refuse(reasonKeyUnknown,
			"no registered vendor has the key %s; ask the operator of the service to register it", keyID)
	}
	if c := callerOf(ctx); c.vendor != nil && c.vendor.Name != vendor.Name {
		return nil, nil, refuse(reasonCredentialsInvalid,
			"the credentials are those of %s, the key belongs to another vendor", c.vendor.Name)
	}
	if err := checkKeyWindow(vendor, key, now); err != nil {
		return nil, nil, err
	}
	return vendor, key, nil
}

// checkKeyWindow refuses a key at a time outside of its window.
func checkKeyWindow(vendor *vendors.Vendor, key *vendors.Key, at time.Time) error {
	if key.ValidAt(at) {
		return nil
	}
	return refuse(reasonKeyNotValid, "the key %s of %s is registered from %s to %s; it is %s", key.ID, vendor.Name,
		bound(key.NotBefore), bound(key.NotAfter), at.UTC().Format(time.RFC3339))
}

func bound(t time.Time) string {
	if t.IsZero() {
		return "(open)"
	}
	return t.UTC().Format(time.RFC3339)
}

// checkPermitted compares what the statement says about its vendor and product with the registry.
//
// The declarant's name must equal the registered one byte for byte: no folding of case, space or Unicode, because
// every folding makes two names out of which one can pass for the other. Every product identifier must be permitted,
// not only one. What a statement about another statement says of products is that other one's business: whose it may
// be about is decided by lifecycle. Evidence names neither: it is the word of its signer about artifacts that may be anybody's.
func checkPermitted(vendor *vendors.Vendor, st *predicate.Statement) error {
	if st.IsEvidence() {
		return nil
	}
	party := speaker(st)
	if party == nil {
		return refuse(reasonPredicateTypeUnsupported,
			"statements of type %s cannot be issued by this call", st.Type)
	}
	if party.Name != vendor.Declarant {
		return refuse(reasonDeclarantMismatch,
			"the statement is made by %q, the key is registered for %q", clip(party.Name, 200), vendor.Declarant)
	}
	if party.Country != vendor.Country {
		return refuse(reasonDeclarantMismatch,
			"the country of who makes the statement is %q, the vendor is registered in %q", clip(party.Country, 20), vendor.Country)
	}
	common := st.Common()
	if common == nil {
		return nil
	}
	for _, id := range common.Product.Identifiers {
		if !vendor.Permits(id.Value) {
			return refuse(reasonProductNotPermitted,
				"%s may not speak about %q; permitted are identifiers below %q",
				vendor.Name, clip(id.Value, 200), vendor.Products)
		}
	}
	return nil
}

// speaker is who makes a statement by its own words, nil for the types that the service does not issue for others.
func speaker(st *predicate.Statement) *predicate.Party {
	switch common := st.Common(); {
	case common != nil:
		return &common.Declarant.Party
	case st.Withdrawal != nil:
		return &st.Withdrawal.Declarant.Party
	case st.Dispute != nil:
		return &st.Dispute.Party
	case st.Assessment != nil:
		return &st.Assessment.Assessor
	}
	return nil
}

// wantDigestID is the text for an id that is none.
const wantDigestID = "got %q, want \"sha256:\" and 64 lower-case hexadecimal digits"

// isDigestID reports whether s is "sha256:" and 64 lower-case hexadecimal digits.
func isDigestID(s string) bool {
	return len(s) == len("sha256:")+64 && s[:7] == "sha256:" && isHex(s[7:])
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
