package identity

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
)

// algorithms are those that a token may be signed with: asymmetric ones without SHA-1 and without surprises.
func algorithms() []string { return []string{oidc.RS256, oidc.ES256, oidc.PS256, oidc.EdDSA} }

// unverified is what a token says about itself, before its signature is looked at.
type unverified struct {
	algorithm, keyID, issuer string
}

// parseToken checks the form of a token, so that what follows has little left to misunderstand.
func parseToken(token string) (unverified, error) {
	var u unverified
	if len(token) == 0 || len(token) > MaxTokenBytes {
		return u, fail(Malformed, nil, "the token has %d bytes, want 1 to %d", len(token), MaxTokenBytes)
	}
	// Counted before anything is split: a million dots would be a million strings.
	if n := strings.Count(token, "."); n != 2 {
		return u, fail(Malformed, nil, "the token has %d dots, want 2", n)
	}
	header, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	if err := u.parseHeader(header); err != nil {
		return u, err
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(payload)
	if err != nil {
		return u, fail(Malformed, err, "the token's payload is not base64url")
	}
	claims, err := parseClaims(raw)
	if err != nil {
		return u, fail(Malformed, err, "the token's payload is not a JSON object without repeated members")
	}
	if u.issuer, err = claims.text("iss"); err != nil {
		return u, fail(Malformed, err, "the token has no iss")
	}
	return u, nil
}

func (u *unverified) parseHeader(encoded string) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return fail(Malformed, err, "the token's header is not base64url")
	}
	header, err := parseClaims(raw)
	if err != nil {
		return fail(Malformed, err, "the token's header is not a JSON object without repeated members")
	}
	// RFC 7515, section 4.1.11: who does not understand an extension that is listed as critical must refuse.
	if _, ok := header["crit"]; ok {
		return fail(Malformed, nil, "the token has critical header parameters")
	}
	if u.algorithm, err = header.text("alg"); err != nil || !slices.Contains(algorithms(), u.algorithm) {
		return fail(Malformed, err, "the token is signed with %q, want one of %s", shorten(u.algorithm),
			strings.Join(algorithms(), ", "))
	}
	if _, ok := header["kid"]; ok {
		if u.keyID, err = header.text("kid"); err != nil {
			return fail(Malformed, err, "the token's kid is not a string")
		}
	}
	return nil
}

// claims are the members of a JSON object. encoding/json alone takes the last of repeated members, and matches names
// in any case; whoever reads the same token otherwise would see somebody else.
type claims map[string]json.RawMessage

func parseClaims(data []byte) (claims, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.Join(errors.New("not an object"), err)
	}
	c := make(claims)
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if _, repeated := c[name]; repeated || !ok {
			return nil, errors.New("repeated member")
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		c[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than an object")
	}
	return c, nil
}

// text returns a claim that is a string and not empty.
func (c claims) text(name string) (string, error) {
	raw, ok := c[name]
	if !ok {
		return "", errors.New("no " + name)
	}
	var s string
	if raw[0] != '"' {
		return "", errors.New(name + " is not a string")
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", err
	}
	if s == "" {
		return "", errors.New(name + " is empty")
	}
	return s, nil
}

// scalar returns a string, number or truth value as text; ok is false for everything else.
func (c claims) scalar(name string) (text string, ok bool) {
	raw := c[name]
	if len(raw) == 0 {
		return "", false
	}
	switch raw[0] {
	case '"':
		return text, json.Unmarshal(raw, &text) == nil
	case '{', '[', 'n':
		return "", false
	}
	return string(raw), true
}
