package witness

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// algCosignature is the signature type of timestamped Ed25519 cosignatures (https://c2sp.org/tlog-cosignature).
const algCosignature = 0x04

// cosigner makes cosignatures. The library's signer (formats/note) reads the system's clock by itself; this one is told.
type cosigner struct {
	name string
	key  ed25519.PrivateKey
	id   [4]byte
}

func newCosigner(name string, key ed25519.PrivateKey) (cosigner, error) {
	if err := ValidateName(name); err != nil {
		return cosigner{}, err
	}
	if len(key) != ed25519.PrivateKeySize {
		return cosigner{}, fmt.Errorf("key: got %d bytes, want an ed25519 private key of %d", len(key), ed25519.PrivateKeySize)
	}
	c := cosigner{name: name, key: key}
	sum := sha256.Sum256(append([]byte(name+"\n"), c.public()...))
	c.id = [4]byte(sum[:])
	return c, nil
}

// ValidateName reports why a name cannot be that of a witness: a signed note's key name, without spaces and pluses.
func ValidateName(name string) error {
	if name == "" || len(name) > MaxNameBytes || !utf8.ValidString(name) || strings.ContainsRune(name, '+') ||
		strings.IndexFunc(name, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) >= 0 {
		return fmt.Errorf("name: got %.64q, want 1 to %d printable bytes without space or plus, such as witness.example/w1",
			name, MaxNameBytes)
	}
	return nil
}

// public is the public key with its type in front.
func (c cosigner) public() []byte {
	public, _ := c.key.Public().(ed25519.PublicKey) // of an ed25519 private key it is
	return append([]byte{algCosignature}, public...)
}

// verifierKey is the vkey that a policy lists (https://c2sp.org/signed-note#verifier-keys).
func (c cosigner) verifierKey() string {
	return fmt.Sprintf("%s+%x+%s", c.name, c.id, base64.StdEncoding.EncodeToString(c.public()))
}

// cosign returns the signature line over a checkpoint's text.
func (c cosigner) cosign(text string, at time.Time) ([]byte, error) {
	if at.Unix() <= 0 {
		return nil, errors.New("the clock is before 1970")
	}
	seconds := uint64(at.Unix())
	message := fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", seconds, text)
	sig := append([]byte(nil), c.id[:]...)
	sig = binary.BigEndian.AppendUint64(sig, seconds)
	sig = append(sig, ed25519.Sign(c.key, message)...)
	return fmt.Appendf(nil, "— %s %s\n", c.name, base64.StdEncoding.EncodeToString(sig)), nil
}
