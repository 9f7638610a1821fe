package layout

// Code says in one stable word why a layout was refused or does not hold. The list is closed.
type Code string

const (
	// CodeMalformed: not a layout of in-toto, over a limit, or of a form that two readers could read differently.
	CodeMalformed Code = "LAYOUT_MALFORMED"
	// CodeInspections: the layout has inspections, whose commands would run on this machine.
	CodeInspections Code = "LAYOUT_INSPECTIONS"
	// CodeSublayout: a link is a layout of its own.
	CodeSublayout Code = "LAYOUT_SUBLAYOUT"
	// CodeParameters: the layout has {parameters}, for which there are no values.
	CodeParameters Code = "LAYOUT_PARAMETERS"
	// CodeStep: a step's name is a pattern or a path, stands twice, or its threshold is below one.
	CodeStep Code = "LAYOUT_STEP"
	// CodeCertificates: the layout names functionaries by certificates.
	CodeCertificates Code = "LAYOUT_CERTIFICATES"
	// CodeSignature: a given key has not signed the layout.
	CodeSignature Code = "LAYOUT_SIGNATURE"
	// CodeExpired: the layout is not valid any more.
	CodeExpired Code = "LAYOUT_EXPIRED"
	// CodeLinks: links are missing, or not signed by enough of those who may.
	CodeLinks Code = "LAYOUT_LINKS"
	// CodeRules: what a step took or made is not what the rules allow.
	CodeRules Code = "LAYOUT_RULES"
	// CodeArtifact: the given file is not a product of the last step.
	CodeArtifact Code = "LAYOUT_ARTIFACT"
)

// Codes returns the closed list. It is a fresh slice.
func Codes() []Code {
	return []Code{CodeMalformed, CodeInspections, CodeSublayout, CodeParameters, CodeStep, CodeCertificates, CodeSignature, CodeExpired,
		CodeLinks, CodeRules, CodeArtifact}
}

// Error is a layout that was refused or does not hold.
type Error struct {
	Code   Code
	Detail string
	Hint   string
	Err    error
}

// Error says what is wrong, and why.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Detail + ": " + e.Err.Error()
	}
	return e.Detail
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Answered reports whether the layout was evaluated, and the answer is no. Otherwise it was refused unread.
func (e *Error) Answered() bool {
	switch e.Code {
	case CodeSignature, CodeExpired, CodeLinks, CodeRules, CodeArtifact:
		return true
	}
	return false
}
