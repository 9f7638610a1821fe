package attest

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"unicode/utf8"

	rekorv1 "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
)

// The verification material of a bundle in the canonical JSON of protobuf: members in the order of the message, those
// with a zero value left out, 64-bit numbers as strings, bytes as base64. It is written out, because all but the
// checkpoint is fixed text, numbers and base64, which need no escapes, and reflection costs ten times as much; a test
// compares it with protobuf's own.
// https://protobuf.dev/programming-guides/json/

// appendMaterial appends dev.sigstore.bundle.v1.VerificationMaterial. The verifier is the hint of a key or, if it is not
// nil, a certificate. The entry was checked by checkEntry.
func appendMaterial(
	b []byte, hint string, certificate []byte, entry *rekorv1.TransparencyLogEntry, tokens [][]byte,
) ([]byte, error) {
	if certificate == nil {
		b = append(append(append(b, `{"publicKey":{"hint":"`...), hint...), '"')
	} else {
		b = appendBase64(append(b, `{"certificate":{"rawBytes":`...), certificate)
	}
	b = append(b, `},"tlogEntries":[{`...)
	b = appendIndex(b, entry.GetLogIndex())
	b = appendBase64(append(b, `"logId":{"keyId":`...), entry.GetLogId().GetKeyId())
	b = append(b, `},"kindVersion":{"kind":"`+LeafKind+`","version":"`+LeafVersion+`"},"inclusionProof":`...)
	b, err := appendProof(b, entry.GetInclusionProof())
	if err != nil {
		return nil, err
	}
	b = appendBase64(append(b, `,"canonicalizedBody":`...), entry.GetCanonicalizedBody())
	b = append(b, `}],"timestampVerificationData":{"rfc3161Timestamps":[`...)
	for i, token := range tokens {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendBase64(append(b, `{"signedTimestamp":`...), token), '}')
	}
	return append(b, `]}}`...), nil
}

// appendProof appends dev.sigstore.rekor.v1.InclusionProof.
func appendProof(b []byte, proof *rekorv1.InclusionProof) ([]byte, error) {
	b = appendIndex(append(b, '{'), proof.GetLogIndex())
	b = appendBase64(append(b, `"rootHash":`...), proof.GetRootHash())
	b = append(strconv.AppendInt(append(b, `,"treeSize":"`...), proof.GetTreeSize(), 10), '"')
	for i, hash := range proof.GetHashes() {
		if i == 0 {
			b = append(b, `,"hashes":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendBase64(b, hash)
	}
	if len(proof.GetHashes()) > 0 {
		b = append(b, ']')
	}
	b, err := appendText(append(b, `,"checkpoint":{"envelope":`...), proof.GetCheckpoint().GetEnvelope())
	return append(b, `}}`...), err
}

// appendIndex appends a log index with its comma; zero is left out, as protobuf does.
func appendIndex(b []byte, index int64) []byte {
	if index == 0 {
		return b
	}
	return append(strconv.AppendInt(append(b, `"logIndex":"`...), index, 10), `",`...)
}

func appendBase64(b, data []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(append(b, '"'), data), '"')
}

// appendText appends a JSON string with the escapes that protobuf's JSON has.
func appendText(b []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return nil, mismatch("the checkpoint is not UTF-8")
	}
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= ' ':
			b = append(b, c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		default:
			b = fmt.Appendf(b, `\u%04x`, c)
		}
	}
	return append(b, '"'), nil
}
