package tlog

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"

	tilesnote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore/pkg/signature"
	formats "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
)

// head is a tree head: what the text of a checkpoint says.
type head struct {
	size uint64
	root hash
}

// identity is the log's name and key, and what follows from them.
type identity struct {
	origin   string
	logID    hash
	signer   note.Signer
	verifier note.Verifier
}

// newIdentity derives the note keys in the form that Sigstore's verifiers expect (rekor-tiles pkg/note).
func newIdentity(ctx context.Context, origin string, key ed25519.PrivateKey) (identity, error) {
	bad := func(err error) (identity, error) {
		return identity{}, &Error{Code: CodeInvalidConfig, Message: "the log key is not usable", Err: err}
	}
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return bad(errors.New("no ed25519 public key"))
	}
	// The hash is ignored for ed25519. The context is kept by the note signer for as long as the log is open.
	signer, err := signature.LoadSigner(key, crypto.SHA256)
	if err != nil {
		return bad(err)
	}
	noteSigner, err := tilesnote.NewNoteSigner(context.WithoutCancel(ctx), origin, signer)
	if err != nil {
		return bad(err)
	}
	verifier, err := signature.LoadVerifier(public, crypto.SHA256)
	if err != nil {
		return bad(err)
	}
	noteVerifier, err := tilesnote.NewNoteVerifier(origin, verifier)
	if err != nil {
		return bad(err)
	}
	_, logID, err := tilesnote.KeyHash(origin, public)
	if err != nil || len(logID) != sha256.Size {
		return bad(errors.Join(err, fmt.Errorf("log id of %d bytes, want %d", len(logID), sha256.Size)))
	}
	return identity{origin: origin, logID: hash(logID), signer: noteSigner, verifier: noteVerifier}, nil
}

// parseHead parses the text of a checkpoint of the log named origin. Only the three lines that Tessera writes are
// accepted, in exactly the form in which they are written.
//
// > "The second line is the ASCII decimal representation of the number of leaves in the tree, with no leading zeroes"
// (https://c2sp.org/tlog-checkpoint)
func parseHead(text []byte, origin string) (head, error) {
	var cp formats.Checkpoint
	_, err := cp.Unmarshal(text)
	switch {
	case err != nil:
		return head{}, err
	case cp.Origin != origin:
		return head{}, fmt.Errorf("checkpoint of %q, want %q", cp.Origin, origin)
	case len(cp.Hash) != sha256.Size:
		return head{}, fmt.Errorf("root of %d bytes, want %d", len(cp.Hash), sha256.Size)
	case string(cp.Marshal()) != string(text):
		return head{}, errors.New("checkpoint is not in its canonical form, or has extension lines")
	}
	return head{size: cp.Size, root: hash(cp.Hash)}, nil
}

// openCheckpoint verifies the log's own signature on a published checkpoint. Signatures of others are ignored.
func (id identity) openCheckpoint(raw []byte) (head, error) {
	if len(raw) > MaxCheckpointBytes {
		return head{}, fmt.Errorf("checkpoint of %d bytes, want at most %d", len(raw), MaxCheckpointBytes)
	}
	n, err := note.Open(raw, note.VerifierList(id.verifier))
	if err != nil {
		return head{}, err
	}
	return parseHead([]byte(n.Text), id.origin)
}

// readCheckpoint reads and verifies the published checkpoint. An absent file is reported by ok.
func (id identity) readCheckpoint(ctx context.Context, r Reader) (raw []byte, h head, ok bool, err error) {
	raw, err = r.ReadCheckpoint(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, head{}, false, nil
	}
	if err != nil {
		return nil, head{}, false, Unavailable("reading the checkpoint", err)
	}
	h, err = id.openCheckpoint(raw)
	if err != nil {
		return nil, head{}, false, &Error{Code: CodeCorrupt, Message: "the published checkpoint is not one of this log", Err: err}
	}
	return raw, h, true, nil
}
