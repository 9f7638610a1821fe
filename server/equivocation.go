package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/diff"
	"github.com/avow-dev/avow/server/statements"
)

const (
	// maxRivals is how many statements of the same signer, type and artifact are compared with a new one: those that have the
	// most artifacts in common with it, and of these the newest.
	maxRivals = 16
	// maxRivalSubjects is how many of its artifacts they are looked for by.
	maxRivalSubjects = 64
	// maxRivalPages is how many pages of withdrawals about an artifact are looked through for each of them.
	maxRivalPages = 4
)

// equivocation is a statement that contradicts another one of the same signer.
//
// Two statements contradict each other where package verify would refuse an artifact for which a buyer holds both: they are
// of one type and one signer, have a subject in common, hold at one time, neither supersedes the other, and they differ in what
// they say about it ([diff.Contradictions]). One that was withdrawn, or that a third one of the signer or of a registered successor
// supersedes, does not count, nor does a difference in items that were withdrawn.
type equivocation struct {
	// StatementID is the other statement, LogIndex its entry in the log, 0 for one of the same batch.
	StatementID string
	LogIndex    uint64
	Changes     []diff.Change
}

// equivocations finds the statements that one of a signer contradicts, in the order of the log.
func (l *lifecycle) equivocations(ctx context.Context, st *predicate.Statement, signerID string) ([]equivocation, error) {
	rivals, err := l.rivals(ctx, st, signerID)
	if err != nil {
		return nil, err
	}
	return l.contradictions(ctx, st, nil, rivals)
}

// contradictions finds the rivals in force that a statement contradicts in what was not taken back: taken are the items that were
// withdrawn of the statement itself.
func (l *lifecycle) contradictions(ctx context.Context, st *predicate.Statement, taken []string, rivals []*rival) ([]equivocation, error) {
	var found []equivocation
	for _, r := range rivals {
		if r.heirs || supersedes(st, r.statement) || supersedes(r.statement, st) || !overlap(st, r.statement) || supersededBy(rivals, r.statement) {
			continue
		}
		changes := without(diff.Contradictions(r.statement, st), taken)
		if len(changes) == 0 {
			continue
		}
		whole, items, err := l.withdrawnSoFar(ctx, r.statement, &r.record)
		if err != nil {
			return nil, err
		}
		if changes = without(changes, items); !whole && len(changes) > 0 {
			found = append(found, equivocation{StatementID: r.statement.ID(), LogIndex: r.record.LogIndex, Changes: changes})
		}
	}
	return found, nil
}

// supersededBy reports whether one of the rivals supersedes a statement.
func supersededBy(rivals []*rival, st *predicate.Statement) bool {
	return slices.ContainsFunc(rivals, func(r *rival) bool { return supersedes(r.statement, st) })
}

// without leaves out what is about items that were withdrawn.
func without(changes []diff.Change, items []string) []diff.Change {
	return slices.DeleteFunc(changes, func(c diff.Change) bool { return c.Item != "" && slices.Contains(items, c.Item) })
}

// withdrawnSoFar is [lifecycle.withdrawn] within a bound: of a statement about which there are more withdrawals than are looked
// through, those count that were found. What is not found is not taken back.
func (l *lifecycle) withdrawnSoFar(ctx context.Context, st *predicate.Statement, rec *statements.Record) (whole bool, items []string, err error) {
	whole, items, err = l.withdrawn(ctx, &issuedBefore{statement: st, records: []statements.Record{*rec}}, l.rivalPages)
	var refused *refusal
	if errors.As(err, &refused) && refused.reason == reasonTargetLimit {
		err = nil
	}
	return whole, items, err
}

// rival is another statement of a signer about an artifact, or one of its heirs': of a registered successor. Of the latter it counts
// only what they supersede.
type rival struct {
	statement *predicate.Statement
	record    statements.Record
	heirs     bool
}

// rivals finds the other statements of the same type that have a subject in common, by the same signer and by its successors.
func (l *lifecycle) rivals(ctx context.Context, st *predicate.Statement, signerID string) ([]*rival, error) {
	if st.Common() == nil {
		return nil, nil
	}
	lines, err := l.rivalLines(ctx, st, signerID)
	if err != nil {
		return nil, err
	}
	var found []*rival
	for _, line := range lines {
		other, err := l.related.load(ctx, line.StatementID)
		if err != nil {
			return nil, err
		}
		if other != nil {
			found = append(found, &rival{statement: other, heirs: line.KeyID != signerID, record: statements.Record{LogIndex: line.LogIndex,
				Pending: statements.Pending{StatementID: line.StatementID, KeyID: line.KeyID, Vendor: line.Vendor}}})
		}
	}
	slices.SortFunc(found, func(a, b *rival) int { return cmp.Compare(a.record.LogIndex, b.record.LogIndex) })
	return found, nil
}

// rivalLines lists the rivals: the likeliest of the signer's, and the likeliest of its successors'.
func (l *lifecycle) rivalLines(ctx context.Context, st *predicate.Statement, signerID string) ([]statements.Summary, error) {
	var own, heirs []statements.Summary
	common := map[rowKey]int{}
	subjects := factsOf(st).Subjects
	for _, subject := range subjects[:min(len(subjects), maxRivalSubjects)] {
		page, _, err := l.store.List(ctx, statements.Query{SubjectSHA256: subject, PredicateType: st.Type, Limit: MaxPageSize})
		if err != nil {
			return nil, err
		}
		for _, line := range page {
			row := rowKey{statementID: line.StatementID, keyID: line.KeyID}
			if common[row]++; common[row] > 1 || line.StatementID == st.ID() {
				continue
			}
			if line.KeyID == signerID {
				own = append(own, line)
			} else if v, ok := l.vendors.Registry().ByName(line.Vendor); ok && slices.Contains(succeeded(v, line.KeyID), signerID) {
				heirs = append(heirs, line)
			}
		}
	}
	likeliest := func(lines []statements.Summary) []statements.Summary {
		in := func(line statements.Summary) int {
			return common[rowKey{statementID: line.StatementID, keyID: line.KeyID}]
		}
		slices.SortFunc(lines, func(a, b statements.Summary) int {
			return cmp.Or(cmp.Compare(in(b), in(a)), cmp.Compare(b.LogIndex, a.LogIndex))
		})
		return lines[:min(len(lines), maxRivals)]
	}
	return append(likeliest(own), likeliest(heirs)...), nil
}

func supersedes(newer, older *predicate.Statement) bool {
	return slices.ContainsFunc(newer.Common().Supersedes, func(r predicate.StatementRef) bool { return r.ID() == older.ID() })
}

// overlap reports whether there is a time at which both hold by their own words.
func overlap(a, b *predicate.Statement) bool {
	fromA, toA := period(a)
	fromB, toB := period(b)
	return fromA.Before(toB) && fromB.Before(toA)
}

// period is a declaration's validity. The rules checked its form.
func period(st *predicate.Statement) (from, to time.Time) {
	v := st.Common().Validity
	from, _ = time.Parse(time.RFC3339, v.IssuedAt)
	if v.NotBefore != "" {
		from, _ = time.Parse(time.RFC3339, v.NotBefore)
	}
	to, _ = time.Parse(time.RFC3339, v.NotAfter)
	return from, to
}

// errEnough ends a search that has found what it is for.
var errEnough = errors.New("enough was found")

// withdrawn finds what was taken back of a statement by who may, whenever it takes effect: the whole of it, or items. It looks
// through so many pages of withdrawals about the artifact, and what it found is returned beside an error as well.
func (l *lifecycle) withdrawn(ctx context.Context, target *issuedBefore, pages int) (whole bool, items []string, err error) {
	err = l.about(ctx, target, predicate.WithdrawalType, pages, func(rec *statements.Record, st *predicate.Statement) error {
		effective, err := l.withdraws(ctx, rec, target)
		switch {
		case err != nil || !effective:
			return err
		case len(st.Withdrawal.Items) == 0:
			whole = true
			return errEnough
		}
		items = append(items, st.Withdrawal.Items...)
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return whole, items, err
}

// withdraws reports whether a committed withdrawal is by the target's signer, its successor, or enough recovery keys. By the
// registry as it is now: what it said when the withdrawal was issued is not kept.
func (l *lifecycle) withdraws(ctx context.Context, rec *statements.Record, target *issuedBefore) (bool, error) {
	if slices.ContainsFunc(target.records, func(r statements.Record) bool { return r.KeyID == rec.KeyID }) {
		return true, nil
	}
	v, ok := l.vendors.Registry().ByName(rec.Vendor)
	if !ok {
		return false, nil
	}
	if former := succeeded(v, rec.KeyID); slices.ContainsFunc(target.records, func(r statements.Record) bool {
		return slices.Contains(former, r.KeyID)
	}) {
		return true, nil
	}
	if _, _, recovery := l.vendors.Registry().ByRecoveryKey(rec.KeyID); !recovery {
		return false, nil
	}
	missing, err := l.missing(ctx, v, rec.StatementID)
	return missing == 0, err
}

// warn adds to every submission a warning for each statement that it contradicts, those of its own batch among them. It never
// refuses anything: a vendor that is contradicted by itself has to be able to correct that.
func (l *lifecycle) warn(ctx context.Context, subs []*submission) error {
	for n, sub := range subs {
		st := sub.envelope.Statement()
		found, err := l.equivocations(ctx, st, sub.envelope.SignerID())
		if err != nil {
			return err
		}
		for m, other := range subs {
			if m != n && sameSpeech(sub, other) {
				if changes := diff.Contradictions(other.envelope.Statement(), st); len(changes) > 0 {
					found = append(found, equivocation{StatementID: other.envelope.StatementID(), Changes: changes})
				}
			}
		}
		for _, e := range found {
			sub.warnings = append(sub.warnings, e.finding())
		}
	}
	return nil
}

// sameSpeech reports whether two statements of a batch could contradict each other.
func sameSpeech(a, b *submission) bool {
	x, y := a.envelope.Statement(), b.envelope.Statement()
	if x.Common() == nil || x.Type != y.Type || a.envelope.SignerID() != b.envelope.SignerID() || x.ID() == y.ID() {
		return false
	}
	subjects := factsOf(y).Subjects
	return overlap(x, y) && !supersedes(x, y) && !supersedes(y, x) &&
		slices.ContainsFunc(factsOf(x).Subjects, func(s string) bool { return slices.Contains(subjects, s) })
}

func (e equivocation) finding() predicate.Finding {
	const most = 3
	var about []string
	for i, c := range e.Changes {
		if i == most {
			about = append(about, fmt.Sprintf("%d more", len(e.Changes)-most))
			break
		}
		about = append(about, clip(strings.TrimSpace(string(c.What)+" "+c.Item), 100))
	}
	return predicate.Finding{Code: "W09", Severity: predicate.SeverityWarning, Pointer: "/subject", Found: e.StatementID,
		Message: "statement " + e.StatementID + " of the same signer is about the same artifact, is in force at the same time, and differs in: " +
			strings.Join(about, ", "),
		Hint: "withdraw it, or issue a statement that names it in common.supersedes; a buyer who holds both refuses both"}
}
