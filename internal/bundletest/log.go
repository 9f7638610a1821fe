package bundletest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"math/bits"
	"testing"
	"time"

	"github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/transparency-dev/merkle/rfc6962"
	sumdbnote "golang.org/x/mod/sumdb/note"
)

// Log is an append-only RFC 6962 tree in memory with a checkpoint key.
type Log struct {
	// Origin is the log's name and the host of its base URL.
	Origin string
	// Start and End are the key's validity in the trusted root; a zero End is no end.
	Start, End time.Time

	key    crypto.Signer
	signer sumdbnote.Signer
	public crypto.PublicKey
	id     []byte
	leaves [][]byte // leaf hashes
}

// NewLog makes a log with an ed25519 key, as avow's are.
func NewLog(tb testing.TB, origin string, start time.Time) *Log {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return newLog(tb, origin, key, start)
}

// NewECDSALog makes a log with a P-256 key.
func NewECDSALog(tb testing.TB, origin string, start time.Time) *Log {
	tb.Helper()
	return newLog(tb, origin, newKey(tb), start)
}

func newLog(tb testing.TB, origin string, key crypto.Signer, start time.Time) *Log {
	tb.Helper()
	s, err := signature.LoadSigner(key, crypto.SHA256)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := note.NewNoteSigner(tb.Context(), origin, s)
	if err != nil {
		tb.Fatal(err)
	}
	_, id, err := note.KeyHash(origin, key.Public())
	if err != nil {
		tb.Fatal(err)
	}
	l := &Log{Origin: origin, Start: start, key: key, signer: signer, public: key.Public(), id: id}
	for i := range 5 { // entries of others, so that proofs have hashes
		l.Append(fmt.Appendf(nil, "entry %d of somebody else", i))
	}
	return l
}

// ID is the log's id in bundles and trusted roots.
func (l *Log) ID() []byte { return l.id }

// Append adds a leaf and returns its index.
func (l *Log) Append(leaf []byte) int64 {
	l.leaves = append(l.leaves, rfc6962.DefaultHasher.HashLeaf(leaf))
	return int64(len(l.leaves) - 1)
}

// Size is the number of leaves.
func (l *Log) Size() int64 { return int64(len(l.leaves)) }

// Root is the root hash of the tree.
func (l *Log) Root() []byte { return treeHash(l.leaves) }

// Proof is the inclusion path of a leaf in the tree of today.
func (l *Log) Proof(index int64) [][]byte { return path(index, l.leaves) }

// Checkpoint is the signed tree head of today; with other signers, their
// cosignatures follow the log's signature.
func (l *Log) Checkpoint(tb testing.TB, others ...sumdbnote.Signer) string {
	tb.Helper()
	text := fmt.Sprintf("%s\n%d\n%s\n", l.Origin, l.Size(), base64.StdEncoding.EncodeToString(l.Root()))
	return l.SignNote(tb, text, others...)
}

// SignNote signs any text with the log's key, well-formed checkpoint or not.
func (l *Log) SignNote(tb testing.TB, text string, others ...sumdbnote.Signer) string {
	tb.Helper()
	signed, err := sumdbnote.Sign(&sumdbnote.Note{Text: text}, append([]sumdbnote.Signer{l.signer}, others...)...)
	if err != nil {
		tb.Fatal(err)
	}
	return string(signed)
}

// trusted is the log's entry in a trusted root.
func (l *Log) trusted() *root.TransparencyLog {
	return &root.TransparencyLog{
		BaseURL: "https://" + l.Origin, ID: l.id, HashFunc: crypto.SHA256, PublicKey: l.public,
		SignatureHashFunc: crypto.SHA256, ValidityPeriodStart: l.Start, ValidityPeriodEnd: l.End,
	}
}

// treeHash is MTH of RFC 6962, section 2.1.
func treeHash(leaves [][]byte) []byte {
	switch n := len(leaves); n {
	case 0:
		return rfc6962.DefaultHasher.EmptyRoot()
	case 1:
		return leaves[0]
	default:
		k := split(n)
		return rfc6962.DefaultHasher.HashChildren(treeHash(leaves[:k]), treeHash(leaves[k:]))
	}
}

// path is PATH of RFC 6962, section 2.1.1.
func path(index int64, leaves [][]byte) [][]byte {
	n := len(leaves)
	if n <= 1 {
		return nil
	}
	k := split(n)
	if index < int64(k) {
		return append(path(index, leaves[:k]), treeHash(leaves[k:]))
	}
	return append(path(index-int64(k), leaves[k:]), treeHash(leaves[:k]))
}

// split is the largest power of two below n.
func split(n int) int { return 1 << (bits.Len(uint(n-1)) - 1) }

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}
