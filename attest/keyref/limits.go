package keyref

import "time"

const (
	// MaxReferenceBytes bounds a reference. The longest real ones, of Google's service, have about 200 bytes.
	MaxReferenceBytes = 2048
	// MaxPINBytes bounds a PIN and the file that holds it.
	MaxPINBytes = 256
	// DefaultTimeout is the time for one call of a service or token. Cloud services answer within a second; the rest is for
	// tokens that are touched to sign.
	DefaultTimeout = 30 * time.Second

	maxSchemeBytes = 32
	// maxAnswerBytes bounds what a plugin may answer: a key or a signature, less than 1 KiB, or an error.
	maxAnswerBytes = 64 << 10
	// maxQuoteBytes is how much of a plugin's own words becomes part of an error.
	maxQuoteBytes = 400
	// maxSignatureBytes is the longest DER encoding of a P-256 signature.
	maxSignatureBytes = 72
)
