package follow

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	tilesnote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/signature"
	formats "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"

	"github.com/avow-dev/avow/verify"
)

// Logs are logs by their keys, which the caller trusts.
type Logs struct {
	verifiers []note.Verifier
	vkeys     []string // of those with an ed25519 key
}

// NewLogs are the logs of these keys.
func NewLogs(verifiers ...note.Verifier) *Logs { return &Logs{verifiers: verifiers} }

// With are the logs of both.
func (l *Logs) With(other *Logs) *Logs {
	return &Logs{slices.Concat(l.verifiers, other.verifiers), slices.Concat(l.vkeys, other.vkeys)}
}

// Key is the key that signed a checkpoint, for package verify, which knows ed25519 keys alone.
func (l *Logs) Key(h *Head) (*verify.LogKey, error) {
	for _, vkey := range l.vkeys {
		key, err := verify.ParseLogKey(vkey)
		if err != nil {
			return nil, err
		}
		if _, err := verify.OpenCheckpoint(string(h.Raw), key, nil, time.Time{}); err == nil {
			return key, nil
		}
	}
	return nil, fmt.Errorf("the log %s has no ed25519 key, which witness policies need", h.Origin)
}

// Origins are the names of the logs.
func (l *Logs) Origins() []string {
	var names []string
	for _, v := range l.verifiers {
		names = append(names, v.Name())
	}
	return names
}

// ParseLogKey reads the key of one log, NAME+HASH+BASE64 (C2SP signed-note). The error wraps [verify.ErrInput].
func ParseLogKey(vkey string) (*Logs, error) {
	if _, err := verify.ParseLogKey(vkey); err != nil {
		return nil, err
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", verify.ErrInput, err)
	}
	return &Logs{[]note.Verifier{v}, []string{vkey}}, nil
}

// ParseLogs reads the keys of the logs from a trusted_root.json. The error wraps [verify.ErrTrust].
func ParseLogs(trustedRoot []byte) (*Logs, error) {
	if _, err := verify.ParseTrust(trustedRoot); err != nil {
		return nil, err
	}
	material, err := root.NewTrustedRootFromJSON(trustedRoot)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", verify.ErrTrust, err)
	}
	logs := &Logs{}
	for _, l := range material.RekorLogs() {
		u, err := url.Parse(l.BaseURL)
		if err != nil || u.Hostname() == "" {
			continue // a log without a name signs no checkpoints
		}
		v, err := signature.LoadVerifier(l.PublicKey, l.SignatureHashFunc)
		if err != nil {
			continue // a key of a kind that is not known here: nothing will be accepted under it
		}
		verifier, err := tilesnote.NewNoteVerifier(u.Hostname(), v)
		if err != nil {
			continue
		}
		logs.verifiers = append(logs.verifiers, verifier)
		if key, ok := l.PublicKey.(ed25519.PublicKey); ok {
			if vkey, err := note.NewEd25519VerifierKey(u.Hostname(), key); err == nil {
				logs.vkeys = append(logs.vkeys, vkey)
			}
		}
	}
	if len(logs.verifiers) == 0 {
		return nil, fmt.Errorf("%w: it names no log whose checkpoints can be verified", verify.ErrTrust)
	}
	return logs, nil
}

// Head is a checkpoint whose signature was verified.
type Head struct {
	Raw    []byte
	Origin string
	Size   uint64
	Root   []byte
}

// Open verifies a checkpoint: signed by the key of the log that it names.
func (l *Logs) Open(raw []byte) (*Head, error) {
	if len(raw) > maxCheckpointBytes {
		return nil, fmt.Errorf("checkpoint of %d bytes, want at most %d", len(raw), maxCheckpointBytes)
	}
	n, err := note.Open(raw, note.VerifierList(l.verifiers...))
	if err != nil {
		return nil, err
	}
	var cp formats.Checkpoint
	rest, err := cp.Unmarshal([]byte(n.Text))
	switch {
	case err != nil:
		return nil, err
	case len(rest) > 0 || !bytes.Equal(cp.Marshal(), []byte(n.Text)):
		return nil, errors.New("not the canonical form of a checkpoint")
	case len(cp.Hash) != sha256.Size || cp.Size > maxTree:
		return nil, fmt.Errorf("root of %d bytes over %d entries, want %d bytes over at most %d", len(cp.Hash), cp.Size,
			sha256.Size, uint64(maxTree))
	}
	for _, s := range n.Sigs {
		if s.Name == cp.Origin {
			return &Head{Raw: raw, Origin: cp.Origin, Size: cp.Size, Root: cp.Hash}, nil
		}
	}
	return nil, fmt.Errorf("the checkpoint of %.100q is not signed by that log", cp.Origin)
}
