package attest

import (
	"bytes"
	"fmt"

	rekorv1 "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
)

// BundleMediaType is the media type of the bundles that NewBundle makes.
const BundleMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// NewBundle assembles the Sigstore bundle v0.3 for an envelope: the envelope, the hint of the key or the
// certificate, the log entry with
// its proof and checkpoint, and 1 to MaxTokens RFC 3161 responses over the signature. The JSON is canonical protobuf
// JSON without whitespace: the same input gives the same bytes.
//
// It checks that the parts belong together (the entry's body is the envelope's leaf, the proof is complete), not that
// they verify: the caller runs the buyer's verification over the result before handing it out. The error is *Error
// with CodeEntryMismatch or CodeNotPrepared.
func NewBundle(e *Envelope, entry *rekorv1.TransparencyLogEntry, tokens [][]byte) ([]byte, error) {
	leaf, err := e.Leaf()
	if err != nil {
		return nil, err
	}
	if err := checkEntry(leaf, entry); err != nil {
		return nil, err
	}
	if err := checkTokens(tokens); err != nil {
		return nil, err
	}
	// The envelope, which is most of the bundle, is in the canonical form already.
	envelope := e.JSON()
	b := make([]byte, 0, len(envelope)+bundleOverhead)
	b = append(b, `{"mediaType":"`+BundleMediaType+`","verificationMaterial":`...)
	var certificate []byte
	if e.certificate != nil {
		certificate = e.certificate.der
	}
	if b, err = appendMaterial(b, e.KeyHint(), certificate, entry, tokens); err != nil {
		return nil, err
	}
	b = append(b, `,"dsseEnvelope":`...)
	b = append(append(b, envelope...), '}')
	if len(b) > MaxBundleBytes {
		return nil, mismatch("the bundle has %d bytes, the limit is %d", len(b), MaxBundleBytes)
	}
	return b, nil
}

// bundleOverhead is about what a bundle has around its envelope: the entry with a proof of 20 hashes, and one timestamp.
const bundleOverhead = 6 << 10

// checkEntry refuses a log entry that is incomplete or was made for another envelope.
func checkEntry(leaf []byte, entry *rekorv1.TransparencyLogEntry) error {
	proof := entry.GetInclusionProof()
	switch {
	case entry == nil:
		return mismatch("there is no log entry")
	case entry.GetKindVersion().GetKind() != LeafKind || entry.GetKindVersion().GetVersion() != LeafVersion:
		return mismatch("the log entry is %q %q, want %q %q", entry.GetKindVersion().GetKind(),
			entry.GetKindVersion().GetVersion(), LeafKind, LeafVersion)
	case !bytes.Equal(entry.GetCanonicalizedBody(), leaf):
		return mismatch("the log entry's body is not the envelope's leaf (%d bytes, want %d)",
			len(entry.GetCanonicalizedBody()), len(leaf))
	case entry.GetIntegratedTime() != 0 || entry.GetInclusionPromise() != nil:
		return mismatch("the log entry carries an integrated time or an inclusion promise, which Rekor v2 entries do not have")
	case len(entry.GetLogId().GetKeyId()) != 32:
		return mismatch("the log id has %d bytes, want 32", len(entry.GetLogId().GetKeyId()))
	case proof == nil || proof.GetCheckpoint().GetEnvelope() == "":
		return mismatch("the log entry has no inclusion proof with a checkpoint")
	case proof.GetLogIndex() != entry.GetLogIndex():
		return mismatch("the inclusion proof is for index %d, the entry has index %d", proof.GetLogIndex(), entry.GetLogIndex())
	}
	return nil
}

// checkTokens refuses timestamps that no bundle has.
func checkTokens(tokens [][]byte) error {
	if len(tokens) == 0 || len(tokens) > MaxTokens {
		return mismatch("got %d timestamps, want 1 to %d", len(tokens), MaxTokens)
	}
	for i, token := range tokens {
		if len(token) == 0 {
			return mismatch("timestamp %d is empty", i)
		}
	}
	return nil
}

func mismatch(format string, args ...any) *Error {
	return &Error{Code: CodeEntryMismatch, Detail: fmt.Sprintf(format, args...)}
}
