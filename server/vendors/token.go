package vendors

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// tokenPrefix lets people and scanners of leaked secrets recognise a token.
const tokenPrefix = "avow_"

// tokenBytes is the size of a token's secret part, before base64.
const tokenBytes = 32

// NewToken makes an API token ("avow_" and 256 random bits in base64url) and the
// digest that belongs into the registry. The token is shown once and not stored.
func NewToken() (token, hash string, err error) {
	secret := make([]byte, tokenBytes)
	if _, err := rand.Read(secret); err != nil {
		return "", "", err
	}
	token = tokenPrefix + base64.RawURLEncoding.EncodeToString(secret)
	return token, HashToken(token), nil
}

// HashToken gives the digest ("sha256:hex") of a token, as the registry stores
// it. A plain hash is enough because a token has 256 random bits: there is
// nothing to guess.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// wellFormed refuses what NewToken cannot have made before anything is hashed.
func wellFormed(token string) bool {
	secret, ok := strings.CutPrefix(token, tokenPrefix)
	return ok && len(secret) == base64.RawURLEncoding.EncodedLen(tokenBytes)
}
