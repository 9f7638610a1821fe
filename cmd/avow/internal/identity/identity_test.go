package identity

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	fulciopb "github.com/sigstore/fulcio/pkg/generated/protobuf"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/bundletest"
)

// jwt renders a token with claims; nobody signed it.
func jwt(t testing.TB, claims any) string {
	t.Helper()
	raw, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"ES256"}`)) + "." + part(raw) + "." + part([]byte("c2VjcmV0-signature"))
}

func TestParseToken(t *testing.T) {
	for want, claims := range map[string]map[string]any{
		"repo:acme/fw":         {"iss": "https://i.example", "sub": "repo:acme/fw"},
		"jane@example.test":    {"sub": "12", "email": "jane@example.test", "email_verified": true},
		"joe@example.test":     {"sub": "12", "email": "joe@example.test", "email_verified": "true"},
		"sub-without-an-email": {"sub": "sub-without-an-email", "email_verified": false},
	} {
		token, err := ParseToken(jwt(t, claims) + "\n")
		if err != nil || token.Subject() != want {
			t.Errorf("got %q, %v, want %q", token.Subject(), err, want)
		}
	}
	good := jwt(t, map[string]any{"sub": "a"})
	header, rest, _ := strings.Cut(good, ".")
	for name, raw := range map[string]string{
		"empty": "", "too large": strings.Repeat("a", MaxTokenBytes+1), "a million dots": strings.Repeat(".", 1_000_000),
		"dots": strings.Repeat(".", MaxTokenBytes), "one dot": header + "." + "a", "no signature": good[:strings.LastIndex(good, ".")+1],
		"not base64": header + ".?." + "a", "not JSON": header + "." + base64.RawURLEncoding.EncodeToString([]byte("{")) + ".aaaa",
		"no subject":     jwt(t, map[string]any{"iss": "x"}),
		"e-mail":         jwt(t, map[string]any{"sub": "a", "email": "jane@example.test"}),
		"e-mail, denied": jwt(t, map[string]any{"sub": "a", "email": "jane@example.test", "email_verified": "false"}),
		"space inside":   header + " ." + rest,
	} {
		token, err := ParseToken(raw)
		if err == nil {
			t.Errorf("%s: got %q", name, token.Subject())
			continue
		}
		if raw != "" && len(raw) > 8 && strings.Contains(err.Error(), raw[:8]) {
			t.Errorf("%s: the error shows the token: %v", name, err)
		}
	}
}

// TestTokenIsNotPrinted: however somebody prints it.
func TestTokenIsNotPrinted(t *testing.T) {
	raw := jwt(t, map[string]any{"sub": "a"})
	token, err := ParseToken(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, v := range []any{token, &token, fmt.Errorf("with %v", token), struct{ t Token }{token}, []Token{token}} {
			if out := fmt.Sprintf(format, v); strings.Contains(out, raw[:20]) {
				t.Errorf("%s of %T shows it: %s", format, v, out)
			}
		}
	}
}

func lookup(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

// TestFind: the order of the sources, and that GitHub's is asked as it wants to be.
func TestFind(t *testing.T) {
	asked := ""
	github := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Get("Authorization") + " " + r.URL.RawQuery
		_ = json.NewEncoder(w).Encode(map[string]string{"value": jwt(t, map[string]any{"sub": "github"})})
	}))
	defer github.Close()
	own, gitlab := jwt(t, map[string]any{"sub": "own"}), jwt(t, map[string]any{"sub": "gitlab"})
	all := []string{TokenVariable, own, gitlabVariable, gitlab, githubURL, github.URL + "/?v=1", githubToken, "runner"}
	for n, want := range []string{"own", "gitlab", "github"} {
		token, from, err := Find(t.Context(), lookup(all[2*n:]...), "aud&x")
		if err != nil || token.Subject() != want || from == "" || !Offered(lookup(all[2*n:]...)) {
			t.Errorf("got %q from %q, %v, want %q", token.Subject(), from, err, want)
		}
	}
	if asked != "Bearer runner audience=aud%26x&v=1" {
		t.Errorf("GitHub was asked with %q", asked)
	}
	if _, _, err := Find(t.Context(), lookup(), "a"); !errors.Is(err, ErrNone) || Offered(lookup()) {
		t.Errorf("got %v, want ErrNone", err)
	}
	if _, _, err := Find(t.Context(), lookup(TokenVariable, "garbage"), "a"); err == nil || strings.Contains(err.Error(), "garbage") {
		t.Errorf("got %v", err)
	}
}

// TestOnlyTLS: a token is sent to no address that others can listen to.
func TestOnlyTLS(t *testing.T) {
	for _, address := range []string{"http://fulcio.example", "http://localhost.example", "ftp://127.0.0.1", "https://", "fulcio.example",
		"https://user@fulcio.example", "http://[::ffff:192.0.2.1]", "http://localhost", "https://fulcio.example?x", "::"} {
		if _, err := OverHTTP(address); err == nil {
			t.Errorf("%s is taken", address)
		}
	}
	for _, address := range []string{"https://fulcio.example", "https://fulcio.example/base/", "http://127.0.0.1:5555", "http://[::1]:5555"} {
		if _, err := OverHTTP(address); err != nil {
			t.Error(err)
		}
	}
}

// answering is an authority that answers a chain.
func answering(chain ...string) Authority {
	return func(context.Context, Token, *fulciopb.PublicKeyRequest) (*fulciopb.SigningCertificate, error) {
		return &fulciopb.SigningCertificate{Certificate: &fulciopb.SigningCertificate_SignedCertificateEmbeddedSct{
			SignedCertificateEmbeddedSct: &fulciopb.SigningCertificateEmbeddedSCT{Chain: &fulciopb.CertificateChain{Certificates: chain}}}}, nil
	}
}

// TestObtainRefuses: what an authority answers is foreign.
func TestObtainRefuses(t *testing.T) {
	token, err := ParseToken(jwt(t, map[string]any{"sub": "a"}))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ca := bundletest.NewCA(t, "https://ca.example.test", now)
	other := ca.Certify(t, bundletest.NewKey(t).Public(), "https://ci.example.test", "https://issuer.example.test", now, now.Add(time.Hour), nil)
	block := "-----BEGIN CERTIFICATE-----\n" + base64.StdEncoding.EncodeToString(other.Raw) + "\n-----END CERTIFICATE-----\n"
	for name, authority := range map[string]Authority{
		"nothing":     answering(),
		"no PEM":      answering("hello"),
		"a key":       answering("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
		"two in one":  answering(block + block),
		"garbage":     answering("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
		"another key": answering(block),
		"too large":   answering(strings.Repeat("x", maxAnswerBytes+1)),
		"no answer": func(context.Context, Token, *fulciopb.PublicKeyRequest) (*fulciopb.SigningCertificate, error) {
			return nil, nil
		},
		"detached SCT": func(context.Context, Token, *fulciopb.PublicKeyRequest) (*fulciopb.SigningCertificate, error) {
			return &fulciopb.SigningCertificate{Certificate: &fulciopb.SigningCertificate_SignedCertificateDetachedSct{
				SignedCertificateDetachedSct: &fulciopb.SigningCertificateDetachedSCT{}}}, nil
		},
	} {
		if signer, err := Obtain(t.Context(), token, authority); err == nil {
			t.Errorf("%s: got %v", name, signer.Certificate().Identity())
		} else if name == "another key" {
			var refusal *attest.Error
			if !errors.As(err, &refusal) || refusal.Code != attest.CodeCertificate {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// FuzzParseToken: no error shows what it was given, and what is accepted has a subject.
func FuzzParseToken(f *testing.F) {
	f.Add(jwt(f, map[string]any{"sub": "a", "email": "b@example.test", "email_verified": true}))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, raw string) {
		token, err := ParseToken(raw)
		if err == nil && (token.Subject() == "" || strings.Count(token.secret(), ".") != 2) {
			t.Errorf("%q is accepted", raw)
		}
		if err != nil && len(raw) > 40 && strings.Contains(err.Error(), raw) {
			t.Errorf("the error shows the token: %v", err)
		}
	})
}

// FuzzLeafOf: whatever an authority writes into its chain is refused or one certificate's bytes.
func FuzzLeafOf(f *testing.F) {
	f.Add("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	f.Fuzz(func(t *testing.T, first string) {
		answer, err := answering(first)(t.Context(), Token{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if der, err := leafOf(answer); err == nil && der == nil {
			t.Errorf("%q gives nothing", first)
		}
	})
}
