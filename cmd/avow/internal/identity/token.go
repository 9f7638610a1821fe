package identity

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// MaxTokenBytes is the size of the largest token.
const MaxTokenBytes = 16 << 10

// Token is an OpenID Connect identity token. It renders itself as a placeholder.
type Token struct {
	raw     *string // a pointer: as a field of something else it is not reached by String
	subject string
	issuer  string
}

// String returns a placeholder: the token is a secret.
func (Token) String() string { return "[identity token]" }

// GoString is String.
func (t Token) GoString() string { return t.String() }

// secret is the token itself.
func (t Token) secret() string {
	if t.raw == nil {
		return ""
	}
	return *t.raw
}

// Subject is what the proof of possession signs: the e-mail address if there is one, else the subject.
func (t Token) Subject() string { return t.subject }

// Issuer is who issued the token, by its own word.
func (t Token) Issuer() string { return t.issuer }

// ParseToken reads a token without verifying it. Errors never hold a part of it.
func ParseToken(raw string) (Token, error) {
	raw = strings.TrimSpace(raw)
	if raw == "" || len(raw) > MaxTokenBytes {
		return Token{}, fmt.Errorf("the identity token has %d bytes, want 1 to %d", len(raw), MaxTokenBytes)
	}
	if n := strings.Count(raw, "."); n != 2 {
		return Token{}, fmt.Errorf("the identity token has %d dots, want 2: it is not a JSON web token", n)
	}
	parts := strings.Split(raw, ".")
	for _, p := range parts {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(p); p == "" || err != nil {
			return Token{}, errors.New("the identity token is not base64url")
		}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return Token{}, errors.New("the identity token is not base64url")
	}
	var claims struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Email    string `json:"email"`
		Verified any    `json:"email_verified"`
	}
	if json.Unmarshal(payload, &claims) != nil { // its error would show a part of the token
		return Token{}, errors.New("the identity token does not hold JSON claims")
	}
	t := Token{raw: &raw, subject: claims.Subject, issuer: claims.Issuer}
	if claims.Email != "" {
		// Some issuers write the truth value as text.
		if claims.Verified != true && claims.Verified != "true" {
			return Token{}, errors.New("the identity token names an e-mail address that its issuer has not verified")
		}
		t.subject = claims.Email
	}
	if t.subject == "" {
		return Token{}, errors.New("the identity token names no subject")
	}
	return t, nil
}
