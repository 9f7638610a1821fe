package predicate

import "slices"

// evidenceRules are those about evidence, ids and references.
func evidenceRules() []Rule {
	return []Rule{
		{Code: "R31", Severity: SeverityError, Needs: "S, T", check: checkReferences, related: relatedReferences,
			When: "a flow, mechanism or evidence id stands twice; a reference is to an id that is not there (flows of a mechanism: in " +
				"the related statement; items and findings: in the target)",
			Why: "dangling reference",
			Fix: "make ids unique, and correct the reference"},
		{Code: "R32", Severity: SeverityError, Needs: "S", check: checkEvidence,
			When: "evidence is without sha256 or gitCommit; evidence is a subject",
			Why:  "evidence could change, or would prove itself",
			Fix:  "add the digest of the document; URLs are never fetched"},
	}
}

// evidence returns the evidence of any type.
func (s *Statement) evidence() []Evidence {
	switch {
	case s.NoBackdoor != nil:
		return s.NoBackdoor.Evidence
	case s.DataFlows != nil:
		return s.DataFlows.Evidence
	case s.Undertakings != nil:
		return s.Undertakings.Evidence
	case s.Dispute != nil:
		return s.Dispute.Evidence
	case s.Assessment != nil:
		return s.Assessment.Evidence
	}
	return nil
}

// ItemIDs returns the ids of the claims, mechanisms, flows and undertakings of
// the statement in order: what evidence supports, a withdrawal withdraws and an
// assessment examines.
func (s *Statement) ItemIDs() []string {
	var ids []string
	if nb := s.NoBackdoor; nb != nil {
		for _, claim := range nb.Claims {
			ids = append(ids, claim.ID)
		}
		for _, m := range nb.Mechanisms {
			ids = append(ids, m.ID)
		}
	}
	if df := s.DataFlows; df != nil {
		for _, f := range df.Flows {
			ids = append(ids, f.ID)
		}
	}
	if u := s.Undertakings; u != nil {
		for _, undertaking := range u.Undertakings {
			ids = append(ids, undertaking.ID)
		}
	}
	return ids
}

// idSet is built once per check, so that references cost no more than they are.
func idSet(ids []string) map[string]bool {
	set := make(map[string]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}

func checkReferences(c *checker) {
	s := c.s
	evidence := make(map[string]bool)
	for i, e := range s.evidence() {
		c.unique(evidence, e.ID, "evidence", i)
	}
	if nb := s.NoBackdoor; nb != nil {
		mechanisms := make(map[string]bool)
		for i, m := range nb.Mechanisms {
			c.unique(mechanisms, m.ID, "mechanisms", i)
		}
		for i, claim := range nb.Claims {
			c.present(claim.Evidence, evidence, "claims", i, "evidence")
		}
	}
	flows := make(map[string]bool)
	c.flows(func(i int, f *Flow) {
		c.unique(flows, f.ID, "flows", i)
		c.present(f.Evidence, evidence, "flows", i, "evidence")
	})
	if s.Undertakings != nil {
		for i, u := range s.Undertakings.Undertakings {
			c.present(u.Evidence, evidence, "undertakings", i, "evidence")
		}
	}
	if s.Assessment != nil {
		for i, f := range s.Assessment.Findings {
			c.present(f.Evidence, evidence, "findings", i, "evidence")
		}
	}
	if s.Common() == nil {
		return // evidence of the others supports items of the target
	}
	items := idSet(s.ItemIDs())
	for i, e := range s.evidence() {
		c.present(e.Supports, items, "evidence", i, "supports")
	}
}

// unique reports an id of a list that was there before.
func (c *checker) unique(seen map[string]bool, id, list string, i int) {
	if seen[id] {
		c.report(pointer("predicate", list, i, "id"), id, "id stands twice", "give each its own id")
	}
	seen[id] = true
}

// present reports references to ids that are not there.
func (c *checker) present(references []string, ids map[string]bool, list string, i int, member string) {
	for j, id := range references {
		if !ids[id] {
			c.report(pointer("predicate", list, i, member, j), id, "there is nothing with this id", "correct the id, or add what it names")
		}
	}
}

func checkEvidence(c *checker) {
	for i, e := range c.s.evidence() {
		at := pointer("predicate", "evidence", i, "resource")
		var digest map[string]string
		if e.Resource != nil {
			digest = e.Resource.Digest
		}
		if digest["sha256"] == "" && digest["gitCommit"] == "" {
			c.report(at+"/digest", "", "evidence without sha256 or gitCommit",
				"add the SHA-256 of the document: what a URL shows can change")
			continue
		}
		if slices.ContainsFunc(c.s.Subjects, func(s Subject) bool { return sharesDigest(s.Digest, digest) }) {
			c.report(at+"/digest", digest["sha256"], "evidence is a subject: it would prove itself", "name another document")
		}
	}
}

// sharesDigest reports whether two digest sets have a digest in common.
func sharesDigest(a, b map[string]string) bool {
	for algorithm, value := range a {
		// A commit is no file: sources of the subject may well be evidence.
		if algorithm != "gitCommit" && value != "" && b[algorithm] == value {
			return true
		}
	}
	return false
}
