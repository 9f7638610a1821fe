package attest

// Code says in one stable word why bytes were refused. The list is closed: a caller may switch over it, and a service
// may send it to its own callers. Violations of the issuance rules are *predicate.RulesError instead.
type Code string

const (
	// CodeEnvelopeTooLarge: the envelope has more than MaxEnvelopeBytes.
	CodeEnvelopeTooLarge Code = "ENVELOPE_TOO_LARGE"
	// CodeEnvelopeMalformed: not strict JSON, a member that is unknown, missing or of the wrong type, a key id that is not
	// empty, or base64 that is not the canonical standard encoding.
	CodeEnvelopeMalformed Code = "ENVELOPE_MALFORMED"
	// CodePayloadType: the payload is not declared as an in-toto statement (predicate.PayloadType).
	CodePayloadType Code = "PAYLOAD_TYPE"
	// CodeSignatureCount: the envelope does not carry exactly one signature.
	CodeSignatureCount Code = "SIGNATURE_COUNT"
	// CodeSignatureInvalid: the signature does not verify with the key over the payload.
	CodeSignatureInvalid Code = "SIGNATURE_INVALID"
	// CodeKeyUnsupported: a key that is well-formed but not ECDSA P-256.
	CodeKeyUnsupported Code = "KEY_UNSUPPORTED"
	// CodeKeyMalformed: a key file or key that does not parse.
	CodeKeyMalformed Code = "KEY_MALFORMED"
	// CodeKeyPassword: a key file that the password does not open, or an empty password for a new one.
	CodeKeyPassword Code = "KEY_PASSWORD"
	// CodeCertificate: a certificate that does not parse, does not name exactly one identity, or is for another key.
	CodeCertificate Code = "CERTIFICATE"
	// CodeNotPrepared: a value that was not made by Prepare, Sign, Open or Reopen.
	CodeNotPrepared Code = "NOT_PREPARED"
	// CodeEntryMismatch: a log entry or timestamp that cannot belong to the envelope, so no bundle is made of it.
	CodeEntryMismatch Code = "ENTRY_MISMATCH"
	// CodeSubject: a file that cannot become a subject of a statement.
	CodeSubject Code = "SUBJECT"
	// CodeEvidence: an in-toto file that cannot be named as evidence.
	CodeEvidence Code = "EVIDENCE"
)

// Codes returns the closed list, in no particular order of importance. It is a fresh slice.
func Codes() []Code {
	return []Code{
		CodeEnvelopeTooLarge, CodeEnvelopeMalformed, CodePayloadType, CodeSignatureCount, CodeSignatureInvalid,
		CodeKeyUnsupported, CodeKeyMalformed, CodeKeyPassword, CodeCertificate, CodeNotPrepared, CodeEntryMismatch,
		CodeSubject, CodeEvidence,
	}
}

// Error is the refusal of bytes, keys or files by this package.
type Error struct {
	// Code is the stable reason.
	Code Code
	// Detail says what was found and what is wanted, in one lower-case sentence. It never holds secrets.
	Detail string
	// Hint says what to do about it; may be empty.
	Hint string
	// Err is the cause, or nil.
	Err error
}

// Error returns the detail, and the cause if there is one. The code and the hint are fields, so that each front end
// can render them in its own way.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Detail + ": " + e.Err.Error()
	}
	return e.Detail
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
