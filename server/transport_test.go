package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/encoding/protojson"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
)

// selfSigned makes a certificate with its key.
func selfSigned(t testing.TB) tls.Certificate {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: must(x509.ParseCertificate(der))(t)}
}

// TestClientCertificates: a registered client certificate is a vendor's credential over gRPC and over REST; another
// one is refused, and none is nobody.
func TestClientCertificates(t *testing.T) {
	registered, stranger := selfSigned(t), selfSigned(t)
	w := newWorld(t, func(w *world) { w.acmeCert = registered.Leaf; w.makeVendors() })
	serverCert := selfSigned(t)
	serverTLS := &tls.Config{Certificates: []tls.Certificate{serverCert}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS13}
	roots := x509.NewCertPool()
	roots.AddCert(serverCert.Leaf)

	lis := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	gs := w.server.GRPCServer(grpc.Creds(credentials.NewTLS(serverTLS)))
	go func() { _ = gs.Serve(lis) }() // Drain stops it
	rest := httptest.NewUnstartedServer(must(w.server.Handler(t.Context()))(t))
	rest.TLS = serverTLS.Clone()
	rest.StartTLS()
	t.Cleanup(rest.Close)

	for name, c := range map[string]struct {
		certs  []tls.Certificate
		reason avowv1.ErrorReason
	}{
		// acme is registered and has no key at the service: whoever is told so was recognised.
		"registered": {[]tls.Certificate{registered}, reasonSigningNotConfigured},
		"stranger":   {[]tls.Certificate{stranger}, reasonCredentialsInvalid},
		"none":       {nil, reasonCredentialsRequired},
	} {
		clientTLS := &tls.Config{RootCAs: roots, ServerName: "localhost", Certificates: c.certs, MinVersion: tls.VersionTLS13}
		conn := must(grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(clientTLS))))(t)
		_, err := avowv1.NewAttestationServiceClient(conn).Issue(t.Context(), unsigned(dataFlows(t)))
		wantReason(t, err, c.reason)
		_ = conn.Close()

		client := &http.Client{Transport: &http.Transport{TLSClientConfig: clientTLS.Clone()}}
		body := must(protojson.Marshal(unsigned(dataFlows(t))))(t)
		resp := must(client.Post(rest.URL+"/api/v1/statements", "application/json", strings.NewReader(string(body))))(t)
		var answer strings.Builder
		_ = resp.Write(&answer)
		_ = resp.Body.Close()
		if !strings.Contains(answer.String(), reasonName(c.reason)) {
			t.Errorf("%s over REST: want %s, got %s", name, reasonName(c.reason), answer.String())
		}
		client.CloseIdleConnections()
	}
}

// TestRESTWhileDraining: REST callers are told that the service stops, before and after its inner connection is gone.
func TestRESTWhileDraining(t *testing.T) {
	w := newWorld(t)
	rest := w.rest()
	call(t, "GET", rest.URL+"/api/v1/log/checkpoint", nil)
	w.server.draining.Store(true)
	for range 2 {
		for _, path := range []string{"/api/v1/log/checkpoint", "/checkpoint"} {
			resp, body := call(t, "GET", rest.URL+path, nil)
			if resp.StatusCode != http.StatusServiceUnavailable || restReason(t, body) != "SHUTTING_DOWN" || resp.Header.Get("Retry-After") == "" {
				t.Errorf("%s: %s %s", path, resp.Status, body)
			}
		}
		if err := w.server.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzForwardedAddress: whatever the header says, the address is that of the connection or one that the proxies saw:
// never a proxy's own while another is known, and never what stands left of the first stranger.
func FuzzForwardedAddress(f *testing.F) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Add("198.51.100.1, 10.0.0.2")
	f.Add("203.0.113.9, 198.51.100.1")
	f.Add(",,::ffff:10.0.0.1")
	f.Fuzz(func(t *testing.T, header string) {
		stranger := netip.MustParseAddr("192.0.2.1")
		if got := forwardedAddress(stranger, []string{header}, proxies); got != stranger {
			t.Errorf("a stranger chose its address: %v", got)
		}
		proxy := netip.MustParseAddr("10.0.0.1")
		if got := forwardedAddress(proxy, []string{header, "198.51.100.7"}, proxies); got.String() != "198.51.100.7" {
			t.Errorf("behind a proxy the client chose its address: %v", got)
		}
	})
}

// FuzzBasicToken: what is taken as a token is the rest after a user's name, within the limit, and never a bearer token too.
func FuzzBasicToken(f *testing.F) {
	f.Add("Basic dmVuZG9yOmFiYw==")
	f.Add("basic OmE=")
	f.Fuzz(func(t *testing.T, value string) {
		token, ok := basicToken([]string{value})
		if !ok {
			return
		}
		_, encoded, _ := strings.Cut(value, " ")
		decoded, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || token == "" || len(token) > MaxTokenBytes || !strings.HasSuffix(string(decoded), ":"+token) {
			t.Errorf("%q gave the token %q", value, token)
		}
		if _, both := bearerToken([]string{value}); both {
			t.Errorf("%q is a bearer token too", value)
		}
	})
}

// FuzzBearerToken: what is taken as a token is the rest of the one value, within the limit.
func FuzzBearerToken(f *testing.F) {
	f.Add("Bearer abc")
	f.Add("bearer  x")
	f.Fuzz(func(t *testing.T, value string) {
		token, ok := bearerToken([]string{value})
		if ok && (token == "" || len(token) > MaxTokenBytes || !strings.HasSuffix(value, " "+token)) {
			t.Errorf("%q gave the token %q", value, token)
		}
	})
}
