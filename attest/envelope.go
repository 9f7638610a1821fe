package attest

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/avow-dev/avow/attest/predicate"
)

// Envelope is a statement with one verified signature. Sign, Open and Reopen and their forms for certificates make it; the
// zero value is refused by Leaf and NewBundle. It is immutable and safe for concurrent use.
type Envelope struct {
	statement *predicate.Statement
	warnings  predicate.Findings
	signature []byte // ASN.1 DER
	key       *verificationKey
	// certificate is that of key; nil where the key itself is the signer.
	certificate *Certificate
	pae         [32]byte
	json        []byte // what JSON returns
}

// Open reads a DSSE envelope from a vendor: limits, strict JSON, exactly one signature with an empty key id,
// canonical base64, the signature with key, and only then the statement, to which it applies every rule that Prepare
// does and the receipt-time half of R05.
//
// The error is *Error or *predicate.RulesError. A statement whose signature does not verify is never parsed.
func Open(envelope []byte, key *ecdsa.PublicKey, o PrepareOptions) (*Envelope, error) {
	vk, err := newVerificationKey(key)
	if err != nil {
		return nil, err
	}
	return open(envelope, vk, nil, o)
}

// OpenCertified is Open for an envelope that was signed with the key of a certificate. The signature is checked with that
// key; whether the certificate is to be believed is for the caller to find out.
func OpenCertified(envelope []byte, c *Certificate, o PrepareOptions) (*Envelope, error) {
	if !c.valid() {
		return nil, badCertificate(nil, "there is no certificate")
	}
	return open(envelope, c.key, c, o)
}

func open(envelope []byte, key *verificationKey, c *Certificate, o PrepareOptions) (*Envelope, error) {
	payload, signature, err := openSignature(envelope, key)
	if err != nil {
		return nil, err
	}
	p, err := prepare(payload, o, true)
	if err != nil {
		return nil, err
	}
	return &Envelope{statement: p.statement, warnings: p.warnings, signature: signature, key: key, certificate: c, pae: p.pae,
		json: appendOwnForm(nil, payload, signature)}, nil
}

// Reopen reads an envelope that Open accepted before, from a store: limits, strict JSON and the signature are checked
// again, the statement is parsed as strictly, but the issuance rules are not repeated. They may have been sharpened
// since, and the receipt time has passed; neither may make a stored statement unreadable.
func Reopen(envelope []byte, key *ecdsa.PublicKey) (*Envelope, error) {
	vk, err := newVerificationKey(key)
	if err != nil {
		return nil, err
	}
	return reopen(envelope, vk, nil)
}

// ReopenCertified is Reopen for an envelope that OpenCertified accepted before.
func ReopenCertified(envelope []byte, c *Certificate) (*Envelope, error) {
	if !c.valid() {
		return nil, badCertificate(nil, "there is no certificate")
	}
	return reopen(envelope, c.key, c)
}

func reopen(envelope []byte, key *verificationKey, c *Certificate) (*Envelope, error) {
	payload, signature, err := openSignature(envelope, key)
	if err != nil {
		return nil, err
	}
	st, err := predicate.Parse(payload, predicate.Consumption)
	if err != nil {
		return nil, err
	}
	return &Envelope{statement: st, signature: signature, key: key, certificate: c, pae: paeDigest(payload),
		json: appendOwnForm(nil, payload, signature)}, nil
}

// openSignature decodes the envelope and verifies its signature over the payload.
func openSignature(envelope []byte, key *verificationKey) (payload, signature []byte, err error) {
	payload, signature, err = decodeEnvelope(envelope)
	if err != nil {
		return nil, nil, err
	}
	if err := key.verify(paeDigest(payload), signature); err != nil {
		return nil, nil, err
	}
	return payload, signature, nil
}

// decodeEnvelope reads the JSON of a DSSE envelope. What it returns is not authenticated.
func decodeEnvelope(envelope []byte) (payload, signature []byte, err error) {
	if len(envelope) > MaxEnvelopeBytes {
		return nil, nil, &Error{Code: CodeEnvelopeTooLarge,
			Detail: fmt.Sprintf("the envelope has %d bytes, the limit is %d", len(envelope), MaxEnvelopeBytes),
			Hint:   "name large evidence by digest instead of including it, or use several statements"}
	}
	if payload, signature, ok := decodeOwnForm(envelope); ok {
		return payload, signature, nil
	}
	return parseEnvelope(envelope)
}

// parseEnvelope reads an envelope in any strict form.
func parseEnvelope(envelope []byte) (payload, signature []byte, err error) {
	limits := predicate.JSONLimits{MaxBytes: MaxEnvelopeBytes, MaxDepth: maxEnvelopeDepth, MaxValues: maxEnvelopeValues}
	if err := predicate.StrictJSON(envelope, limits); err != nil {
		return nil, nil, malformed("the envelope is not strict JSON", err)
	}
	// encoding/json matches member names without case in structs, but not in maps: the exact names are compared below.
	var members map[string]json.RawMessage
	if err := json.Unmarshal(envelope, &members); err != nil {
		return nil, nil, malformed("the envelope is not a JSON object", err)
	}
	if err := onlyMembers("the envelope", members, "payload", "payloadType", "signatures"); err != nil {
		return nil, nil, err
	}
	payloadType, err := stringMember(members, "payloadType")
	if err != nil {
		return nil, nil, err
	}
	if payloadType != predicate.PayloadType {
		return nil, nil, &Error{Code: CodePayloadType,
			Detail: fmt.Sprintf("payloadType is %.100q, want %q", payloadType, predicate.PayloadType),
			Hint:   "sign an in-toto statement"}
	}
	if signature, err = decodeSignatures(members["signatures"]); err != nil {
		return nil, nil, err
	}
	if payload, err = base64Member(members, "payload"); err != nil {
		return nil, nil, err
	}
	return payload, signature, nil
}

// decodeOwnForm reads an envelope in exactly the form that Envelope.JSON writes, which most are, at a fifth of the cost of
// parsing JSON. It cannot read anything differently from the parser: the text around the two values is fixed, and canonical
// base64 has one spelling for each value. Everything else, ill-formed or only formed otherwise, is left to the parser.
func decodeOwnForm(envelope []byte) (payload, signature []byte, ok bool) {
	rest, ok1 := bytes.CutPrefix(envelope, []byte(ownFormPayload))
	encodedPayload, rest, ok2 := bytes.Cut(rest, []byte(ownFormSignature))
	encodedSignature, ok3 := bytes.CutSuffix(rest, []byte(ownFormEnd))
	if !ok1 || !ok2 || !ok3 {
		return nil, nil, false
	}
	payload, ok1 = decodeCanonical(encodedPayload)
	signature, ok2 = decodeCanonical(encodedSignature)
	return payload, signature, ok1 && ok2 && len(signature) > 0 && len(signature) <= maxSignatureBytes
}

// decodeCanonical decodes standard base64 in its only canonical spelling. encoding/base64 ignores line breaks even in strict
// mode; the length shows them.
func decodeCanonical(encoded []byte) ([]byte, bool) {
	decoded, err := base64.StdEncoding.Strict().AppendDecode(nil, encoded)
	return decoded, err == nil && base64.StdEncoding.EncodedLen(len(decoded)) == len(encoded)
}

// The text of Envelope.JSON around the payload and the signature.
const (
	ownFormPayload   = `{"payload":"`
	ownFormSignature = `","payloadType":"` + predicate.PayloadType + `","signatures":[{"sig":"`
	ownFormEnd       = `"}]}`
)

// appendOwnForm writes an envelope in the one form of this package.
func appendOwnForm(b, payload, signature []byte) []byte {
	b = slices.Grow(b, len(ownFormPayload)+len(ownFormSignature)+len(ownFormEnd)+
		base64.StdEncoding.EncodedLen(len(payload))+base64.StdEncoding.EncodedLen(len(signature)))
	b = append(b, ownFormPayload...)
	b = base64.StdEncoding.AppendEncode(b, payload)
	b = append(b, ownFormSignature...)
	b = base64.StdEncoding.AppendEncode(b, signature)
	return append(b, ownFormEnd...)
}

// decodeSignatures reads the list of signatures, which must hold one.
func decodeSignatures(raw json.RawMessage) ([]byte, error) {
	var signatures []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &signatures); err != nil {
		return nil, malformed("signatures is not a list of objects", err)
	}
	if len(signatures) != 1 {
		return nil, &Error{Code: CodeSignatureCount,
			Detail: fmt.Sprintf("the envelope carries %d signatures, want 1", len(signatures)),
			Hint:   "a second signer issues the same statement in an envelope of its own"}
	}
	if err := onlyMembers("the signature", signatures[0], "sig", "keyid"); err != nil {
		return nil, err
	}
	// > KEYID: Optional, unauthenticated hint [...] MUST NOT be used for security decisions.
	// (DSSE v1, "Envelope".) It would be carried along unauthenticated, so only the empty one is taken.
	if _, present := signatures[0]["keyid"]; present {
		keyID, err := stringMember(signatures[0], "keyid")
		if err != nil {
			return nil, err
		}
		if keyID != "" {
			return nil, malformed(fmt.Sprintf("keyid is %.100q, want it empty or absent", keyID), nil)
		}
	}
	signature, err := base64Member(signatures[0], "sig")
	if err != nil {
		return nil, err
	}
	if len(signature) == 0 || len(signature) > maxSignatureBytes {
		return nil, &Error{Code: CodeSignatureInvalid,
			Detail: fmt.Sprintf("the signature has %d bytes, an ECDSA P-256 signature has 8 to %d", len(signature),
				maxSignatureBytes)}
	}
	return signature, nil
}

// onlyMembers refuses members that are not in the list. Presence is checked where a member is read.
func onlyMembers(what string, members map[string]json.RawMessage, names ...string) error {
	known := 0
	for _, name := range names {
		if _, ok := members[name]; ok {
			known++
		}
	}
	if known == len(members) {
		return nil
	}
	return malformed(fmt.Sprintf("%s has members beside %q", what, names), nil)
}

// stringMember returns a member that must be there and be a string.
func stringMember(members map[string]json.RawMessage, name string) (string, error) {
	raw, ok := members[name]
	if !ok {
		return "", malformed(name+" is missing", nil)
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", malformed(name+" is not a string", err)
	}
	return s, nil
}

// base64Member decodes a member in canonical standard base64: padded, no line breaks, unused bits zero. Two spellings
// of one payload would be two envelopes for one signature.
func base64Member(members map[string]json.RawMessage, name string) ([]byte, error) {
	s, err := stringMember(members, name)
	if err != nil {
		return nil, err
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, malformed(name+" is not canonical standard base64", err)
	}
	if base64.StdEncoding.EncodedLen(len(decoded)) != len(s) {
		return nil, malformed(name+" has line breaks in its base64", nil)
	}
	return decoded, nil
}

func malformed(detail string, err error) *Error {
	return &Error{Code: CodeEnvelopeMalformed, Detail: detail, Err: err,
		Hint: "send a DSSE envelope as `avow attest` or `cosign attest-blob --statement` makes it"}
}

// valid reports whether Sign, Open or Reopen made e.
func (e *Envelope) valid() bool { return e != nil && e.statement != nil && e.key != nil }

// JSON returns the DSSE envelope in this package's one form: members payload, payloadType and signatures, no key id, no
// whitespace. It is the same for the same statement and signature, however the bytes looked that Open was given. The bytes
// are shared and must not be changed.
func (e *Envelope) JSON() []byte { return e.json }

// Statement returns the parsed statement. It must not be changed.
func (e *Envelope) Statement() *predicate.Statement { return e.statement }

// Warnings returns the findings that did not block issuance; nil for a reopened envelope.
func (e *Envelope) Warnings() predicate.Findings { return e.warnings }

// StatementID returns "sha256:" and the hex SHA-256 of the payload.
func (e *Envelope) StatementID() string { return e.statement.ID() }

// Signature returns a copy of the signature, ASN.1 DER.
func (e *Envelope) Signature() []byte { return bytes.Clone(e.signature) }

// PublicKey returns the key that verified the signature.
func (e *Envelope) PublicKey() *ecdsa.PublicKey { return e.key.public }

// KeyID returns the id of the signing key: "sha256:" and the hex SHA-256 of its SPKI DER.
func (e *Envelope) KeyID() string { return e.key.id() }

// Certificate returns the certificate of the signing key, nil where there is none.
func (e *Envelope) Certificate() *Certificate { return e.certificate }

// SignerID returns the id of the signer, which is what makes a statement that is signed twice the same: the key's id
// (KeyID), or, with a certificate, the id of its identity (Identity.ID).
func (e *Envelope) SignerID() string {
	if e.certificate != nil {
		return e.certificate.identity.ID()
	}
	return e.key.id()
}

// Signer returns what SignerID is the SHA-256 of: the key's SPKI DER, or the identity's canonical bytes.
func (e *Envelope) Signer() []byte {
	if e.certificate != nil {
		return e.certificate.identity.Canonical()
	}
	return bytes.Clone(e.key.spki)
}

// KeyHint returns the base64 SHA-256 of the key's SPKI DER, as bundles carry it in publicKey.hint.
func (e *Envelope) KeyHint() string { return e.key.hint() }

// PAEDigest returns SHA-256 of the DSSE pre-authentication encoding: what was signed and what the log holds.
func (e *Envelope) PAEDigest() [32]byte { return e.pae }
