package authority

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"net/http"
	"time"
)

const (
	// MaxRequestBytes is the largest RFC 3161 request that is read.
	MaxRequestBytes = 4 << 10
	// MaxResponseBytes is the largest RFC 3161 response that is accepted from a remote authority.
	MaxResponseBytes = 16 << 10
	// MaxSignatureBytes is the largest signature that is timestamped.
	MaxSignatureBytes = 4 << 10
	// DefaultTimeout bounds one exchange with a remote authority.
	DefaultTimeout = 10 * time.Second
)

// Config describes an [Authority].
type Config struct {
	// CertChain is the certificate chain: the leaf first, the root last.
	CertChain []*x509.Certificate
	// Key is the leaf's private key, ECDSA P-256.
	Key *ecdsa.PrivateKey
	// Policy is the TSA policy named in tokens; DefaultPolicy if empty.
	Policy asn1.ObjectIdentifier
	// Clock gives the time of tokens; time.Now if nil.
	Clock func() time.Time
	// NotBefore is the earliest time of a token, for instance the time of the
	// last one before a restart; the zero value sets no bound.
	NotBefore time.Time
}

// Authority issues RFC 3161 tokens. It is safe for concurrent use.
type Authority struct{}

var errUnfinished = errors.New("authority: not finished")

// New checks the chain and the key, issues a probe token and verifies it as a
// client would, and returns the authority. Errors are *Error with TSA_CHAIN or TSA_KEY.
func New(c Config) (*Authority, error) { return nil, errUnfinished }

// Timestamp returns a token over signature: RFC 3161 TimeStampResp in DER form.
func (a *Authority) Timestamp(ctx context.Context, signature []byte) ([]byte, error) {
	return nil, errUnfinished
}

// Respond answers one RFC 3161 request. A request that cannot be granted is
// answered by a response with the PKIFailureInfo that says why; the error is
// then an *Error that is for the log. The response is never empty.
func (a *Authority) Respond(ctx context.Context, request []byte) ([]byte, error) {
	return nil, errUnfinished
}

// Handler serves Respond over HTTP (RFC 3161, section 3.4): POST of
// application/timestamp-query, answered by application/timestamp-reply.
func (a *Authority) Handler() http.Handler { return nil }

// CertChain returns the chain, leaf first.
func (a *Authority) CertChain() []*x509.Certificate { return nil }

// Credentials are a new authority's secrets and certificates, for `avowd init`.
type Credentials struct {
	// ChainPEM is the chain in PEM form: leaf, root.
	ChainPEM []byte
	// KeyPEM is the leaf's private key, PKCS #8 in PEM form. The caller writes it with mode 0600.
	KeyPEM []byte
	// Chain is the parsed chain, leaf first.
	Chain []*x509.Certificate
	// Key is the parsed key.
	Key *ecdsa.PrivateKey
}

// Generate makes a root CA and a TSA leaf below it (P-256). The key of the root
// is thrown away: it signs one certificate in its life. name is the common name
// of the service, for instance the log's origin.
func Generate(name string, now time.Time) (*Credentials, error) { return nil, errUnfinished }

// ParseChain reads a certificate chain in PEM form, leaf first.
func ParseChain(pem []byte) ([]*x509.Certificate, error) { return nil, errUnfinished }

// ParseKey reads an ECDSA P-256 private key in PEM form (PKCS #8 or SEC 1).
func ParseKey(pem []byte) (*ecdsa.PrivateKey, error) { return nil, errUnfinished }

// RemoteConfig describes a foreign authority.
type RemoteConfig struct {
	// URL is the authority's address, https or http; from the operator's configuration only.
	URL string
	// CertChain is the chain that its tokens must verify against: leaf first
	// (the leaf may be left out where the tokens carry it), root last.
	CertChain []*x509.Certificate
	// Client does the requests; a client without redirects if nil.
	Client *http.Client
	// Timeout bounds one exchange; DefaultTimeout if 0.
	Timeout time.Duration
	// Clock judges the token's time; time.Now if nil.
	Clock func() time.Time
	// MaxSkew is the largest difference between the token's time and the clock; DefaultMaxSkew if 0.
	MaxSkew time.Duration
}

// Remote is a client of a foreign authority. It is safe for concurrent use.
type Remote struct{}

// NewRemote checks the configuration. It does not contact the authority.
func NewRemote(c RemoteConfig) (*Remote, error) { return nil, errUnfinished }

// Timestamp asks for a token over signature, and verifies it before returning it.
func (r *Remote) Timestamp(ctx context.Context, signature []byte) ([]byte, error) {
	return nil, errUnfinished
}
