package monitor

import (
	"context"
	"fmt"
	"slices"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/follow"
)

// inspect looks at one new entry and its statement.
func (r *round) inspect(ctx context.Context, index uint64, data []byte) error {
	if fault := follow.EntryFault(data); fault != nil {
		return r.invalid(ctx, index, data, fault)
	}
	l, err := follow.ParseLeaf(data)
	if err != nil {
		return err
	}
	entry, fault, err := r.look(ctx, index, l, data)
	if err != nil {
		return err
	}
	if r.bare(entry, fault) {
		return r.report(bareFinding(entry))
	}
	if fault != nil {
		if err := r.misbehaviour(fault.Code, fault.Detail(), entry, fault); err != nil {
			return err
		}
		if len(r.pending)+len(r.state.Missing) >= maxMissing {
			return &follow.Outage{Path: "/statements/by-index/", Reason: fmt.Sprintf("more than %d entries are without their statement", maxMissing)}
		}
		r.state.Missing = append(r.state.Missing, missing{index, slices.Clone(data)})
	}
	return r.judge(entry)
}

// askAgain asks for the statements that were not there before.
func (r *round) askAgain(ctx context.Context) error {
	var still []missing
	for _, m := range r.pending {
		l, err := follow.ParseLeaf(m.Leaf)
		if err != nil {
			return err // the state was checked when it was loaded
		}
		entry, fault, err := r.look(ctx, m.Index, l, m.Leaf)
		if err != nil {
			return err
		}
		if r.bare(entry, fault) {
			if err := r.report(bareFinding(entry)); err != nil {
				return err
			}
			continue
		}
		if fault != nil { // the evidence was written when it was found
			still = append(still, m)
			if err := r.report(follow.Finding{Code: fault.Code, Class: follow.Misbehaviour, Detail: fault.Detail(), Entry: entry}); err != nil {
				return err
			}
			continue
		}
		err = r.report(follow.Finding{Code: follow.CodeFound, Class: follow.Notice, Detail: "the statement is there now", Entry: entry})
		if err == nil {
			err = r.judge(entry)
		}
		if err != nil {
			return err
		}
	}
	r.state.Missing = append(still, r.state.Missing...)
	return nil
}

// look fetches the statement of an entry and compares it with the entry. What is known of the entry is returned, and
// evidence if the statement is not there or is another one.
func (r *round) look(ctx context.Context, index uint64, l *follow.Leaf, data []byte) (*follow.Entry, *follow.Evidence, error) {
	entry := &follow.Entry{Index: index, KeyID: l.KeyID(), Identity: l.Identity()}
	a, missed, err := r.Client.Statement(ctx, index, predicate.MaxStatementBytes)
	if err != nil {
		return nil, nil, err
	}
	fault := &follow.Evidence{Kind: follow.KindNotProvable, Code: follow.CodeMissing, Index: index, Leaf: data,
		Asked: fmt.Sprintf("/statements/by-index/%d", index), Status: a.Status, Answered: a.Body,
		Wanted: fmt.Sprintf("the statement whose DSSE encoding has the SHA-256 %x", l.Digest)}
	switch {
	case missed:
		return entry, fault, nil
	case !l.SpeaksOf(a.Body):
		fault.Code = follow.CodeMismatch
		return entry, fault, nil
	}
	entry.Read(a.Body)
	return entry, nil, nil
}

// bare reports whether an entry may be without its statement. A watched signer's never is: whatever was signed with a
// watched key has to be seen.
func (r *round) bare(e *follow.Entry, fault *follow.Evidence) bool {
	return r.AllowBare && fault != nil && fault.Code == follow.CodeMissing && !r.Watch.signer(e)
}

func bareFinding(e *follow.Entry) follow.Finding {
	return follow.Finding{Code: follow.CodeBare, Class: follow.Notice, Entry: e,
		Detail: fmt.Sprintf("entry %d has no statement here, and nobody watches its signer", e.Index)}
}

// judge reports an entry that somebody watches.
func (r *round) judge(e *follow.Entry) error {
	if e.StatementID != "" && e.PredicateType == "" && (r.Watch.signer(e) || len(r.Watch.Products) > 0) {
		if err := r.report(follow.Finding{Code: follow.CodeUnreadable, Class: follow.Unexpected, Entry: e,
			Detail: fmt.Sprintf("the statement of entry %d cannot be read: what it is about is not known", e.Index)}); err != nil {
			return err
		}
	}
	code, class := r.Watch.judge(e)
	if code == "" {
		return nil
	}
	detail := map[follow.Code]string{follow.CodeEntry: "a watched entry", follow.CodeExpected: "an expected entry",
		follow.CodeUnexpected: "a watched entry that was not expected"}[code]
	return r.report(follow.Finding{Code: code, Class: class, Entry: e, Detail: detail})
}

// invalid reports an entry that is none, with its place in the tree.
func (r *round) invalid(ctx context.Context, index uint64, data []byte, fault error) error {
	before, err := r.tree.Nodes(ctx, 0, index)
	if err != nil {
		return r.caught(err)
	}
	after, err := r.tree.Nodes(ctx, index+1, r.now.Size)
	if err != nil {
		return r.caught(err)
	}
	return r.misbehaviour(follow.CodeEntryInvalid, fmt.Sprintf("entry %d is invalid: %v", index, fault), &follow.Entry{Index: index},
		&follow.Evidence{Kind: follow.KindEntry, Index: index, Leaf: data, Before: before.Hashes(), After: after.Hashes()})
}
