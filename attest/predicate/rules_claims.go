package predicate

import (
	"fmt"
	"slices"
	"strings"
)

// claimRules are those of no-backdoor statements.
func claimRules() []Rule {
	return []Rule{
		{Code: "R10", Severity: SeverityError, Needs: "S, T", check: checkRelatedFlows, related: relatedFlows,
			When: "NB-COLLECT or NB-UPDATE is claimed without a related data-flows statement; that statement is not in the store or " +
				"the batch, or has other subjects",
			Why: "the claim refers to the list",
			Fix: "put the data-flows statement's digest under common.related and issue both together"},
		{Code: "R11", Severity: SeverityError, Needs: "S", check: checkExceptions,
			When: "assertedExceptDisclosed is without mechanisms; asserted is with mechanisms; a mechanism of a claim is not listed",
			Why:  "exceptions are explicit",
			Fix:  "name the excepted mechanisms by id, or answer asserted without them"},
		{Code: "R12", Severity: SeverityError, Needs: "S", check: checkContradictions,
			When: "a listed mechanism contradicts a claim and is not among its exceptions: defaultCredential, debugInterface, " +
				"builtInKey for NB-ACCESS; remoteDisable, remoteWipe, or a mechanism of vendor or thirdParty that can execute code, " +
				"replace software, change settings, disable the product or observe traffic for NB-CONTROL; lawfulInterception for " +
				"NB-INTERCEPT; keyEscrow, builtInKey for NB-CRYPTO; contentScanning for NB-COLLECT; integrityCheck none with " +
				"executeCode, replaceSoftware or changeSettings for NB-UPDATE",
			Why: "the answer fits the list",
			Fix: "answer assertedExceptDisclosed and name the mechanism, or leave the claim out"},
		{Code: "R13", Severity: SeverityError, Needs: "S", check: checkMechanismFlows,
			When: "a mechanism of kind autoUpdate, remoteConfiguration, experimentation, telemetry, crashReporting, extensionInstall, " +
				"licenceCheck or remoteSupport with access internet names no flow",
			Why: "there is no remote mechanism without a flow",
			Fix: "name the flows of the related data-flows statement under flows"},
		{Code: "R14", Severity: SeverityError, Needs: "S, D", check: checkDefinition,
			When: "definition is without digest, or URI and digest are not a registered pair",
			Why:  "the word needs a fixed meaning",
			Fix:  "copy uri and sha256 of the registered definition"},
		{Code: "R15", Severity: SeverityError, Needs: "S", check: checkEmptyList,
			When: "mechanisms is empty and mechanismsCompleteness is partial",
			Why:  "an empty list that promises nothing",
			Fix:  "list the mechanisms, or make the list complete"},
		{Code: "R16", Severity: SeverityError, Needs: "S, T", check: checkSourceEvidence,
			When: "NB-SOURCE is claimed without evidence of kind provenance or rebuild, named by the claim or supporting it; where that " +
				"evidence is at hand, it is not over a subject's digest",
			Why: "it is the one claim that can be proved",
			Fix: "add the SLSA provenance, or a rebuild, by digest"},
	}
}

func checkRelatedFlows(c *checker) {
	nb := c.s.NoBackdoor
	if nb == nil || slices.ContainsFunc(nb.Common.Related, isFlowsRef) {
		return
	}
	for i, claim := range nb.Claims {
		if claim.ID == ClaimCollect || claim.ID == ClaimUpdate {
			c.report(pointer("predicate", "claims", i), claim.ID, "claim without a related data-flows statement",
				"put its digest under common.related with the predicate type "+DataFlowsType)
		}
	}
}

func isFlowsRef(r StatementRef) bool { return r.PredicateType == DataFlowsType }

func checkExceptions(c *checker) {
	nb := c.s.NoBackdoor
	if nb == nil {
		return
	}
	for i, claim := range nb.Claims {
		at := pointer("predicate", "claims", i, "mechanisms")
		switch {
		case claim.Answer == "assertedExceptDisclosed" && len(claim.Mechanisms) == 0:
			c.report(at, "", "assertedExceptDisclosed without mechanisms", "name the excepted mechanisms, or answer asserted")
		case claim.Answer == "asserted" && len(claim.Mechanisms) > 0:
			c.report(at, strings.Join(claim.Mechanisms, ", "), "asserted with mechanisms", "answer assertedExceptDisclosed")
		}
		for j, id := range claim.Mechanisms {
			if !slices.ContainsFunc(nb.Mechanisms, func(m Mechanism) bool { return m.ID == id }) {
				c.report(at+pointer(j), id, "mechanism is not listed", "list it under mechanisms")
			}
		}
	}
}

// contradicts reports whether a mechanism, as an unnamed exception, would make
// a claim untrue.
func contradicts(claim string, m *Mechanism) bool {
	can := func(capabilities ...string) bool {
		return slices.ContainsFunc(capabilities, func(s string) bool { return slices.Contains(m.Capabilities, s) })
	}
	kind := func(kinds ...string) bool { return slices.Contains(kinds, m.Kind) }
	switch claim {
	case ClaimAccess:
		return kind("defaultCredential", "debugInterface", "builtInKey")
	case ClaimControl:
		foreign := m.Operator == "vendor" || m.Operator == "thirdParty"
		return kind("remoteDisable", "remoteWipe") ||
			foreign && can("executeCode", "replaceSoftware", "changeSettings", "disableProduct", "observeTraffic")
	case ClaimIntercept:
		return kind("lawfulInterception")
	case ClaimCrypto:
		return kind("keyEscrow", "builtInKey")
	case ClaimCollect:
		return kind("contentScanning")
	case ClaimUpdate:
		return m.IntegrityCheck == "none" && can("executeCode", "replaceSoftware", "changeSettings")
	}
	return false
}

func checkContradictions(c *checker) {
	nb := c.s.NoBackdoor
	if nb == nil {
		return
	}
	for i, claim := range nb.Claims {
		for j := range nb.Mechanisms {
			m := &nb.Mechanisms[j]
			if contradicts(claim.ID, m) && !slices.Contains(claim.Mechanisms, m.ID) {
				c.report(pointer("predicate", "claims", i), m.ID,
					fmt.Sprintf("%s does not except the mechanism %s, which contradicts it", claim.ID, m.ID),
					"answer assertedExceptDisclosed and name the mechanism, or leave the claim out")
			}
		}
	}
}

// needsFlow reports whether a mechanism of that kind talks to a remote side by
// itself.
func needsFlow(kind string) bool {
	switch kind {
	case "autoUpdate", "remoteConfiguration", "experimentation", "telemetry", "crashReporting", "extensionInstall",
		"licenceCheck", "remoteSupport":
		return true
	}
	return false
}

func checkMechanismFlows(c *checker) {
	if c.s.NoBackdoor == nil {
		return
	}
	for i, m := range c.s.NoBackdoor.Mechanisms {
		if needsFlow(m.Kind) && m.Access == "internet" && len(m.Flows) == 0 {
			c.report(pointer("predicate", "mechanisms", i, "flows"), "", m.Kind+" over the internet names no flow",
				"name the flows of the related data-flows statement")
		}
	}
}

func checkDefinition(c *checker) {
	nb := c.s.NoBackdoor
	if nb == nil {
		return
	}
	registered := BackdoorDefinition()
	hint := "write uri " + registered.URI + " and sha256 " + registered.SHA256
	if nb.Definition == nil {
		c.report("/predicate/definition", "", "definition is absent", hint)
		return
	}
	sum := nb.Definition.Digest["sha256"]
	if sum == "" {
		c.report("/predicate/definition/digest/sha256", "", "definition without digest", hint)
	} else if _, ok := c.t.Definition(nb.Definition.URI, sum); !ok {
		c.report("/predicate/definition", nb.Definition.URI+" "+sum, "URI and digest are not a registered definition", hint)
	}
}

func checkEmptyList(c *checker) {
	nb := c.s.NoBackdoor
	if nb != nil && len(nb.Mechanisms) == 0 && nb.MechanismsCompleteness.Level == "partial" {
		c.report("/predicate/mechanisms", "[]", "the list is empty and only partial", "list the mechanisms, or make the list complete")
	}
}

func checkSourceEvidence(c *checker) {
	nb := c.s.NoBackdoor
	if nb == nil {
		return
	}
	for i, claim := range nb.Claims {
		if claim.ID == ClaimSource && len(nb.sourceEvidence(claim)) == 0 {
			c.report(pointer("predicate", "claims", i), claim.ID, "claim without evidence of kind provenance or rebuild",
				"add it to evidence by digest, and its id to the claim's evidence")
		}
	}
}

// sourceEvidence returns the positions of the provenance and rebuilds that the
// claim names or that support it.
func (nb *NoBackdoor) sourceEvidence(claim Claim) []int {
	var at []int
	for i, e := range nb.Evidence {
		if (e.Kind == "provenance" || e.Kind == "rebuild") &&
			(slices.Contains(claim.Evidence, e.ID) || slices.Contains(e.Supports, ClaimSource)) {
			at = append(at, i)
		}
	}
	return at
}
