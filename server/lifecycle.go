package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/vendors"
)

// lifecycle decides who may say what about whose statement: withdrawals, disputes, assessments, and declarations that supersede
// others. What is said, and about which files and items, is for the rules of package predicate; who says it, is for this.
//
// An id is the digest of a statement's own bytes: nothing can name itself, and no chain of references comes back to where it
// began. What is left of circles (a withdrawal of a withdrawal, a dispute of a dispute) is R40.
type lifecycle struct {
	store   *statements.Store
	related *related
	vendors *vendors.Watcher
	said    *saidLimits
	// rivalPages is [maxRivalPages]; a test sets less.
	rivalPages int
}

// issuedBefore is a committed statement with all its signers.
type issuedBefore struct {
	statement *predicate.Statement
	records   []statements.Record
}

// relation is what the signer of a new statement is to another statement.
type relation int

const (
	relationNone relation = iota
	relationSigner
	relationSuccessor
	relationRecovery
)

// speaksFor reports whether the relation lets the new statement speak in the place of the other one's signer.
func (r relation) speaksFor() bool { return r == relationSigner || r == relationSuccessor }

// check refuses submissions whose signer may not say what they say. A statement that this signer has issued already is let
// through: it is only answered again. member is the format of a batch's field prefix.
func (l *lifecycle) check(ctx context.Context, subs []*submission, member string) error {
	for n, sub := range subs {
		if sub.known != nil {
			continue
		}
		err := l.checkOne(ctx, sub)
		if err != nil && member != "" {
			return ofMember(fmt.Sprintf(member, n), toRefusal(err))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *lifecycle) checkOne(ctx context.Context, sub *submission) error {
	st := sub.envelope.Statement()
	recovery := l.isRecovery(sub)
	common := st.Common()
	if st.Target() == nil && !recovery && (common == nil || len(common.Supersedes) == 0) {
		return nil
	}
	if known, err := l.before(ctx, sub); known || err != nil {
		if known && recovery {
			err = l.noteMissing(ctx, sub)
		}
		return err
	}
	switch {
	case recovery && st.Withdrawal == nil:
		return refuse(reasonKeyUnknown, "the key %s is a recovery key of %s: it signs withdrawals and nothing else",
			sub.envelope.SignerID(), sub.vendor.Name)
	case common != nil:
		return l.checkSuperseded(ctx, sub, common.Supersedes)
	}
	target, err := l.find(ctx, *st.Target())
	if err != nil {
		return err
	}
	switch {
	case st.Withdrawal != nil:
		return l.checkWithdrawal(ctx, sub, target)
	case st.Dispute != nil:
		return l.checkDispute(ctx, sub, target)
	case st.Assessment != nil:
		return l.checkAssessment(sub, target)
	}
	return refuse(reasonPredicateTypeUnsupported, "statements of type %s cannot be issued by this call", st.Type)
}

// before finds out whether the signer has issued the statement already.
func (l *lifecycle) before(ctx context.Context, sub *submission) (bool, error) {
	row := sub.row()
	rec, err := l.store.GetBy(ctx, row.statementID, row.keyID)
	switch {
	case errors.Is(err, statements.ErrNotFound):
		return false, nil
	case err != nil || rec.State != statements.StateCommitted:
		return false, err
	}
	sub.known = &rec
	return true, nil
}

// find returns the statement that a reference leads to.
func (l *lifecycle) find(ctx context.Context, ref predicate.StatementRef) (*issuedBefore, error) {
	missing := refuse(reasonTargetNotFound, "this service has issued no statement %s", clip(ref.ID(), 80))
	if !isDigestID(ref.ID()) {
		return nil, missing
	}
	records, err := committedRecords(ctx, l.store, ref.ID())
	if err != nil {
		if toRefusal(err).reason == reasonStatementNotFound {
			return nil, missing
		}
		return nil, err
	}
	st, err := l.related.load(ctx, ref.ID())
	if err != nil {
		return nil, err
	}
	return &issuedBefore{statement: st, records: records}, nil
}

// relationTo finds what the signer of a submission is to a statement.
func (l *lifecycle) relationTo(sub *submission, other *issuedBefore) relation {
	id := sub.envelope.SignerID()
	former := succeeded(sub.vendor, id)
	found := relationNone
	for n := range other.records {
		switch rec := &other.records[n]; {
		case rec.KeyID == id:
			return relationSigner
		case slices.Contains(former, rec.KeyID):
			found = relationSuccessor
		case found == relationNone && l.isRecovery(sub) && issuedBy(sub.vendor, rec):
			found = relationRecovery
		}
	}
	return found
}

func (l *lifecycle) isRecovery(sub *submission) bool {
	_, _, ok := l.vendors.Registry().ByRecoveryKey(sub.envelope.SignerID())
	return ok
}

// succeeded returns the ids of the signers whose place one of the vendor's signers has taken, by the registry. It is not
// transitive: who succeeds a successor is registered for both.
func succeeded(v *vendors.Vendor, signerID string) []string {
	var former []vendors.Former
	for i := range v.Keys {
		if v.Keys[i].ID == signerID {
			former = v.Keys[i].Succeeds
		}
	}
	for _, i := range v.Identities {
		if identityID(i.Issuer, i.SAN) == signerID {
			former = i.Succeeds
		}
	}
	ids := make([]string, len(former))
	for n, f := range former {
		if ids[n] = f.KeyID; f.KeyID == "" {
			ids[n] = identityID(f.Issuer, f.SAN)
		}
	}
	return ids
}

func identityID(issuer, san string) string { return attest.Identity{Issuer: issuer, Subject: san}.ID() }

// issuedBy reports whether a record is the vendor's, by the name that it was issued under, or by a signer that the vendor has.
func issuedBy(v *vendors.Vendor, rec *statements.Record) bool {
	return rec.Vendor == v.Name ||
		slices.ContainsFunc(v.Keys, func(k vendors.Key) bool { return k.ID == rec.KeyID }) ||
		slices.ContainsFunc(v.Identities, func(i vendors.Identity) bool { return identityID(i.Issuer, i.SAN) == rec.KeyID })
}

// notYours is the refusal for whoever speaks in another one's place.
func notYours(sub *submission, what string, other *issuedBefore) error {
	return refuse(reasonTargetNotYours, "%s of %s is for its signer %s, or a registered successor of it; this is signed by %s", what,
		other.statement.ID(), other.records[0].KeyID, sub.envelope.SignerID())
}

// checkSuperseded lets a signer replace only what it may withdraw. A statement that is not here, and by its reference is in
// another log, is nobody's that this service could protect: readers count what its own signer says, and nothing else.
func (l *lifecycle) checkSuperseded(ctx context.Context, sub *submission, refs []predicate.StatementRef) error {
	if len(refs) > MaxReferences {
		return invalidField("/predicate/common/supersedes", "got %d references, want at most %d", len(refs), MaxReferences)
	}
	for _, ref := range refs {
		old, err := l.find(ctx, ref)
		switch {
		case err != nil && toRefusal(err).reason == reasonTargetNotFound && ref.LogOrigin != "" && ref.LogOrigin != l.said.origin:
			continue
		case err != nil:
			return err
		case !l.relationTo(sub, old).speaksFor():
			return notYours(sub, "superseding", old)
		}
	}
	return nil
}

// checkWithdrawal lets the target's signer, its successors and its vendor's recovery keys withdraw.
func (l *lifecycle) checkWithdrawal(ctx context.Context, sub *submission, target *issuedBefore) error {
	switch l.relationTo(sub, target) {
	case relationSigner, relationSuccessor:
		return nil
	case relationRecovery:
		return l.noteMissing(ctx, sub)
	case relationNone:
	}
	return notYours(sub, "a withdrawal", target)
}

// noteMissing warns the signer of a withdrawal by recovery keys while there are fewer of them than it takes.
func (l *lifecycle) noteMissing(ctx context.Context, sub *submission) error {
	missing, err := l.missing(ctx, sub.vendor, sub.envelope.StatementID(), sub.envelope.SignerID())
	if err != nil || missing == 0 || sub.vendor.Recovery == nil {
		return err
	}
	need := sub.vendor.Recovery.Threshold
	sub.warnings = append(sub.warnings, predicate.Finding{Code: "W10", Severity: predicate.SeverityWarning, Pointer: "/predicate/target",
		Message: fmt.Sprintf("signed with %d of %d recovery keys; the withdrawal has no effect before %d more have signed it",
			need-missing, need, missing),
		Hint: "have the same bytes signed with other recovery keys"})
	return nil
}

// missing is how many recovery keys have yet to sign a withdrawal, besides those that signed it and the given ones.
func (l *lifecycle) missing(ctx context.Context, v *vendors.Vendor, withdrawalID string, besides ...string) (int, error) {
	if v.Recovery == nil {
		return 1, nil
	}
	records, err := committedRecords(ctx, l.store, withdrawalID)
	if err != nil && toRefusal(err).reason != reasonStatementNotFound {
		return 0, err
	}
	signed := slices.Clone(besides)
	for n := range records {
		signed = append(signed, records[n].KeyID)
	}
	return missingKeys(v.Recovery, signed), nil
}

// missingKeys is how many recovery keys have yet to sign what the given signers have signed.
func missingKeys(r *vendors.Recovery, signed []string) int {
	count := 0
	for i := range r.Keys {
		if slices.Contains(signed, r.Keys[i].ID) {
			count++
		}
	}
	return max(0, r.Threshold-count)
}

// checkDispute says who may take which step of a disagreement.
func (l *lifecycle) checkDispute(ctx context.Context, sub *submission, target *issuedBefore) error {
	d := sub.envelope.Statement().Dispute
	if d.Event == "opened" {
		return needRole(sub, vendors.RoleDisputer)
	}
	thread, err := l.find(ctx, *d.Thread) // R02: every other event has one
	if err != nil {
		return err
	}
	answers, opener := l.relationTo(sub, target).speaksFor(), l.relationTo(sub, thread).speaksFor()
	switch {
	case d.Event == "answered" && !answers:
		return notYours(sub, "an answer to a dispute", target)
	case d.Event == "settled" && !opener:
		return notYours(sub, "settling the dispute", thread)
	case d.Event == "evidenceAdded" && !answers:
		if !opener {
			return notYours(sub, "evidence to the dispute", thread)
		}
		return needRole(sub, vendors.RoleDisputer)
	case d.Event == "upheld" || d.Event == "rejected":
		if partyTo(sub, target) || partyTo(sub, thread) {
			return refuse(reasonRoleRequired, "%s is a party to the dispute %s and cannot decide it", sub.vendor.Name, thread.statement.ID())
		}
		return needRole(sub, vendors.RoleAssessor)
	}
	return nil
}

// partyTo reports whether the vendor of a submission issued the statement, with whatever signer.
func partyTo(sub *submission, other *issuedBefore) bool {
	return slices.ContainsFunc(other.records, func(rec statements.Record) bool {
		return issuedBy(sub.vendor, &rec) || slices.Contains(succeeded(sub.vendor, sub.envelope.SignerID()), rec.KeyID)
	})
}

// checkAssessment is the half of R41 that needs the signer, and the role.
func (l *lifecycle) checkAssessment(sub *submission, target *issuedBefore) error {
	if err := needRole(sub, vendors.RoleAssessor); err != nil {
		return err
	}
	a := sub.envelope.Statement().Assessment
	if a.Independence != "thirdParty" || !partyTo(sub, target) {
		return nil
	}
	return rulesRefusal("", predicate.Findings{{Code: "R41", Severity: predicate.SeverityError, Pointer: "/predicate/independence",
		Found: a.Independence, Message: "the assessor's vendor signed the target", Hint: "say firstParty"}})
}

func needRole(sub *submission, role string) error {
	if sub.vendor.HasRole(role) {
		return nil
	}
	return refuse(reasonRoleRequired, "%s has not the role %s; ask the operator of the service", sub.vendor.Name, role)
}
