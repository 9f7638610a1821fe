package verify

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	sumdbnote "golang.org/x/mod/sumdb/note"
)

// LogKey is the key of a log with an ed25519 key, under its origin: what a checkpoint outside of a bundle is
// verified with. Like the trusted root it is the caller's. It is safe for concurrent use.
type LogKey struct {
	log trustedLog
	// last is the checkpoint that the log's signature was verified on last: the status bundles of a fleet come with the same one.
	last atomic.Pointer[openedCheckpoint]
}

// openedCheckpoint is a text that the log signed, and what it says.
type openedCheckpoint struct {
	text string
	*checkpoint
}

// open verifies a checkpoint's origin and the log's signature. The same text as the last time is what it was then.
func (k *LogKey) open(text string) (*checkpoint, error) {
	if last := k.last.Load(); last != nil && last.text == text {
		return last.checkpoint, nil
	}
	cp, err := openCheckpoint(&k.log, text)
	if err == nil {
		k.last.Store(&openedCheckpoint{text, cp})
	}
	return cp, err
}

// ParseLogKey parses a verifier key NAME+HASH+BASE64 (C2SP signed-note, https://c2sp.org/signed-note) of an
// ed25519 log key, in its one form. Errors wrap [ErrInput].
func ParseLogKey(vkey string) (*LogKey, error) {
	key, err := parseNoteKey(vkey, kindLog, sumdbnote.NewVerifier)
	if err != nil {
		return nil, fmt.Errorf("%w: log key: %w", ErrInput, err)
	}
	return &LogKey{log: trustedLog{origin: key.Name(), public: key.public, verifier: key.Verifier}}, nil
}

// Origin is the log's name.
func (k *LogKey) Origin() string { return k.log.origin }

// ID is "sha256:" and the SHA-256 of the key's SubjectPublicKeyInfo DER; empty for a key that has none.
func (k *LogKey) ID() string {
	der, err := x509.MarshalPKIXPublicKey(k.log.public)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// ValidAt reports whether a time lies in the window of the log's key in the trusted root, both ends included. A key that was
// given by itself has no window.
func (k *LogKey) ValidAt(at time.Time) bool { return k.log.validAt(at) }

// Checkpoint is a verified checkpoint.
type Checkpoint struct {
	// Size and Root are those of the tree.
	Size uint64
	Root [sha256.Size]byte
	// Cosignatures are the valid ones by witnesses of the policy, earliest first; WitnessedBy is when they met its quorum. Both are
	// empty where no policy was given.
	Cosignatures []Cosignature
	WitnessedBy  time.Time
}

// Errors of [OpenCheckpoint].
var (
	// ErrCheckpoint: the text is not a checkpoint of the log in its canonical form, signed by its key, within the limits.
	ErrCheckpoint = errors.New("checkpoint")
	// ErrQuorum: the witness policy is not about the log, or too few of its witnesses cosigned exactly this checkpoint.
	ErrQuorum = errors.New("witness quorum")
)

// OpenCheckpoint verifies a checkpoint with a log's key, and, where a policy is given, that its quorum cosigned it;
// cosignatures after latest do not count. The error wraps [ErrCheckpoint], [ErrQuorum], or [ErrInput] for a policy that asks for
// nothing.
func OpenCheckpoint(text string, key *LogKey, policy *WitnessPolicy, latest time.Time) (*Checkpoint, error) {
	if len(text) > MaxCheckpointBytes || signatureLines(text) > MaxCheckpointSignatures {
		return nil, fmt.Errorf("%w: %d bytes with %d signatures, want at most %d with %d", ErrCheckpoint, len(text), signatureLines(text),
			MaxCheckpointBytes, MaxCheckpointSignatures)
	}
	cp, err := key.open(text)
	if err != nil {
		return nil, fmt.Errorf("%w of %s: %w", ErrCheckpoint, key.log.origin, err)
	}
	c := &Checkpoint{Size: cp.size, Root: [sha256.Size]byte(cp.root)}
	switch {
	case policy == nil:
		return c, nil
	case policy.quorum == nil:
		return nil, fmt.Errorf("%w: an empty witness policy asks for nothing; make it with ParseWitnessPolicy", ErrInput)
	case !policy.lists(&key.log):
		return nil, fmt.Errorf("%w: the witness policy is about other logs than %s", ErrQuorum, key.log.origin)
	}
	cosigned, tooLate, err := policy.cosigned(text, &key.log, latest)
	if err != nil {
		return nil, fmt.Errorf("%w of %s: %w", ErrCheckpoint, key.log.origin, err)
	}
	c.Cosignatures = policy.list(cosigned)
	var ok bool
	if c.WitnessedBy, ok = policy.quorum.completed(cosigned); !ok {
		return nil, fmt.Errorf("%w: %d of %s cosigned the checkpoint of %s in time, %d later; want the quorum %s", ErrQuorum, len(cosigned),
			counted(len(policy.witnesses), "witness", "witnesses"), key.log.origin, tooLate, policy.quorum)
	}
	return c, nil
}
