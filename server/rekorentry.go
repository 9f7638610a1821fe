package server

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorpb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor-tiles/v2/pkg/types/hashedrekord"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/protobuf/encoding/protojson"
)

// Limits of a log entry's members, far above what the algorithms need. A leaf within them fits into the log.
const (
	maxEntrySignature = 1 << 10
	maxEntryVerifier  = 16 << 10
)

// entryAlgorithms are the algorithms that a log entry may be signed with: those that every Sigstore client verifies.
// Ed25519 must stay out: a request that names it panics rekor-tiles v2.3.0 where its registry permits it.
var entryAlgorithms = []commonv1.PublicKeyDetails{
	commonv1.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
	commonv1.PublicKeyDetails_PKIX_RSA_PKCS1V15_2048_SHA256,
	commonv1.PublicKeyDetails_PKIX_RSA_PKCS1V15_3072_SHA256,
}

// entryVerifier is what a log entry says about its signer.
type entryVerifier struct {
	key crypto.PublicKey
	// spki is the key's SubjectPublicKeyInfo, DER.
	spki []byte
	// certificate is what the key came in, DER; nil if it came alone.
	certificate []byte
}

const entryField = "hashedRekordRequestV002"

// parseEntry checks the form of a request, before any signature is verified.
func parseEntry(req *rekorpb.CreateEntryRequest) (*rekorpb.HashedRekordRequestV002, *entryVerifier, error) {
	hr := req.GetHashedRekordRequestV002()
	if hr == nil {
		return nil, nil, invalidField("spec", "got %s, want %s: the log takes hashedrekord 0.0.2 only", specName(req), entryField)
	}
	switch n, s := len(hr.GetDigest()), len(hr.GetSignature().GetContent()); {
	case n != sha256.Size:
		return nil, nil, invalidField(entryField+".digest", "got %d bytes, want %d: SHA-256", n, sha256.Size)
	case s == 0 || s > maxEntrySignature:
		return nil, nil, invalidField(entryField+".signature.content", "got %d bytes, want 1 to %d", s, maxEntrySignature)
	}
	v, err := parseEntryVerifier(hr.GetSignature().GetVerifier())
	if err != nil {
		return nil, nil, err
	}
	return hr, v, checkEntryAlgorithm(v.key, hr.GetSignature().GetVerifier().GetKeyDetails())
}

// specName names what a request holds.
func specName(req *rekorpb.CreateEntryRequest) string {
	switch req.GetSpec().(type) {
	case *rekorpb.CreateEntryRequest_DsseRequestV002:
		return "dsseRequestV002"
	default:
		return "no entry"
	}
}

// parseEntryVerifier reads the key. It must be DER and in the one form that encoding it again gives: the leaf carries
// these bytes, and verifiers rebuild it from the key.
func parseEntryVerifier(in *rekorpb.Verifier) (*entryVerifier, error) {
	const field = entryField + ".signature.verifier"
	v := new(entryVerifier)
	var raw []byte
	var err error
	switch in.GetVerifier().(type) {
	case *rekorpb.Verifier_PublicKey:
		raw = in.GetPublicKey().GetRawBytes()
	case *rekorpb.Verifier_X509Certificate:
		raw = in.GetX509Certificate().GetRawBytes()
		v.certificate = raw
	default:
		return nil, invalidField(field, "neither publicKey nor x509Certificate is given")
	}
	if len(raw) == 0 || len(raw) > maxEntryVerifier {
		return nil, invalidField(field, "got %d bytes, want 1 to %d", len(raw), maxEntryVerifier)
	}
	if v.certificate != nil {
		cert, err := x509.ParseCertificate(raw)
		if err != nil {
			return nil, invalidField(field+".x509Certificate", "%v", err)
		}
		v.key, v.spki = cert.PublicKey, cert.RawSubjectPublicKeyInfo
		return v, nil
	}
	if v.key, err = x509.ParsePKIXPublicKey(raw); err != nil {
		return nil, invalidField(field+".publicKey", "%v", err)
	}
	if v.spki, err = x509.MarshalPKIXPublicKey(v.key); err != nil || !bytes.Equal(v.spki, raw) {
		return nil, invalidField(field+".publicKey", "is not the DER form that encoding the key gives")
	}
	return v, nil
}

// checkEntryAlgorithm compares the algorithm that the request names with the one that verifiers take for such a key.
func checkEntryAlgorithm(key crypto.PublicKey, named commonv1.PublicKeyDetails) error {
	want := commonv1.PublicKeyDetails_PUBLIC_KEY_DETAILS_UNSPECIFIED
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			want = commonv1.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
		}
	case *rsa.PublicKey:
		switch k.N.BitLen() {
		case 2048:
			want = commonv1.PublicKeyDetails_PKIX_RSA_PKCS1V15_2048_SHA256
		case 3072:
			want = commonv1.PublicKeyDetails_PKIX_RSA_PKCS1V15_3072_SHA256
		}
	}
	if want == commonv1.PublicKeyDetails_PUBLIC_KEY_DETAILS_UNSPECIFIED {
		return refuse(reasonKeyUnsupported, "the entry is signed by a key of type %s; the log takes ECDSA P-256, "+
			"and RSA of 2048 or 3072 bits with PKCS #1 v1.5", keyName(key))
	}
	if named != want {
		return refuse(reasonKeyUnsupported, "the entry names the algorithm %s, verifiers take %s for its key", named, want)
	}
	return nil
}

func keyName(key crypto.PublicKey) string {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	default:
		return fmt.Sprintf("%T", key)
	}
}

// entryLeaf verifies the signature and makes the canonical leaf.
func entryLeaf(hr *rekorpb.HashedRekordRequestV002, algorithms *signature.AlgorithmRegistryConfig) ([]byte, error) {
	entry, err := hashedrekord.ToLogEntry(hr, algorithms)
	if err != nil {
		// Form and algorithm were checked before.
		return nil, &refusal{reason: reasonSignatureInvalid, cause: err,
			message: "the signature does not verify over the digest with the key"}
	}
	loose, err := protojson.Marshal(entry)
	if err != nil {
		return nil, err
	}
	return jsoncanonicalizer.Transform(loose)
}
