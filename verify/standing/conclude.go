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
	whole, items := c.withdrawals()
	r.Items = items
	successor := c.successor()
	inForce, why := c.target.Statement.InForce(c.o.At)
	set := func(s Standing, reason Reason, format string, args ...any) *Result {
		r.Standing, r.Reason, r.Detail = s, reason, fmt.Sprintf(format, args...)
		return r
	}
	switch {
	case whole != nil:
		return set(Withdrawn, ReasonWithdrawal, "withdrawn by entry %d, %s", whole.LogIndex, whole.StatementID)
	case c.target.LogIndex >= c.root.Size:
		return set(Unknown, ReasonNotCovered, "the index covers %d entries, and the statement is entry %d", c.root.Size, c.target.LogIndex)
	case c.problem != "":
		return set(Unknown, c.problem, "%s", c.detail)
	case !index.Resolved(entries(c.b.GetUnresolved())):
		return set(Unknown, ReasonUnresolved, "the signer has entries in the log that nobody could read; one may be a withdrawal")
	case successor != nil:
		return set(Superseded, ReasonSuccessor, "superseded by entry %d, %s", successor.LogIndex, successor.StatementID)
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

// withdrawals are what the target's signer took back by the time asked for: the withdrawal of the whole, or the items.
func (c *checking) withdrawals() (whole *Said, items []string) {
	for i, s := range c.said {
		w := s.Statement.Withdrawal
		if !s.Own || w == nil || !effective(w, c.o.At) {
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
		if s.Own && common != nil && slices.ContainsFunc(common.Supersedes, func(r predicate.StatementRef) bool {
			return r.ID() == c.target.StatementID
		}) {
			return &c.said[i]
		}
	}
	return nil
}
