package attest_test

import (
	"bytes"
	"crypto/x509"
	"testing"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorpb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor-tiles/v2/pkg/types/hashedrekord"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/avow-dev/avow/attest"
)

// rekorLeaf builds the entry as Rekor v2 does: its own validation, protobuf JSON, RFC 8785.
func rekorLeaf(t testing.TB, e *attest.Envelope) []byte {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(e.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	registry, err := signature.NewAlgorithmRegistryConfig([]commonv1.PublicKeyDetails{commonv1.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256})
	if err != nil {
		t.Fatal(err)
	}
	verifier := &rekorpb.Verifier{KeyDetails: commonv1.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
		Verifier: &rekorpb.Verifier_PublicKey{PublicKey: &rekorpb.PublicKey{RawBytes: spki}}}
	if c := e.Certificate(); c != nil {
		verifier.Verifier = &rekorpb.Verifier_X509Certificate{X509Certificate: &commonv1.X509Certificate{RawBytes: c.DER()}}
	}
	digest := e.PAEDigest()
	entry, err := hashedrekord.ToLogEntry(&rekorpb.HashedRekordRequestV002{
		Digest: digest[:], Signature: &rekorpb.Signature{Content: e.Signature(), Verifier: verifier},
	}, registry)
	if err != nil {
		t.Fatal(err)
	}
	loose, err := protojson.Marshal(entry)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := jsoncanonicalizer.Transform(loose)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// TestLeafIsRekors signs often, so that signatures of all lengths and base64 with every character occur.
func TestLeafIsRekors(t *testing.T) {
	for range 50 {
		envelope := sign(t, "minimal-data-flows.json", newKey(t))
		got, err := envelope.Leaf()
		if err != nil {
			t.Fatal(err)
		}
		if want := rekorLeaf(t, envelope); !bytes.Equal(got, want) {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
}

func BenchmarkLeaf(b *testing.B) {
	envelope := sign(b, "minimal-data-flows.json", newKey(b))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := envelope.Leaf(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	key := newKey(b)
	data := sign(b, "minimal-data-flows.json", key).JSON()
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := attest.Open(data, key.PublicKey(), openOptions); err != nil {
			b.Fatal(err)
		}
	}
}
