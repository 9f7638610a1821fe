package bundletest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
	"time"

	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/tls"
	ctx509 "github.com/google/certificate-transparency-go/x509"
)

// oidSCTList is the extension that holds certificate timestamps (RFC 6962, section 3.3).
var oidSCTList = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}

// CertifyLogged is Certify with certificate timestamps by CT logs (which need
// ECDSA keys) at a time. As in reality, what the log signs is the certificate
// without the timestamps.
func (c *CA) CertifyLogged(tb testing.TB, key crypto.PublicKey, san, issuer string, start, end, at time.Time,
	logs ...*Log,
) *x509.Certificate {
	tb.Helper()
	number := serial(tb)
	before := c.Certify(tb, key, san, issuer, start, end, func(t *x509.Certificate) { t.SerialNumber = number })
	var list ctx509.SignedCertificateTimestampList
	for _, l := range logs {
		list.SCTList = append(list.SCTList, ctx509.SerializedSCT{Val: l.certificateTimestamp(tb, before, c.Intermediate, at)})
	}
	if len(logs) == 0 {
		return before
	}
	serialized, err := tls.Marshal(list)
	if err != nil {
		tb.Fatal(err)
	}
	value, err := asn1.Marshal(serialized)
	if err != nil {
		tb.Fatal(err)
	}
	return c.Certify(tb, key, san, issuer, start, end, func(t *x509.Certificate) {
		t.SerialNumber = number
		t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{Id: oidSCTList, Value: value})
	})
}

// certificateTimestamp makes a serialized SCT over a certificate without timestamps.
func (l *Log) certificateTimestamp(tb testing.TB, cert, issuer *x509.Certificate, at time.Time) []byte {
	tb.Helper()
	stamp := uint64(at.UnixMilli()) // #nosec G115 -- after 1970
	sct := ct.SignedCertificateTimestamp{SCTVersion: ct.V1, Timestamp: stamp}
	copy(sct.LogID.KeyID[:], l.id)
	input, err := ct.SerializeSCTSignatureInput(sct, ct.LogEntry{Leaf: ct.MerkleTreeLeaf{
		Version: ct.V1, LeafType: ct.TimestampedEntryLeafType,
		TimestampedEntry: &ct.TimestampedEntry{
			Timestamp: stamp, EntryType: ct.PrecertLogEntryType,
			PrecertEntry: &ct.PreCert{IssuerKeyHash: sha256.Sum256(issuer.RawSubjectPublicKeyInfo),
				TBSCertificate: cert.RawTBSCertificate},
		},
	}})
	if err != nil {
		tb.Fatal(err)
	}
	key, ok := l.key.(*ecdsa.PrivateKey)
	if !ok {
		tb.Fatal("a CT log needs an ECDSA key")
	}
	digest := sha256.Sum256(input)
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		tb.Fatal(err)
	}
	sct.Signature = ct.DigitallySigned{Algorithm: tls.SignatureAndHashAlgorithm{Hash: tls.SHA256, Signature: tls.ECDSA},
		Signature: sig}
	raw, err := tls.Marshal(sct)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}
