package index

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math/bits"
	"strings"
)

// Key is the place of a list in the tree: the SHA-256 of a text that says what the list is about.
type Key [sha256.Size]byte

// KeyBits is the number of bits of a Key, which is the most inner nodes that a path can have.
const KeyBits = 8 * sha256.Size

// String is the key in hexadecimal digits.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// Compare orders keys by their bytes, as bytes.Compare does.
func (k Key) Compare(other Key) int { return bytes.Compare(k[:], other[:]) }

// Bit is the bit at position i, from 0, the most significant bit of the first byte.
func (k Key) Bit(i int) int { return int(k[i/8]>>(7-i%8)) & 1 }

// Prefix is the key with the bits from position n on cleared.
func (k Key) Prefix(n int) Key {
	var p Key
	copy(p[:], k[:n/8])
	if n%8 != 0 {
		p[n/8] = k[n/8] &^ (0xff >> (n % 8))
	}
	return p
}

// Diverges is the position of the first bit in which the keys differ, KeyBits if they are equal.
func (k Key) Diverges(other Key) int {
	for i := range k {
		if x := k[i] ^ other[i]; x != 0 {
			return 8*i + bits.LeadingZeros8(x)
		}
	}
	return KeyBits
}

// SubjectKey is the key of the statements about an artifact, by a digest of it: alg as in in-toto's digest sets
// ("sha256"), digest in lower-case hexadecimal digits.
func SubjectKey(alg, digest string) Key { return TextKey("subject:" + alg + ":" + digest) }

// TargetKey is the key of what was said about a statement: withdrawals, disputes, assessments, statements that
// supersede it. The id is "sha256:" and 64 lower-case hexadecimal digits.
func TargetKey(statementID string) Key { return TextKey("target:" + statementID) }

// Signer names who signed an entry: [KeySigner] or [IdentitySigner]. It is the signer's id in every other place, too
// ("sha256:" and 64 lower-case hexadecimal digits), and no key has the id of an identity.
type Signer string

// KeySigner names a public key: "sha256:" and the hexadecimal SHA-256 of its DER SubjectPublicKeyInfo.
func KeySigner(keyID string) Signer { return Signer(keyID) }

// IdentitySigner names the identity of a certificate, by the SHA-256 of "avow-identity-v1", its issuer and its subject, each
// followed by a line feed. Neither of them may hold one.
func IdentitySigner(issuer, subject string) Signer {
	sum := sha256.Sum256([]byte("avow-identity-v1\n" + issuer + "\n" + subject + "\n"))
	return Signer("sha256:" + hex.EncodeToString(sum[:]))
}

// SignerKey is the key of everything that somebody signed.
func SignerKey(s Signer) Key { return TextKey("issuer:" + string(s)) }

// UnresolvedKey is the key of what somebody signed and nobody could read when it was indexed. While an entry of it is
// unresolved ([Resolved]), the standing of what the signer may withdraw is unknown.
func UnresolvedKey(s Signer) Key { return TextKey("unresolved:" + string(s)) }

// ProductKey is the key of the statements about a product, whatever its version: a package URL is cut before its version,
// qualifiers and subpath; other identifiers are taken as they are.
// https://github.com/package-url/purl-spec
func ProductKey(identifier string) Key { return TextKey(ProductText(identifier)) }

// ProductText is the text of a [ProductKey].
func ProductText(identifier string) string {
	if strings.HasPrefix(identifier, "pkg:") {
		if end := strings.IndexAny(identifier, "@?#"); end >= 0 {
			identifier = identifier[:end]
		}
	}
	return "product:" + identifier
}

// TextKey is the key with a text, such as "subject:sha256:" and a digest.
func TextKey(text string) Key { return sha256.Sum256([]byte(text)) }
