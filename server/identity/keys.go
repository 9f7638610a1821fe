package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

// keyStore holds the keys of one issuer.
type keyStore struct {
	issuer Issuer
	client *http.Client
	clock  func() time.Time
	flight singleflight.Group

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	fetched time.Time // when keys were fetched; zero: never
	tried   time.Time // when that was tried last
	failure error     // of the last try
}

// find returns the keys with an id; all of them for an empty one.
func (s *keyStore) find(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	found, again, err := s.known(id)
	if !again {
		return found, err
	}
	// The fetch is shared by all who wait, so it outlives the one who began it.
	done := s.flight.DoChan("", func() (any, error) {
		if _, again, _ := s.known(id); !again {
			return nil, nil // the flight before this one has fetched
		}
		s.refresh(context.WithoutCancel(ctx))
		return nil, nil
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-done:
		found, _, err = s.known(id)
		return found, err
	}
}

// known answers from memory; again tells that fetching could give another answer, and may be done now.
func (s *keyStore) known(id string) (found []jose.JSONWebKey, again bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	waited := now.Sub(s.tried)
	if s.fetched.IsZero() || now.Sub(s.fetched) >= keysLifetime || now.Before(s.fetched) {
		return nil, s.tried.IsZero() || waited >= retryAfter || waited < 0,
			fail(IssuerUnavailable, s.failure, "the keys of %s cannot be had now", s.issuer.URL)
	}
	for _, k := range s.keys {
		if id == "" || k.KeyID == id {
			found = append(found, k)
		}
	}
	if len(found) == 0 {
		return nil, waited >= refetchAfter, fail(BadSignature, nil, "%s has no key with the id that the token names", s.issuer.URL)
	}
	return found, false, nil
}

// refresh fetches the keys. A failure keeps those that are there, until their time is over.
func (s *keyStore) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	keys, err := s.fetch(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried, s.failure = s.clock(), err
	if err == nil {
		s.keys, s.fetched = keys, s.tried
	}
}

// fetch asks the issuer for its discovery document, and then for the keys.
//
// > "The issuer value returned MUST be identical to the Issuer URL that was used as the prefix to /.well-known/openid-configuration"
// (OpenID Connect Discovery 1.0, section 4.3). go-oidc compares.
func (s *keyStore) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, s.client), s.issuer.URL)
	if err != nil {
		return nil, err
	}
	var document struct {
		KeysURL string `json:"jwks_uri"`
	}
	if err := provider.Claims(&document); err != nil {
		return nil, err
	}
	switch configured := s.issuer.KeysURL; {
	case configured != "" && configured != document.KeysURL:
		return nil, fail(BadConfig, nil, "the issuer says that its keys are at %q, configured is %q", shorten(document.KeysURL), configured)
	case configured == "" && !sameOrigin(document.KeysURL, s.issuer.URL):
		return nil, fail(BadConfig, nil, "the issuer says that its keys are at %q, on another host than its own; if that is "+
			"right, configure the address", shorten(document.KeysURL))
	}
	return s.fetchKeySet(ctx, document.KeysURL)
}

func (s *keyStore) fetchKeySet(ctx context.Context, address string) ([]jose.JSONWebKey, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fail(IssuerUnavailable, nil, "key set: got HTTP status %d, want 200", response.StatusCode)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	return parseKeySet(body)
}

// parseKeySet takes the signing keys out of a key set. Keys of other types and uses are passed over: RFC 7517, section 5:
//
// > "Implementations SHOULD ignore JWKs within a JWK Set that use "kty" [...] values that are not understood by them"
func parseKeySet(data []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, err
	}
	if len(set.Keys) > MaxKeys {
		return nil, fail(IssuerUnavailable, nil, "key set: got %d keys, want at most %d", len(set.Keys), MaxKeys)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if err := json.Unmarshal(raw, &k); err != nil || (k.Use != "" && k.Use != "sig") {
			continue
		}
		switch key := k.Key.(type) {
		case *rsa.PublicKey:
			if key.N.BitLen() < 2048 || key.N.BitLen() > 8192 {
				continue
			}
		case *ecdsa.PublicKey, ed25519.PublicKey:
		default:
			continue // a private or symmetric key has no place in a public key set
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, fail(IssuerUnavailable, nil, "key set: none of %d keys can be used", len(set.Keys))
	}
	return keys, nil
}

// newClient makes the HTTP client for issuers. Proxies of the environment are not used: they would see, and could
// answer, what decides who somebody is.
func newClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Timeout: fetchTimeout,
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			return fail(IssuerUnavailable, nil, "the issuer redirects to %q; redirects are not followed", shorten(r.URL.Host))
		},
		Transport: &boundedTransport{next: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: fetchTimeout}).DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    fetchTimeout,
			ResponseHeaderTimeout:  fetchTimeout,
			MaxResponseHeaderBytes: 32 << 10,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        time.Minute,
			ForceAttemptHTTP2:      true,
		}},
	}
}

// boundedTransport cuts answers that are too long.
type boundedTransport struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t *boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = &boundedBody{ReadCloser: response.Body, left: MaxDocumentBytes}
	return response, nil
}

type boundedBody struct {
	io.ReadCloser
	left int
}

var errTooLong = errors.New("the answer is longer than what is read of an issuer's")

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left+1)])
	if b.left -= n; b.left < 0 {
		return 0, errTooLong
	}
	return n, err
}
