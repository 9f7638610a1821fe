package certauthority

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"time"

	ct "github.com/google/certificate-transparency-go"
	cttls "github.com/google/certificate-transparency-go/tls"
	ctx509 "github.com/google/certificate-transparency-go/x509"
)

// entry is an entry of the certificate log.
type entry ct.MerkleTreeLeaf

// newEntry describes a certificate without its SCT.
//
// > "issuer_key_hash" is the SHA-256 hash of the certificate issuer's public key, calculated over the DER encoding of the
// key represented as SubjectPublicKeyInfo (RFC 6962, section 3.2)
func newEntry(issuer *x509.Certificate, tbs []byte, now time.Time) *entry {
	return &entry{
		Version: ct.V1, LeafType: ct.TimestampedEntryLeafType,
		TimestampedEntry: &ct.TimestampedEntry{
			Timestamp: uint64(now.UnixMilli()), // #nosec G115 -- after 1970
			EntryType: ct.PrecertLogEntryType,
			PrecertEntry: &ct.PreCert{
				IssuerKeyHash: sha256.Sum256(issuer.RawSubjectPublicKeyInfo), TBSCertificate: tbs,
			},
		},
	}
}

// marshal encodes the entry as the log holds it.
func (e *entry) marshal() ([]byte, error) {
	leaf, err := cttls.Marshal(ct.MerkleTreeLeaf(*e))
	if err != nil {
		return nil, fail(Internal, err, "the entry of the certificate log cannot be encoded")
	}
	return leaf, nil
}

// timestamper is the certificate log's key.
type timestamper struct {
	key *ecdsa.PrivateKey
	id  ct.LogID
}

func newTimestamper(key *ecdsa.PrivateKey) (*timestamper, error) {
	id, err := LogID(&key.PublicKey)
	return &timestamper{key: key, id: ct.LogID{KeyID: id}}, err
}

// LogID is the id of a certificate log: SHA-256 of its key's SubjectPublicKeyInfo (RFC 6962, section 3.2).
func LogID(key *ecdsa.PublicKey) ([sha256.Size]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return [sha256.Size]byte{}, fail(BadKey, err, "the certificate log's key cannot be encoded")
	}
	return sha256.Sum256(spki), nil
}

// sign makes the value of the extension that holds the entry's timestamp.
func (t *timestamper) sign(e *entry) ([]byte, error) {
	sct := ct.SignedCertificateTimestamp{SCTVersion: ct.V1, LogID: t.id, Timestamp: e.TimestampedEntry.Timestamp}
	input, err := ct.SerializeSCTSignatureInput(sct, ct.LogEntry{Leaf: ct.MerkleTreeLeaf(*e)})
	if err != nil {
		return nil, fail(Internal, err, "the certificate timestamp cannot be encoded")
	}
	digest := sha256.Sum256(input)
	sig, err := ecdsa.SignASN1(rand.Reader, t.key, digest[:])
	if err != nil {
		return nil, fail(Internal, err, "the certificate timestamp could not be signed")
	}
	sct.Signature = ct.DigitallySigned{
		Algorithm: cttls.SignatureAndHashAlgorithm{Hash: cttls.SHA256, Signature: cttls.ECDSA}, Signature: sig,
	}
	return marshalSCTs(sct)
}

func marshalSCTs(sct ct.SignedCertificateTimestamp) ([]byte, error) {
	one, err := cttls.Marshal(sct)
	if err == nil {
		one, err = cttls.Marshal(ctx509.SignedCertificateTimestampList{SCTList: []ctx509.SerializedSCT{{Val: one}}})
	}
	if err == nil {
		one, err = asn1.Marshal(one)
	}
	if err != nil {
		return nil, fail(Internal, err, "the certificate timestamp cannot be encoded")
	}
	return one, nil
}
