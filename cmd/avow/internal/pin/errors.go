package pin

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Code is the stable reason for which a pin was not made or not changed.
type Code string

// The codes. docs/rotation.md describes them; none is reused or gets another meaning.
const (
	// CodeFingerprint: the first root has another fingerprint than the one that was given.
	CodeFingerprint Code = "TRUST_FINGERPRINT"
	// CodeRoot: a new TUF root is not signed by enough holders of the one before it, or has the wrong version.
	CodeRoot Code = "TRUST_ROOT_NOT_CHAINED"
	// CodeSignature: timestamp, snapshot or targets are not signed by enough keys of the root.
	CodeSignature Code = "TRUST_SIGNATURE"
	// CodeRollback: older metadata than what was seen before.
	CodeRollback Code = "TRUST_ROLLBACK"
	// CodeExpired: the newest metadata has expired: the repository is neglected, or held back.
	CodeExpired Code = "TRUST_EXPIRED"
	// CodeMismatch: a file is not the one that the signed metadata describes.
	CodeMismatch Code = "TRUST_MISMATCH"
	// CodeTooLarge: an answer is longer than may be, or than was announced.
	CodeTooLarge Code = "TRUST_TOO_LARGE"
	// CodeRedirect: the repository sends to another address, which is not followed.
	CodeRedirect Code = "TRUST_REDIRECT"
	// CodeMalformed: metadata or trusted root do not parse.
	CodeMalformed Code = "TRUST_MALFORMED"
	// CodeChanged: a service without TUF offers another trusted root than the pinned one.
	CodeChanged Code = "TRUST_CHANGED"
	// CodeOutage: no answer, or not the file.
	CodeOutage Code = "TRUST_OUTAGE"
	// CodePin: the pin's own files are damaged or not there.
	CodePin Code = "TRUST_PIN"
)

// Codes lists all codes.
func Codes() []Code {
	return []Code{CodeFingerprint, CodeRoot, CodeSignature, CodeRollback, CodeExpired, CodeMismatch, CodeTooLarge, CodeRedirect,
		CodeMalformed, CodeChanged, CodeOutage, CodePin}
}

// Error says why a pin was not made or not changed.
type Error struct {
	Code Code
	// Message is one sentence; what it quotes of others is escaped.
	Message string
	// Hint says what to do.
	Hint string
	Err  error
}

// Error returns code and message.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Refused reports whether something was offered and not taken, in contrast to nothing usable being there.
func (e *Error) Refused() bool { return e.Code != CodeOutage && e.Code != CodePin }

const (
	hintOperator = "the pin is as it was; ask the operator on another channel what happened, and do not pin anew before you know"
	hintOutage   = "the pin is as it was; try again later"
)

func refuse(code Code, err error, format string, args ...any) *Error {
	hint := hintOperator
	if code == CodeOutage {
		hint = hintOutage
	}
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Hint: hint, Err: err}
}

// classify gives an error of the updater its code. last is the file that was asked for last.
func classify(err error, last string) *Error {
	var own *Error
	var status *metadata.ErrDownloadHTTP
	root := strings.HasSuffix(last, "root.json")
	kind := func(target error) bool { return errors.Is(err, target) }
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &status):
		return refuse(CodeOutage, err, "%s is not there: the answer is %s", last, http.StatusText(status.StatusCode))
	case kind(&metadata.ErrDownloadLengthMismatch{}):
		return refuse(CodeTooLarge, err, "%s is longer than it may be", last)
	case kind(&metadata.ErrExpiredMetadata{}):
		return refuse(CodeExpired, err, "%s: what the repository offers as its newest state has expired", short(err))
	case kind(&metadata.ErrUnsignedMetadata{}) && root, kind(&metadata.ErrBadVersionNumber{}) && root:
		return refuse(CodeRoot, err, "%s does not follow from the pinned root: %s", last, short(err))
	case kind(&metadata.ErrUnsignedMetadata{}):
		return refuse(CodeSignature, err, "%s: %s", last, short(err))
	case kind(&metadata.ErrBadVersionNumber{}):
		if strings.HasSuffix(last, "timestamp.json") || strings.Contains(err.Error(), "expected targets.json version") {
			return refuse(CodeRollback, err, "%s is older than what was seen before: %s", last, short(err))
		}
		return refuse(CodeMismatch, err, "%s is not the version that the signed metadata names: %s", last, short(err))
	case kind(&metadata.ErrLengthOrHashMismatch{}):
		return refuse(CodeMismatch, err, "%s is not the file that the signed metadata describes", last)
	}
	return refuse(CodeMalformed, err, "%s: %s", last, short(err))
}

// short clips and escapes an error that may quote what came over the network.
func short(err error) string {
	s := fmt.Sprintf("%.200q", err.Error())
	return strings.Trim(s, `"`)
}
