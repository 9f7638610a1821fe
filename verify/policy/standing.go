package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
)

// shownMembers are those that a standing has beside the members of a standing statement: what a status showed, and no
// service can say of itself.
func shownMembers() []field {
	return []field{{name: "reason"}, {name: "asOf"}, {name: "witnessed", kind: kindBool}, {name: "withdrawnItems", list: true}}
}

// shownStanding is the JSON that a standing is read from, in the members of a standing statement and in those of this
// package. What is not known is left out, so that whoever reads it denies.
type shownStanding struct {
	Target         *predicate.StatementRef  `json:"target"`
	Status         string                   `json:"status"`
	LogOrigin      string                   `json:"logOrigin"`
	TreeSize       string                   `json:"treeSize"`
	CheckedAt      string                   `json:"checkedAt,omitempty"`
	NotAfter       string                   `json:"notAfter,omitempty"`
	Withdrawals    []predicate.StatementRef `json:"withdrawals,omitzero"`
	OpenDisputes   []predicate.StatementRef `json:"openDisputes,omitzero"`
	Assessments    []predicate.StatementRef `json:"assessments,omitzero"`
	Reason         string                   `json:"reason"`
	AsOf           string                   `json:"asOf,omitempty"`
	Witnessed      bool                     `json:"witnessed"`
	WithdrawnItems []string                 `json:"withdrawnItems,omitzero"`
}

// shownText is how a statement stands by its status, as the JSON of a statement; "" if there is none.
func shownText(e *verify.Evidence) (string, error) {
	r := e.Standing
	if r == nil {
		return "", nil
	}
	s := shownStanding{Target: refOf(e.StatementID, e.Statement.Type), Status: statusOf(r.Standing), LogOrigin: e.LogOrigin,
		TreeSize: strconv.FormatUint(r.TreeSize, 10), Reason: string(r.Reason), Witnessed: r.Witnessed}
	if !r.AsOf.IsZero() {
		s.CheckedAt = r.AsOf.UTC().Format(time.RFC3339)
		s.AsOf, s.NotAfter = s.CheckedAt, r.NotAfter.UTC().Format(time.RFC3339)
	}
	if r.Complete() {
		s.WithdrawnItems = append([]string{}, r.Items...)
		s.Withdrawals, s.OpenDisputes, s.Assessments = []predicate.StatementRef{}, []predicate.StatementRef{}, []predicate.StatementRef{}
		for i := range r.Said {
			switch said := &r.Said[i]; {
			case said.Statement.Withdrawal != nil:
				s.Withdrawals = append(s.Withdrawals, *refOf(said.StatementID, said.Statement.Type))
			case said.Statement.Assessment != nil:
				s.Assessments = append(s.Assessments, *refOf(said.StatementID, said.Statement.Type))
			}
		}
		for i := range r.OpenDisputes {
			s.OpenDisputes = append(s.OpenDisputes, *refOf(r.OpenDisputes[i].StatementID, predicate.DisputeType))
		}
	}
	text, err := json.Marshal(map[string]any{"predicate": s})
	return string(text), err
}

func refOf(id, predicateType string) *predicate.StatementRef {
	return &predicate.StatementRef{Digest: map[string]string{"sha256": strings.TrimPrefix(id, "sha256:")}, PredicateType: predicateType}
}

// statusOf is a standing in the words of standing statements, with "stale" besides.
func statusOf(s verify.Standing) string {
	switch s {
	case verify.StandingInForce:
		return "inForce"
	case verify.StandingWithdrawn:
		return "withdrawn"
	case verify.StandingPartlyWithdrawn:
		return "partlyWithdrawn"
	case verify.StandingSuperseded:
		return "superseded"
	case verify.StandingExpired:
		return "expired"
	case verify.StandingStale:
		return "stale"
	}
	return "unknown"
}

// standingText is what the variable standing is read from: the status of the data-flows statement, or a standing statement about
// it. Of both, the statement counts if it is not good: no status shows what is newer than itself. shown tells that it is the status.
func (s *selection) standingText() (text string, shown bool) {
	flows := s.declarations[predicate.DataFlowsType]
	if flows == nil || flows.Standing == nil || s.standing != nil && s.standing.Statement.Standing.Status != "inForce" {
		if s.standing == nil {
			return "", false
		}
		return s.standing.Statement.Text(), false
	}
	text, err := shownText(flows)
	if err != nil { // not known to happen
		return "", false
	}
	return text, true
}

// openDispute is the JSON that an element of disputes is read from.
type openDispute struct {
	ID         string          `json:"id"`
	About      string          `json:"about"`
	Ground     string          `json:"ground"`
	Summary    string          `json:"summary"`
	Party      predicate.Party `json:"party"`
	Signer     string          `json:"signer"`
	Items      []string        `json:"items,omitempty"` // none is the whole statement, and no empty list
	OccurredAt string          `json:"occurredAt"`
	RespondBy  string          `json:"respondBy,omitempty"`
}

// disputes binds the open disputes of the statements that count. That there is none is known only where it is known of every
// statement: by its status or, for the data-flows statement, by a standing statement that lists none.
func (b *binder) disputes(s *selection) ref.Val {
	l := &list{meter: b.in.meter}
	known := map[string]bool{}
	add := func(about string, said *verify.SaidStatement) {
		d := said.Statement.Dispute
		if known[said.StatementID] || d == nil {
			return
		}
		known[said.StatementID] = true
		text, err := json.Marshal(map[string]any{"predicate": openDispute{ID: said.StatementID, About: shortType(about), Ground: d.Ground, Summary: d.Summary,
			Party: d.Party, Signer: said.Signer, Items: d.Items, OccurredAt: d.OccurredAt, RespondBy: d.RespondBy}})
		if err == nil && b.reads.reading(inputDisputes) {
			var o *object
			if o, err = b.decoder.predicate(string(text), theSchema().dispute); err == nil {
				l.values = append(l.values, o)
			}
		}
		if err != nil {
			b.unknownDisputes(err.Error())
		}
	}
	if len(s.declarations) == 0 {
		return b.unknownDisputes("there is no statement that counts")
	}
	for _, t := range declarationTypes() {
		e := s.declarations[t]
		if e == nil {
			continue
		}
		listed := t == predicate.DataFlowsType && s.standing != nil && s.standing.Statement.Standing.OpenDisputes != nil &&
			len(s.standing.Statement.Standing.OpenDisputes) == 0
		if !e.Standing.Complete() && !listed {
			return b.unknownDisputes("it is not shown which disputes of the " + shortType(t) + " statement are open")
		}
		if e.Standing.Complete() {
			for i := range e.Standing.OpenDisputes {
				add(t, &e.Standing.OpenDisputes[i])
			}
		}
		for _, d := range s.disputes { // given beside the status, and perhaps newer
			if d.Statement.Dispute.Target.ID() == e.StatementID && !saidBefore(e.Standing, d.StatementID) {
				add(t, &verify.SaidStatement{StatementID: d.StatementID, Statement: d.Statement, Signer: d.KeyID})
			}
		}
	}
	if why := b.in.missing[inputDisputes]; why != "" {
		return b.unknownDisputes(why)
	}
	return l
}

func saidBefore(r *verify.StandingResult, id string) bool {
	return r.Complete() && slices.ContainsFunc(r.Said, func(s verify.SaidStatement) bool { return s.StatementID == id })
}

// unknownDisputes makes whoever reads disputes fail.
func (b *binder) unknownDisputes(why string) ref.Val {
	b.in.missing[inputDisputes] = why
	return types.NewErr("%s", why)
}

// saidAssessments are the assessments that a status shows, by assessors who are accepted, and that were not given as bundles.
func (p *Policy) saidAssessments(s *selection, flows *verify.Evidence) []*verify.Evidence {
	var more []*verify.Evidence
	if flows.Standing == nil {
		return nil
	}
	for _, said := range flows.Standing.Said {
		e := &verify.Evidence{StatementID: said.StatementID, Statement: said.Statement, KeyID: said.Signer, LogIndex: said.LogIndex,
			SignedBy: said.SignedBy, Signer: verify.Signer{Identity: said.Identity}}
		if said.Identity == nil {
			e.Signer.Key = &verify.Key{}
		}
		given := slices.ContainsFunc(s.assessments, func(o *verify.Evidence) bool { return o.StatementID == said.StatementID })
		if !given && said.Statement.Assessment != nil && accepts(p.assessors, *e, assessmentType) {
			more = append(more, e)
		}
	}
	return more
}

// standingOf is the member standing of an entry of statements; nil where no status was given.
func (b *binder) standingOf(e *verify.Evidence) ref.Val {
	text, err := shownText(e)
	if err == nil && text != "" {
		var o *object
		if o, err = b.decoder.predicate(text, theSchema().shown); err == nil {
			return o
		}
	}
	if err != nil {
		return types.NewErr("%v", fmt.Errorf("the standing cannot be read: %w", err))
	}
	return nil
}
