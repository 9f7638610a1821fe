package authority

import "time"

const (
	// MaxRequestBytes is the largest RFC 3161 request that is read.
	MaxRequestBytes = 4 << 10
	// MaxResponseBytes is the largest RFC 3161 response that is accepted from a remote authority.
	MaxResponseBytes = 16 << 10
	// MaxSignatureBytes is the largest signature that is timestamped.
	MaxSignatureBytes = 4 << 10
	// MaxNonceBytes is the largest nonce of a request.
	MaxNonceBytes = 64
	// MaxChain is the largest number of certificates in a chain.
	MaxChain = 8
	// MaxPEMBytes is the largest PEM file that is parsed.
	MaxPEMBytes = 64 << 10
	// DefaultTimeout bounds one exchange with a remote authority.
	DefaultTimeout = 10 * time.Second
	// DefaultMaxSkew is how far a remote token's time may be from the clock.
	DefaultMaxSkew = 5 * time.Minute

	// Validity is how long the certificates of Generate are valid.
	Validity = 10 * 365 * 24 * time.Hour
	// backdate lets machines whose clock is a little behind verify the first tokens.
	backdate = 5 * time.Minute
)
