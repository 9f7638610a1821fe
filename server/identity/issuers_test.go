package identity_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/internal/oidctest"
	"github.com/avow-dev/avow/server/identity"
)

// TestIssuersThatMisbehave: the reason is that the issuer cannot be asked, whatever it does instead of answering.
func TestIssuersThatMisbehave(t *testing.T) {
	far := newCanary(t)
	redirect := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+far.address+r.URL.Path, http.StatusFound)
	}
	answer := func(document any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(document) }
	}
	for name, misbehave := range map[string]func(i *oidctest.Issuer){
		"discovery redirects": func(i *oidctest.Issuer) { i.Handle(oidctest.DiscoveryPath, redirect) },
		"redirects to itself": func(i *oidctest.Issuer) {
			i.Handle(oidctest.DiscoveryPath, func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
			})
			i.Handle("/other", answer(i.Discovery()))
		},
		"keys redirect": func(i *oidctest.Issuer) { i.Handle(oidctest.KeysPath, redirect) },
		"keys elsewhere": func(i *oidctest.Issuer) {
			i.Handle(oidctest.DiscoveryPath, answer(with(i.Discovery(), map[string]any{"jwks_uri": "http://" + far.address + "/keys"})))
		},
		"keys in a file": func(i *oidctest.Issuer) {
			i.Handle(oidctest.DiscoveryPath, answer(with(i.Discovery(), map[string]any{"jwks_uri": "file:///etc/passwd"})))
		},
		"another issuer's document": func(i *oidctest.Issuer) {
			i.Handle(oidctest.DiscoveryPath, answer(with(i.Discovery(), map[string]any{"issuer": i.URL() + "/"})))
		},
		"no document": func(i *oidctest.Issuer) { i.Handle(oidctest.DiscoveryPath, http.NotFound) },
		"no keys":     func(i *oidctest.Issuer) { i.Handle(oidctest.KeysPath, answer(map[string]any{"keys": []any{}})) },
		"symmetric keys": func(i *oidctest.Issuer) {
			i.Handle(oidctest.KeysPath, answer(map[string]any{"keys": []any{map[string]string{"kty": "oct", "k": "AAAA", "kid": "first"}}}))
		},
		"too many keys": func(i *oidctest.Issuer) {
			i.Handle(oidctest.KeysPath, answer(map[string]any{"keys": make([]any, identity.MaxKeys+1)}))
		},
		"endless keys": func(i *oidctest.Issuer) {
			i.Handle(oidctest.KeysPath, func(w http.ResponseWriter, _ *http.Request) {
				for {
					if _, err := io.WriteString(w, strings.Repeat(" ", 1<<16)); err != nil {
						return
					}
				}
			})
		},
		"slow": func(i *oidctest.Issuer) {
			i.Handle(oidctest.KeysPath, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := start(t)
			misbehave(i)
			v := verifier(t, nil, identity.Issuer{URL: i.URL(), Kind: identity.Email})
			began := time.Now()
			_, err := v.Identify(t.Context(), i.Token(emailClaims("a@example.com")))
			wantCode(t, err, identity.IssuerUnavailable)
			if took := time.Since(began); took > 8*time.Second {
				t.Errorf("took %s", took)
			}
			if strings.Contains(err.Error(), far.address) {
				t.Errorf("the reason shows what the issuer answered: %v", err)
			}
			before := i.Requests()
			if _, err = v.Identify(t.Context(), i.Token(emailClaims("a@example.com"))); i.Requests() != before {
				t.Errorf("asked again at once: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		if n := far.hits.Load(); n != 0 {
			t.Errorf("%d connections to a foreign address", n)
		}
	})
}

// TestKeysRotate: a new key is found when a token names it, a retired one is forgotten in time, and an issuer that is
// down for a moment is no reason to refuse what is known.
func TestKeysRotate(t *testing.T) {
	i := start(t)
	now := time.Now()
	clock := func() time.Time { return now }
	i.Clock = clock
	v := verifier(t, clock, identity.Issuer{URL: i.URL(), Kind: identity.Email})
	identify := func() error {
		_, err := v.Identify(t.Context(), i.Token(emailClaims("a@example.com")))
		return err
	}
	if err := identify(); err != nil {
		t.Fatal(err)
	}
	old := i.Token(with(emailClaims("a@example.com"), map[string]any{"exp": now.Add(time.Hour).Unix()}))
	i.KeyID = "second"
	wantCode(t, identify(), identity.BadSignature) // asked a moment ago
	now = now.Add(11 * time.Second)
	if err := identify(); err != nil {
		t.Fatal(err)
	}
	i.Handle(oidctest.KeysPath, http.NotFound)
	now = now.Add(10 * time.Minute)
	if err := identify(); err != nil {
		t.Errorf("the issuer is down, its keys are fresh: %v", err)
	}
	now = now.Add(10 * time.Minute)
	wantCode(t, identify(), identity.IssuerUnavailable)
	i.Handle(oidctest.KeysPath, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(i.KeySet()) })
	now = now.Add(3 * time.Second)
	if err := identify(); err != nil {
		t.Errorf("the issuer is back: %v", err)
	}
	_, err := v.Identify(t.Context(), old)
	wantCode(t, err, identity.BadSignature)
}

// TestConfigurations: what an operator can get wrong.
func TestConfigurations(t *testing.T) {
	const url = "https://issuer.example"
	templates := func(name string) *identity.Templates { return &identity.Templates{Name: name} }
	for name, issuers := range map[string][]identity.Issuer{
		"none":               nil,
		"no type":            {{URL: url}},
		"unknown type":       {{URL: url, Kind: "spiffe"}},
		"http":               {{URL: "http://issuer.example", Kind: identity.Email}},
		"no scheme":          {{URL: "issuer.example", Kind: identity.Email}},
		"query":              {{URL: url + "?a=b", Kind: identity.Email}},
		"user":               {{URL: "https://a:b@issuer.example", Kind: identity.Email}},
		"twice":              {{URL: url, Kind: identity.Email}, {URL: url, Kind: identity.Email}},
		"uri without domain": {{URL: url, Kind: identity.URI}},
		"domain with a path": {{URL: url, Kind: identity.URI, SubjectDomain: "https://a.example/b"}},
		"domain in capitals": {{URL: url, Kind: identity.URI, SubjectDomain: "https://A.example"}},
		"domain of email":    {{URL: url, Kind: identity.Email, SubjectDomain: "https://a.example"}},
		"platform of email":  {{URL: url, Kind: identity.Email, PlatformURL: "https://a.example"}},
		"keys by http":       {{URL: url, Kind: identity.Email, KeysURL: "http://keys.example"}},
		"no templates":       {{URL: url, Kind: identity.CIProvider}},
		"host from a claim":  {{URL: url, Kind: identity.CIProvider, Templates: templates("https://{{ .host }}/x")}},
		"host ends in claim": {{URL: url, Kind: identity.CIProvider, Templates: templates("https://a.example{{ .x }}/")}},
		"syntax":             {{URL: url, Kind: identity.CIProvider, Templates: templates("https://a.example/{{ .x")}},
		"unknown extension": {{URL: url, Kind: identity.CIProvider, Templates: &identity.Templates{
			Name: "https://a.example/{{ .x }}", Extensions: map[string]string{"issuer": "iss"}}}},
		"too many": make([]identity.Issuer, identity.MaxIssuers+1),
	} {
		_, err := identity.New(identity.Config{Issuers: issuers})
		var e *identity.Error
		if !errors.As(err, &e) || e.Code != identity.BadConfig {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
