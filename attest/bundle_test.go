package attest_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorv1 "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	rekornote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	formatslog "github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/proto"

	"github.com/avow-dev/avow/attest"
)

const testOrigin = "log.example.test"

// testLog is a log of two entries with a real key: enough for a proof with one hash.
type testLog struct {
	public ed25519.PublicKey
	signer note.Signer
	id     []byte
	tsa    *ca.VirtualSigstore
}

func newTestLog(t testing.TB) *testLog {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := signature.LoadSigner(private, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := rekornote.NewNoteSigner(t.Context(), testOrigin, s)
	if err != nil {
		t.Fatal(err)
	}
	_, id, err := rekornote.KeyHash(testOrigin, public)
	if err != nil {
		t.Fatal(err)
	}
	tsa, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	return &testLog{public: public, signer: signer, id: id, tsa: tsa}
}

// entry logs the leaf at index 1 behind another one.
func (l *testLog) entry(t testing.TB, leaf []byte) *rekorv1.TransparencyLogEntry {
	t.Helper()
	first, second := rfc6962.DefaultHasher.HashLeaf([]byte("other")), rfc6962.DefaultHasher.HashLeaf(leaf)
	rootHash := rfc6962.DefaultHasher.HashChildren(first, second)
	text := formatslog.Checkpoint{Origin: testOrigin, Size: 2, Hash: rootHash}.Marshal()
	signed, err := note.Sign(&note.Note{Text: string(text)}, l.signer)
	if err != nil {
		t.Fatal(err)
	}
	return &rekorv1.TransparencyLogEntry{
		LogIndex: 1, LogId: &commonv1.LogId{KeyId: l.id},
		KindVersion: &rekorv1.KindVersion{Kind: attest.LeafKind, Version: attest.LeafVersion},
		InclusionProof: &rekorv1.InclusionProof{LogIndex: 1, TreeSize: 2, RootHash: rootHash, Hashes: [][]byte{first},
			Checkpoint: &rekorv1.Checkpoint{Envelope: string(signed)}},
		CanonicalizedBody: leaf,
	}
}

func (l *testLog) bundle(t testing.TB, e *attest.Envelope) []byte {
	t.Helper()
	leaf, err := e.Leaf()
	if err != nil {
		t.Fatal(err)
	}
	token, err := l.tsa.TimestampResponse(e.Signature())
	if err != nil {
		t.Fatal(err)
	}
	data, err := attest.NewBundle(e, l.entry(t, leaf), [][]byte{token})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// material is what a buyer trusts: this log, the timestamp authority, the vendor's key.
func (l *testLog) material(t testing.TB, key *attest.KeyFile, hint string) root.TrustedMaterial {
	t.Helper()
	logs := map[string]*root.TransparencyLog{hex.EncodeToString(l.id): {
		BaseURL: "https://" + testOrigin, ID: l.id, HashFunc: crypto.SHA256, PublicKey: l.public,
		SignatureHashFunc: crypto.SHA256, ValidityPeriodStart: time.Now().Add(-time.Hour),
	}}
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01, nil, nil, l.tsa.TimestampingAuthorities(), logs)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := signature.LoadVerifier(key.PublicKey(), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	keys := root.NewTrustedPublicKeyMaterialFromMapping(map[string]*root.ExpiringKey{
		hint: root.NewExpiringKey(verifier, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))})
	return root.TrustedMaterialCollection{trusted, keys}
}

// TestBundleVerifiesWithSigstore lets sigstore-go parse and verify the bundle: signature, leaf, proof, checkpoint,
// timestamp, subject.
func TestBundleVerifiesWithSigstore(t *testing.T) {
	for _, name := range []string{"minimal-data-flows.json", "minimal-no-backdoor.json"} {
		t.Run(name, func(t *testing.T) {
			key, log := newKey(t), newTestLog(t)
			envelope := sign(t, name, key)
			var parsed bundle.Bundle
			if err := parsed.UnmarshalJSON(log.bundle(t, envelope)); err != nil {
				t.Fatal(err)
			}
			verifier, err := verify.NewVerifier(log.material(t, key, envelope.KeyHint()), verify.WithTransparencyLog(1),
				verify.WithSignedTimestamps(1))
			if err != nil {
				t.Fatal(err)
			}
			subject, err := hex.DecodeString(envelope.Statement().Subjects[0].Digest["sha256"])
			if err != nil {
				t.Fatal(err)
			}
			result, err := verifier.Verify(&parsed, verify.NewPolicy(verify.WithArtifactDigest("sha256", subject), verify.WithKey()))
			if err != nil {
				t.Fatal(err)
			}
			if got := result.Statement.GetPredicateType(); got != envelope.Statement().Type {
				t.Errorf("got predicate type %q, want %q", got, envelope.Statement().Type)
			}
			other := sha256.Sum256([]byte("another file"))
			if _, err := verifier.Verify(&parsed, verify.NewPolicy(verify.WithArtifactDigest("sha256", other[:]),
				verify.WithKey())); err == nil {
				t.Error("accepted for another file: this test would pass whatever the bundle holds")
			}
		})
	}
}

// TestBundleIsDeterministic: same parts, same bytes, members in the order of the protobuf definition, no whitespace.
func TestBundleIsDeterministic(t *testing.T) {
	log, envelope := newTestLog(t), sign(t, "minimal-data-flows.json", newKey(t))
	leaf, err := envelope.Leaf()
	if err != nil {
		t.Fatal(err)
	}
	entry := log.entry(t, leaf)
	var first []byte
	for i := range 20 {
		data, err := attest.NewBundle(envelope, entry, [][]byte{[]byte("token")})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = data
		}
		if !bytes.Equal(data, first) {
			t.Fatalf("two renderings differ:\n%s\n%s", data, first)
		}
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, first); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(compact.Bytes(), first) {
		t.Error("the bundle has whitespace")
	}
	proof := entry.GetInclusionProof()
	checkpoint, err := json.Marshal(proof.GetCheckpoint().GetEnvelope())
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":%q},`+
		`"tlogEntries":[{"logIndex":"1","logId":{"keyId":%q},"kindVersion":{"kind":"hashedrekord","version":"0.0.2"},`+
		`"inclusionProof":{"logIndex":"1","rootHash":%q,"treeSize":"2","hashes":[%q],"checkpoint":{"envelope":%s}},`+
		`"canonicalizedBody":%q}],"timestampVerificationData":{"rfc3161Timestamps":[{"signedTimestamp":"dG9rZW4="}]}},"dsseEnvelope":%s}`,
		envelope.KeyHint(), b64(log.id), b64(proof.GetRootHash()), b64(proof.GetHashes()[0]), checkpoint, b64(leaf), envelope.JSON())
	if string(first) != want {
		t.Errorf("got  %s\nwant %s", first, want)
	}
}

func TestNewBundleRefuses(t *testing.T) {
	log := newTestLog(t)
	envelope := sign(t, "minimal-data-flows.json", newKey(t))
	leaf, err := envelope.Leaf()
	if err != nil {
		t.Fatal(err)
	}
	otherLeaf, err := sign(t, "minimal-data-flows.json", newKey(t)).Leaf()
	if err != nil {
		t.Fatal(err)
	}
	token := [][]byte{[]byte("token")}
	for _, c := range []struct {
		name   string
		change func(e *rekorv1.TransparencyLogEntry)
		tokens [][]byte
	}{
		{"body of another envelope", func(e *rekorv1.TransparencyLogEntry) { e.CanonicalizedBody = otherLeaf }, token},
		{"no body", func(e *rekorv1.TransparencyLogEntry) { e.CanonicalizedBody = nil }, token},
		{"other kind", func(e *rekorv1.TransparencyLogEntry) { e.KindVersion.Kind = "dsse" }, token},
		{"other version", func(e *rekorv1.TransparencyLogEntry) { e.KindVersion.Version = "0.0.1" }, token},
		{"integrated time", func(e *rekorv1.TransparencyLogEntry) { e.IntegratedTime = 1 }, token},
		{"promise", func(e *rekorv1.TransparencyLogEntry) { e.InclusionPromise = &rekorv1.InclusionPromise{} }, token},
		{"short log id", func(e *rekorv1.TransparencyLogEntry) { e.LogId.KeyId = e.LogId.KeyId[:4] }, token},
		{"no proof", func(e *rekorv1.TransparencyLogEntry) { e.InclusionProof = nil }, token},
		{"no checkpoint", func(e *rekorv1.TransparencyLogEntry) { e.InclusionProof.Checkpoint = nil }, token},
		{"two indexes", func(e *rekorv1.TransparencyLogEntry) { e.InclusionProof.LogIndex = 0 }, token},
		{"no timestamp", func(*rekorv1.TransparencyLogEntry) {}, nil},
		{"five timestamps", func(*rekorv1.TransparencyLogEntry) {}, [][]byte{{1}, {1}, {1}, {1}, {1}}},
		{"empty timestamp", func(*rekorv1.TransparencyLogEntry) {}, [][]byte{{}}},
		{"over the limit", func(*rekorv1.TransparencyLogEntry) {}, [][]byte{make([]byte, attest.MaxBundleBytes)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			entry := proto.Clone(log.entry(t, leaf)).(*rekorv1.TransparencyLogEntry)
			c.change(entry)
			_, err := attest.NewBundle(envelope, entry, c.tokens)
			wantCode(t, err, attest.CodeEntryMismatch)
		})
	}
	_, err = attest.NewBundle(envelope, nil, token)
	wantCode(t, err, attest.CodeEntryMismatch)
}
