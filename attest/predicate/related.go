package predicate

import (
	"maps"
	"slices"
	"strings"
)

// The halves of the rules that other statements show.

// relatedFlows is R10: the data-flows statement that claims refer to is at hand
// and about the same files.
func relatedFlows(c *checker, others related) {
	nb := c.s.NoBackdoor
	if nb == nil {
		return
	}
	for i, ref := range nb.Common.Related {
		if !nb.claimsList() || !isFlowsRef(ref) {
			continue
		}
		at := pointer("predicate", "common", "related", i)
		other := others[ref.ID()]
		switch {
		case other == nil:
			c.report(at, ref.ID(), "the related data-flows statement is not in the store or the batch", "issue it first, or together")
		case other.DataFlows == nil:
			c.report(at, other.Type, "the related statement is not a data-flows statement", "correct the digest")
		case !sameSubjects(c.s, other):
			c.report(at, ref.ID(), "the related data-flows statement has other subjects", "make both about the same files")
		}
	}
}

// claimsList reports whether a claim refers to the list of flows.
func (nb *NoBackdoor) claimsList() bool {
	return slices.ContainsFunc(nb.Claims, func(claim Claim) bool { return claim.ID == ClaimCollect || claim.ID == ClaimUpdate })
}

// sameSubjects compares the subjects by SHA-256, in any order.
func sameSubjects(a, b *Statement) bool {
	return maps.Equal(subjectDigests(a), subjectDigests(b))
}

func subjectDigests(s *Statement) map[string]bool {
	set := make(map[string]bool, len(s.Subjects))
	for _, subject := range s.Subjects {
		set[subject.Digest["sha256"]] = true
	}
	return set
}

// relatedMechanisms is R21: an empty list of flows beside a no-backdoor
// statement, related in either direction, whose mechanisms talk to a network.
func relatedMechanisms(c *checker, others related) {
	df := c.s.DataFlows
	if df == nil || len(df.Flows) > 0 {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(others)) {
		other := others[id]
		if other.NoBackdoor == nil || !refersTo(df.Common.Related, id) && !refersTo(other.NoBackdoor.Common.Related, c.s.ID()) {
			continue
		}
		for _, m := range other.NoBackdoor.Mechanisms {
			if talks(m) {
				c.report("/predicate/flows", "[]", "no flows, while the related no-backdoor statement lists the mechanism "+
					printable(m.ID)+" of kind "+m.Kind, "list its flows")
			}
		}
	}
}

// talks reports whether a mechanism is telemetry or an update over a network.
func talks(m Mechanism) bool {
	switch m.Kind {
	case "telemetry", "crashReporting", "experimentation", "autoUpdate", "extensionInstall", "remoteConfiguration":
		return m.Access != "physical" && m.Access != "localHost"
	}
	return false
}

func refersTo(refs []StatementRef, id string) bool {
	return slices.ContainsFunc(refs, func(r StatementRef) bool { return r.ID() == id })
}

// relatedReferences is R31: flows of mechanisms are in the related data-flows
// statements; items and findings are in the target.
func relatedReferences(c *checker, others related) {
	if nb := c.s.NoBackdoor; nb != nil {
		c.mechanismFlows(nb, others)
		return
	}
	ref := c.s.Target()
	if ref == nil || others[ref.ID()] == nil {
		return // R40 reports an absent target
	}
	items := idSet(others[ref.ID()].ItemIDs())
	items[reservedID] = true
	report := func(id, at string) {
		if !items[id] {
			c.report(at, id, "the target has nothing with this id", "correct the id")
		}
	}
	switch s := c.s; {
	case s.Withdrawal != nil:
		for i, id := range s.Withdrawal.Items {
			report(id, pointer("predicate", "items", i))
		}
	case s.Dispute != nil:
		for i, id := range s.Dispute.Items {
			report(id, pointer("predicate", "items", i))
		}
	case s.Assessment != nil:
		for i, f := range s.Assessment.Findings {
			report(f.Item, pointer("predicate", "findings", i, "item"))
		}
	}
	for i, e := range c.s.evidence() {
		for j, id := range e.Supports {
			report(id, pointer("predicate", "evidence", i, "supports", j))
		}
	}
}

// mechanismFlows checks the flows of mechanisms against all related data-flows
// statements. If none is named there is nothing they could be in, and each is
// dangling.
func (c *checker) mechanismFlows(nb *NoBackdoor, others related) {
	flows := make(map[string]bool)
	for _, ref := range nb.Common.Related {
		other := others[ref.ID()]
		switch {
		case !isFlowsRef(ref):
		case other != nil:
			maps.Copy(flows, idSet(other.ItemIDs()))
		case nb.claimsList():
			return // R10 reports it
		}
	}
	for i, m := range nb.Mechanisms {
		for j, id := range m.Flows {
			if !flows[id] {
				c.report(pointer("predicate", "mechanisms", i, "flows", j), id,
					"no related data-flows statement at hand has this flow", "correct the id, or add the flow there")
			}
		}
	}
}

// relatedTarget is the half of R40 that needs no signer: what may be said about
// what, and that it is said about the same files. An id is the digest of the
// statement's own bytes, so nothing can name itself, and a chain of references
// ends; the rest of what could go in circles is refused here.
func relatedTarget(c *checker, others related) {
	relatedSuperseded(c, others)
	ref := c.s.Target()
	if ref == nil {
		return
	}
	target := others[ref.ID()]
	switch {
	case target == nil:
		c.report("/predicate/target", ref.ID(), "the target is not in the store or the batch", "correct the digest")
		return
	case target.Type != ref.PredicateType:
		c.report("/predicate/target/predicateType", ref.PredicateType, "the target is of the type "+target.Type, "correct the type")
	case !sameSubjects(c.s, target):
		c.report("/subject", "", "the subjects are not those of the target", "copy all subjects of the target")
	}
	if hint := unfitTarget(c.s, target); hint != "" {
		c.report("/predicate/target", target.Type, "nothing of the type "+c.s.Type+" is said about such a statement", hint)
	}
	relatedThread(c, others)
}

// unfitTarget says what to do instead of saying this about the target, "" if it
// can be said. A standing states nothing of its own.
func unfitTarget(s, target *Statement) string {
	switch {
	case target.Standing != nil:
		return "name the statement that the standing is about"
	case s.Withdrawal != nil && target.Withdrawal != nil:
		return "a withdrawal stays; issue the statement again if it holds after all"
	case s.Dispute != nil && target.Dispute != nil:
		return "go on with the dispute: name it as thread, and its target as target"
	case s.Assessment != nil && target.Common() == nil:
		return "assess a no-backdoor, data-flows or undertakings statement"
	}
	return ""
}

// relatedThread looks at the first dispute of the exchange.
func relatedThread(c *checker, others related) {
	d := c.s.Dispute
	if d == nil || d.Thread == nil {
		return
	}
	const at = "/predicate/thread"
	thread := others[d.Thread.ID()]
	switch {
	case d.Event == "opened":
		c.report(at, d.Thread.ID(), "a dispute that is opened goes on with no other", "remove thread, or name another event")
	case thread == nil:
		c.report(at, d.Thread.ID(), "the thread is not in the store or the batch", "correct the digest")
	case thread.Dispute == nil || thread.Dispute.Event != "opened":
		c.report(at, thread.Type, "the thread does not begin with this statement", "name the dispute with the event opened")
	case thread.Dispute.Target.ID() != d.Target.ID():
		c.report(at, thread.Dispute.Target.ID(), "the thread is about another target", "copy the target of the thread")
	}
}

// relatedSuperseded reports a statement that would replace one of another type.
func relatedSuperseded(c *checker, others related) {
	common := c.s.Common()
	if common == nil {
		return
	}
	for i, ref := range common.Supersedes {
		if old := others[ref.ID()]; old != nil && old.Type != c.s.Type {
			c.report(pointer("predicate", "common", "supersedes", i), old.Type, "a statement replaces one of its own type", "correct the digest")
		}
	}
}

// relatedAssessor is the half of R41 that needs no signer.
func relatedAssessor(c *checker, others related) {
	a := c.s.Assessment
	if a == nil || a.Independence != "thirdParty" {
		return
	}
	target := others[a.Target.ID()]
	if target == nil {
		return
	}
	if d, _ := target.declarant(); d != nil && sameParty(&d.Party, &a.Assessor) {
		c.report("/predicate/independence", a.Independence, "the assessor is the declarant of the target", "say firstParty")
	}
}

// sameParty compares names without regard to case and space, and identifiers.
func sameParty(a, b *Party) bool {
	fold := func(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }
	if fold(a.Name) == fold(b.Name) {
		return true
	}
	return slices.ContainsFunc(a.Identifiers, func(id Identifier) bool { return slices.Contains(b.Identifiers, id) })
}
