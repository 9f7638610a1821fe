package oci

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Media types.
const (
	// BundleType is the media type of a Sigstore bundle v0.3, as artifact type and as that of its blob.
	BundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

	manifestType = "application/vnd.oci.image.manifest.v1+json"
	indexType    = "application/vnd.oci.image.index.v1+json"
	emptyType    = "application/vnd.oci.empty.v1+json"
	// imageTypes are what an image can be: one image or an index of them, of OCI or of Docker.
	imageTypes = manifestType + ", " + indexType +
		", application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json"
)

// Options say how to speak to a registry.
type Options struct {
	// Keychain finds the credentials; nil: none.
	Keychain authn.Keychain
	// UserAgent is sent with every request.
	UserAgent string
	// Transport is what connections are made with; nil: that of [NewTransport].
	Transport http.RoundTripper
	// Push asks for the right to write.
	Push bool
	// Sleep waits for the time or the end of the context; required where Push is set.
	Sleep func(context.Context, time.Duration) error
}

// NewTransport returns the transport of the standard library with times after which a silent registry is given up. It
// honours the proxy variables of the environment.
func NewTransport() *http.Transport {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		t = &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	t = t.Clone()
	t.ResponseHeaderTimeout = 30 * time.Second
	t.MaxResponseHeaderBytes = 64 << 10
	return t
}

// Client speaks to one registry about one image. [Open] makes it. It is safe for concurrent use.
type Client struct {
	image     Image
	repo      name.Repository
	transport http.RoundTripper // authorised and guarded; a *transport.Wrapper, so that package remote adds nothing to it
	http      *http.Client
	sleep     func(context.Context, time.Duration) error
}

// Open finds out how the registry wants to be spoken to, and logs in if it asks for that.
func Open(ctx context.Context, image Image, o Options) (*Client, error) {
	c, err := open(ctx, image.digest.Context(), o)
	if err != nil {
		return nil, err
	}
	c.image = image
	return c, nil
}

func open(ctx context.Context, repo name.Repository, o Options) (*Client, error) {
	auth := authn.Anonymous
	if o.Keychain != nil {
		var err error
		if auth, err = authn.Resolve(ctx, o.Keychain, repo); err != nil {
			return nil, &Error{Reason: ReasonCredentials, Err: err, Hint: "check the configuration of docker and its credential helpers",
				Detail: "credentials for " + repo.RegistryStr() + ": " + clip(err.Error())}
		}
	}
	next := o.Transport
	if next == nil {
		next = NewTransport()
	}
	scope := transport.PullScope
	if o.Push {
		scope = transport.PushScope
	}
	again := transport.NewRetry(&guard{next: next, registry: repo.RegistryStr()}, transport.WithRetryPredicate(passes),
		transport.WithRetryBackoff(transport.Backoff{Duration: 500 * time.Millisecond, Factor: 3, Jitter: 0.1, Steps: 3}),
		transport.WithRetryStatusCodes(http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable,
			http.StatusGatewayTimeout))
	t, err := transport.NewWithContext(ctx, repo.Registry, auth, transport.NewUserAgent(again, o.UserAgent),
		[]string{repo.Scope(scope)})
	if err != nil {
		return nil, explain(repo.RegistryStr(), err)
	}
	return &Client{repo: repo, transport: t, http: &http.Client{Transport: t}, sleep: o.Sleep}, nil
}

// passes reports whether an error may be gone when the request is sent again.
func passes(err error) bool {
	var status *transport.Error
	return errors.As(err, &status) && status.Temporary() || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET)
}

// answer is a complete answer of the registry.
type answer struct {
	body   []byte
	header http.Header
	url    *url.URL
}

// get reads /v2/REPOSITORY/KIND/ID. An answer other than 200 is a *transport.Error.
func (c *Client) get(ctx context.Context, kind, id, accept string) (*answer, error) {
	return c.getURL(ctx, &url.URL{Scheme: c.repo.Scheme(), Host: c.repo.RegistryStr(),
		Path: "/v2/" + c.repo.RepositoryStr() + "/" + kind + "/" + id}, accept)
}

func (c *Client) getURL(ctx context.Context, u *url.URL, accept string) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if err := transport.CheckError(response, http.StatusOK); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body) // the guard bounds it
	if err != nil {
		return nil, err
	}
	return &answer{body: body, header: response.Header, url: response.Request.URL}, nil
}

// content is get for what has a digest, and checks it.
func (c *Client) content(ctx context.Context, kind, sha256 string) (*answer, error) {
	a, err := c.get(ctx, kind, sha256Prefix+sha256, map[string]string{manifestsPath: imageTypes}[kind])
	if err != nil {
		return nil, err
	}
	if got := hexSum(a.body); got != sha256 {
		return nil, refuse(ReasonDigest, "tell the operator of the registry; do not use what it serves",
			"%s serves other content under sha256:%s: it hashes to sha256:%s", c.repo.RegistryStr(), sha256, got)
	}
	return a, nil
}
