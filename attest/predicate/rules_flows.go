package predicate

import (
	"slices"
	"strings"
)

// flowRules are those of data-flows statements but the rule for endpoints'
// values, which is in rules_endpoints.go.
func flowRules() []Rule {
	return []Rule{
		{Code: "R20", Severity: SeverityError, Needs: "S", check: checkNetworkUse,
			When: "networkUse is none with flows, or some without",
			Why:  "contradiction",
			Fix:  "make networkUse and flows agree"},
		{Code: "R21", Severity: SeverityError, Needs: "T, B", related: relatedMechanisms,
			When: "there are no flows, while the related no-backdoor statement or the SBOM names telemetry or update mechanisms",
			Why:  "contradiction",
			Fix:  "list the flows of these mechanisms"},
		{Code: "R22", Severity: SeverityError, Needs: "S, D", check: checkEndpoints,
			When: "a value has *; a host or suffix is a URL, an address, a single label, not in lower-case A-labels, or under local, " +
				"localhost, internal or home.arpa; a host is an ICANN public suffix; a suffix is a public suffix or lies above one " +
				"(com, cloudfront.net, amazonaws.com); a cidr is wider than /16 (IPv6: /32) or has host bits",
			Why: "such an endpoint says nothing",
			Fix: "name the hosts; what an operator configures is kind configured, what a user directs is userDirected"},
		{Code: "R23", Severity: SeverityError, Needs: "S", check: checkCompleteness,
			When: "completeness is complete or completeForConfiguration with a userDirected endpoint whose trigger is not userAction; " +
				"complete with a configured endpoint and no configuredEndpoints exclusion",
			Why: "complete means complete",
			Fix: "exclude it by name, or lower the level"},
		{Code: "R24", Severity: SeverityError, Needs: "S", check: checkRecipients,
			When: "sends is absent; data with personal other than none goes to, or comes from, a recipient other than customer without " +
				"country, storage or accessFrom (empty counts as absent)",
			Why: "silence is not anywhere",
			Fix: "say where; if it is not known, write anywhere"},
	}
}

// dataRules are those about data, switches and the protection of flows.
func dataRules() []Rule {
	return []Rule{
		{Code: "R26", Severity: SeverityError, Needs: "S", check: checkRetention,
			When: "personal or special data has a recipient other than customer without retention; special data is without legalBases",
			Why:  "GDPR Art. 9 and 30",
			Fix:  "add retention (unspecified is an answer) and legalBases"},
		{Code: "R27", Severity: SeverityError, Needs: "S", check: checkCategories,
			When: "credentials, biometric, health, genetic, financial or preciseLocation is said to be not personal",
			Why:  "such a category cannot be impersonal",
			Fix:  "set personal to what it is"},
		{Code: "R28", Severity: SeverityError, Needs: "S", check: checkControls,
			When: "control.possible is yes or partly without methods; a method setting, ui, environment or policy is without setting; " +
				"yes by vendorOnly",
			Why: "nobody finds such a switch",
			Fix: "write how it is switched off, literally"},
		{Code: "R29", Severity: SeverityError, Needs: "S", check: checkReceives,
			When: "purpose softwareUpdate, extensionInstall, remoteConfiguration or experimentation is without receives",
			Why:  "something comes in",
			Fix:  "list what is received"},
		{Code: "R30", Severity: SeverityError, Needs: "S", check: checkTLS,
			When: "a host, suffix or cidr is without tls, unless application is ntp, domain, dhcp, icmp or mdns",
			Why:  "requirement none must be said",
			Fix:  "add tls with requirement and verification; none is an answer"},
		{Code: "R33", Severity: SeverityError, Needs: "S", check: checkActivation,
			When: "defaultState is off with trigger startup or periodic",
			Why:  "contradiction",
			Fix:  "say what starts it, or that it is on"},
		{Code: "R34", Severity: SeverityError, Needs: "S", check: checkIdentifiers,
			When: "deviceIdentifier, instanceIdentifier or usageEvents that are linked to a device or person are said to be not personal",
			Why:  "a random number per instance is pseudonymous",
			Fix:  "set personal to pseudonymous"},
	}
}

// flows calls visit for every flow with its index.
func (c *checker) flows(visit func(i int, f *Flow)) {
	if c.s.DataFlows == nil {
		return
	}
	for i := range c.s.DataFlows.Flows {
		visit(i, &c.s.DataFlows.Flows[i])
	}
}

// items calls visit for every data item of a flow with its place.
func (f *Flow) items(i int, visit func(item *DataItem, at func() string)) {
	for j := range f.Sends {
		visit(&f.Sends[j], func() string { return pointer("predicate", "flows", i, "sends", j) })
	}
	for j := range f.Receives {
		visit(&f.Receives[j], func() string { return pointer("predicate", "flows", i, "receives", j) })
	}
}

// has reports whether an item of the flow has one of the values of personal.
func (f *Flow) has(personal func(string) bool) bool {
	found := false
	f.items(0, func(item *DataItem, _ func() string) { found = found || personal(item.Personal) })
	return found
}

func checkNetworkUse(c *checker) {
	df := c.s.DataFlows
	switch {
	case df == nil:
	case df.NetworkUse == "none" && len(df.Flows) > 0:
		c.report("/predicate/networkUse", df.NetworkUse, "no network use with flows", "write some, or remove the flows")
	case df.NetworkUse == "some" && len(df.Flows) == 0:
		c.report("/predicate/flows", "[]", "network use without a flow", "list the flows, or write none")
	}
}

func checkCompleteness(c *checker) {
	if c.s.DataFlows == nil {
		return
	}
	completeness := &c.s.DataFlows.Completeness
	excluded := slices.ContainsFunc(completeness.Exclusions, func(e Exclusion) bool { return e.Kind == "configuredEndpoints" })
	complete := completeness.Level == "complete"
	if !complete && completeness.Level != "completeForConfiguration" {
		return
	}
	c.flows(func(i int, f *Flow) {
		for j, e := range f.Endpoints {
			switch {
			case e.Kind == "userDirected" && f.Activation.Trigger != "userAction":
				c.report(pointer("predicate", "flows", i, "endpoints", j), f.Activation.Trigger,
					"userDirected endpoint that something other than a user's action triggers, in a list that is "+completeness.Level,
					"set trigger to userAction, name the endpoint, or make the list partial")
			case complete && e.Kind == "configured" && !excluded:
				c.report(pointer("predicate", "flows", i, "endpoints", j), e.Setting,
					"configured endpoint in a complete list that does not exclude configuredEndpoints",
					"add the exclusion configuredEndpoints, or use completeForConfiguration")
			}
		}
	})
}

func checkRecipients(c *checker) {
	c.flows(func(i int, f *Flow) {
		if f.Sends == nil {
			c.report(pointer("predicate", "flows", i, "sends"), "", "sends is absent", "list what is sent; [] if nothing is")
		}
		if !f.has(func(personal string) bool { return personal != "none" }) {
			return
		}
		for j, r := range f.Recipients {
			if r.Role == "customer" {
				continue
			}
			at := pointer("predicate", "flows", i, "recipients", j)
			const message = "recipient of data that is not said to be impersonal, without "
			if r.Party == nil || r.Party.Country == "" {
				c.report(at+"/party/country", "", message+"country", countryHint)
			}
			if len(r.Storage) == 0 {
				c.report(at+"/storage", "", message+"storage", "say where the data is kept; if it is not known: [\"anywhere\"]")
			}
			if len(r.AccessFrom) == 0 {
				c.report(at+"/accessFrom", "", message+"accessFrom", "say from where the data is read; if it is not known: [\"anywhere\"]")
			}
		}
	})
}

func checkRetention(c *checker) {
	c.flows(func(i int, f *Flow) {
		special := f.has(func(personal string) bool { return personal == "special" })
		if special && len(f.LegalBases) == 0 {
			c.report(pointer("predicate", "flows", i, "legalBases"), "", "special categories of data without legalBases",
				"name the basis, for example GDPR Art. 9(2)(a)")
		}
		if !special && !f.has(func(personal string) bool { return personal == "personal" }) {
			return
		}
		for j, r := range f.Recipients {
			if r.Role != "customer" && r.Retention == nil {
				c.report(pointer("predicate", "flows", i, "recipients", j, "retention"), "", "recipient of personal data without retention",
					"say how long the data is kept; unspecified is an answer")
			}
		}
	})
}

func checkCategories(c *checker) {
	c.flows(func(i int, f *Flow) {
		f.items(i, func(item *DataItem, at func() string) {
			switch item.Category {
			case "credentials", "biometric", "health", "genetic", "financial", "preciseLocation":
				if item.Personal == "none" {
					c.report(at()+"/personal", item.Personal, item.Category+" cannot be impersonal", "set personal to what it is")
				}
			}
		})
	})
}

func checkIdentifiers(c *checker) {
	c.flows(func(i int, f *Flow) {
		f.items(i, func(item *DataItem, at func() string) {
			linked := item.Linked == "linkedToDevice" || item.Linked == "linkedToPerson"
			switch item.Category {
			case "deviceIdentifier", "instanceIdentifier", "usageEvents":
				if linked && item.Personal == "none" {
					c.report(at()+"/personal", item.Personal, item.Category+", "+Label("linked", item.Linked)+", is not impersonal",
						"set personal to pseudonymous")
				}
			}
		})
	})
}

func checkControls(c *checker) {
	if c.s.NoBackdoor != nil {
		for i := range c.s.NoBackdoor.Mechanisms {
			c.control(&c.s.NoBackdoor.Mechanisms[i].Control, func() string { return pointer("predicate", "mechanisms", i, "control") })
		}
	}
	c.flows(func(i int, f *Flow) {
		c.control(&f.Activation.Control, func() string { return pointer("predicate", "flows", i, "activation", "control") })
	})
}

func (c *checker) control(control *Control, at func() string) {
	named := func(method string) bool {
		return slices.Contains([]string{"setting", "ui", "environment", "policy"}, method)
	}
	if (control.Possible == "yes" || control.Possible == "partly") && len(control.Methods) == 0 {
		c.report(at()+"/methods", "", "a switch without a method", "say how: "+strings.Join(IDs("controlMethod"), ", "))
	}
	if i := slices.IndexFunc(control.Methods, named); i >= 0 && strings.TrimSpace(control.Setting) == "" {
		c.report(at()+"/setting", "", "method "+control.Methods[i]+" without the setting", "write what to set, literally")
	}
	if control.Possible == "yes" && control.By == "vendorOnly" {
		c.report(at()+"/by", control.By, "can be switched off, but by the vendor only", "write possible: no")
	}
}

func checkReceives(c *checker) {
	c.flows(func(i int, f *Flow) {
		if len(f.Receives) > 0 {
			return
		}
		for j, purpose := range f.Purposes {
			switch purpose {
			case "softwareUpdate", "extensionInstall", "remoteConfiguration", "experimentation":
				c.report(pointer("predicate", "flows", i, "purposes", j), purpose, "purpose without anything that is received",
					"list under receives what comes in")
			}
		}
	})
}

func checkTLS(c *checker) {
	c.flows(func(i int, f *Flow) {
		for j, e := range f.Endpoints {
			if e.TLS != nil || e.Kind != "host" && e.Kind != "suffix" && e.Kind != "cidr" {
				continue
			}
			switch e.Application {
			case "ntp", "domain", "dhcp", "icmp", "mdns":
			default:
				c.report(pointer("predicate", "flows", i, "endpoints", j, "tls"), e.Application, "tls is absent",
					"add tls with requirement and verification; requirement none is an answer")
			}
		}
	})
}

func checkActivation(c *checker) {
	c.flows(func(i int, f *Flow) {
		if a := f.Activation; a.DefaultState == "off" && (a.Trigger == "startup" || a.Trigger == "periodic") {
			c.report(pointer("predicate", "flows", i, "activation"), a.Trigger, "off by default, and triggered by "+a.Trigger,
				"say what starts it (userAction), or that it is on")
		}
	})
}
