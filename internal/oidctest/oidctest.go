package oidctest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Paths that the issuer answers.
const (
	DiscoveryPath = "/.well-known/openid-configuration"
	KeysPath      = "/keys"
)

// Issuer is a running issuer. It is safe for concurrent use.
type Issuer struct {
	// Key signs tokens; its id is KeyID.
	Key   crypto.Signer
	KeyID string
	// Clock dates tokens; time.Now by default. Set it before the first token.
	Clock func() time.Time

	url       string
	algorithm jose.SignatureAlgorithm
	requests  atomic.Int64

	mu       sync.Mutex
	handlers map[string]http.HandlerFunc
}

// Start runs an issuer that signs with ES256 until the context ends.
func Start(ctx context.Context) (*Issuer, error) { return StartWith(ctx, jose.ES256) }

// StartWith runs an issuer that signs with ES256, RS256, PS256 or EdDSA.
func StartWith(ctx context.Context, algorithm jose.SignatureAlgorithm) (*Issuer, error) {
	key, err := newKey(algorithm)
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	i := &Issuer{Key: key, KeyID: "first", Clock: time.Now, url: "http://" + listener.Addr().String(), algorithm: algorithm}
	i.handlers = map[string]http.HandlerFunc{
		DiscoveryPath: func(w http.ResponseWriter, _ *http.Request) { i.answer(w, i.Discovery()) },
		KeysPath:      func(w http.ResponseWriter, _ *http.Request) { i.answer(w, i.KeySet()) },
	}
	server := &http.Server{Handler: i, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with ErrServerClosed
	context.AfterFunc(ctx, func() { _ = server.Close() })
	return i, nil
}

func newKey(algorithm jose.SignatureAlgorithm) (crypto.Signer, error) {
	switch algorithm {
	case jose.ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.RS256, jose.PS256:
		return rsa.GenerateKey(rand.Reader, 2048)
	case jose.EdDSA:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	default:
		return nil, fmt.Errorf("no key for %s", algorithm)
	}
}

// URL is the issuer's address: the claim iss of its tokens.
func (i *Issuer) URL() string { return i.url }

// Requests is how many requests the issuer has got.
func (i *Issuer) Requests() int { return int(i.requests.Load()) }

// Discovery is the discovery document.
func (i *Issuer) Discovery() map[string]any {
	return map[string]any{
		"issuer": i.url, "jwks_uri": i.url + KeysPath, "authorization_endpoint": i.url + "/auth", "token_endpoint": i.url + "/token",
		"response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{string(i.algorithm)},
	}
}

// KeySet is the public half of the key.
func (i *Issuer) KeySet() jose.JSONWebKeySet {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: i.Key.Public(), KeyID: i.KeyID, Algorithm: string(i.algorithm), Use: "sig"},
	}}
}

// Handle replaces what the issuer answers at a path.
func (i *Issuer) Handle(path string, h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.handlers[path] = h
}

// ServeHTTP implements http.Handler.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.requests.Add(1)
	i.mu.Lock()
	h := i.handlers[r.URL.Path]
	i.mu.Unlock()
	if h == nil {
		http.NotFound(w, r)
		return
	}
	h(w, r)
}

func (i *Issuer) answer(w http.ResponseWriter, document any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(document) // the client went away
}

// Token makes a token with the claims. iss, aud (sigstore), sub, iat and exp (five minutes) are filled in where they are
// absent; a claim that is nil is left out. It panics where the claims are no JSON.
func (i *Issuer) Token(claims map[string]any) string {
	now := i.Clock()
	all := map[string]any{
		"iss": i.url, "aud": "sigstore", "sub": "subject", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	payload, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	token, err := i.Sign(payload, nil)
	if err != nil {
		panic(err)
	}
	return token
}

// Sign signs any payload, with further header parameters.
func (i *Issuer) Sign(payload []byte, header map[jose.HeaderKey]any) (string, error) {
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", i.KeyID)
	for name, value := range header {
		options = options.WithHeader(name, value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: i.algorithm, Key: i.Key}, options)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// GitHubClaims are the claims of a GitHub Actions job, as far as they matter for a certificate.
func GitHubClaims() map[string]any {
	return map[string]any{
		"sub": "repo:acme/gateway:ref:refs/heads/main", "job_workflow_ref": "acme/gateway/.github/workflows/release.yml@refs/heads/main",
		"sha": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "event_name": "push", "repository": "acme/gateway", "workflow": "release",
		"ref": "refs/heads/main", "job_workflow_sha": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "runner_environment": "github-hosted",
		"repository_id": "12345", "repository_owner": "acme", "repository_owner_id": "345", "repository_visibility": "public",
		"workflow_ref": "acme/gateway/.github/workflows/release.yml@refs/heads/main",
		"workflow_sha": "cccccccccccccccccccccccccccccccccccccccc", "run_id": "42", "run_attempt": "1",
	}
}

// GitLabClaims are the claims of a GitLab CI job, as far as they matter for a certificate.
func GitLabClaims() map[string]any {
	return map[string]any{
		"sub": "project_path:acme/gateway:ref_type:branch:ref:main", "project_path": "acme/gateway", "project_id": "12345",
		"pipeline_source": "push", "pipeline_id": "77", "ci_config_ref_uri": "gitlab.com/acme/gateway//.gitlab-ci.yml@refs/heads/main",
		"ci_config_sha": "dddddddddddddddddddddddddddddddddddddddd", "namespace_path": "acme", "namespace_id": "345", "job_id": "99",
		"ref": "main", "ref_type": "branch", "sha": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"runner_environment": "gitlab-hosted", "runner_id": 1, "project_visibility": "public",
	}
}
