package monitor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/avow-dev/avow/attest/predicate"
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
	// Asked is the path that was asked for, Status and Answered what came back, Wanted what should have.
	Asked    string `json:"asked,omitempty"`
	Status   int    `json:"status,omitempty"`
	Answered []byte `json:"answered,omitempty"`
	Wanted   string `json:"wanted,omitempty"`
}

// ParseEvidence reads evidence strictly. Nothing in it is believed yet.
func ParseEvidence(data []byte) (*Evidence, error) {
	limits := predicate.JSONLimits{MaxBytes: MaxEvidenceBytes, MaxDepth: 4, MaxValues: 1024, AnyNumber: true}
	if err := predicate.StrictJSON(data, limits); err != nil {
		return nil, err
	}
	e := &Evidence{}
	if err := decodeStrict(data, e); err != nil {
		return nil, err
	}
	if e.Format != evidenceFormat {
		return nil, fmt.Errorf("format %.40q, want %q", e.Format, evidenceFormat)
	}
	switch e.Kind {
	case KindFork, KindInconsistent, KindEntry, KindNotProvable:
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

// errNotProven is wrapped by what Check says about evidence that is none.
var errNotProven = errors.New("not proven")

// Check checks the evidence with nothing but the keys of the trusted root. It returns what is proven as a sentence, or
// an error that says why nothing is.
func (e *Evidence) Check(logs *Logs) (string, error) {
	second, err := logs.open(e.Second)
	if err != nil {
		return "", fmt.Errorf("%w: second checkpoint: %w", errNotProven, err)
	}
	if e.Kind == KindEntry {
		return e.checkEntry(second)
	}
	if e.Kind == KindNotProvable {
		return "", fmt.Errorf("%w: that %s was asked for and what was answered is signed by nobody; ask the log yourself, "+
			"it should have answered: %.300s", errNotProven, e.Asked, e.Wanted)
	}
	first, err := logs.open(e.First)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: first checkpoint: %w", errNotProven, err)
	case first.origin != second.origin:
		return "", fmt.Errorf("%w: the checkpoints are of two logs, %s and %s", errNotProven, first.origin, second.origin)
	case e.Kind == KindFork:
		return e.checkFork(first, second)
	}
	return e.checkInconsistent(first, second)
}

func (e *Evidence) checkFork(first, second *head) (string, error) {
	if first.size != second.size || bytes.Equal(first.root, second.root) {
		return "", fmt.Errorf("%w: sizes %d and %d, want one size with two roots", errNotProven, first.size, second.size)
	}
	return fmt.Sprintf("the log %s signed two trees of %d entries, with roots %x and %x", first.origin, first.size,
		first.root, second.root), nil
}

// checkInconsistent: Before and After give the root of Second, so they are its tree, and Before is what its first
// entries hash to. If that is not the root of First, no consistency proof between the two exists.
func (e *Evidence) checkInconsistent(first, second *head) (string, error) {
	if first.size >= second.size {
		return "", fmt.Errorf("%w: sizes %d and %d, want the second to be larger", errNotProven, first.size, second.size)
	}
	before, err := makeRange(0, first.size, e.Before)
	if err != nil {
		return "", fmt.Errorf("%w: before: %w", errNotProven, err)
	}
	after, err := makeRange(first.size, second.size, e.After)
	if err != nil {
		return "", fmt.Errorf("%w: after: %w", errNotProven, err)
	}
	whole, err := joined(before, after)
	if err != nil || !bytes.Equal(whole, second.root) {
		return "", fmt.Errorf("%w: the hashes do not give the root of the second checkpoint", errNotProven)
	}
	start, err := rootOf(before)
	if err != nil || bytes.Equal(start, first.root) {
		return "", fmt.Errorf("%w: the first tree is contained in the second", errNotProven)
	}
	return fmt.Sprintf("the log %s signed a tree of %d entries with root %x, and one of %d entries whose first %d have "+
		"root %x", first.origin, first.size, first.root, second.size, first.size, start), nil
}

func (e *Evidence) checkEntry(second *head) (string, error) {
	if e.Index >= second.size {
		return "", fmt.Errorf("%w: entry %d of a tree of %d", errNotProven, e.Index, second.size)
	}
	before, err := makeRange(0, e.Index, e.Before)
	if err != nil {
		return "", fmt.Errorf("%w: before: %w", errNotProven, err)
	}
	own, err := makeRange(e.Index, e.Index+1, [][]byte{rfc6962.DefaultHasher.HashLeaf(e.Leaf)})
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNotProven, err)
	}
	after, err := makeRange(e.Index+1, second.size, e.After)
	if err != nil {
		return "", fmt.Errorf("%w: after: %w", errNotProven, err)
	}
	whole, err := joined(before, own, after)
	if err != nil || !bytes.Equal(whole, second.root) {
		return "", fmt.Errorf("%w: the entry is not in the tree of the checkpoint", errNotProven)
	}
	fault := entryFault(e.Leaf)
	if fault == nil {
		return "", fmt.Errorf("%w: the entry is well formed and signed", errNotProven)
	}
	return fmt.Sprintf("the log %s holds an invalid entry at %d: %v", second.origin, e.Index, fault), nil
}

// entryFault says what is wrong with an entry, nil if nothing is.
func entryFault(data []byte) error {
	l, err := parseLeaf(data)
	if err != nil {
		return err
	}
	return l.checkSignature()
}
