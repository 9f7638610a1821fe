package authority

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"time"
)

// Tags of DER (X.690) as they are used below.
const (
	tagInteger         = 0x02
	tagOctetString     = 0x04
	tagUTCTime         = 0x17
	tagGeneralizedTime = 0x18
	tagSequence        = 0x30
	tagSet             = 0x31
	tagContext0        = 0xa0 // [0], constructed
	tagContext4        = 0xa4 // [4], constructed
)

// form is a token with everything filled in that does not change from one to
// the next. RFC 3161 tokens are CMS SignedData (RFC 5652) around a TSTInfo; of
// the 1,100 bytes only the TSTInfo, its digest, the time and the signature
// differ. Writing them into place costs 4 us; encoding the whole by reflection
// costs more than the signature itself. What is written here is read back by
// the parsers of others when the authority is made (probe), and in the tests.
type form struct {
	policy asn1.ObjectIdentifier

	policyDER   []byte // OBJECT IDENTIFIER
	tsa         []byte // tsa [0] GeneralName
	contentType []byte // attribute content-type
	certificate []byte // certificates [0] of SignedData
	signingCert []byte // attribute signing-certificate-v2
	signer      []byte // version, issuerAndSerialNumber, digestAlgorithm of SignerInfo
}

// DER constants. OIDs: id-ct-TSTInfo 1.2.840.113549.1.9.16.1.4, id-signedData
// 1.2.840.113549.1.7.2, SHA-2 2.16.840.1.101.3.4.2.{1,2,3}, ecdsa-with-SHA256
// 1.2.840.10045.4.3.2, attributes content-type, message-digest, signing-time
// 1.2.840.113549.1.9.{3,4,5}, signing-certificate-v2 1.2.840.113549.1.9.16.2.47.
var (
	oidTSTInfo       = []byte{0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04}
	oidSignedData    = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02}
	oidContentType   = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03}
	oidMessageDigest = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04}
	oidSigningTime   = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x05}
	oidSigningCertV2 = []byte{0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x2f}
	// AlgorithmIdentifier. Parameters are absent for both (RFC 5754, section 2; RFC 5758, section 3.2).
	algSHA256      = []byte{tagSequence, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01}
	algECDSASHA256 = []byte{tagSequence, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02}

	derVersion1 = []byte{tagInteger, 1, 1}
	derVersion3 = []byte{tagInteger, 1, 3}
	// accuracy: one second, because the time is cut to whole seconds.
	derAccuracy = []byte{tagSequence, 3, tagInteger, 1, 1}
	// PKIStatusInfo: granted.
	derGranted = []byte{tagSequence, 3, tagInteger, 1, 0}
)

func newForm(leaf *x509.Certificate, policy asn1.ObjectIdentifier) (*form, error) {
	policyDER, err := asn1.Marshal(policy)
	if err != nil {
		return nil, fail(BadConfig, err, "policy %v is no object identifier", policy)
	}
	serial, err := asn1.Marshal(leaf.SerialNumber)
	if err != nil {
		return nil, fail(BadChain, err, "the leaf's serial number cannot be encoded")
	}
	hash := sha256.Sum256(leaf.Raw)
	// ESSCertIDv2 (RFC 5816): the hash algorithm is left out where it is the default, SHA-256.
	essCert := tlv(tagSequence,
		tlv(tagOctetString, hash[:]),
		tlv(tagSequence, tlv(tagSequence, tlv(tagContext4, leaf.RawIssuer)), serial))
	return &form{
		policy:      policy,
		policyDER:   policyDER,
		tsa:         tlv(tagContext0, tlv(tagContext4, leaf.RawSubject)),
		contentType: attribute(oidContentType, oidTSTInfo),
		signingCert: attribute(oidSigningCertV2, tlv(tagSequence, tlv(tagSequence, essCert))),
		certificate: tlv(tagContext0, leaf.Raw),
		signer:      bytes.Join([][]byte{derVersion1, tlv(tagSequence, leaf.RawIssuer, serial), algSHA256}, nil),
	}, nil
}

// sign fills the form and signs it: a TimeStampResp with status granted.
func (f *form) sign(key *ecdsa.PrivateKey, imprint, nonce []byte, now time.Time, withCertificate bool) ([]byte, error) {
	info := f.info(imprint, nonce, now)
	attributes := f.attributes(info, now)
	// RFC 5652, section 5.4: what is signed is the attributes as a SET OF; what
	// is stored is the same with the tag [0].
	toSign := sha256.Sum256(tlv(tagSet, attributes))
	signature, err := key.Sign(rand.Reader, toSign[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	signer := tlv(tagSequence, f.signer, tlv(tagContext0, attributes), algECDSASHA256, tlv(tagOctetString, signature))
	var certificate []byte
	if withCertificate {
		certificate = f.certificate
	}
	content := tlv(tagSequence, oidTSTInfo, tlv(tagContext0, tlv(tagOctetString, info)))
	// RFC 5652, section 5.1: version 3, because the content is not id-data.
	data := tlv(tagSequence, derVersion3, tlv(tagSet, algSHA256), content, certificate, tlv(tagSet, signer))
	return tlv(tagSequence, derGranted, tlv(tagSequence, oidSignedData, tlv(tagContext0, data))), nil
}

// info writes the TSTInfo (RFC 3161, section 2.4.2).
func (f *form) info(imprint, nonce []byte, now time.Time) []byte {
	// > "The serialNumber field is an integer assigned by the TSA to each
	// > TimeStampToken. It MUST be unique for each TimeStampToken issued by a given TSA"
	// 128 random bits; the leading 1 keeps the integer positive and its length fixed.
	serial := [17]byte{1}
	_, _ = rand.Read(serial[1:]) // crypto/rand.Read does not return errors
	return tlv(tagSequence, derVersion1, f.policyDER, imprint, tlv(tagInteger, serial[:]),
		tlv(tagGeneralizedTime, []byte(now.Format("20060102150405Z"))), derAccuracy, nonce, f.tsa)
}

// attributes writes the signed attributes in the order of DER for a SET OF,
// which is that of their encodings, and that of their lengths here: content-type
// 28 bytes, signing-time 30 or 32, message-digest 49, signing-certificate-v2 over 100.
func (f *form) attributes(info []byte, now time.Time) []byte {
	digest := sha256.Sum256(info)
	return bytes.Join([][]byte{
		f.contentType,
		attribute(oidSigningTime, signingTime(now)),
		attribute(oidMessageDigest, tlv(tagOctetString, digest[:])),
		f.signingCert,
	}, nil)
}

// signingTime: RFC 5652, section 11.3:
// > "Dates between 1 January 1950 and 31 December 2049 (inclusive) MUST be
// > encoded as UTCTime. Any dates with year values before 1950 or after 2049
// > MUST be encoded as GeneralizedTime."
func signingTime(t time.Time) []byte {
	if y := t.Year(); y < 1950 || y > 2049 {
		return tlv(tagGeneralizedTime, []byte(t.Format("20060102150405Z")))
	}
	return tlv(tagUTCTime, []byte(t.Format("060102150405Z")))
}

func attribute(oid, value []byte) []byte { return tlv(tagSequence, oid, tlv(tagSet, value)) }

// imprintOf writes a MessageImprint. The parameters of the hash are NULL, as
// most clients send and some expect them.
func imprintOf(hash crypto.Hash, digest []byte) []byte {
	number := map[crypto.Hash]byte{crypto.SHA256: 1, crypto.SHA384: 2, crypto.SHA512: 3}[hash]
	algorithm := []byte{tagSequence, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, number, 0x05, 0x00}
	return tlv(tagSequence, algorithm, tlv(tagOctetString, digest))
}

// tlv writes one DER value: tag, length, and the parts as its content.
func tlv(tag byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	out := make([]byte, 0, n+6)
	out = append(out, tag)
	switch {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 0x100:
		out = append(out, 0x81, byte(n))
	case n < 0x10000:
		out = append(out, 0x82)
		out = binary.BigEndian.AppendUint16(out, uint16(n))
	default:
		out = append(out, 0x84)
		out = binary.BigEndian.AppendUint32(out, uint32(n))
	}
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}
