package bundletest

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"
	"time"

	sumdbnote "golang.org/x/mod/sumdb/note"
)

// Witness cosigns checkpoints (C2SP tlog-cosignature, cosignature/v1). It checks
// nothing: a test says what it sees and when, and may let it lie.
type Witness struct {
	// Name is the name that it signs under.
	Name string

	key ed25519.PrivateKey
}

// NewWitness makes a witness with a new key.
func NewWitness(name string) *Witness {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // never fails, see crypto/rand
	return &Witness{Name: name, key: ed25519.NewKeyFromSeed(seed)}
}

// VKey is the witness's verifier key for policies.
func (w *Witness) VKey() string {
	return VKey(w.Name, w.rawKey())
}

// VKey is the verifier key of a log with an ed25519 key.
func (l *Log) VKey(tb testing.TB) string {
	tb.Helper()
	return VKey(l.Origin, append([]byte{0x01}, l.OwnWitness(tb, l.Origin).rawKey()[1:]...))
}

// VKey is a verifier key as in C2SP signed-note; raw is the type of the key and the key.
func VKey(name string, raw []byte) string {
	return fmt.Sprintf("%s+%08x+%s", name, vkeyHash(name, raw), base64.StdEncoding.EncodeToString(raw))
}

func vkeyHash(name string, raw []byte) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"), raw...))
	return binary.BigEndian.Uint32(sum[:])
}

// KeyID is "sha256:" and the SHA-256 of the witness's SubjectPublicKeyInfo DER,
// which for ed25519 is a fixed prefix and the key (RFC 8410).
func (w *Witness) KeyID() string {
	prefix := []byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}
	sum := sha256.Sum256(append(prefix, w.rawKey()[1:]...))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// At returns the signer that cosigns at a time, for Log.Checkpoint.
func (w *Witness) At(t time.Time) sumdbnote.Signer {
	return cosigner{w, uint64(t.Unix())} // #nosec G115 -- a test may want a time that wraps
}

// rawKey is the type of the key and the key.
func (w *Witness) rawKey() []byte {
	return append([]byte{0x04}, w.key[ed25519.SeedSize:]...)
}

func (w *Witness) keyHash() uint32 { return vkeyHash(w.Name, w.rawKey()) }

// cosigner is a witness at a time: seconds since 1970.
type cosigner struct {
	*Witness
	seconds uint64
}

// Name implements note.Signer.
func (c cosigner) Name() string { return c.Witness.Name }

// KeyHash implements note.Signer.
func (c cosigner) KeyHash() uint32 { return c.keyHash() }

// Sign implements note.Signer.
func (c cosigner) Sign(text []byte) ([]byte, error) {
	message := append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", c.seconds), text...)
	return append(binary.BigEndian.AppendUint64(nil, c.seconds), ed25519.Sign(c.key, message)...), nil
}

// Fork returns another log with the same name and key and the entries up to size:
// what an operator can show to some and not to others.
func (l *Log) Fork(size int64) *Log {
	fork := *l
	fork.leaves = slices.Clone(l.leaves[:size])
	return &fork
}

// OwnWitness is a witness with the log's own key: it says nothing that the log did not say.
func (l *Log) OwnWitness(tb testing.TB, name string) *Witness {
	tb.Helper()
	key, ok := l.key.(ed25519.PrivateKey)
	if !ok {
		tb.Fatalf("the log's key is %T", l.key)
	}
	return &Witness{Name: name, key: key}
}
