package attest

import "github.com/avow-dev/avow/attest/predicate"

// Limits, checked before any work is done on foreign bytes.
const (
	// MaxEnvelopeBytes is the size of the largest DSSE envelope that Open reads: the base64 of a payload of
	// predicate.MaxStatementBytes, and 1 KiB for the members around it.
	MaxEnvelopeBytes = (predicate.MaxStatementBytes+2)/3*4 + 1024

	// MaxBundleBytes is the size of the largest bundle that NewBundle returns.
	MaxBundleBytes = 512 << 10

	// MaxTokens is the largest number of RFC 3161 timestamp responses in one bundle.
	MaxTokens = 4

	// MaxCertificateBytes is the size of the largest certificate, DER. Those of Fulcio for CI systems have about 2 KiB.
	MaxCertificateBytes = 8 << 10

	// MaxIdentityBytes is the length of the longest issuer or subject alternative name.
	MaxIdentityBytes = 1 << 10

	// MaxKeyFileBytes is the size of the largest key file, private or public. A real one has less than 1 KiB.
	MaxKeyFileBytes = 16 << 10

	// MaxInTotoBytes is the size of the largest in-toto link or layout that ReadInToto reads. Links list every file
	// of a build, so they are larger than statements; they are named by digest and never enter a statement.
	MaxInTotoBytes = 16 << 20

	// maxEnvelopeDepth and maxEnvelopeValues bound the pre-scan of an envelope: the object, the list, one signature
	// object and its strings need 3 levels and 8 values.
	maxEnvelopeDepth  = 4
	maxEnvelopeValues = 16

	// maxSignatureBytes is the length of the longest DER encoding of an ECDSA P-256 signature.
	maxSignatureBytes = 72

	// maxInTotoDepth and maxInTotoValues bound the pre-scan of a link or layout.
	maxInTotoDepth  = 16
	maxInTotoValues = 1 << 20
)
