package monitor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
)

// certified makes an entry over a payload that is signed by the key of a certificate with the identity.
func certified(t *testing.T, payload []byte, who Identity) []byte {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotAfter: time.Now().Add(time.Hour),
		URIs: []*url.URL{must(url.Parse(who.SAN))(t)},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8},
			Value: must(asn1.Marshal(who.Issuer))(t)}}}
	der := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))(t)
	pae := fmt.Sprintf("DSSEv1 %d %s %d %s", len(predicate.PayloadType), predicate.PayloadType, len(payload), payload)
	digest := sha256.Sum256([]byte(pae))
	l := &leaf{algorithm: "SHA2_256", digest: digest[:], keyDetails: "PKIX_ECDSA_P256_SHA_256",
		signature: must(ecdsa.SignASN1(rand.Reader, key, digest[:]))(t)}
	return []byte(l.canonical("x509Certificate", der))
}

// TestWatchesIdentities: subject and issuer, both exactly.
func TestWatchesIdentities(t *testing.T) {
	w := newWorld(t)
	w.issue(1)
	who := Identity{SAN: "https://git.example/app/release.yml@refs/tags/v1", Issuer: "https://issuer.example"}
	log := w.forge([][]byte{certified(t, w.statements[0], who)})
	for name, c := range map[string]struct {
		watched Identity
		want    []Code
	}{
		"both":         {who, []Code{CodeEntry}},
		"other issuer": {Identity{who.SAN, who.Issuer + "/"}, nil},
		"other SAN":    {Identity{strings.ToUpper(who.SAN), who.Issuer}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := w.observer()
			o.Watch.Identities = []Identity{c.watched}
			o.finds(log, c.want...)
		})
	}
}

// TestUnreadableStatement: what a watched signer signed and nobody can read is worth a look, and no fault of the log.
func TestUnreadableStatement(t *testing.T) {
	w := newWorld(t)
	who := Identity{SAN: "https://git.example/a", Issuer: "https://issuer.example"}
	log := forge(t, w.real.LogKey, [][]byte{certified(t, []byte("{}"), who)})
	log["/statements/by-index/0"] = []byte("{}")
	w.observer().clean(log)
	o := w.observer()
	o.Watch.Identities = []Identity{who}
	o.finds(log, CodeUnreadable, CodeEntry)
	o = w.observer()
	o.Watch.Products = []string{"pkg:generic/x"}
	o.finds(log, CodeUnreadable)
}

// TestWebhook: the finding arrives as JSON, a failing receiver is tried again, and a redirect is not followed.
func TestWebhook(t *testing.T) {
	for name, c := range map[string]struct {
		answers []int
		ok      bool
	}{
		"taken": {[]int{204}, true}, "taken at last": {[]int{500, 429, 200}, true},
		"redirect": {[]int{307, 307, 307, 307, 307}, false}, "refused": {[]int{400, 400, 400, 400, 400}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				body := must(io.ReadAll(r.Body))(t)
				got = append(got, r.Method+" "+r.URL.String()+" "+string(body))
				rw.Header().Set("Location", "/elsewhere")
				rw.WriteHeader(c.answers[len(got)-1])
			}))
			defer server.Close()
			h := &Webhook{URL: must(ParseWebhookURL(server.URL + "/hook?token=1"))(t), Transport: http.DefaultTransport, Sleep: noSleep}
			err := h.Send(context.Background(), Finding{Code: CodeFork, Class: Misbehaviour, Detail: "d"})
			if (err == nil) != c.ok || len(got) != len(c.answers) {
				t.Fatalf("%v after %d tries: %q", err, len(got), got)
			}
			want := `POST /hook?token=1 {"code":"fork","class":"misbehaviour","origin":"","treeSize":0,"detail":"d"}`
			if got[len(got)-1] != want {
				t.Errorf("got %s", got[len(got)-1])
			}
		})
	}
}
