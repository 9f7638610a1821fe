package identity

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Config says whose tokens are accepted.
type Config struct {
	// Issuers are the issuers, 1 to MaxIssuers, each once. Required.
	Issuers []Issuer
	// Roots verify the issuers' TLS certificates; nil means those of the system.
	Roots *x509.CertPool
	// Clock tells the time; nil means time.Now.
	Clock func() time.Time
}

// Verifier verifies tokens. Make it with [New]; it is safe for concurrent use.
type Verifier struct {
	issuers []Issuer
	stores  map[string]*keyStore
	clock   func() time.Time
}

// New checks the configuration. It asks no issuer: keys are fetched when they are first needed.
func New(c Config) (*Verifier, error) {
	if len(c.Issuers) == 0 || len(c.Issuers) > MaxIssuers {
		return nil, fail(BadConfig, nil, "got %d issuers, want 1 to %d", len(c.Issuers), MaxIssuers)
	}
	v := &Verifier{stores: make(map[string]*keyStore, len(c.Issuers)), clock: c.Clock}
	if v.clock == nil {
		v.clock = time.Now
	}
	client := newClient(c.Roots)
	for n := range c.Issuers {
		if err := c.Issuers[n].Validate(); err != nil {
			return nil, err
		}
		issuer := c.Issuers[n].withDefaults()
		if v.stores[issuer.URL] != nil {
			return nil, fail(BadConfig, nil, "issuer %q is configured twice", issuer.URL)
		}
		v.stores[issuer.URL] = &keyStore{issuer: issuer, client: client, clock: v.clock}
		v.issuers = append(v.issuers, issuer)
	}
	return v, nil
}

// Issuers returns the configured issuers, defaults filled in, in their order.
func (v *Verifier) Issuers() []Issuer { return slices.Clone(v.issuers) }

// Identify verifies a token and returns whom it names. Errors are [*Error], or the context's.
func (v *Verifier) Identify(ctx context.Context, token string) (*Identity, error) {
	said, err := parseToken(token)
	if err != nil {
		return nil, err
	}
	store, ok := v.stores[said.issuer]
	if !ok {
		return nil, fail(IssuerUnknown, nil, "the issuer %q is none of those that this service takes tokens of", shorten(said.issuer))
	}
	keys, err := store.find(ctx, said.keyID)
	if err != nil {
		return nil, err
	}
	static := &oidc.StaticKeySet{}
	for _, k := range keys {
		if k.Algorithm == "" || k.Algorithm == said.algorithm {
			static.PublicKeys = append(static.PublicKeys, crypto.PublicKey(k.Key))
		}
	}
	// go-oidc's IDTokenVerifier would add checks without distinct errors, over claims whose names it matches in any case.
	payload, err := static.VerifySignature(ctx, token)
	if err != nil {
		return nil, fail(BadSignature, err, "the token's signature does not verify with a key of %s", said.issuer)
	}
	c, err := parseClaims(payload)
	if err != nil {
		return nil, fail(Malformed, err, "the token's payload is not a JSON object without repeated members")
	}
	if err := v.checkUse(c, &store.issuer); err != nil {
		return nil, err
	}
	return identify(c, &store.issuer)
}

// checkUse checks by whom, for when and for whom the token was made (OpenID Connect Core 1.0, section 3.1.3.7).
func (v *Verifier) checkUse(c claims, issuer *Issuer) error {
	if iss, err := c.text("iss"); err != nil || iss != issuer.URL {
		return fail(IssuerUnknown, err, "the token's iss is not exactly %s", issuer.URL)
	}
	now := v.clock()
	expiry, err := c.time("exp")
	if err != nil {
		return fail(Malformed, err, "the token has no time of expiry")
	}
	if !now.Before(expiry) {
		return fail(WrongTime, nil, "the token expired at %s, it is %s", stamp(expiry), stamp(now))
	}
	for _, name := range []string{"nbf", "iat"} {
		if _, ok := c[name]; !ok {
			continue
		}
		from, err := c.time(name)
		if err != nil {
			return fail(Malformed, err, "the token's %s is not a time", name)
		}
		if from.After(now.Add(clockSkew)) {
			return fail(WrongTime, nil, "the token is of %s (%s), it is %s", stamp(from), name, stamp(now))
		}
	}
	audience, err := c.audience()
	if err != nil {
		return fail(Malformed, err, "the token's aud is neither a string nor a list of strings")
	}
	if !slices.Contains(audience, issuer.Audience) {
		return fail(WrongAudience, nil, "the token is for %q, want %q", shorten(join(audience)), issuer.Audience)
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// time reads a NumericDate: seconds since 1970, with or without a fraction.
func (c claims) time(name string) (time.Time, error) {
	raw, ok := c[name]
	if !ok {
		return time.Time{}, errors.New("no " + name)
	}
	var seconds float64
	if err := json.Unmarshal(raw, &seconds); err != nil {
		return time.Time{}, err
	}
	const year9999 = 253402300799
	if seconds < 0 || seconds > year9999 || string(raw) == "null" {
		return time.Time{}, errors.New(name + " is out of range")
	}
	return time.Unix(int64(seconds), 0), nil
}

func (c claims) audience() ([]string, error) {
	raw := c["aud"]
	if len(raw) > 0 && raw[0] == '[' {
		var all []string
		return all, json.Unmarshal(raw, &all)
	}
	one, err := c.text("aud")
	return []string{one}, err
}

func join(all []string) string {
	s := ""
	for n, one := range all {
		if n > 0 {
			s += ", "
		}
		if s += one; len(s) > MaxNameBytes {
			break
		}
	}
	return s
}
