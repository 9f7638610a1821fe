package predicate

import "slices"

// warningRules are returned and do not block. W02, W03 and W08 need the SBOM,
// the binary, or facts about a recipient that no statement holds, W09 and W10
// who signed what; they are not applied here.
func warningRules() []Rule {
	return []Rule{
		{Code: "W01", Severity: SeverityWarning, Needs: "S", check: warnMethods,
			When: "completeness is complete or completeForConfiguration without the method flowCapture or staticAnalysis",
			Why:  "completeness from reading alone",
			Fix:  "capture the traffic, or analyse the code, and add the method"},
		{Code: "W02", Severity: SeverityWarning, Needs: "B",
			When: "the SBOM lists a known telemetry library and no flow is usageAnalytics or crashReporting",
			Why:  "likely omission",
			Fix:  "list the library's flows, or exclude them with a reason"},
		{Code: "W03", Severity: SeverityWarning, Needs: "B",
			When: "host names found in the binary or in a capture are not declared",
			Why:  "likely omission",
			Fix:  "list them"},
		{Code: "W04", Severity: SeverityWarning, Needs: "S", check: warnKnowledge,
			When: "every claim is bestOfKnowledge",
			Why:  "nothing is firmly claimed",
			Fix:  "sign without qualification what you can"},
		{Code: "W05", Severity: SeverityWarning, Needs: "S", check: warnOwnWord,
			When: "no evidence of a no-backdoor or data-flows statement is by a third party",
			Why:  "own word only",
			Fix:  "add a rebuild, a capture or an audit by somebody else"},
		{Code: "W06", Severity: SeverityWarning, Needs: "S, D", check: warnDelivery,
			When: "a recipient shares its name with a known content delivery network",
			Why:  "it is open who controls the data",
			Fix:  "name the party for whom the network works as a recipient too"},
		{Code: "W07", Severity: SeverityWarning, Needs: "S", check: warnDocuments,
			When: "a document of a mechanism, a recipient's policy or an advisory is a URL without digest",
			Why:  "the text can change",
			Fix:  "add the SHA-256 of the text as it is today"},
		{Code: "W08", Severity: SeverityWarning, Needs: "S, facts about the recipient",
			When: "storage is narrower than the recipient's published regions can show",
			Why:  "it is displayed as declared, not verified",
			Fix:  "name a document that shows it as evidence"},
		{Code: "W09", Severity: SeverityWarning, Needs: "T, I",
			When: "another statement of the same signer and type about the same artifact is in force at the same time and says something " +
				"else, and neither supersedes the other",
			Why: "a buyer who holds both refuses both",
			Fix: "withdraw the other one, or issue one that names it in common.supersedes"},
		{Code: "W10", Severity: SeverityWarning, Needs: "T, I",
			When: "a withdrawal is signed by fewer recovery keys than the vendor's threshold",
			Why:  "it has no effect yet",
			Fix:  "have the same statement signed with the missing number of other recovery keys"},
	}
}

func warnMethods(c *checker) {
	completeness, at := (*Completeness)(nil), ""
	switch {
	case c.s.DataFlows != nil:
		completeness, at = &c.s.DataFlows.Completeness, "/predicate/completeness/methods"
	case c.s.NoBackdoor != nil:
		completeness, at = &c.s.NoBackdoor.MechanismsCompleteness, "/predicate/mechanismsCompleteness/methods"
	default:
		return
	}
	if completeness.Level != "complete" && completeness.Level != "completeForConfiguration" {
		return
	}
	if !slices.Contains(completeness.Methods, "flowCapture") && !slices.Contains(completeness.Methods, "staticAnalysis") {
		c.report(at, completeness.Level, "completeness without flowCapture or staticAnalysis",
			"capture the traffic, or analyse the code, and add the method")
	}
}

func warnKnowledge(c *checker) {
	nb := c.s.NoBackdoor
	if nb == nil || len(nb.Claims) == 0 {
		return
	}
	if !slices.ContainsFunc(nb.Claims, func(claim Claim) bool { return claim.Qualification != "bestOfKnowledge" }) {
		c.report("/predicate/claims", "bestOfKnowledge", "every claim is to the best of knowledge",
			"sign without qualification what you can")
	}
}

func warnOwnWord(c *checker) {
	if c.s.NoBackdoor == nil && c.s.DataFlows == nil {
		return
	}
	if !slices.ContainsFunc(c.s.evidence(), func(e Evidence) bool { return e.Independence == "thirdParty" }) {
		c.report("/predicate/evidence", "", "no evidence is by a third party", "add a rebuild, a capture or an audit by somebody else")
	}
}

func warnDelivery(c *checker) {
	c.flows(func(i int, f *Flow) {
		for j, r := range f.Recipients {
			if r.Party == nil {
				continue
			}
			if name := c.t.ContentDeliveryNetwork(r.Party.Name); name != "" {
				c.report(pointer("predicate", "flows", i, "recipients", j, "party", "name"), r.Party.Name,
					"shares its name with the content delivery network "+name, "name the party for whom it works as a recipient too")
			}
		}
	})
}

func warnDocuments(c *checker) {
	check := func(d *ResourceDescriptor, at func() string) {
		if len(d.Digest) == 0 && (d.URI != "" || d.DownloadLocation != "") {
			c.report(at()+"/digest", d.URI, "document without digest", "add the SHA-256 of the text as it is today")
		}
	}
	if nb := c.s.NoBackdoor; nb != nil {
		for i := range nb.Mechanisms {
			for j := range nb.Mechanisms[i].Documentation {
				check(&nb.Mechanisms[i].Documentation[j],
					func() string { return pointer("predicate", "mechanisms", i, "documentation", j) })
			}
		}
	}
	c.flows(func(i int, f *Flow) {
		for j, r := range f.Recipients {
			if r.Policy != nil {
				check(r.Policy, func() string { return pointer("predicate", "flows", i, "recipients", j, "policy") })
			}
		}
	})
	if c.s.Withdrawal != nil {
		for i := range c.s.Withdrawal.Advisories {
			check(&c.s.Withdrawal.Advisories[i], func() string { return pointer("predicate", "advisories", i) })
		}
	}
}
