package keyref

// Code says in one stable word why a reference did not lead to a signature. The list is closed. A key that is there but not
// ECDSA P-256 is *attest.Error with attest.CodeKeyUnsupported instead.
type Code string

const (
	// CodeReference: the reference cannot be understood, or says something that is not supported.
	CodeReference Code = "REFERENCE_MALFORMED"
	// CodeUnavailable: this binary, or this machine, lacks what the reference needs: the plugin, the build tag.
	CodeUnavailable Code = "REFERENCE_UNAVAILABLE"
	// CodePIN: there is no PIN, its file can be read by others, or the token refuses it.
	CodePIN Code = "PIN"
	// CodeNotFound: the token has no such key, or several.
	CodeNotFound Code = "KEY_NOT_FOUND"
	// CodeExists: a key that is to be made is there already.
	CodeExists Code = "KEY_EXISTS"
	// CodeService: the service or the token answered with an error.
	CodeService Code = "SERVICE_FAILED"
	// CodeProtocol: what the service answered is no answer to the call.
	CodeProtocol Code = "SERVICE_PROTOCOL"
	// CodeTimeout: the service or the token did not answer in time.
	CodeTimeout Code = "SERVICE_TIMEOUT"
	// CodeSignatureMalformed: the signature is not the DER encoding of an ECDSA signature.
	CodeSignatureMalformed Code = "SIGNATURE_MALFORMED"
	// CodeSignatureInvalid: the signature is not by the key, or not over the digest.
	CodeSignatureInvalid Code = "SIGNATURE_INVALID"
	// CodeKeyChanged: the reference led to another key when the signature was made than when it was opened.
	CodeKeyChanged Code = "KEY_CHANGED"
)

// Codes returns the closed list. It is a fresh slice.
func Codes() []Code {
	return []Code{CodeReference, CodeUnavailable, CodePIN, CodeNotFound, CodeExists, CodeService, CodeProtocol, CodeTimeout,
		CodeSignatureMalformed, CodeSignatureInvalid, CodeKeyChanged}
}

// Error is why a reference did not lead to a signature.
type Error struct {
	// Code is the stable reason.
	Code Code
	// Detail says what was found and what is wanted, in one lower-case sentence. It never holds a PIN or a token.
	Detail string
	// Hint says what to do about it.
	Hint string
	// Err is the cause, or nil.
	Err error
}

// Error returns the detail, and the cause if there is one.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Detail + ": " + e.Err.Error()
	}
	return e.Detail
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
