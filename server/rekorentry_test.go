package server

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"testing"

	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorpb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor-tiles/v2/pkg/types/hashedrekord"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/server/tlog"
)

// otherEntry changes a good request of acme.
func (w *world) otherEntry(change func(*rekorpb.HashedRekordRequestV002)) *rekorpb.CreateEntryRequest {
	req := proto.CloneOf(w.entry(w.acme, "changed"))
	change(req.GetHashedRekordRequestV002())
	return req
}

// TestRekorRefusals: each with its reason, on a closed log and on an open one, and nothing is logged or kept.
func TestRekorRefusals(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	wantOK(t, err)
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))(t)
	const p256Details = commonv1.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
	digest := sha256.Sum256([]byte("x"))
	dsseEntry := new(rekorpb.CreateEntryRequest) // its Go type is deprecated
	wantOK(t, protojson.Unmarshal([]byte(`{"dsseRequestV002":{}}`), dsseEntry))
	for _, open := range []bool{false, true} {
		w := newWorld(t, withRekor(open))
		for name, c := range map[string]struct {
			req  *rekorpb.CreateEntryRequest
			want avowv1.ErrorReason
		}{
			"nothing": {&rekorpb.CreateEntryRequest{}, reasonRequestInvalid},
			"dsse":    {dsseEntry, reasonRequestInvalid},
			"ed25519": {entryOf(t, ed.Public(), digest[:], ed25519.Sign(ed, digest[:]),
				commonv1.PublicKeyDetails_PKIX_ED25519), reasonKeyUnsupported},
			"ed25519ph": {entryOf(t, ed.Public(), digest[:], ed25519.Sign(ed, digest[:]),
				commonv1.PublicKeyDetails_PKIX_ED25519_PH), reasonKeyUnsupported},
			"ed25519 by name only": {w.otherEntry(func(h *rekorpb.HashedRekordRequestV002) {
				h.Signature.Verifier.KeyDetails = commonv1.PublicKeyDetails_PKIX_ED25519
			}), reasonKeyUnsupported},
			"no algorithm": {w.otherEntry(func(h *rekorpb.HashedRekordRequestV002) {
				h.Signature.Verifier.KeyDetails = 0
			}), reasonKeyUnsupported},
			"P-384": {entryOf(t, p384.Public(), digest[:], []byte{1}, p256Details), reasonKeyUnsupported},
			"digest of 20 bytes": {w.otherEntry(func(h *rekorpb.HashedRekordRequestV002) {
				h.Digest = h.Digest[:20]
			}), reasonRequestInvalid},
			"bad signature": {w.otherEntry(func(h *rekorpb.HashedRekordRequestV002) { h.Digest[0] ^= 1 }), reasonSignatureInvalid},
			"no signature": {w.otherEntry(func(h *rekorpb.HashedRekordRequestV002) {
				h.Signature.Content = nil
			}), reasonRequestInvalid},
			"oversize signature": {w.otherEntry(func(h *rekorpb.HashedRekordRequestV002) {
				h.Signature.Content = make([]byte, maxEntrySignature+1)
			}), reasonRequestInvalid},
			"oversize key": {w.otherEntry(func(h *rekorpb.HashedRekordRequestV002) {
				h.Signature.Verifier.GetPublicKey().RawBytes = make([]byte, maxEntryVerifier+1)
			}), reasonRequestInvalid},
			"PEM key": {w.otherEntry(func(h *rekorpb.HashedRekordRequestV002) {
				h.Signature.Verifier.GetPublicKey().RawBytes = []byte(pemOf(t, w.acme))
			}), reasonRequestInvalid},
			"bytes after the key": {w.otherEntry(func(h *rekorpb.HashedRekordRequestV002) {
				k := h.Signature.Verifier.GetPublicKey()
				k.RawBytes = append(k.RawBytes, 0)
			}), reasonRequestInvalid},
			"no certificate": {w.otherEntry(func(h *rekorpb.HashedRekordRequestV002) {
				h.Signature.Verifier.Verifier = &rekorpb.Verifier_X509Certificate{
					X509Certificate: &commonv1.X509Certificate{RawBytes: []byte("junk")}}
			}), reasonRequestInvalid},
		} {
			_, err := w.rekor().CreateEntry(t.Context(), c.req)
			t.Run(name, func(t *testing.T) { wantReason(t, err, c.want) })
		}
		if got := metricValue(t, w, "avow_panics_total"); got != 0 || w.log.Size() != 0 {
			t.Errorf("open %v: %v panics, %d leaves", open, got, w.log.Size())
		}
	}
}

// FuzzRekorEntry: whatever a client sends, what is taken is a leaf that verifiers rebuild from the entry, by an algorithm of
// the list.
func FuzzRekorEntry(f *testing.F) {
	key := must(attest.GenerateKey())(f)
	digest := sha256.Sum256([]byte("a file"))
	sig := must(key.SignDigest(f.Context(), digest))(f)
	good := entryOf(f, key.PublicKey(), digest[:], sig, commonv1.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256)
	f.Add(must(protojson.Marshal(good))(f))
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	wantOK(f, err)
	f.Add(must(protojson.Marshal(entryOf(f, ed.Public(), digest[:], ed25519.Sign(ed, digest[:]), commonv1.PublicKeyDetails_PKIX_ED25519)))(f))
	f.Add([]byte(`{"dsseRequestV002":{}}`))
	f.Add([]byte(`{"hashedRekordRequestV002":{"signature":{"verifier":{"x509Certificate":{"rawBytes":"MA=="}}}}}`))
	algorithms := must(signature.NewAlgorithmRegistryConfig(entryAlgorithms))(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		req := new(rekorpb.CreateEntryRequest)
		if protojson.Unmarshal(data, req) != nil {
			return
		}
		hr, _, err := parseEntry(req)
		if err != nil {
			if toRefusal(err).reason == reasonInternal {
				t.Errorf("a form is a defect of the service: %v", err)
			}
			return
		}
		leaf, err := entryLeaf(hr, algorithms)
		if err != nil {
			wantReason(t, toStatus(toRefusal(err)).Err(), reasonSignatureInvalid)
			return
		}
		rebuilt := must(hashedrekord.ToEntryHash(hr.GetDigest(), hr.GetSignature()))(t)
		if hash := leafHash(leaf); !bytes.Equal(hash[:], rebuilt) || len(leaf) > tlog.MaxLeafBytes ||
			!slices.Contains(entryAlgorithms, hr.GetSignature().GetVerifier().GetKeyDetails()) {
			t.Errorf("%s makes the leaf %s", data, leaf)
		}
	})
}

// TestLargestEntryIsALeaf: no entry that is taken is too large for the log.
func TestLargestEntryIsALeaf(t *testing.T) {
	w := newWorld(t)
	req := w.entry(w.acme, "1").GetHashedRekordRequestV002()
	largest := len(must(protojson.Marshal(req))(t)) + (maxEntrySignature+maxEntryVerifier+4)*4/3
	if room := 1024; largest+room > tlog.MaxLeafBytes {
		t.Errorf("an entry of %d bytes does not fit", largest)
	}
}
