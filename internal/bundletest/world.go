package bundletest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	trustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"google.golang.org/protobuf/encoding/protojson"
)

// Epoch is when a World's statements are issued by default: an hour after the
// issuedAt of [Statement].
var Epoch = time.Date(2026, 9, 1, 10, 0, 0, 0, time.UTC)

// Start is since when a World's authorities are valid.
var Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// World is a vendor, a log and authorities, and the trusted root over them.
type World struct {
	// Vendor is the vendor's signing key.
	Vendor *ecdsa.PrivateKey
	// Log is avow's log.
	Log *Log
	// TSA is the service's timestamp authority; Foreign is one of somebody else.
	TSA, Foreign *TSA
	// CA certifies identities.
	CA *CA

	trusted []byte
}

// NewWorld makes a World whose trusted root names Log, TSA, Foreign and CA.
func NewWorld(tb testing.TB) *World {
	tb.Helper()
	w := &World{
		Vendor:  newKey(tb),
		Log:     NewLog(tb, "log.example.test", Start),
		TSA:     NewTSA(tb, "https://tsa.example.test", Start),
		Foreign: NewTSA(tb, "https://tsa.foreign.test", Start),
		CA:      NewCA(tb, "https://ca.example.test", Start),
	}
	w.trusted = TrustedRoot(tb, []*Log{w.Log}, []*TSA{w.TSA, w.Foreign}, []*CA{w.CA}, nil)
	return w
}

// TrustedRoot is the World's trusted_root.json.
func (w *World) TrustedRoot() []byte { return bytes.Clone(w.trusted) }

// TrustedRoot makes a trusted_root.json over any authorities.
func TrustedRoot(tb testing.TB, logs []*Log, tsas []*TSA, cas []*CA, ctLogs []*Log) []byte {
	tb.Helper()
	byID := func(logs []*Log) map[string]*root.TransparencyLog {
		m := make(map[string]*root.TransparencyLog, len(logs))
		for _, l := range logs {
			m[hex.EncodeToString(l.id)] = l.trusted()
		}
		return m
	}
	var stampers []root.TimestampingAuthority
	for _, t := range tsas {
		stampers = append(stampers, t.trusted())
	}
	var issuers []root.CertificateAuthority
	for _, c := range cas {
		issuers = append(issuers, c.trusted())
	}
	tr, err := root.NewTrustedRoot(root.TrustedRootMediaType01, issuers, byID(ctLogs), stampers, byID(logs))
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := tr.MarshalJSON()
	if err != nil {
		tb.Fatal(err)
	}
	return compact(tb, raw)
}

// WithIdentities adds a certificate authority and its CT log to a trusted root.
func WithIdentities(tb testing.TB, trustedRoot []byte, ca *CA, ctLog *Log) []byte {
	tb.Helper()
	var all, more trustroot.TrustedRoot
	for to, raw := range map[*trustroot.TrustedRoot][]byte{&all: trustedRoot, &more: TrustedRoot(tb, nil, nil, []*CA{ca}, []*Log{ctLog})} {
		if err := protojson.Unmarshal(raw, to); err != nil {
			tb.Fatal(err)
		}
	}
	all.CertificateAuthorities = append(all.CertificateAuthorities, more.GetCertificateAuthorities()...)
	all.Ctlogs = append(all.Ctlogs, more.GetCtlogs()...)
	raw, err := protojson.Marshal(&all)
	if err != nil {
		tb.Fatal(err)
	}
	return compact(tb, raw)
}

// NewKey makes an ECDSA P-256 key.
func NewKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	return newKey(tb)
}

// Hint is what a bundle calls a key: base64 of SHA-256 of its DER.
func Hint(tb testing.TB, key *ecdsa.PublicKey) string {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// compact removes the white space that protojson varies from run to run.
func compact(tb testing.TB, raw []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}
