package monitor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/internal/bundletest"
)

// certified makes an entry over a payload that is signed by the key of a certificate with the identity.
func certified(t *testing.T, payload []byte, who follow.Identity) []byte {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotAfter: time.Now().Add(time.Hour),
		URIs: []*url.URL{must(url.Parse(who.SAN))(t)},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8},
			Value: must(asn1.Marshal(who.Issuer))(t)}}}
	der := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))(t)
	digest := sha256.Sum256(dsse.PAE(predicate.PayloadType, payload))
	return bundletest.Leaf(t, digest[:], must(ecdsa.SignASN1(rand.Reader, key, digest[:]))(t), &key.PublicKey, must(x509.ParseCertificate(der))(t))
}

// TestWatchesIdentities: subject and issuer, both exactly.
func TestWatchesIdentities(t *testing.T) {
	w := newWorld(t)
	w.issue(1)
	who := follow.Identity{SAN: "https://git.example/app/release.yml@refs/tags/v1", Issuer: "https://issuer.example"}
	log := w.forge([][]byte{certified(t, w.statements[0], who)})
	for name, c := range map[string]struct {
		watched follow.Identity
		want    []follow.Code
	}{
		"both":         {who, []follow.Code{follow.CodeEntry}},
		"other issuer": {follow.Identity{SAN: who.SAN, Issuer: who.Issuer + "/"}, nil},
		"other SAN":    {follow.Identity{SAN: strings.ToUpper(who.SAN), Issuer: who.Issuer}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := w.observer()
			o.Watch.Identities = []follow.Identity{c.watched}
			o.finds(log, c.want...)
		})
	}
}

// TestUnreadableStatement: what a watched signer signed and nobody can read is worth a look, and no fault of the log.
func TestUnreadableStatement(t *testing.T) {
	w := newWorld(t)
	who := follow.Identity{SAN: "https://git.example/a", Issuer: "https://issuer.example"}
	log := forge(t, w.real.LogKey, [][]byte{certified(t, []byte("{}"), who)})
	log["/statements/by-index/0"] = []byte("{}")
	w.observer().clean(log)
	o := w.observer()
	o.Watch.Identities = []follow.Identity{who}
	o.finds(log, follow.CodeUnreadable, follow.CodeEntry)
	o = w.observer()
	o.Watch.Products = []string{"pkg:generic/x"}
	o.finds(log, follow.CodeUnreadable)
}
