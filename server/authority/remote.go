package authority

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/sigstore/timestamp-authority/v2/pkg/verification"
)

// RemoteConfig describes a foreign authority.
type RemoteConfig struct {
	// URL is the authority's address, https or http, without user information;
	// from the operator's configuration only.
	URL string
	// CertChain is what its tokens must verify against: the root last; before it
	// intermediates; first the leaf, which may be left out.
	CertChain []*x509.Certificate
	// Client does the requests; a client of its own if nil. Redirects are never
	// followed, whatever the client says.
	Client *http.Client
	// Timeout bounds one exchange; DefaultTimeout if 0.
	Timeout time.Duration
	// Clock judges the token's time; time.Now if nil.
	Clock func() time.Time
	// MaxSkew is the largest difference between the token's time and the clock;
	// DefaultMaxSkew if 0. A token from another time would be refused by
	// verifiers later; here it is noticed while it can be replaced.
	MaxSkew time.Duration
}

// Remote is a client of a foreign authority. It is safe for concurrent use.
type Remote struct {
	url     string
	client  *http.Client
	opts    verification.VerifyOpts
	chain   []*x509.Certificate
	timeout time.Duration
	clock   func() time.Time
	maxSkew time.Duration
}

// NewRemote checks the configuration. It does not contact the authority. Errors
// are *Error with TSA_CONFIG or TSA_CHAIN.
func NewRemote(c RemoteConfig) (*Remote, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, fail(BadConfig, err, "the authority's URL must be http or https with a host, without user information")
	}
	r := &Remote{url: u.String(), clock: c.Clock, chain: slices.Clone(c.CertChain), timeout: c.Timeout, maxSkew: c.MaxSkew}
	if r.clock == nil {
		r.clock = time.Now
	}
	if r.timeout == 0 {
		r.timeout = DefaultTimeout
	}
	if r.maxSkew == 0 {
		r.maxSkew = DefaultMaxSkew
	}
	if r.opts, err = verifyOptions(r.chain); err != nil {
		return nil, err
	}
	var client http.Client
	if c.Client != nil {
		client = *c.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Jar = nil
	r.client = &client
	return r, nil
}

// verifyOptions sorts a chain into what the verifier wants.
func verifyOptions(chain []*x509.Certificate) (o verification.VerifyOpts, err error) {
	if len(chain) == 0 || len(chain) > MaxChain {
		return o, fail(BadChain, nil, "%d certificates, want 1 to %d", len(chain), MaxChain)
	}
	root := chain[len(chain)-1]
	if !root.IsCA {
		return o, fail(BadChain, nil, "the last certificate %q is no CA", root.Subject)
	}
	rest := chain[:len(chain)-1]
	if len(rest) > 0 && !rest[0].IsCA {
		if err := checkLeaf(rest[0]); err != nil {
			return o, err
		}
		o.TSACertificate, rest = rest[0], rest[1:]
	}
	o.Intermediates, o.Roots = rest, []*x509.Certificate{root}
	return o, checkIssuers(chain)
}

// CertChain returns the configured chain, for the trusted root.
func (r *Remote) CertChain() []*x509.Certificate { return slices.Clone(r.chain) }

// Timestamp asks for a token over signature, and verifies it before returning
// it: an RFC 3161 TimeStampResp in DER form. The imprint is the SHA-256 of
// signature. Errors are *Error with one of the codes from TSA_UNREACHABLE on,
// or TSA_SIGNATURE_SIZE; when the caller's context has ended, its error.
func (r *Remote) Timestamp(ctx context.Context, signature []byte) ([]byte, error) {
	if err := checkSignature(ctx, signature); err != nil {
		return nil, err
	}
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fail(Internal, err, "no nonce")
	}
	digest := sha256.Sum256(signature)
	query := timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: digest[:], Certificates: true, Nonce: nonce}
	body, err := query.Marshal()
	if err != nil {
		return nil, fail(Internal, err, "the request cannot be encoded")
	}
	answer, err := r.exchange(ctx, body)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	if err := r.verify(answer, signature, digest[:], nonce); err != nil {
		return nil, err
	}
	return answer, nil
}

func (r *Remote) exchange(ctx context.Context, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		return nil, fail(Internal, err, "the request cannot be made")
	}
	req.Header.Set("Content-Type", queryType)
	req.Header.Set("Accept", replyType)
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, fail(Unreachable, err, "the timestamp authority did not answer").later()
	}
	defer resp.Body.Close()
	// RFC 3161 over HTTP answers 200; some authorities (rekor's kind) answer 201.
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		return nil, fail(Unreachable, nil, "the timestamp authority answered with HTTP status %d", resp.StatusCode).later()
	}
	if t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || t != replyType {
		return nil, fail(Malformed, err, "the answer's media type is not %s", replyType)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, MaxResponseBytes+1))
	if err != nil {
		return nil, fail(Unreachable, err, "the timestamp authority broke off its answer").later()
	}
	if len(answer) > MaxResponseBytes {
		return nil, fail(TooLarge, nil, "the answer has more than %d bytes", MaxResponseBytes)
	}
	return answer, nil
}

// verify checks an answer from the outside in; the first finding decides.
func (r *Remote) verify(answer, signature, digest []byte, nonce *big.Int) error {
	var outer struct {
		Status struct {
			Status  int
			Text    asn1.RawValue  `asn1:"optional,tag:16"`
			Failure asn1.BitString `asn1:"optional"`
		}
		Token asn1.RawValue `asn1:"optional"`
	}
	if rest, err := asn1.Unmarshal(answer, &outer); err != nil || len(rest) != 0 {
		return fail(Malformed, err, "the answer is no TimeStampResp, or has %d bytes after it", len(rest))
	}
	if s := timestamp.Status(outer.Status.Status); s != timestamp.Granted && s != timestamp.GrantedWithMods {
		return fail(Refused, nil, "the timestamp authority refused: status %d, failure bits %x", int(s), outer.Status.Failure.Bytes)
	}
	ts, err := timestamp.Parse(outer.Token.FullBytes)
	if err != nil {
		return fail(Malformed, err, "the answer holds no token that can be read")
	}
	if ts.HashAlgorithm != crypto.SHA256 || !bytes.Equal(ts.HashedMessage, digest) {
		return fail(WrongImprint, nil, "the token is over %v %x, want SHA-256 %x", ts.HashAlgorithm, ts.HashedMessage, digest)
	}
	if ts.Nonce == nil || ts.Nonce.Cmp(nonce) != 0 {
		return fail(WrongNonce, nil, "the token has nonce %v, want %v", ts.Nonce, nonce)
	}
	opts := r.opts
	opts.Nonce = nonce
	if _, err := verification.VerifyTimestampResponse(answer, bytes.NewReader(signature), opts); err != nil {
		return fail(Untrusted, errors.Join(err), "the token does not verify against the configured chain")
	}
	if skew := ts.Time.Sub(r.clock()).Abs(); skew > r.maxSkew {
		return fail(WrongTime, nil, "the token's time %s is %v from the clock, want at most %v",
			ts.Time.UTC().Format(time.RFC3339), skew.Round(time.Second), r.maxSkew).later()
	}
	return nil
}
