package monitor

import (
	"context"
	"fmt"
	"slices"

	"github.com/avow-dev/avow/attest/predicate"
)

// inspect looks at one new entry and its statement.
func (r *round) inspect(ctx context.Context, index uint64, data []byte) error {
	if fault := entryFault(data); fault != nil {
		return r.invalid(ctx, index, data, fault)
	}
	l, err := parseLeaf(data)
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
		if err := r.misbehaviour(fault.Code, fault.detail(), entry, fault); err != nil {
			return err
		}
		if len(r.pending)+len(r.state.Missing) >= maxMissing {
			return &Outage{Path: "/statements/by-index/", Reason: fmt.Sprintf("more than %d entries are without their statement", maxMissing)}
		}
		r.state.Missing = append(r.state.Missing, missing{index, slices.Clone(data)})
	}
	return r.judge(entry)
}

// askAgain asks for the statements that were not there before.
func (r *round) askAgain(ctx context.Context) error {
	var still []missing
	for _, m := range r.pending {
		l, err := parseLeaf(m.Leaf)
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
			if err := r.report(Finding{Code: fault.Code, Class: Misbehaviour, Detail: fault.detail(), Entry: entry}); err != nil {
				return err
			}
			continue
		}
		err = r.report(Finding{Code: CodeFound, Class: Notice, Detail: "the statement is there now", Entry: entry})
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
func (r *round) look(ctx context.Context, index uint64, l *leaf, data []byte) (*Entry, *Evidence, error) {
	entry := &Entry{Index: index, KeyID: l.keyID()}
	// A certificate that cannot be read names nobody; its key is compared all the same.
	if who, err := l.identity(); err == nil && l.certificate != nil {
		entry.Identity = &who
	}
	a, missed, err := r.Client.statement(ctx, index, predicate.MaxStatementBytes)
	if err != nil {
		return nil, nil, err
	}
	fault := &Evidence{Kind: KindNotProvable, Code: CodeMissing, Index: index, Leaf: data,
		Asked: fmt.Sprintf("/statements/by-index/%d", index), Status: a.status, Answered: a.body,
		Wanted: fmt.Sprintf("the statement whose DSSE encoding has the SHA-256 %x", l.digest)}
	switch {
	case missed:
		return entry, fault, nil
	case !l.speaksOf(a.body):
		fault.Code = CodeMismatch
		return entry, fault, nil
	}
	entry.read(a.body)
	return entry, nil, nil
}

// bare reports whether an entry may be without its statement. A watched signer's never is: whatever was signed with a
// watched key has to be seen.
func (r *round) bare(e *Entry, fault *Evidence) bool {
	return r.AllowBare && fault != nil && fault.Code == CodeMissing && !r.Watch.signer(e)
}

func bareFinding(e *Entry) Finding {
	return Finding{Code: CodeBare, Class: Notice, Entry: e,
		Detail: fmt.Sprintf("entry %d has no statement here, and nobody watches its signer", e.Index)}
}

// detail says what is wrong with the statement of an entry.
func (e *Evidence) detail() string {
	if e.Code == CodeMissing {
		return fmt.Sprintf("entry %d has no statement: the service answered %d", e.Index, e.Status)
	}
	return fmt.Sprintf("the statement of entry %d is not the one that was signed", e.Index)
}

// read takes from a statement what is compared and shown. A statement that cannot be read strictly leaves the
// predicate type empty.
func (e *Entry) read(payload []byte) {
	e.StatementID = statementID(payload)
	st, err := predicate.Parse(payload, predicate.Consumption)
	if err != nil {
		return
	}
	e.PredicateType = st.Type
	if common := st.Common(); common != nil {
		for _, id := range common.Product.Identifiers {
			e.Products = append(e.Products, id.Value)
		}
	}
}

// judge reports an entry that somebody watches.
func (r *round) judge(e *Entry) error {
	if e.StatementID != "" && e.PredicateType == "" && (r.Watch.signer(e) || len(r.Watch.Products) > 0) {
		if err := r.report(Finding{Code: CodeUnreadable, Class: Unexpected, Entry: e,
			Detail: fmt.Sprintf("the statement of entry %d cannot be read: what it is about is not known", e.Index)}); err != nil {
			return err
		}
	}
	code, class := r.Watch.judge(e)
	if code == "" {
		return nil
	}
	detail := map[Code]string{CodeEntry: "a watched entry", CodeExpected: "an expected entry",
		CodeUnexpected: "a watched entry that was not expected"}[code]
	return r.report(Finding{Code: code, Class: class, Entry: e, Detail: detail})
}

// invalid reports an entry that is none, with its place in the tree.
func (r *round) invalid(ctx context.Context, index uint64, data []byte, fault error) error {
	before, err := r.tree.nodes(ctx, 0, index)
	if err != nil {
		return r.tileFault(err)
	}
	after, err := r.tree.nodes(ctx, index+1, r.now.size)
	if err != nil {
		return r.tileFault(err)
	}
	return r.misbehaviour(CodeEntryInvalid, fmt.Sprintf("entry %d is invalid: %v", index, fault), &Entry{Index: index},
		&Evidence{Kind: KindEntry, Index: index, Leaf: data, Before: before.Hashes(), After: after.Hashes()})
}
