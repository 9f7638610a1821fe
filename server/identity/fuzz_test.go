package identity

import (
	"encoding/base64"
	"strings"
	"testing"
)

// FuzzParseToken: whatever the bytes, a token that gets through names an algorithm of the list and an issuer, and is what
// a strict reader reads.
func FuzzParseToken(f *testing.F) {
	part := base64.RawURLEncoding.EncodeToString
	for _, header := range []string{`{"alg":"ES256","kid":"a"}`, `{"alg":"none"}`, `{"alg":"ES256","alg":"none"}`, `{}`, `[]`, `{"crit":[],"alg":"ES256"}`} {
		for _, payload := range []string{`{"iss":"https://a.example"}`, `{"iss":""}`, `{"iss":1}`, `{"iss":"a","iss":"b"}`, `{"ISS":"a"}`, `x`} {
			f.Add(part([]byte(header)) + "." + part([]byte(payload)) + ".AAAA")
		}
	}
	f.Add("..")
	f.Add(strings.Repeat(".", 100))
	f.Fuzz(func(t *testing.T, token string) {
		u, err := parseToken(token)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("the reason has %d bytes", len(err.Error()))
			}
			return
		}
		if !strings.Contains(" RS256 ES256 PS256 EdDSA ", " "+u.algorithm+" ") || u.issuer == "" || strings.Count(token, ".") != 2 {
			t.Errorf("%+v", u)
		}
	})
}

// FuzzKeySet: what is taken for a key can be used as one.
func FuzzKeySet(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`))
	f.Add([]byte(`{"keys":[null,1,{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := parseKeySet(data)
		if err == nil && (len(keys) == 0 || len(keys) > MaxKeys) {
			t.Errorf("got %d keys", len(keys))
		}
		for n := range keys {
			if !keys[n].IsPublic() {
				t.Error("got a key that is not public")
			}
		}
	})
}

// FuzzNames: a name that gets through is below the platform, and writing and reading it again changes nothing.
func FuzzNames(f *testing.F) {
	templates := githubTemplates("https://github.com")
	for _, ref := range []string{"acme/x/.github/workflows/a.yml@refs/heads/main", "../a", "a#b", "a?b", "%2e%2e/a", "a\x00", "ü", "//a", "@attacker.example/"} {
		f.Add(ref)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		u, err := templates.nameURI("https://github.com/" + ref)
		if err != nil {
			return
		}
		again, err := plainURI(u.String())
		if err != nil || again.Host != "github.com" || again.User != nil || again.String() != u.String() {
			t.Errorf("%q gives %q: %v", ref, u, err)
		}
	})
}
