package certauthority

import (
	"fmt"
	"log/slog"
	"time"
)

// Limits.
const (
	// MaxChain is the largest number of certificates in the authority's chain.
	MaxChain = 4
	// MaxPEMBytes is the largest PEM text that is parsed.
	MaxPEMBytes = 64 << 10
	// MaxKeyBytes is the largest public key or signing request of a caller, in bytes.
	MaxKeyBytes = 16 << 10
	// MaxProofBytes is the largest proof of possession, in bytes.
	MaxProofBytes = 1 << 10

	// DefaultLifetime is how long a certificate is valid.
	DefaultLifetime = 10 * time.Minute
	// MinLifetime and MaxLifetime bound it: a signature is made within a minute, and what lives longer than an hour would
	// need revocation.
	MinLifetime, MaxLifetime = time.Minute, time.Hour
	// Validity is how long the certificates of Generate are valid.
	Validity = 10 * 365 * 24 * time.Hour
	// backdate lets machines whose clock is a little behind verify the first certificates.
	backdate = 5 * time.Minute
)

// Codes of [Error]: a closed list. A new one is an addition to the contract.
const (
	// BadChain: the authority's certificate chain does not follow the rules of this package.
	BadChain = "CA_CHAIN"
	// BadKey: a private key of the authority is not ECDSA P-256, or not that of its certificate.
	BadKey = "CA_KEY"
	// BadConfig: another part of the configuration is not usable.
	BadConfig = "CA_CONFIG"
	// Expired: the authority's certificates are not valid for as long as the new certificate would be.
	Expired = "CA_EXPIRED"
	// BadRequest: a caller's key or signing request does not parse.
	BadRequest = "CA_REQUEST"
	// UnsupportedKey: a caller's key is of a kind or size that is not certified.
	UnsupportedKey = "CA_KEY_UNSUPPORTED"
	// Unproven: the caller has not shown to hold the private key.
	Unproven = "CA_POSSESSION"
	// Internal: a certificate could not be made, or was not what had been logged.
	Internal = "CA_INTERNAL"
)

// Error is the error type of this package, apart from those of the log and of contexts, which are returned as they are.
// Error() shows no cause; the cause is for the log ([Error.LogValue]).
type Error struct {
	// Code is one of the constants of this package.
	Code string
	// Message says what was wrong, with the values that show it.
	Message string
	// Err is the cause; it must not be sent to clients.
	Err error
}

// Error implements error.
func (e *Error) Error() string { return "certificate authority: " + e.Code + ": " + e.Message }

// Unwrap gives the cause, for errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer: everything, the cause included.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("code", e.Code), slog.String("message", e.Message)}
	if e.Err != nil {
		attrs = append(attrs, slog.String("cause", e.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

func fail(code string, cause error, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Err: cause}
}
