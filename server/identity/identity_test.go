package identity_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/avow-dev/avow/internal/oidctest"
	"github.com/avow-dev/avow/server/identity"
)

func start(t testing.TB) *oidctest.Issuer {
	t.Helper()
	i, err := oidctest.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func verifier(t testing.TB, clock func() time.Time, issuers ...identity.Issuer) *identity.Verifier {
	t.Helper()
	v, err := identity.New(identity.Config{Issuers: issuers, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	var e *identity.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got error %v, want code %s", err, code)
	}
}

// with is claims with changes.
func with(claims map[string]any, changes map[string]any) map[string]any {
	all := maps.Clone(claims)
	maps.Copy(all, changes)
	return all
}

func emailClaims(address string) map[string]any {
	return map[string]any{"email": address, "email_verified": true, "sub": "1234"}
}

// TestNames: what a token of each kind gives.
func TestNames(t *testing.T) {
	i := start(t)
	for name, c := range map[string]struct {
		issuer          identity.Issuer
		claims          map[string]any
		name, challenge string
	}{
		"email": {identity.Issuer{Kind: identity.Email}, emailClaims("Jane.Doe+ci@example.com"), "Jane.Doe+ci@example.com", "Jane.Doe+ci@example.com"},
		"email verified in words": {identity.Issuer{Kind: identity.Email}, with(emailClaims("a@example.com"),
			map[string]any{"email_verified": "true"}), "a@example.com", "a@example.com"},
		"uri": {identity.Issuer{Kind: identity.URI, SubjectDomain: "https://ci.example"}, map[string]any{"sub": "https://ci.example/jobs/1"},
			"https://ci.example/jobs/1", "https://ci.example/jobs/1"},
		"github": {identity.Issuer{Kind: identity.GitHubWorkflow}, oidctest.GitHubClaims(),
			"https://github.com/acme/gateway/.github/workflows/release.yml@refs/heads/main", "repo:acme/gateway:ref:refs/heads/main"},
		"github, a branch in another alphabet": {identity.Issuer{Kind: identity.GitHubWorkflow},
			with(oidctest.GitHubClaims(), map[string]any{"job_workflow_ref": "acme/gateway/.github/workflows/r.yml@refs/heads/grün"}),
			"https://github.com/acme/gateway/.github/workflows/r.yml@refs/heads/gr%C3%BCn", "repo:acme/gateway:ref:refs/heads/main"},
		"github of a company": {identity.Issuer{Kind: identity.GitHubWorkflow, PlatformURL: "https://git.acme.example"},
			oidctest.GitHubClaims(), "https://git.acme.example/acme/gateway/.github/workflows/release.yml@refs/heads/main",
			"repo:acme/gateway:ref:refs/heads/main"},
		"gitlab": {identity.Issuer{Kind: identity.GitLabPipeline}, oidctest.GitLabClaims(),
			"https://gitlab.com/acme/gateway//.gitlab-ci.yml@refs/heads/main", "project_path:acme/gateway:ref_type:branch:ref:main"},
		"templates": {identity.Issuer{Kind: identity.CIProvider, Templates: &identity.Templates{
			Name: "https://ci.example/{{ .org }}/{{ .job }}", Extensions: map[string]string{"source-repository-digest": "commit"},
		}}, map[string]any{"org": "acme", "job": 1234567, "commit": "abc"}, "https://ci.example/acme/1234567", "subject"},
	} {
		c.issuer.URL = i.URL()
		id, err := verifier(t, nil, c.issuer).Identify(t.Context(), i.Token(c.claims))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if id.Name() != c.name || id.Challenge != c.challenge || id.Issuer != i.URL() {
			t.Errorf("%s: got %q, challenge %q, issuer %q", name, id.Name(), id.Challenge, id.Issuer)
		}
	}
}

// TestAlgorithms: every permitted algorithm verifies.
func TestAlgorithms(t *testing.T) {
	for _, algorithm := range []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.PS256, jose.EdDSA} {
		i, err := oidctest.StartWith(t.Context(), algorithm)
		if err != nil {
			t.Fatal(err)
		}
		v := verifier(t, nil, identity.Issuer{URL: i.URL(), Kind: identity.Email})
		if _, err := v.Identify(t.Context(), i.Token(emailClaims("a@example.com"))); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}

// TestIdentities: names that could be taken for others, and names that the issuer may not speak for.
func TestIdentities(t *testing.T) {
	i := start(t)
	email := verifier(t, nil, identity.Issuer{URL: i.URL(), Kind: identity.Email})
	uri := verifier(t, nil, identity.Issuer{URL: i.URL(), Kind: identity.URI, SubjectDomain: "https://ci.example"})
	github := verifier(t, nil, identity.Issuer{URL: i.URL(), Kind: identity.GitHubWorkflow})
	gitlab := verifier(t, nil, identity.Issuer{URL: i.URL(), Kind: identity.GitLabPipeline})
	workflow := func(ref string) map[string]any {
		return with(oidctest.GitHubClaims(), map[string]any{"job_workflow_ref": ref})
	}
	pipeline := func(ref string) map[string]any {
		return with(oidctest.GitLabClaims(), map[string]any{"ci_config_ref_uri": ref})
	}
	sub := func(s string) map[string]any { return map[string]any{"sub": s} }
	for name, c := range map[string]struct {
		v      *identity.Verifier
		claims map[string]any
	}{
		"not verified":          {email, with(emailClaims("a@example.com"), map[string]any{"email_verified": false})},
		"verified is absent":    {email, with(emailClaims("a@example.com"), map[string]any{"email_verified": nil})},
		"verified is a number":  {email, with(emailClaims("a@example.com"), map[string]any{"email_verified": 1})},
		"verified in case":      {email, map[string]any{"email": "a@example.com", "Email_Verified": true}},
		"email in case":         {email, map[string]any{"Email": "a@example.com", "email_verified": true}},
		"no email":              {email, map[string]any{"email_verified": true}},
		"homoglyph":             {email, emailClaims("аlice@example.com")}, // Cyrillic а
		"homoglyph in the host": {email, emailClaims("alice@exаmple.com")},
		"host in capitals":      {email, emailClaims("alice@Example.com")},
		"dot at the end":        {email, emailClaims("alice@example.com.")},
		"NUL":                   {email, emailClaims("alice@example.com\x00.attacker.example")},
		"newline":               {email, emailClaims("alice@example.com\nx@attacker.example")},
		"newline at the end":    {email, emailClaims("alice@example.com\n")},
		"two addresses":         {email, emailClaims("alice@example.com,bob@example.com")},
		"two at signs":          {email, emailClaims("alice@example.com@attacker.example")},
		"display name":          {email, emailClaims("Alice <alice@example.com>")},
		"quoted":                {email, emailClaims(`"alice bob"@example.com`)},
		"address literal":       {email, emailClaims("alice@[192.0.2.1]")},
		"no host":               {email, emailClaims("alice@")},
		"one label":             {email, emailClaims("alice@localhost")},
		"long":                  {email, emailClaims(strings.Repeat("a", 250) + "@example.com")},

		"another host":        {uri, sub("https://other.example/jobs/1")},
		"another scheme":      {uri, sub("http://ci.example/jobs/1")},
		"another port":        {uri, sub("https://ci.example:8443/jobs/1")},
		"user":                {uri, sub("https://ci.example@attacker.example/")},
		"user of the host":    {uri, sub("https://x@ci.example/")},
		"uri host in capital": {uri, sub("https://CI.example/jobs/1")},
		"uri dot at the end":  {uri, sub("https://ci.example./jobs/1")},
		"dot segments":        {uri, sub("https://ci.example/a/../b")},
		"encoded dots":        {uri, sub("https://ci.example/a/%2e%2e/b")},
		"uri not ASCII":       {uri, sub("https://ci.example/jоb")}, // Cyrillic о
		"uri newline":         {uri, sub("https://ci.example/a\nb")},
		"no uri":              {uri, sub("alice@example.com")},
		"empty":               {uri, sub("")},
		"no sub":              {uri, map[string]any{"sub": nil}},
		"long sub":            {uri, sub("https://ci.example/" + strings.Repeat("a", 2000))},

		"no workflow":        {github, with(oidctest.GitHubClaims(), map[string]any{"job_workflow_ref": nil})},
		"empty workflow":     {github, workflow("")},
		"no repository":      {github, with(oidctest.GitHubClaims(), map[string]any{"repository": nil})},
		"list of workflows":  {github, with(oidctest.GitHubClaims(), map[string]any{"job_workflow_ref": []string{"a/b"}})},
		"dots in a workflow": {github, workflow("acme/../other/.github/workflows/r.yml@refs/heads/main")},
		"percent":            {github, workflow("acme/gateway/.github/workflows/r.yml@refs/heads/gr%C3%BCn")},
		"workflow newline":   {github, workflow("acme/gateway\n")},
		"extension newline":  {github, with(oidctest.GitHubClaims(), map[string]any{"workflow": "a\x00b"})},

		"another GitLab":     {gitlab, pipeline("gitlab.example/acme/gateway//.gitlab-ci.yml@refs/heads/main")},
		"GitLab as a prefix": {gitlab, pipeline("gitlab.com.attacker.example/acme//.gitlab-ci.yml@refs/heads/main")},
		"GitLab as a user":   {gitlab, pipeline("gitlab.com@attacker.example/acme//.gitlab-ci.yml@refs/heads/main")},
		"no pipeline":        {gitlab, with(oidctest.GitLabClaims(), map[string]any{"ci_config_ref_uri": nil})},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.v.Identify(t.Context(), i.Token(c.claims))
			wantCode(t, err, identity.BadIdentity)
		})
	}
}

// TestPlatformIsTheOperators: a claim of the same name as the platform's address does not replace it.
func TestPlatformIsTheOperators(t *testing.T) {
	i := start(t)
	v := verifier(t, nil, identity.Issuer{URL: i.URL(), Kind: identity.GitHubWorkflow})
	id, err := v.Identify(t.Context(), i.Token(with(oidctest.GitHubClaims(), map[string]any{"url": "https://attacker.example"})))
	if err != nil || !strings.HasPrefix(id.Name(), "https://github.com/") {
		t.Fatalf("got %v, %v", id, err)
	}
}

// canary counts connections: nobody may make one.
type canary struct {
	address string
	hits    atomic.Int64
}

func newCanary(t testing.TB) *canary {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &canary{address: l.Addr().String()}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.hits.Add(1)
			conn.Close()
		}
	}()
	return c
}

// TestHostileTokens: each is refused with its code, and nobody but the configured issuer is asked anything. The canary
// stands for every other address that a token mentions.
func TestHostileTokens(t *testing.T) {
	i, other, far := start(t), start(t), newCanary(t)
	evil := "http://" + far.address
	v := verifier(t, nil, identity.Issuer{URL: i.URL(), Kind: identity.Email})
	good := emailClaims("a@example.com")
	if _, err := v.Identify(t.Context(), i.Token(good)); err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	claims := func(changes map[string]any) string { return i.Token(with(good, changes)) }
	sign := func(payload string, header map[jose.HeaderKey]any) string {
		token, err := i.Sign([]byte(payload), header)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	payload := strings.Split(i.Token(good), ".")[1]
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	foreignToken := func(kid string) string {
		other.KeyID = kid
		return other.Token(with(good, map[string]any{"iss": i.URL()}))
	}
	symmetric := hmacToken(t, i, payload)
	for name, c := range map[string]struct{ token, code string }{
		"empty":             {"", identity.Malformed},
		"one dot":           {"a.b", identity.Malformed},
		"three dots":        {i.Token(good) + ".x", identity.Malformed},
		"a million dots":    {strings.Repeat(".", 1e6), identity.Malformed},
		"many dots":         {strings.Repeat(".", identity.MaxTokenBytes), identity.Malformed},
		"too long":          {claims(map[string]any{"x": strings.Repeat("a", identity.MaxTokenBytes)}), identity.Malformed},
		"no base64":         {"!!.!!.!!", identity.Malformed},
		"no JSON":           {part("x") + "." + payload + ".AAAA", identity.Malformed},
		"alg none":          {part(`{"alg":"none"}`) + "." + payload + ".", identity.Malformed},
		"alg None":          {part(`{"alg":"None"}`) + "." + payload + ".", identity.Malformed},
		"no alg":            {part(`{}`) + "." + payload + ".AAAA", identity.Malformed},
		"two algs":          {part(`{"alg":"ES256","alg":"none"}`) + "." + payload + ".AAAA", identity.Malformed},
		"HS256":             {symmetric, identity.Malformed},
		"ES384":             {part(`{"alg":"ES384"}`) + "." + payload + ".AAAA", identity.Malformed},
		"critical":          {part(`{"alg":"ES256","crit":["b64"],"b64":false}`) + "." + payload + ".AAAA", identity.Malformed},
		"kid is a number":   {part(`{"alg":"ES256","kid":1}`) + "." + payload + ".AAAA", identity.Malformed},
		"two issuers":       {sign(`{"iss":"`+evil+`","iss":"`+i.URL()+`"}`, nil), identity.Malformed},
		"payload is a list": {sign(`[]`, nil), identity.Malformed},
		"no iss":            {claims(map[string]any{"iss": nil}), identity.Malformed},
		"iss in capitals":   {sign(`{"ISS":"`+i.URL()+`"}`, nil), identity.Malformed},
		"no exp":            {claims(map[string]any{"exp": nil}), identity.Malformed},
		"exp is a string":   {claims(map[string]any{"exp": "tomorrow"}), identity.Malformed},
		"exp beyond time":   {claims(map[string]any{"exp": 1e300}), identity.Malformed},
		"no aud":            {claims(map[string]any{"aud": nil}), identity.Malformed},

		"foreign issuer":     {other.Token(good), identity.IssuerUnknown},
		"far issuer":         {claims(map[string]any{"iss": evil}), identity.IssuerUnknown},
		"slash at the end":   {claims(map[string]any{"iss": i.URL() + "/"}), identity.IssuerUnknown},
		"upper case":         {claims(map[string]any{"iss": strings.ToUpper(i.URL())}), identity.IssuerUnknown},
		"look-alike":         {claims(map[string]any{"iss": strings.Replace(i.URL(), "1", "١", 1)}), identity.IssuerUnknown},
		"space":              {claims(map[string]any{"iss": i.URL() + " "}), identity.IssuerUnknown},
		"issuer as user":     {claims(map[string]any{"iss": i.URL() + "@" + far.address}), identity.IssuerUnknown},
		"issuer with a path": {claims(map[string]any{"iss": i.URL() + "/../" + far.address}), identity.IssuerUnknown},
		"other host name":    {claims(map[string]any{"iss": strings.Replace(i.URL(), "127.0.0.1", "localhost", 1)}), identity.IssuerUnknown},

		"foreign key":        {foreignToken(i.KeyID), identity.BadSignature},
		"unknown key":        {foreignToken("second"), identity.BadSignature},
		"changed payload":    {changed(claims(nil)), identity.BadSignature},
		"no signature":       {strings.Join(strings.Split(i.Token(good), ".")[:2], ".") + ".", identity.BadSignature},
		"key in the header":  {embeddedKey(t, other, i.URL()), identity.BadSignature},
		"key by address":     {keyByAddress(t, other, i.URL(), evil), identity.BadSignature},
		"another algorithm":  {rsaToken(t, i.URL(), i.KeyID), identity.BadSignature},
		"expired":            {claims(map[string]any{"exp": now - 1}), identity.WrongTime},
		"expired, with nbf":  {claims(map[string]any{"exp": now - 1, "nbf": now - 600}), identity.WrongTime},
		"not yet valid":      {claims(map[string]any{"nbf": now + 3600, "exp": now + 7200}), identity.WrongTime},
		"of the future":      {claims(map[string]any{"iat": now + 3600, "exp": now + 7200}), identity.WrongTime},
		"wrong audience":     {claims(map[string]any{"aud": "other"}), identity.WrongAudience},
		"audience in case":   {claims(map[string]any{"aud": "Sigstore"}), identity.WrongAudience},
		"list without it":    {claims(map[string]any{"aud": []string{"a", "b"}}), identity.WrongAudience},
		"distributed claims": {distributed(i, evil), identity.BadIdentity},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := v.Identify(t.Context(), c.token)
			wantCode(t, err, c.code)
			if len(err.Error()) > 1000 {
				t.Errorf("the reason has %d bytes", len(err.Error()))
			}
		})
	}
	if far.hits.Load() != 0 || other.Requests() != 0 {
		t.Errorf("%d connections to a foreign address, %d requests to a foreign issuer", far.hits.Load(), other.Requests())
	}
	// Discovery and keys once; unknown keys do not make the service ask again at once.
	if n := i.Requests(); n != 2 {
		t.Errorf("the issuer was asked %d times, want 2", n)
	}
	if _, err := v.Identify(t.Context(), claims(map[string]any{"aud": []string{"x", "sigstore"}})); err != nil {
		t.Errorf("one of several audiences: %v", err)
	}
}

// hmacToken signs with the issuer's public key as if it were a shared secret.
func hmacToken(t *testing.T, i *oidctest.Issuer, payload string) string {
	t.Helper()
	secret, err := json.Marshal(i.KeySet())
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: secret}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(raw)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// changed replaces the payload of a token by a similar one.
func changed(token string) string {
	parts := strings.Split(token, ".")
	raw, _ := base64.RawURLEncoding.DecodeString(parts[1])
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(raw), "a@example.com", "b@example.com", 1)))
	return strings.Join(parts, ".")
}

func foreignPayload(t *testing.T, iss string) []byte {
	t.Helper()
	payload, err := json.Marshal(with(emailClaims("a@example.com"), map[string]any{
		"iss": iss, "aud": "sigstore", "exp": time.Now().Add(time.Hour).Unix()}))
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

func embeddedKey(t *testing.T, other *oidctest.Issuer, iss string) string {
	t.Helper()
	token, err := other.Sign(foreignPayload(t, iss), map[jose.HeaderKey]any{"jwk": other.KeySet().Keys[0]})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func keyByAddress(t *testing.T, other *oidctest.Issuer, iss, evil string) string {
	t.Helper()
	token, err := other.Sign(foreignPayload(t, iss), map[jose.HeaderKey]any{"jku": other.URL() + oidctest.KeysPath, "x5u": evil})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// rsaToken names the id of the issuer's ECDSA key, and is signed with an RSA key.
func rsaToken(t *testing.T, iss, kid string) string {
	t.Helper()
	other, err := oidctest.StartWith(t.Context(), jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	other.KeyID = kid
	token, err := other.Sign(foreignPayload(t, iss), nil)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func distributed(i *oidctest.Issuer, evil string) string {
	return i.Token(map[string]any{"_claim_names": map[string]string{"email": "src", "groups": "src"},
		"_claim_sources": map[string]any{"src": map[string]string{"endpoint": evil, "access_token": "x"}}})
}
