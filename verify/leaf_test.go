package verify

import (
	"bytes"
	"crypto/x509"
	"testing"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	tilespb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor-tiles/v2/pkg/types/hashedrekord"
	"github.com/transparency-dev/merkle/rfc6962"
	"pgregory.net/rapid"
)

// TestLeaf compares the leaf with the one that rekor-tiles makes of the same signature and key or certificate: what
// sigstore-go rebuilds.
func TestLeaf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := func(name string) []byte { return rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, name) }
		r := &run{bundle: &parsedBundle{signatures: []parsedSignature{{sig: raw("signature")}}}}
		copy(r.pae[:], raw("digest"))
		v := &tilespb.Verifier{KeyDetails: protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256}
		if rapid.Bool().Draw(t, "certificate") {
			r.cert = &x509.Certificate{Raw: raw("certificate bytes")}
			v.Verifier = &tilespb.Verifier_X509Certificate{X509Certificate: &protocommon.X509Certificate{RawBytes: r.cert.Raw}}
		} else {
			r.spki = raw("key")
			v.Verifier = &tilespb.Verifier_PublicKey{PublicKey: &tilespb.PublicKey{RawBytes: r.spki}}
		}
		want, err := hashedrekord.ToEntryHash(r.pae[:], &tilespb.Signature{Content: r.bundle.signatures[0].sig, Verifier: v})
		if err != nil {
			t.Fatal(err)
		}
		if got := rfc6962.DefaultHasher.HashLeaf(r.leaf()); !bytes.Equal(got, want) {
			t.Fatalf("%s has the hash %x, want %x", r.leaf(), got, want)
		}
	})
}
