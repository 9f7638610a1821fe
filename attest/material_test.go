package attest

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	bundlev1 "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorv1 "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"pgregory.net/rapid"
)

// TestMaterialIsProtobufs compares what is written out with protobuf's own JSON.
func TestMaterialIsProtobufs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := func(label string) []byte { return rapid.SliceOfN(rapid.Byte(), 1, 80).Draw(t, label) }
		index := rapid.Int64Min(0).Draw(t, "index")
		entry := &rekorv1.TransparencyLogEntry{
			LogIndex: index, LogId: &commonv1.LogId{KeyId: some("log id")},
			KindVersion: &rekorv1.KindVersion{Kind: LeafKind, Version: LeafVersion},
			InclusionProof: &rekorv1.InclusionProof{
				LogIndex: index, TreeSize: rapid.Int64Min(1).Draw(t, "size"), RootHash: some("root"),
				Hashes:     rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 32), 0, 5).Draw(t, "hashes"),
				Checkpoint: &rekorv1.Checkpoint{Envelope: rapid.StringN(1, 60, -1).Draw(t, "checkpoint")},
			},
			CanonicalizedBody: some("body"),
		}
		tokens := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 40), 1, MaxTokens).Draw(t, "tokens")
		stamps := &bundlev1.TimestampVerificationData{}
		for _, token := range tokens {
			stamps.Rfc3161Timestamps = append(stamps.Rfc3161Timestamps, &commonv1.RFC3161SignedTimestamp{SignedTimestamp: token})
		}
		const hint = "aGludA=="
		material := &bundlev1.VerificationMaterial{
			Content:     &bundlev1.VerificationMaterial_PublicKey{PublicKey: &commonv1.PublicKeyIdentifier{Hint: hint}},
			TlogEntries: []*rekorv1.TransparencyLogEntry{entry}, TimestampVerificationData: stamps,
		}
		var certificate []byte
		if rapid.Bool().Draw(t, "with a certificate") {
			certificate = some("certificate")
			material.Content = &bundlev1.VerificationMaterial_Certificate{
				Certificate: &commonv1.X509Certificate{RawBytes: certificate}}
		}
		loose, err := protojson.Marshal(material)
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := json.Compact(&want, loose); err != nil { // protojson puts spaces at random
			t.Fatal(err)
		}
		got, err := appendMaterial(nil, hint, certificate, entry, tokens)
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("got  %s, %v\nwant %s", got, err, &want)
		}
	})
}

// TestMaterialOfText: bytes that JSON cannot hold are refused and not replaced.
func TestMaterialOfText(t *testing.T) {
	b, err := appendText(nil, "log\xff")
	var refusal *Error
	if !errors.As(err, &refusal) || refusal.Code != CodeEntryMismatch {
		t.Errorf("got %s, %v", b, err)
	}
}
