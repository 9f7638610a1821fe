package authority_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/avow-dev/avow/server/authority"
)

// serve starts an HTTP server and gives a client of it that trusts chain.
func serve(t testing.TB, h http.Handler, chain []*x509.Certificate, change func(*authority.RemoteConfig)) *authority.Remote {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c := authority.RemoteConfig{URL: srv.URL, CertChain: chain, Clock: at(start)}
	if change != nil {
		change(&c)
	}
	r, err := authority.NewRemote(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRemote(t *testing.T) {
	a := newAuthority(t, at(start))
	chain := a.CertChain()
	for name, trust := range map[string][]*x509.Certificate{"leaf and root": chain, "root alone": chain[1:]} {
		r := serve(t, a.Handler(), trust, nil)
		token, err := r.Timestamp(t.Context(), []byte("signature"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		tsa := root.SigstoreTimestampingAuthority{Root: chain[1], Leaf: chain[0], URI: "https://tsa.example"}
		if _, err := tsa.Verify(token, []byte("signature")); err != nil {
			t.Errorf("%s: sigstore-go says %v", name, err)
		}
	}
}

// answers lets a test decide what the foreign authority says to a request.
func answers(t *testing.T, answer func(*timestamp.Request) []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		req, err := timestamp.ParseRequest(body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/timestamp-query" || !req.Certificates {
			t.Errorf("%s of %q: %x, %v", r.Method, r.Header.Get("Content-Type"), body, err)
			return
		}
		w.Header().Set("Content-Type", "application/timestamp-reply")
		_, _ = w.Write(answer(req))
	})
}

// respond has the authority answer a changed request.
func respond(t *testing.T, a *authority.Authority, req *timestamp.Request, change func(*timestamp.Request)) []byte {
	change(req)
	der, err := req.Marshal()
	if err != nil {
		t.Error(err)
	}
	reply, _ := a.Respond(context.Background(), der)
	return reply
}

func TestRemoteRefusesAnswers(t *testing.T) {
	creds := generate(t, "log.example", start)
	a, err := authority.New(authority.Config{CertChain: creds.Chain, Key: creds.Key, Clock: at(start)})
	if err != nil {
		t.Fatal(err)
	}
	other := newAuthority(t, at(start))
	same := func(*timestamp.Request) {}
	for name, c := range map[string]struct {
		answer func(*timestamp.Request) []byte
		code   string
	}{
		"junk":      {func(*timestamp.Request) []byte { return []byte("junk") }, authority.Malformed},
		"empty":     {func(*timestamp.Request) []byte { return nil }, authority.Malformed},
		"too large": {func(*timestamp.Request) []byte { return make([]byte, authority.MaxResponseBytes+1) }, authority.TooLarge},
		"trailing":  {func(r *timestamp.Request) []byte { return append(respond(t, a, r, same), 0) }, authority.Malformed},
		"cut short": {func(r *timestamp.Request) []byte { b := respond(t, a, r, same); return b[:len(b)-1] }, authority.Malformed},
		"no token":  {func(*timestamp.Request) []byte { return []byte{0x30, 5, 0x30, 3, 2, 1, 0} }, authority.Malformed},
		"refusal": {func(r *timestamp.Request) []byte {
			return respond(t, a, r, func(r *timestamp.Request) { r.HashedMessage = []byte{1} })
		}, authority.Refused},
		"wrong hash": {func(r *timestamp.Request) []byte {
			return respond(t, a, r, func(r *timestamp.Request) { r.HashedMessage[0] ^= 1 })
		}, authority.WrongImprint},
		"other hash": {func(r *timestamp.Request) []byte {
			return respond(t, a, r, func(r *timestamp.Request) { r.HashAlgorithm, r.HashedMessage = crypto.SHA512, make([]byte, 64) })
		}, authority.WrongImprint},
		"wrong nonce": {func(r *timestamp.Request) []byte {
			return respond(t, a, r, func(r *timestamp.Request) { r.Nonce.Add(r.Nonce, big.NewInt(1)) })
		}, authority.WrongNonce},
		"no nonce": {func(r *timestamp.Request) []byte {
			return respond(t, a, r, func(r *timestamp.Request) { r.Nonce = nil })
		}, authority.WrongNonce},
		"wrong chain": {func(r *timestamp.Request) []byte { return respond(t, other, r, same) }, authority.Untrusted},
		"bad signature": {func(r *timestamp.Request) []byte {
			b := respond(t, a, r, same)
			b[len(b)-1] ^= 1
			return b
		}, authority.Malformed},
		"bad signature, no certificate": {func(r *timestamp.Request) []byte {
			b := respond(t, a, r, func(r *timestamp.Request) { r.Certificates = false })
			b[len(b)-1] ^= 1
			return b
		}, authority.Untrusted},
	} {
		t.Run(name, func(t *testing.T) {
			r := serve(t, answers(t, c.answer), a.CertChain(), nil)
			_, err := r.Timestamp(t.Context(), []byte("signature"))
			wantCode(t, err, c.code)
			if strings.Contains(err.Error(), "127.0.0.1") {
				t.Errorf("the message %q names the address", err)
			}
		})
	}
}

// TestRemoteJudgesTime: a certificate that was not valid at the token's time,
// and a token from another time.
func TestRemoteJudgesTime(t *testing.T) {
	now := time.Now()
	creds := generate(t, "log.example", now)
	back := func(by time.Duration) http.Handler {
		return answers(t, func(r *timestamp.Request) []byte {
			ts := timestamp.Timestamp{
				HashAlgorithm: r.HashAlgorithm, HashedMessage: r.HashedMessage, Nonce: r.Nonce,
				Time: now.Add(-by).UTC(), Policy: authority.DefaultPolicy(), AddTSACertificate: true,
			}
			der, err := ts.CreateResponseWithOpts(creds.Chain[0], creds.Key, crypto.SHA256)
			if err != nil {
				t.Error(err)
			}
			return der
		})
	}
	ask := func(by time.Duration, clock time.Time) error {
		r := serve(t, back(by), creds.Chain, func(c *authority.RemoteConfig) { c.Clock = at(clock); c.MaxSkew = time.Minute })
		_, err := r.Timestamp(t.Context(), []byte("signature"))
		return err
	}
	if err := ask(0, now); err != nil {
		t.Errorf("the token of this test as it should be: %v", err)
	}
	wantCode(t, ask(time.Hour, now.Add(-time.Hour)), authority.Untrusted) // an hour before the certificate begins
	wantCode(t, ask(0, now.Add(2*time.Minute)), authority.WrongTime)
	wantCode(t, ask(0, now.Add(-2*time.Minute)), authority.WrongTime)
}

func TestRemoteRefusesTransport(t *testing.T) {
	a := newAuthority(t, at(start))
	var reached atomic.Bool
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		code    string
	}{
		"status 500": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, authority.Unreachable},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				reached.Store(true)
				a.Handler().ServeHTTP(w, r)
				return
			}
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, authority.Unreachable},
		"media type": {func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			a.Handler().ServeHTTP(rec, r)
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write(rec.Body.Bytes())
		}, authority.Malformed},
		"broken off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/timestamp-reply")
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("x"))
		}, authority.Unreachable},
		"never answers": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // the server sees the client go only when it has read
			<-r.Context().Done()
		}, authority.Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			r := serve(t, c.handler, a.CertChain(), func(c *authority.RemoteConfig) {
				if name == "never answers" {
					c.Timeout = 50 * time.Millisecond
				}
			})
			_, err := r.Timestamp(t.Context(), []byte("signature"))
			wantCode(t, err, c.code)
		})
	}
	if reached.Load() {
		t.Error("a redirect was followed")
	}
}

func TestRemoteHonoursTheCallersContext(t *testing.T) {
	a := newAuthority(t, at(start))
	ctx, cancel := context.WithCancel(t.Context())
	r := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	}), a.CertChain(), nil)
	if _, err := r.Timestamp(ctx, []byte("signature")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestNewRemoteRefusals(t *testing.T) {
	a := newAuthority(t, at(start))
	other := newAuthority(t, at(start))
	chain := a.CertChain()
	for name, c := range map[string]struct {
		url   string
		chain []*x509.Certificate
		code  string
	}{
		"no URL":               {"", chain, authority.BadConfig},
		"file URL":             {"file:///etc/passwd", chain, authority.BadConfig},
		"no host":              {"https:///path", chain, authority.BadConfig},
		"password in the URL":  {"https://user:secret@tsa.example", chain, authority.BadConfig},
		"not a URL":            {"https://tsa.example/%zz", chain, authority.BadConfig},
		"no chain":             {"https://tsa.example", nil, authority.BadChain},
		"leaf alone":           {"https://tsa.example", chain[:1], authority.BadChain},
		"chain that is broken": {"https://tsa.example", []*x509.Certificate{chain[0], other.CertChain()[1]}, authority.BadChain},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := authority.NewRemote(authority.RemoteConfig{URL: c.url, CertChain: c.chain})
			wantCode(t, err, c.code)
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%v shows the password", err)
			}
		})
	}
}

func TestRemoteSignatureSize(t *testing.T) {
	a := newAuthority(t, at(start))
	r := serve(t, a.Handler(), a.CertChain(), nil)
	_, err := r.Timestamp(t.Context(), bytes.Repeat([]byte{1}, authority.MaxSignatureBytes+1))
	wantCode(t, err, authority.BadSignature)
}
