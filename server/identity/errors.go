package identity

import (
	"fmt"
	"log/slog"
)

// Codes of [Error]: a closed list. A new one is an addition to the contract.
const (
	// Malformed: the token is no compact JWS of permitted size and algorithm with a JSON object of claims.
	Malformed = "TOKEN_MALFORMED"
	// IssuerUnknown: the claim iss is not exactly that of a configured issuer.
	IssuerUnknown = "TOKEN_ISSUER_UNKNOWN"
	// BadSignature: no key of the issuer verifies the signature.
	BadSignature = "TOKEN_SIGNATURE"
	// WrongTime: the token has expired, or is not valid yet.
	WrongTime = "TOKEN_TIME"
	// WrongAudience: the token was made for somebody else.
	WrongAudience = "TOKEN_AUDIENCE"
	// BadIdentity: the claims give no name that the issuer may speak for.
	BadIdentity = "TOKEN_IDENTITY"
	// IssuerUnavailable: the issuer's keys cannot be had now.
	IssuerUnavailable = "ISSUER_UNAVAILABLE"
	// BadConfig: an issuer's configuration is not usable.
	BadConfig = "ISSUER_CONFIG"
)

// Error is the error type of this package, apart from context errors. Error() shows no part of a token but what the
// caller wrote into it, and no cause; the cause is for the log ([Error.LogValue]).
type Error struct {
	// Code is one of the constants of this package.
	Code string
	// Message says what was wrong, with the values that show it.
	Message string
	// Err is the cause; it may show what an issuer answered and must not be sent to clients.
	Err error
}

// Error implements error.
func (e *Error) Error() string { return "identity: " + e.Code + ": " + e.Message }

// Unwrap gives the cause, for errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer: everything, the cause included.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("code", e.Code), slog.String("message", e.Message)}
	if e.Err != nil {
		attrs = append(attrs, slog.String("cause", shorten(e.Err.Error())))
	}
	return slog.GroupValue(attrs...)
}

func fail(code string, cause error, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Err: cause}
}

// shorten keeps messages readable whatever a stranger wrote; callers quote what it returns.
func shorten(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
