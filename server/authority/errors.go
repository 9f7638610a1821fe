package authority

import (
	"fmt"
	"log/slog"
)

// Codes of [Error]: a closed list. A new one is an addition to the contract.
const (
	// BadChain: a certificate chain does not follow the rules of this package.
	BadChain = "TSA_CHAIN"
	// BadKey: a private key is not ECDSA P-256, or not the leaf's.
	BadKey = "TSA_KEY"
	// BadConfig: the configuration of a remote authority is not usable.
	BadConfig = "TSA_CONFIG"
	// BadSignature: what is to be timestamped is empty or larger than MaxSignatureBytes.
	BadSignature = "TSA_SIGNATURE_SIZE"
	// BadRequest: an RFC 3161 request was refused; the response says why.
	BadRequest = "TSA_REQUEST"
	// TimeWentBack: the clock is behind a token that was issued already.
	TimeWentBack = "TIME_WENT_BACK"
	// Expired: the leaf certificate is not valid at the time of the clock.
	Expired = "TSA_EXPIRED"
	// Internal: a token could not be made, or did not verify when it was checked.
	Internal = "TSA_INTERNAL"

	// Unreachable: the remote authority did not answer in time, or not with HTTP status 200.
	Unreachable = "TSA_UNREACHABLE"
	// TooLarge: the remote answer is larger than MaxResponseBytes.
	TooLarge = "TSA_RESPONSE_TOO_LARGE"
	// Malformed: the remote answer is no RFC 3161 response.
	Malformed = "TSA_RESPONSE_MALFORMED"
	// Refused: the remote authority answered, but granted no token.
	Refused = "TSA_REFUSED"
	// WrongImprint: the token is over something else.
	WrongImprint = "TSA_IMPRINT"
	// WrongNonce: the token answers another request.
	WrongNonce = "TSA_NONCE"
	// Untrusted: the token does not verify against the configured chain.
	Untrusted = "TSA_UNTRUSTED"
	// WrongTime: the token's time is too far from the clock.
	WrongTime = "TSA_TIME"
)

// Error is the error type of this package, apart from context errors, which are
// returned as they are. Error() names no address and shows no cause; the cause
// is for the log ([Error.LogValue]).
type Error struct {
	// Code is one of the constants of this package.
	Code string
	// Message says what was wrong, with the values that show it.
	Message string
	// Hint says what can be done; it may be empty.
	Hint string
	// Retryable tells whether the same call can succeed later.
	Retryable bool
	// Err is the cause; it may contain addresses and must not be sent to clients.
	Err error
}

// Error implements error.
func (e *Error) Error() string { return "authority: " + e.Code + ": " + e.Message }

// Unwrap gives the cause, for errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer: everything, the cause included.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("code", e.Code), slog.String("message", e.Message)}
	if e.Hint != "" {
		attrs = append(attrs, slog.String("hint", e.Hint))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("cause", e.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

func fail(code string, cause error, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Err: cause}
}

// later marks an error that time may cure.
func (e *Error) later() *Error {
	e.Retryable = true
	return e
}
