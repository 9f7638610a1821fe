package follow

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/wholefile"
)

// evidenceFormat names the form of evidence files. It never changes its meaning.
const evidenceFormat = "avow-misbehaviour/v1"

// Kind says what evidence is about, and so which members it has.
type Kind string

// Kinds of evidence.
const (
	// KindFork: First and Second have one size and two roots. It is proof.
	KindFork Kind = "fork"
	// KindInconsistent: the tree of Second begins with other entries than the tree of First. It is proof: Before and
	// After are the tree of Second, cut at the size of First.
	KindInconsistent Kind = "inconsistent"
	// KindEntry: Leaf is entry Index of the tree of Second, and no valid entry. It is proof: Before and After are the
	// tree around it.
	KindEntry Kind = "entry"
	// KindIndexLeaf: Leaf is leaf Index of the index log, whose checkpoint is Second, and no root, or none that can follow
	// Proof.Previous, or it names a statement log that is none. It is proof, as are the next three; Before and After are
	// the tree around the leaf and the one before it.
	KindIndexLeaf Kind = "index-leaf"
	// KindIndexTree: the statement log, whose checkpoint is Proof.Log, has another root at the leaf's size.
	KindIndexTree Kind = "index-tree"
	// KindIndexLate: the index had no unresolved entry where the leaf calls one late.
	KindIndexLate Kind = "index-late"
	// KindIndexStep: the step from Proof.Previous to the leaf leads to another index than the leaf says.
	KindIndexStep Kind = "index-step"
	// KindIndexReplay: the same, too large for a file. It shows which leaf; whoever wants to know replays the index.
	KindIndexReplay Kind = "index-replay"
	// KindNotProvable: what a server answered, signed by nobody. It tells a person what to look into.
	KindNotProvable Kind = "not-provable"
)

// Evidence is a self-contained record of a misbehaviour. Byte strings are base64 in its JSON.
type Evidence struct {
	Format string `json:"format"`
	Kind   Kind   `json:"kind"`
	// Code is the finding that it belongs to.
	Code Code `json:"code"`
	// First is the checkpoint that was remembered, if it matters; Second the one that was served.
	First  []byte `json:"first,omitempty"`
	Second []byte `json:"second"`
	// Before and After are the hashes of compact ranges of the tree of Second.
	Before [][]byte `json:"before,omitempty"`
	After  [][]byte `json:"after,omitempty"`
	// Index and Leaf are an entry of the log.
	Index uint64 `json:"index,omitempty"`
	Leaf  []byte `json:"leaf,omitempty"`
	// Proof is what the kinds about the index have beside that.
	Proof *IndexProof `json:"proof,omitempty"`
	// Asked is the path that was asked for, Status and Answered what came back, Wanted what should have.
	Asked    string `json:"asked,omitempty"`
	Status   int    `json:"status,omitempty"`
	Answered []byte `json:"answered,omitempty"`
	Wanted   string `json:"wanted,omitempty"`
}

// ParseEvidence reads evidence strictly. Nothing in it is believed yet.
func ParseEvidence(data []byte) (*Evidence, error) {
	limits := predicate.JSONLimits{MaxBytes: MaxEvidenceBytes, MaxDepth: 6, MaxValues: maxEvidenceValues, AnyNumber: true}
	if err := predicate.StrictJSON(data, limits); err != nil {
		return nil, err
	}
	e := &Evidence{}
	if err := DecodeStrict(data, e); err != nil {
		return nil, err
	}
	if e.Format != evidenceFormat {
		return nil, fmt.Errorf("format %.40q, want %q", e.Format, evidenceFormat)
	}
	switch e.Kind {
	case KindFork, KindInconsistent, KindEntry, KindNotProvable:
		return e, nil
	case KindIndexLeaf, KindIndexTree, KindIndexLate, KindIndexStep, KindIndexReplay:
		if e.Proof == nil {
			return nil, fmt.Errorf("kind %s without proof", e.Kind)
		}
		return e, nil
	}
	return nil, fmt.Errorf("kind %.40q is unknown", e.Kind)
}

func (e *Evidence) marshal() ([]byte, error) {
	e.Format = evidenceFormat
	data, err := json.MarshalIndent(e, "", "  ")
	if err == nil && len(data) > MaxEvidenceBytes {
		err = fmt.Errorf("evidence of %d bytes, want at most %d", len(data), MaxEvidenceBytes)
	}
	return append(data, '\n'), err
}

// Write writes the evidence durably into a directory. It is named by its content: the same again is the same file.
func (e *Evidence) Write(dir string) (name string, err error) {
	data, err := e.marshal()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	name = fmt.Sprintf("evidence-%s-%x.json", e.Code, sum[:8])
	if err := wholefile.Replace(filepath.Join(dir, name), data, 0o600); err != nil {
		return "", fmt.Errorf("evidence of %s: %w", e.Code, err)
	}
	return name, nil
}

// ErrNotProven is wrapped by what Check says about evidence that is none.
var ErrNotProven = errors.New("not proven")

// NeedsIndexKey reports whether nothing can be proven without the key of the index log.
func (e *Evidence) NeedsIndexKey() bool { return e.Proof != nil }

// Check checks the evidence with nothing but the keys of statement logs and, if it is not nil, of the index log. It returns
// what is proven as a sentence, or an error that says why nothing is.
func (e *Evidence) Check(logs, index *Logs) (string, error) {
	if e.Proof != nil {
		return e.checkIndex(logs, index)
	}
	entries := logs // an entry that is none is a fault of statement logs alone
	if index != nil {
		logs = logs.With(index)
	}
	if e.Kind == KindEntry {
		logs = entries
	}
	second, err := logs.Open(e.Second)
	if err != nil {
		return "", fmt.Errorf("%w: second checkpoint: %w", ErrNotProven, err)
	}
	if e.Kind == KindEntry {
		return e.checkEntry(second)
	}
	if e.Kind == KindNotProvable {
		return "", fmt.Errorf("%w: that %s was asked for and what was answered is signed by nobody; ask the log yourself, "+
			"it should have answered: %.300s", ErrNotProven, e.Asked, e.Wanted)
	}
	first, err := logs.Open(e.First)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: first checkpoint: %w", ErrNotProven, err)
	case first.Origin != second.Origin:
		return "", fmt.Errorf("%w: the checkpoints are of two logs, %s and %s", ErrNotProven, first.Origin, second.Origin)
	case e.Kind == KindFork:
		return e.checkFork(first, second)
	}
	return e.checkInconsistent(first, second)
}

func (e *Evidence) checkFork(first, second *Head) (string, error) {
	if first.Size != second.Size || bytes.Equal(first.Root, second.Root) {
		return "", fmt.Errorf("%w: sizes %d and %d, want one size with two roots", ErrNotProven, first.Size, second.Size)
	}
	return fmt.Sprintf("the log %s signed two trees of %d entries, with roots %x and %x", first.Origin, first.Size,
		first.Root, second.Root), nil
}

// checkInconsistent: Before and After give the root of Second, so they are its tree, and Before is what its first
// entries hash to. If that is not the root of First, no consistency proof between the two exists.
func (e *Evidence) checkInconsistent(first, second *Head) (string, error) {
	if first.Size >= second.Size {
		return "", fmt.Errorf("%w: sizes %d and %d, want the second to be larger", ErrNotProven, first.Size, second.Size)
	}
	before, err := MakeRange(0, first.Size, e.Before)
	if err != nil {
		return "", fmt.Errorf("%w: before: %w", ErrNotProven, err)
	}
	after, err := MakeRange(first.Size, second.Size, e.After)
	if err != nil {
		return "", fmt.Errorf("%w: after: %w", ErrNotProven, err)
	}
	whole, err := Joined(before, after)
	if err != nil || !bytes.Equal(whole, second.Root) {
		return "", fmt.Errorf("%w: the hashes do not give the root of the second checkpoint", ErrNotProven)
	}
	start, err := RootOf(before)
	if err != nil || bytes.Equal(start, first.Root) {
		return "", fmt.Errorf("%w: the first tree is contained in the second", ErrNotProven)
	}
	return fmt.Sprintf("the log %s signed a tree of %d entries with root %x, and one of %d entries whose first %d have "+
		"root %x", first.Origin, first.Size, first.Root, second.Size, first.Size, start), nil
}

func (e *Evidence) checkEntry(second *Head) (string, error) {
	if e.Index >= second.Size {
		return "", fmt.Errorf("%w: entry %d of a tree of %d", ErrNotProven, e.Index, second.Size)
	}
	before, err := MakeRange(0, e.Index, e.Before)
	if err != nil {
		return "", fmt.Errorf("%w: before: %w", ErrNotProven, err)
	}
	own, err := MakeRange(e.Index, e.Index+1, [][]byte{rfc6962.DefaultHasher.HashLeaf(e.Leaf)})
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotProven, err)
	}
	after, err := MakeRange(e.Index+1, second.Size, e.After)
	if err != nil {
		return "", fmt.Errorf("%w: after: %w", ErrNotProven, err)
	}
	whole, err := Joined(before, own, after)
	if err != nil || !bytes.Equal(whole, second.Root) {
		return "", fmt.Errorf("%w: the entry is not in the tree of the checkpoint", ErrNotProven)
	}
	fault := EntryFault(e.Leaf)
	if fault == nil {
		return "", fmt.Errorf("%w: the entry is well formed and signed", ErrNotProven)
	}
	return fmt.Sprintf("the log %s holds an invalid entry at %d: %v", second.Origin, e.Index, fault), nil
}

// EntryFault says what is wrong with an entry, nil if nothing is.
func EntryFault(data []byte) error {
	l, err := ParseLeaf(data)
	if err != nil {
		return err
	}
	return l.checkSignature()
}

// DecodeStrict reads JSON with known members only and nothing after it.
func DecodeStrict(data []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows after the JSON value")
	}
	return nil
}

// Detail says what is wrong with the statement of an entry.
func (e *Evidence) Detail() string {
	if e.Code == CodeMissing {
		return fmt.Sprintf("entry %d has no statement: the service answered %d", e.Index, e.Status)
	}
	return fmt.Sprintf("the statement of entry %d is not the one that was signed", e.Index)
}
