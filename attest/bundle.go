package attest

import (
	"bytes"
	"encoding/json"
	"fmt"

	bundlev1 "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorv1 "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// BundleMediaType is the media type of the bundles that NewBundle makes.
const BundleMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// NewBundle assembles the Sigstore bundle v0.3 for an envelope: the envelope, the hint of the key, the log entry with
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
	timestamps, err := timestampData(tokens)
	if err != nil {
		return nil, err
	}
	material, err := protojson.Marshal(&bundlev1.VerificationMaterial{
		Content:                   &bundlev1.VerificationMaterial_PublicKey{PublicKey: &commonv1.PublicKeyIdentifier{Hint: e.KeyHint()}},
		TlogEntries:               []*rekorv1.TransparencyLogEntry{entry},
		TimestampVerificationData: timestamps,
	})
	if err != nil {
		return nil, fmt.Errorf("bundle of %s: %w", e.StatementID(), err)
	}
	// The envelope, which is most of the bundle, is in the canonical form already: it is not encoded a second time.
	envelope := e.JSON()
	var b bytes.Buffer
	b.Grow(len(material) + len(envelope) + 256)
	b.WriteString(`{"mediaType":"` + BundleMediaType + `","verificationMaterial":`)
	// protojson puts spaces at random on purpose; without them its output is deterministic.
	if err := json.Compact(&b, material); err != nil {
		return nil, fmt.Errorf("bundle of %s: %w", e.StatementID(), err)
	}
	b.WriteString(`,"dsseEnvelope":`)
	b.Write(envelope)
	b.WriteByte('}')
	if b.Len() > MaxBundleBytes {
		return nil, mismatch("the bundle has %d bytes, the limit is %d", b.Len(), MaxBundleBytes)
	}
	return b.Bytes(), nil
}

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

// timestampData wraps the RFC 3161 responses.
func timestampData(tokens [][]byte) (*bundlev1.TimestampVerificationData, error) {
	if len(tokens) == 0 || len(tokens) > MaxTokens {
		return nil, mismatch("got %d timestamps, want 1 to %d", len(tokens), MaxTokens)
	}
	data := &bundlev1.TimestampVerificationData{}
	for i, token := range tokens {
		if len(token) == 0 {
			return nil, mismatch("timestamp %d is empty", i)
		}
		data.Rfc3161Timestamps = append(data.Rfc3161Timestamps, &commonv1.RFC3161SignedTimestamp{SignedTimestamp: token})
	}
	return data, nil
}

func mismatch(format string, args ...any) *Error {
	return &Error{Code: CodeEntryMismatch, Detail: fmt.Sprintf(format, args...)}
}
