package auditor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/audit"
	"github.com/avow-dev/avow/verify/index/leaf"
	"github.com/avow-dev/avow/verify/index/replay"
)

// maxStep is the largest step whose proof is put into a file, in entries.
const maxStep = 4096

// maxStepBytes is the largest such proof, in bytes: in base64 it fits into a file.
const maxStepBytes = follow.MaxEvidenceBytes / 2

// errTooLarge: a proof does not fit into a file.
var errTooLarge = errors.New("the step is too large")

// codes are those of findings for those of the audit.
func codes(code string) follow.Code {
	switch code {
	case index.CodeRootMalformed:
		return follow.CodeIndexLeaf
	case audit.CodeLogDiffers:
		return follow.CodeIndexTree
	case audit.CodeLateUnknown:
		return follow.CodeIndexLate
	case audit.CodeStatementMissing:
		return follow.CodeIndexMissing
	default:
		return follow.CodeIndexDiffers
	}
}

// prove collects what shows that a leaf differs, and returns it as *follow.Caught.
func (r *run) prove(ctx context.Context, differs *audit.Error, raw []byte) error {
	code := codes(differs.Code)
	detail := fmt.Sprintf("leaf %d of %s: %s", differs.Leaf, r.roots.Origin, differs.Detail)
	if code == follow.CodeIndexMissing && r.entries.fault != nil {
		fault := r.entries.fault
		return r.found(code, fmt.Sprintf("%s: the service answered %d for that of entry %d", detail, fault.Status, fault.Index), fault)
	}
	e, err := r.leafEvidence(ctx, differs.Leaf, raw)
	if err != nil {
		return err
	}
	switch {
	case code == follow.CodeIndexLeaf, code == follow.CodeIndexTree && differs.Published == nil:
		e.Kind = follow.KindIndexLeaf
		return r.found(code, detail, e)
	case code == follow.CodeIndexTree:
		e.Kind, err = follow.KindIndexTree, r.proveTree(ctx, differs.Published.Size, e.Proof)
	case code == follow.CodeIndexLate:
		e.Kind, err = follow.KindIndexLate, r.proveLate(ctx, raw, e.Proof)
	default:
		e.Kind, err = follow.KindIndexStep, r.proveStep(ctx, raw, e.Proof)
	}
	var outage *follow.Outage
	if errors.As(err, &outage) && ctx.Err() == nil || errors.Is(err, errTooLarge) {
		// The leaf is wrong all the same. That is shown to whoever replays it.
		e.Kind, e.Proof = follow.KindIndexReplay, &follow.IndexProof{Log: r.log.Raw, Previous: r.previous}
		return r.found(code, fmt.Sprintf("%s (no proof in the file: %v)", detail, err), e)
	}
	if err != nil {
		return err
	}
	return r.found(code, detail, e)
}

// leafEvidence shows a leaf, and the one before it, in the tree of the index log.
func (r *run) leafEvidence(ctx context.Context, at uint64, raw []byte) (*follow.Evidence, error) {
	before, err := r.rootTree.Nodes(ctx, 0, max(at, 1)-1)
	if err != nil {
		return nil, err
	}
	after, err := r.rootTree.Nodes(ctx, at+1, r.roots.Size)
	if err != nil {
		return nil, err
	}
	return &follow.Evidence{Second: r.roots.Raw, Index: at, Leaf: raw, Before: before.Hashes(), After: after.Hashes(),
		Proof: &follow.IndexProof{Previous: r.previous}}, nil
}

// proveTree shows the root of the statement log at a size.
func (r *run) proveTree(ctx context.Context, size uint64, p *follow.IndexProof) error {
	p.Log = r.log.Raw
	before, _, after, err := r.places.Entries(ctx, size, size)
	if err != nil {
		return err
	}
	p.Before, p.After = before.Hashes(), after.Hashes()
	return nil
}

// proveLate shows what the index had of the first late entry that was not unresolved.
func (r *run) proveLate(ctx context.Context, raw []byte, p *follow.IndexProof) error {
	p.Log = r.log.Raw
	root, err := index.ParseRoot(raw)
	if err != nil {
		return err
	}
	for _, at := range root.Late {
		late, err := r.place(ctx, at)
		if err != nil {
			return err
		}
		p.Late = []follow.LateEntry{late}
		l, err := leaf.Read(late.Entry)
		if err != nil {
			return nil //nolint:nilerr // nobody's entry needs no list
		}
		k := index.UnresolvedKey(l.Signer)
		list, proof := r.version.Lookup(k)
		if open(list, at) {
			continue
		}
		p.Opened = []follow.OpenedKey{{Key: k[:], Proof: proof.Append(nil)}}
		for _, e := range list {
			p.Unresolved = append(binary.BigEndian.AppendUint64(p.Unresolved, e.LogIndex), byte(e.Kind))
		}
		return nil
	}
	return fmt.Errorf("%w: the entry that was not unresolved is not found", errTooLarge)
}

// open reports whether an entry of a list of unresolved ones still is.
func open(list []index.Entry, at uint64) bool {
	open := false
	for _, e := range list {
		if e.LogIndex == at {
			open = e.Kind == index.Unresolved
		}
	}
	return open
}

// place is an entry with its place in the tree of the statement log.
func (r *run) place(ctx context.Context, at uint64) (follow.LateEntry, error) {
	before, entries, after, err := r.places.Entries(ctx, at, at+1)
	if err != nil {
		return follow.LateEntry{}, err
	}
	return follow.LateEntry{Index: at, LoggedEntry: follow.LoggedEntry{Entry: entries[0]}, Before: before.Hashes(), After: after.Hashes()}, nil
}

// proveStep collects what a step consists of: its entries, their statements, and what the index had under their keys.
func (r *run) proveStep(ctx context.Context, raw []byte, p *follow.IndexProof) error {
	p.Log = r.log.Raw
	root, err := index.ParseRoot(raw)
	if err != nil {
		return err
	}
	from := uint64(0)
	if r.previous != nil {
		before, err := index.ParseRoot(r.previous)
		if err != nil {
			return err
		}
		from = before.Size
	}
	if root.Size-from+uint64(len(root.Late)) > maxStep {
		return fmt.Errorf("%w: %d entries, want at most %d", errTooLarge, root.Size-from, maxStep)
	}
	s := &step{run: r, root: root, keys: map[index.Key]bool{}}
	for _, at := range root.Late {
		late, err := r.place(ctx, at)
		if err != nil {
			return err
		}
		if late.Statement, err = s.add(ctx, at, late.Entry, true); err != nil {
			return err
		}
		p.Late = append(p.Late, late)
	}
	before, entries, after, err := r.places.Entries(ctx, from, root.Size)
	if err != nil {
		return err
	}
	p.Before, p.After = before.Hashes(), after.Hashes()
	for i, entry := range entries {
		payload, err := s.add(ctx, from+uint64(i), entry, false) // #nosec G115 -- not negative
		if err != nil {
			return err
		}
		p.Entries = append(p.Entries, follow.LoggedEntry{Entry: entry, Statement: payload})
	}
	p.Opened, err = s.open()
	return err
}

// step is a step whose proof is being made.
type step struct {
	*run
	root  *index.Root
	keys  map[index.Key]bool
	bytes int
}

// add notes the keys of an entry, and returns its statement if that is needed.
func (s *step) add(ctx context.Context, at uint64, raw []byte, late bool) ([]byte, error) {
	l, err := leaf.Read(raw)
	if err != nil {
		return nil, nil //nolint:nilerr // nobody's entry has no keys
	}
	var payload []byte
	var st *predicate.Statement
	if !slices.Contains(s.root.Unresolved, at) {
		var fault *follow.Evidence
		if payload, fault, err = s.statement(ctx, at, raw); err != nil {
			return nil, err
		}
		if fault != nil {
			return nil, &follow.Outage{Path: fault.Asked, Reason: "the statement is gone, which was there a moment before"}
		}
		st = l.Statement(payload)
	}
	keys, _ := replay.EntryKeys(replay.LogEntry{Index: at, Signer: l.Signer, Statement: st, Late: late})
	for _, k := range keys {
		s.keys[k] = true
	}
	if s.bytes += len(raw) + len(payload); s.bytes > maxStepBytes {
		return nil, fmt.Errorf("%w: more than %d bytes", errTooLarge, maxStepBytes)
	}
	return payload, nil
}

// open opens the keys in the index as of the leaf before.
func (s *step) open() ([]follow.OpenedKey, error) {
	var opened []follow.OpenedKey
	for k := range s.keys {
		o := s.version.Open(k)
		one := follow.OpenedKey{Key: o.Key[:], Proof: o.Proof.Append(nil)}
		for _, h := range o.List {
			one.List = append(one.List, h[:])
		}
		opened = append(opened, one)
		if s.bytes += len(one.Proof) + len(one.List)*follow.HashSize; s.bytes > maxStepBytes {
			return nil, fmt.Errorf("%w: more than %d bytes", errTooLarge, maxStepBytes)
		}
	}
	slices.SortFunc(opened, func(a, b follow.OpenedKey) int { return slices.Compare(a.Key, b.Key) })
	return opened, nil
}
