package bundletest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"testing"
	"time"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	tilespb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"google.golang.org/protobuf/encoding/protojson"
)

// MediaType is the mediaType of the bundles that are made here.
const MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// Spec says what to issue and in which way it is to be wrong. Only Payload is
// needed; a zero field is the right thing.
type Spec struct {
	// Payload is the statement, signed as it is.
	Payload []byte
	// PayloadType replaces the DSSE payload type, in the signature too.
	PayloadType string
	// Key signs instead of the vendor's.
	Key *ecdsa.PrivateKey
	// Certificate, of Key, makes it a bundle by an identity.
	Certificate *x509.Certificate
	// At is the time of the timestamps; zero means Epoch.
	At time.Time
	// TSAs make the timestamps instead of the World's own.
	TSAs []*TSA
	// Times are the times of the timestamps of TSAs where they differ from At.
	Times []time.Time
	// Stamp changes how the timestamps are made.
	Stamp StampOptions
	// StampMessage is timestamped instead of the signature.
	StampMessage []byte
	// Log is appended to instead of the World's own.
	Log *Log
	// Leaf changes the leaf before it is logged; the bundle carries it as its body.
	Leaf func([]byte) []byte
	// After is how many entries of others follow before the checkpoint.
	After int
	// Checkpoint makes the checkpoint instead of the log's own.
	Checkpoint func(*Log) string
}

// Issue signs, logs and timestamps a statement and returns its bundle.
func (w *World) Issue(tb testing.TB, s Spec) *protobundle.Bundle {
	tb.Helper()
	w.defaults(&s)
	pae := sha256.Sum256(dsse.PAE(s.PayloadType, s.Payload))
	sig, err := ecdsa.SignASN1(rand.Reader, s.Key, pae[:])
	if err != nil {
		tb.Fatal(err)
	}
	material := &protobundle.VerificationMaterial{
		Content: &protobundle.VerificationMaterial_PublicKey{
			PublicKey: &protocommon.PublicKeyIdentifier{Hint: Hint(tb, &s.Key.PublicKey)},
		},
		TlogEntries:               []*protorekor.TransparencyLogEntry{logEntry(tb, s, pae[:], sig)},
		TimestampVerificationData: &protobundle.TimestampVerificationData{},
	}
	if s.Certificate != nil {
		material.Content = &protobundle.VerificationMaterial_Certificate{
			Certificate: &protocommon.X509Certificate{RawBytes: s.Certificate.Raw},
		}
	}
	message := sig
	if s.StampMessage != nil {
		message = s.StampMessage
	}
	for i, t := range s.TSAs {
		at := s.At
		if i < len(s.Times) {
			at = s.Times[i]
		}
		material.TimestampVerificationData.Rfc3161Timestamps = append(material.TimestampVerificationData.Rfc3161Timestamps,
			&protocommon.RFC3161SignedTimestamp{SignedTimestamp: t.Stamp(tb, message, at, s.Stamp)})
	}
	return &protobundle.Bundle{
		MediaType: MediaType, VerificationMaterial: material,
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			Payload: s.Payload, PayloadType: s.PayloadType, Signatures: []*protodsse.Signature{{Sig: sig}},
		}},
	}
}

// IssueJSON is Issue and JSON.
func (w *World) IssueJSON(tb testing.TB, s Spec) []byte {
	tb.Helper()
	return JSON(tb, w.Issue(tb, s))
}

// JSON is a bundle's canonical JSON without white space.
func JSON(tb testing.TB, b *protobundle.Bundle) []byte {
	tb.Helper()
	raw, err := protojson.Marshal(b)
	if err != nil {
		tb.Fatal(err)
	}
	return compact(tb, raw)
}

func (w *World) defaults(s *Spec) {
	if s.PayloadType == "" {
		s.PayloadType = "application/vnd.in-toto+json"
	}
	if s.Key == nil {
		s.Key = w.Vendor
	}
	if s.At.IsZero() {
		s.At = Epoch
	}
	if s.TSAs == nil {
		s.TSAs = []*TSA{w.TSA}
	}
	if s.Log == nil {
		s.Log = w.Log
	}
}

// Leaf is the canonical hashedrekord 0.0.2 entry of a signature.
func Leaf(tb testing.TB, pae, sig []byte, key *ecdsa.PublicKey, cert *x509.Certificate) []byte {
	tb.Helper()
	verifier := &tilespb.Verifier{KeyDetails: protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256}
	if cert != nil {
		x := &protocommon.X509Certificate{RawBytes: cert.Raw}
		verifier.Verifier = &tilespb.Verifier_X509Certificate{X509Certificate: x}
	} else {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			tb.Fatal(err)
		}
		verifier.Verifier = &tilespb.Verifier_PublicKey{PublicKey: &tilespb.PublicKey{RawBytes: der}}
	}
	raw, err := protojson.Marshal(&tilespb.Entry{
		Kind: "hashedrekord", ApiVersion: "0.0.2",
		Spec: &tilespb.Spec{Spec: &tilespb.Spec_HashedRekordV002{HashedRekordV002: &tilespb.HashedRekordLogEntryV002{
			Data:      &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: pae},
			Signature: &tilespb.Signature{Content: sig, Verifier: verifier},
		}}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := jsoncanonicalizer.Transform(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return leaf
}

func logEntry(tb testing.TB, s Spec, pae, sig []byte) *protorekor.TransparencyLogEntry {
	tb.Helper()
	leaf := Leaf(tb, pae, sig, &s.Key.PublicKey, s.Certificate)
	if s.Leaf != nil {
		leaf = s.Leaf(leaf)
	}
	index := s.Log.Append(leaf)
	for i := range s.After {
		s.Log.Append(fmt.Appendf(nil, "entry %d that came after %d", i, index))
	}
	checkpoint := func(l *Log) string { return l.Checkpoint(tb) }
	if s.Checkpoint != nil {
		checkpoint = s.Checkpoint
	}
	return &protorekor.TransparencyLogEntry{
		LogIndex:    index,
		LogId:       &protocommon.LogId{KeyId: s.Log.id},
		KindVersion: &protorekor.KindVersion{Kind: "hashedrekord", Version: "0.0.2"},
		InclusionProof: &protorekor.InclusionProof{
			LogIndex: index, RootHash: s.Log.Root(), TreeSize: s.Log.Size(), Hashes: s.Log.Proof(index),
			Checkpoint: &protorekor.Checkpoint{Envelope: checkpoint(s.Log)},
		},
		CanonicalizedBody: leaf,
	}
}
