package oci

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"sync/atomic"
)

// Parts of the paths of the distribution API.
const (
	manifestsPath = "manifests"
	blobsPath     = "blobs"
	referrersPath = "referrers"
)

// guard is the last one that sees a request before it leaves, and the first one that sees the answer: whatever the
// layers above it do (handshake, tokens, redirects, uploads), no request goes where the package says that none goes,
// and no answer is longer than its limit.
type guard struct {
	next     http.RoundTripper
	registry string // host and, if given, port
	total    atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.admit(r); err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	answer, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	first, _ := origin(r)
	limit := limitOf(first)
	if r.Method == http.MethodGet && answer.ContentLength > limit {
		answer.Body.Close()
		return nil, tooLarge(first, limit)
	}
	answer.Body = &bounded{body: answer.Body, left: limit, guard: g, err: tooLarge(first, limit)}
	return answer, nil
}

// admit refuses what must not leave this machine.
func (g *guard) admit(r *http.Request) error {
	first, redirects := origin(r)
	if redirects > maxRedirects {
		return refuse(ReasonRedirects, "name the registry that it redirects to", "%s redirects more than %d times", g.registry,
			maxRedirects)
	}
	if g.own(r) {
		if r.URL.Scheme != "https" && !isLoopback(r.URL.Hostname()) {
			return refuse(ReasonPlainHTTP, "the registry has to speak TLS", "%s would be spoken to without TLS, which is done on "+
				"loopback only", r.URL.Host)
		}
		return nil
	}
	if r.URL.Scheme != "https" {
		return refuse(ReasonPlainHTTP, "tell the operator of the registry", "%s leads to %s without TLS", g.registry, clip(r.URL.Host))
	}
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case g.own(first): // a redirect
		if read && kindOf(first) == blobsPath && r.Header.Get("Authorization") == "" {
			return nil
		}
	case r.Method == http.MethodGet || r.Method == http.MethodPost: // a token server, or what it redirects to
		return nil
	}
	return refuse(ReasonForeignHost, "if you trust that host, name it as the registry", "%s leads to another host, %s, for what is "+
		"not the download of a blob", g.registry, clip(r.URL.Host))
}

// origin is the request that a chain of redirects began with, and their number.
func origin(r *http.Request) (*http.Request, int) {
	n := 0
	for r.Response != nil && r.Response.Request != nil {
		r = r.Response.Request
		n++
	}
	return r, n
}

// own reports whether the request goes to the registry that was named.
func (g *guard) own(r *http.Request) bool {
	return authority(r.URL.Host, r.URL.Scheme) == authority(g.registry, r.URL.Scheme)
}

// authority is host and port, the port filled in.
func authority(host, scheme string) string {
	u := url.URL{Scheme: scheme, Host: strings.ToLower(host)}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// isLoopback reports whether a host is this machine by its name, without asking anybody.
func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.Unmap().IsLoopback()
}

// kindOf is manifests, blobs, referrers, or something else.
func kindOf(r *http.Request) string { return path.Base(path.Dir(strings.TrimSuffix(r.URL.Path, "/"))) }

func limitOf(r *http.Request) int64 {
	switch kindOf(r) {
	case manifestsPath, referrersPath:
		return MaxManifestBytes
	case blobsPath:
		return MaxBundleBytes
	default:
		return maxOtherBytes
	}
}

func tooLarge(r *http.Request, limit int64) *Error {
	return refuse(ReasonTooLarge, "tell the operator of the registry", "the answer to %s %s has more than %d bytes", r.Method,
		clip(r.URL.Path), limit)
}

// bounded is a body that ends with an error where its limit, or that of the whole client, is exceeded.
type bounded struct {
	body  io.ReadCloser
	left  int64
	guard *guard
	err   error
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return 0, b.err
	}
	if b.guard.total.Add(int64(n)) > MaxTotalBytes {
		return 0, refuse(ReasonTooLarge, "give the bundles as files with --bundle", "%s served more than %d bytes in all",
			b.guard.registry, MaxTotalBytes)
	}
	return n, err
}

// Close implements io.Closer.
func (b *bounded) Close() error { return b.body.Close() }
