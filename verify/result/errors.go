package result

import "fmt"

// Code says in one stable word why a signed verdict was refused. The list is
// closed, see [Codes]; none is reused or given another meaning.
type Code string

// The codes.
const (
	// CodeForm: too large, not strict JSON, or not byte for byte what this package
	// writes for its content: an unknown, repeated, missing or contradicting member.
	CodeForm Code = "VERDICT_FORM"
	// CodeForeign: not by a pinned verifier: another key, or another verifier id
	// under a pinned key.
	CodeForeign Code = "VERDICT_FOREIGN"
	// CodeSignature: not exactly one signature, or one that does not verify with
	// the pinned key.
	CodeSignature Code = "VERDICT_SIGNATURE"
	// CodeKind: signed by a pinned verifier, but a statement of another type.
	CodeKind Code = "VERDICT_KIND"
	// CodeArtifactDiffers: about another artifact.
	CodeArtifactDiffers Code = "VERDICT_ARTIFACT_DIFFERS"
	// CodeNotPassed: the verdict is a rejection. Also why none is signed in a form
	// that cannot say so.
	CodeNotPassed Code = "VERDICT_NOT_PASSED"
	// CodeNotYetValid: made after the time of use, beyond the allowed skew.
	CodeNotYetValid Code = "VERDICT_NOT_YET_VALID"
	// CodeExpired: its validity has passed.
	CodeExpired Code = "VERDICT_EXPIRED"
	// CodeTrustDiffers: reached under another trusted root.
	CodeTrustDiffers Code = "VERDICT_TRUST_DIFFERS"
	// CodePolicyDiffers: reached by another policy, by one where none is expected,
	// or by none where one is.
	CodePolicyDiffers Code = "VERDICT_POLICY_DIFFERS"
	// CodeTypesDiffer: it builds on no statement of a required type.
	CodeTypesDiffer Code = "VERDICT_TYPES_DIFFER"
	// CodeSignerDiffers: a statement it builds on is by none of the expected signers.
	CodeSignerDiffers Code = "VERDICT_SIGNER_DIFFERS"
	// CodeTimestampsDiffer: a statement it builds on has fewer timestamps than expected.
	CodeTimestampsDiffer Code = "VERDICT_TIMESTAMPS_DIFFER"
)

// Codes returns the closed list. It is a fresh slice.
func Codes() []Code {
	return []Code{
		CodeForm, CodeForeign, CodeSignature, CodeKind, CodeArtifactDiffers, CodeNotPassed, CodeNotYetValid, CodeExpired,
		CodeTrustDiffers, CodePolicyDiffers, CodeTypesDiffer, CodeSignerDiffers, CodeTimestampsDiffer,
	}
}

// Error is the refusal of a signed verdict, or to sign one. Mistakes of the
// caller wrap [verify.ErrInput] instead.
type Error struct {
	// Code is the stable reason.
	Code Code
	// Detail says what was found and what is wanted, in one lower-case sentence.
	// It may quote the bundle: show it, never act on it.
	Detail string
	// Hint says what to do about it.
	Hint string
}

// Error returns the detail. The code and the hint are fields, so that each
// front end can render them in its own way.
func (e *Error) Error() string { return e.Detail }

const (
	hintVerify = "verify the bundles again, and sign a new verdict"
	hintOwn    = "get the verdict again from where it was made; if that is a newer avow, update this one"
)

func refuse(code Code, hint, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...), Hint: hint}
}
