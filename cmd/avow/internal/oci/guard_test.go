package oci

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/bundletest"
)

// keychain has one password for everybody.
type keychain struct{}

func (keychain) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "user", Password: "secret"}, nil
}

// askPassword is a registry that wants Basic authentication.
func askPassword(w http.ResponseWriter, r *http.Request) bool {
	if user, password, _ := r.BasicAuth(); user == "user" && password == "secret" {
		return false
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
	w.WriteHeader(http.StatusUnauthorized)
	return true
}

// foreign is another host, with TLS or without, that keeps what it was asked.
type foreign struct {
	url    string
	client http.RoundTripper

	mu       sync.Mutex
	requests []*http.Request
}

func startForeign(t *testing.T, tls bool, handle http.HandlerFunc) *foreign {
	t.Helper()
	f := &foreign{}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.requests = append(f.requests, r)
		f.mu.Unlock()
		handle(w, r)
	})
	server := httptest.NewUnstartedServer(handler)
	if tls {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	transport := NewTransport()
	if tls {
		pool := x509.NewCertPool()
		pool.AddCert(server.Certificate())
		transport.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig
		transport.TLSClientConfig.RootCAs = pool
	}
	f.url, f.client = server.URL, transport
	return f
}

func (f *foreign) seen() []*http.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests
}

// TestCredentials reach the registry and are refused where they are wrong.
func TestCredentials(t *testing.T) {
	r, image, _ := attacked(t, true)
	r.is(askPassword)
	if got, _, err := bundles(t.Context(), image, Options{Keychain: keychain{}}); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
	_, _, err := bundles(t.Context(), image, Options{})
	wantReason(t, err, ReasonDenied)
}

// TestRedirectOfABlob is followed over TLS, without credentials, and the content is checked.
func TestRedirectOfABlob(t *testing.T) {
	r, image, _ := attacked(t, true)
	before, _, err := bundles(t.Context(), image, Options{})
	if err != nil || len(before) != 1 {
		t.Fatal(before, err)
	}
	content := before[0].Data
	f := startForeign(t, true, func(w http.ResponseWriter, _ *http.Request) { w.Write(content) })
	r.is(func(w http.ResponseWriter, request *http.Request) bool {
		if askPassword(w, request) {
			return true
		}
		if strings.Contains(request.URL.Path, "/blobs/") {
			http.Redirect(w, request, f.url+"/storage?X-Signature=abc", http.StatusTemporaryRedirect)
			return true
		}
		return false
	})
	o := Options{Keychain: keychain{}, Transport: f.client}
	got, _, err := bundles(t.Context(), image, o)
	if err != nil || len(got) != 1 || string(got[0].Data) != string(content) {
		t.Fatalf("got %v, %v", got, err)
	}
	if n := len(f.seen()); n != 1 || f.seen()[0].Header.Get("Authorization") != "" {
		t.Errorf("%d requests, credentials %q", n, f.seen()[0].Header.Get("Authorization"))
	}
	content = append([]byte(" "), content...)
	_, _, err = bundles(t.Context(), image, o)
	wantReason(t, err, ReasonDigest)
	if strings.Contains(err.Error(), "X-Signature") {
		t.Errorf("the error repeats the signed address: %v", err)
	}
}

// TestRedirects that are not followed: nothing but blobs leaves the registry, and nothing without TLS.
func TestRedirects(t *testing.T) {
	for _, c := range []struct {
		kind string // what is redirected
		tls  bool
		want Reason
	}{
		{"/blobs/", false, ReasonPlainHTTP},
		{"/manifests/", false, ReasonPlainHTTP},
		{"/manifests/", true, ReasonForeignHost},
		{"/referrers/", true, ReasonForeignHost},
		{"/v2/", true, ReasonForeignHost}, // the handshake
	} {
		t.Run(fmt.Sprintf("%s TLS %t", strings.Trim(c.kind, "/"), c.tls), func(t *testing.T) {
			r, image, _ := attacked(t, true)
			f := startForeign(t, c.tls, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") })
			r.is(func(w http.ResponseWriter, request *http.Request) bool {
				if c.kind == "/v2/" && request.URL.Path != "/v2/" || !strings.Contains(request.URL.Path, c.kind) {
					return false
				}
				http.Redirect(w, request, f.url+request.URL.Path, http.StatusTemporaryRedirect)
				return true
			})
			_, _, err := bundles(t.Context(), image, Options{Transport: f.client})
			wantReason(t, err, c.want)
			if n := len(f.seen()); n != 0 {
				t.Errorf("the other host got %d requests", n)
			}
		})
	}
}

// TestRedirectsInACircle end.
func TestRedirectsInACircle(t *testing.T) {
	r, image, _ := attacked(t, true)
	n := 0
	r.is(func(w http.ResponseWriter, request *http.Request) bool {
		if !strings.Contains(request.URL.Path, "/blobs/") {
			return false
		}
		n++
		http.Redirect(w, request, fmt.Sprintf("%s?n=%d", request.URL.Path, n), http.StatusTemporaryRedirect)
		return true
	})
	_, _, err := bundles(t.Context(), image, Options{})
	wantReason(t, err, ReasonRedirects)
	if n != maxRedirects+1 {
		t.Errorf("%d requests, want %d", n, maxRedirects+1)
	}
}

// TestUploadsStayAtTheRegistry: what is written goes nowhere else.
func TestUploadsStayAtTheRegistry(t *testing.T) {
	r := startRegistry(t, true)
	image := r.push(t, false)
	f := startForeign(t, true, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })
	r.is(func(w http.ResponseWriter, request *http.Request) bool {
		if request.Method != http.MethodPost {
			return false
		}
		w.Header().Set("Location", f.url+"/upload")
		w.WriteHeader(http.StatusAccepted)
		return true
	})
	c := open1(t, image, Options{Push: true, Transport: f.client})
	_, err := c.Attach(t.Context(), bundleAbout(t, bundletest.NewWorld(t), image, "data-flows"), predicate.DataFlowsType)
	wantReason(t, err, ReasonForeignHost)
	if n := len(f.seen()); n != 0 {
		t.Errorf("the other host got %d requests", n)
	}
}

// TestTokenServer: the registry names another host that gives out tokens. It has to speak TLS, and the password goes
// there and the token to the registry only.
func TestTokenServer(t *testing.T) {
	for _, tls := range []bool{true, false} {
		r, image, _ := attacked(t, true)
		f := startForeign(t, tls, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"token":"the-token"}`) })
		// Another name for the same machine: go-containerregistry refuses realms that are other private addresses.
		realm := strings.Replace(f.url, "127.0.0.1", "localhost", 1)
		r.is(func(w http.ResponseWriter, request *http.Request) bool {
			if request.Header.Get("Authorization") == "Bearer the-token" {
				return false
			}
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm+`/token",service="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		})
		if transport, ok := f.client.(*http.Transport); ok && tls {
			transport.TLSClientConfig.ServerName = "example.com" // that of the certificate
		}
		got, _, err := bundles(t.Context(), image, Options{Keychain: keychain{}, Transport: f.client})
		if !tls {
			wantReason(t, err, ReasonPlainHTTP)
			if n := len(f.seen()); n != 0 {
				t.Errorf("the password went over plain HTTP: %d requests", n)
			}
			continue
		}
		if err != nil || len(got) != 1 {
			t.Errorf("got %v, %v", got, err)
		}
		for _, request := range f.seen() {
			if user, _, _ := request.BasicAuth(); user != "user" {
				t.Errorf("the token server got no credentials")
			}
		}
	}
}

// TestPlainHTTPIsForLoopback: no request is sent, so none of these hosts is asked.
func TestPlainHTTPIsForLoopback(t *testing.T) {
	for host, plain := range map[string]bool{
		"localhost:5000": true, "127.0.0.1:5000": true, "127.1.2.3": true, "[::1]:5000": true, "[::ffff:127.0.0.1]:5000": true,
		"10.0.0.1:5000": false, "192.168.1.1:5000": false, "registry.localhost:5000": false, "registry.example": false,
		"localhost.example": false, "127.0.0.1.example": false,
	} {
		g := &guard{registry: host}
		for _, scheme := range []string{"http", "https"} {
			err := g.admit(&http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: scheme, Host: host, Path: "/v2/"}})
			if scheme == "https" || plain {
				if err != nil {
					t.Errorf("%s://%s: %v", scheme, host, err)
				}
				continue
			}
			wantReason(t, err, ReasonPlainHTTP)
		}
	}
}

// TestSameHost: how a host is written does not matter, its port does.
func TestSameHost(t *testing.T) {
	for _, c := range []struct {
		registry, host string
		same           bool
	}{
		{"registry.example", "registry.example", true}, {"registry.example", "Registry.Example:443", true},
		{"registry.example:443", "registry.example", true}, {"registry.example:5000", "registry.example", false},
		{"registry.example", "registry.example.evil.test", false}, {"registry.example", "evil.test", false},
		{"[::1]:443", "[::1]", true},
	} {
		r := &http.Request{URL: &url.URL{Scheme: "https", Host: c.host}}
		if got := (&guard{registry: c.registry}).own(r); got != c.same {
			t.Errorf("%s for %s: %t", c.host, c.registry, got)
		}
	}
}

// TestTotalIsBounded: a client does not read for ever, in however small pieces.
func TestTotalIsBounded(t *testing.T) {
	g := &guard{registry: "registry.example"}
	g.total.Store(MaxTotalBytes - 1)
	b := &bounded{body: io.NopCloser(strings.NewReader("abc")), left: 10, guard: g}
	if n, err := b.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("within the limit: %d bytes, %v", n, err)
	}
	_, err := b.Read(make([]byte, 1))
	wantReason(t, err, ReasonTooLarge)
}

// TestNoCredentialsForTheStorage: a blob may come from elsewhere, asked for by nobody in particular.
func TestNoCredentialsForTheStorage(t *testing.T) {
	g := &guard{registry: "registry.example"}
	blob := &http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "https", Host: "registry.example", Path: "/v2/app/blobs/sha256:00"}}
	redirected := &http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "https", Host: "storage.example", Path: "/x"},
		Header: http.Header{}, Response: &http.Response{Request: blob}}
	if err := g.admit(redirected); err != nil {
		t.Errorf("got %v", err)
	}
	redirected.Header.Set("Authorization", "Bearer x")
	wantReason(t, g.admit(redirected), ReasonForeignHost)
	redirected.Header.Del("Authorization")
	redirected.Method = http.MethodPut
	wantReason(t, g.admit(redirected), ReasonForeignHost)
}
