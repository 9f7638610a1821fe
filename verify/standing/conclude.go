package standing

import (
	"fmt"
	"slices"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify/index"
)

// conclude says how the target stands. The order is that of the standings: what is certain and worst comes first.
func (c *checking) conclude() *Result {
	r := &Result{TreeSize: c.root.Size, Cosignatures: c.roots.Cosignatures, Said: c.said}
	r.AsOf, r.Witnessed = c.asOf()
	if !r.AsOf.IsZero() {
		r.NotAfter = r.AsOf.Add(c.o.MaxStaleness)
	}
	whole, items := c.withdrawals()
	r.Items, r.OpenDisputes = items, c.openDisputes()
	foreign, successor := c.foreignWithdrawal(), c.successor()
	inForce, why := c.target.Statement.InForce(c.o.At)
	set := func(s Standing, reason Reason, format string, args ...any) *Result {
		r.Standing, r.Reason, r.Detail = s, reason, fmt.Sprintf(format, args...)
		return r
	}
	switch {
	case whole != nil:
		return set(Withdrawn, ReasonWithdrawal, "withdrawn by entry %d, %s%s", whole.LogIndex, whole.StatementID, inPlace(whole))
	case c.target.LogIndex >= c.root.Size:
		return set(Unknown, ReasonNotCovered, "the index covers %d entries, and the statement is entry %d", c.root.Size, c.target.LogIndex)
	case c.problem != "":
		return set(Unknown, c.problem, "%s", c.detail)
	case !index.Resolved(entries(c.b.GetUnresolved())):
		return set(Unknown, ReasonUnresolved, "the signer has entries in the log that nobody could read; one may be a withdrawal")
	case foreign != nil:
		return set(Unknown, ReasonForeign, "entry %d withdraws it, by %s, who is neither its signer nor a withdrawer whom you accept",
			foreign.LogIndex, foreign.Signer)
	case successor != nil:
		return set(Superseded, ReasonSuccessor, "superseded by entry %d, %s%s", successor.LogIndex, successor.StatementID, inPlace(successor))
	case !inForce:
		return set(Expired, ReasonPeriod, "%s", why)
	case r.AsOf.IsZero():
		return set(Unknown, ReasonNoTime, "no witness and no caller says as of when this is")
	case c.o.At.Sub(r.AsOf) > c.o.MaxStaleness:
		return set(Stale, ReasonOld, "as of %s, which is %s before %s; at most %s is allowed", r.AsOf.Format(time.RFC3339), c.o.At.Sub(r.AsOf),
			c.o.At.UTC().Format(time.RFC3339), c.o.MaxStaleness)
	case len(items) > 0:
		return set(PartlyWithdrawn, ReasonWithdrawal, "%d items are withdrawn", len(items))
	}
	return set(InForce, ReasonNothing, "nothing takes it back as of %s", r.AsOf.Format(time.RFC3339))
}

// mayWithdraw reports whether something was said by the target's signer, or by whom the caller accepts in its place.
func (c *checking) mayWithdraw(s *Said) bool {
	return s.Own || slices.Contains(c.withdrawers, s.Signer) || c.o.InPlace != nil && c.o.InPlace(c.said, s)
}

// inPlace says for whom somebody else spoke, for a sentence.
func inPlace(s *Said) string {
	if s.Own {
		return ""
	}
	return ", by " + s.Signer + " in the place of its signer"
}

// foreignWithdrawal is a withdrawal, in effect at the time asked for, by somebody of whom it is not known whether he may
// withdraw. The service takes withdrawals from a registered successor of the signer alone; who that is cannot be seen here,
// and whoever does not know must not read "in force".
func (c *checking) foreignWithdrawal() *Said {
	for i, s := range c.said {
		if w := s.Statement.Withdrawal; w != nil && !c.mayWithdraw(&s) && effective(w, c.o.At) {
			return &c.said[i]
		}
	}
	return nil
}

// openDisputes are the disputes that nobody closed who may. A part of a dispute that does not begin in the list opens one, unless it
// is the signer's own answer.
func (c *checking) openDisputes() []Said {
	var open []Said
	for _, s := range c.said {
		d := s.Statement.Dispute
		if d == nil {
			continue
		}
		at := -1
		if d.Thread != nil {
			at = slices.IndexFunc(open, func(o Said) bool { return o.StatementID == d.Thread.ID() })
		}
		decides := d.Event == "settled" || d.Event == "rejected"
		known := d.Thread != nil && slices.ContainsFunc(c.said, func(o Said) bool { return o.StatementID == d.Thread.ID() })
		switch {
		case at >= 0 && c.closes(&s, &open[at]):
			open = slices.Delete(open, at, at+1)
		case !decides && !known && !(s.Own && d.Event == "answered"):
			open = append(open, s)
		}
	}
	return open
}

// closes reports whether a step ends a dispute. It is the rule of issuance as far as it can be seen here, and never laxer: who opened
// a dispute settles it, and who is no party rejects it, if the caller named him; the service's registry of assessors is not at hand,
// nor is that of successors. An upheld dispute stays: what it says is held to be true.
func (c *checking) closes(s, opened *Said) bool {
	switch s.Statement.Dispute.Event {
	case "settled":
		return s.Signer == opened.Signer
	case "rejected":
		return slices.Contains(c.arbiters, s.Signer) && !s.Own && s.Signer != opened.Signer
	}
	return false
}

// withdrawals are what the target's signer, or a withdrawer of the caller's, took back by the
// time asked for: the withdrawal of the whole, or the items.
func (c *checking) withdrawals() (whole *Said, items []string) {
	for i, s := range c.said {
		w := s.Statement.Withdrawal
		if w == nil || !c.mayWithdraw(&s) || !effective(w, c.o.At) {
			continue
		}
		if len(w.Items) == 0 {
			return &c.said[i], nil
		}
		items = append(items, w.Items...)
		slices.Sort(items)
		if items = slices.Compact(items); containsAll(items, c.target.Statement.ItemIDs()) {
			return &c.said[i], items
		}
	}
	return nil, items
}

// effective reports whether a withdrawal holds at a time. One that says so in words that are not known holds always.
func effective(w *predicate.Withdrawal, at time.Time) bool {
	if w.Effect != "fromEffectiveAt" {
		return true
	}
	from, err := time.Parse(time.RFC3339, w.EffectiveAt)
	return err != nil || !at.Before(from)
}

// containsAll reports whether everything of some, which is not nothing, is in all.
func containsAll(all, some []string) bool {
	return len(some) > 0 && !slices.ContainsFunc(some, func(id string) bool { return !slices.Contains(all, id) })
}

// successor is a statement of the target's signer that supersedes the target.
func (c *checking) successor() *Said {
	for i, s := range c.said {
		common := s.Statement.Common()
		if common != nil && c.mayWithdraw(&s) && slices.ContainsFunc(common.Supersedes, func(r predicate.StatementRef) bool {
			return r.ID() == c.target.StatementID
		}) {
			return &c.said[i]
		}
	}
	return nil
}
