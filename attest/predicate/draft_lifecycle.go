package predicate

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"
)

// AboutOptions are what is known when a statement about another statement is
// drafted. Target and Now are mandatory.
type AboutOptions struct {
	// Target is the statement that it is about; its subjects are copied.
	Target *Statement
	// LogOrigin and LogIndex are where the target was logged, as hints.
	LogOrigin, LogIndex string
	// Now is the time of what is said, where nothing else is given.
	Now time.Time
	// UUID is the statement's own id without prefix; "" = a random one.
	UUID string
}

// frame checks the options and makes what all of these statements have.
func (o AboutOptions) frame() (id string, target StatementRef, now string, err error) {
	switch {
	case o.Target == nil:
		err = errors.New("draft: Target is not set")
	case o.Now.IsZero():
		err = errors.New("draft: Now is not set")
	default:
		id = "urn:uuid:" + cmp.Or(o.UUID, randomUUID())
		target = Reference(o.Target)
		target.LogOrigin, target.LogIndex = o.LogOrigin, o.LogIndex
		now = o.Now.UTC().Truncate(time.Second).Format(timeLayout)
	}
	return id, target, now, err
}

func (o AboutOptions) render(predicateType string, predicate any) ([]byte, error) {
	return DraftOptions{Subjects: o.Target.Subjects}.render(predicateType, predicate)
}

// Reference returns the reference to a statement, without where it was logged.
func Reference(s *Statement) StatementRef {
	return StatementRef{Digest: map[string]string{"sha256": strings.TrimPrefix(s.ID(), "sha256:")}, PredicateType: s.Type}
}

// NewWithdrawalDraft completes a withdrawal of the target: what w has is kept,
// what is missing is taken from the target or becomes a placeholder. The
// declarant is that of the target, unless w names another party.
func NewWithdrawalDraft(o AboutOptions, w Withdrawal) ([]byte, error) {
	id, target, now, err := o.frame()
	if err != nil {
		return nil, err
	}
	w.StatementID, w.Target = id, target
	w.EffectiveAt = cmp.Or(w.EffectiveAt, now)
	w.Reason = cmp.Or(w.Reason, fillOne("withdrawalReason"))
	w.Effect = cmp.Or(w.Effect, fillOne("withdrawalEffect"))
	d := w.Declarant
	w.Declarant = DraftOptions{Like: o.Target, DeclarantName: d.Party.Name, DeclarantCountry: d.Party.Country,
		DeclarantControlledFrom: d.Party.ControlledFrom, Role: d.Role, SignatoryFunction: d.SignatoryFunction,
		Authority: d.Authority, Responsibility: d.Responsibility}.declarant()
	return o.render(WithdrawalType, w)
}

// NewDisputeDraft completes one step of a dispute about the target. thread is
// the dispute that it goes on with, nil where it opens one: ground and items
// are taken from it. The party of an answer is that of the target.
func NewDisputeDraft(o AboutOptions, d Dispute, thread *Statement) ([]byte, error) {
	id, target, now, err := o.frame()
	if err != nil {
		return nil, err
	}
	if thread != nil {
		if thread.Dispute == nil {
			return nil, fmt.Errorf("draft: the thread is a %s, want a dispute", thread.Type)
		}
		ref := Reference(thread)
		d.Thread, d.Ground = &ref, cmp.Or(d.Ground, thread.Dispute.Ground)
		if len(d.Items) == 0 {
			d.Items = thread.Dispute.Items
		}
	}
	d.StatementID, d.Target = id, target
	d.OccurredAt = cmp.Or(d.OccurredAt, now)
	d.Event = cmp.Or(d.Event, fillOne("disputeEvent"))
	d.Ground = cmp.Or(d.Ground, fillOne("disputeGround"))
	d.Summary = cmp.Or(d.Summary, fill("what is so, in at most 2,000 characters; no personal data, it is public for ever"))
	switch {
	case d.Party.Name != "":
	case d.Event == "answered":
		d.Party = party(o.Target)
	case d.Event == "settled" && thread != nil:
		d.Party = thread.Dispute.Party
	}
	d.Party = fillParty(d.Party)
	return o.render(DisputeType, d)
}

// NewAssessmentDraft completes an assessment of the target. Without findings
// there is a place for one on each of its items, and on completeness.
func NewAssessmentDraft(o AboutOptions, a Assessment, validDays int) ([]byte, error) {
	id, target, now, err := o.frame()
	if err != nil {
		return nil, err
	}
	days := cmp.Or(validDays, defaultValidDays)
	if days < 0 {
		return nil, fmt.Errorf("draft: %d days of validity, want 1 or more", days)
	}
	a.StatementID, a.Target = id, target
	a.Assessor = fillParty(a.Assessor)
	a.Independence = cmp.Or(a.Independence, fillOne("independence"))
	if len(a.Criteria) == 0 {
		a.Criteria = []ResourceDescriptor{{URI: fill("where the criteria are, by which it was examined")}}
	}
	a.PerformedFrom = cmp.Or(a.PerformedFrom, fill("when the examination began, as 2026-01-31T00:00:00Z"))
	a.PerformedTo = cmp.Or(a.PerformedTo, fill("when it ended"))
	a.Validity = Validity{IssuedAt: now,
		NotAfter: o.Now.UTC().Truncate(time.Second).Add(time.Duration(days) * 24 * time.Hour).Format(timeLayout)}
	if len(a.Findings) == 0 {
		for _, item := range append(o.Target.ItemIDs(), reservedID) {
			a.Findings = append(a.Findings, AssessmentFinding{Item: item, Result: fillOne("findingResult")})
		}
	}
	a.Overall = cmp.Or(a.Overall, fillOne("overall"))
	a.Limitations = cmp.Or(a.Limitations, fill("what was not looked at"))
	return o.render(AssessmentType, a)
}

// party is who made a statement, by its own words.
func party(s *Statement) Party {
	switch common := s.Common(); {
	case common != nil:
		return common.Declarant.Party
	case s.Withdrawal != nil:
		return s.Withdrawal.Declarant.Party
	case s.Dispute != nil:
		return s.Dispute.Party
	case s.Assessment != nil:
		return s.Assessment.Assessor
	}
	return Party{}
}

func fillParty(p Party) Party {
	p.Name = cmp.Or(p.Name, fill("legal name of who says this, as the service registered it"))
	p.Country = cmp.Or(p.Country, fill("ISO 3166-1 code of its country, for example DE"))
	return p
}
