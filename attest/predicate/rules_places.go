package predicate

// R25 and the visit of all parties of a statement.

const countryHint = "write the two-letter ISO 3166-1 code in upper case"

// parties calls visit for every party but the declarant, with its place.
// Public says that its country may be anywhere.
func (s *Statement) parties(visit func(p *Party, public bool, at func() string)) {
	if nb := s.NoBackdoor; nb != nil {
		for i := range nb.Mechanisms {
			for j := range nb.Mechanisms[i].Operators {
				visit(&nb.Mechanisms[i].Operators[j], false,
					func() string { return pointer("predicate", "mechanisms", i, "operators", j) })
			}
		}
	}
	if df := s.DataFlows; df != nil {
		for i := range df.Flows {
			for j := range df.Flows[i].Recipients {
				if r := &df.Flows[i].Recipients[j]; r.Party != nil {
					visit(r.Party, r.Role == "publicService",
						func() string { return pointer("predicate", "flows", i, "recipients", j, "party") })
				}
			}
		}
	}
	if s.Dispute != nil {
		visit(&s.Dispute.Party, false, func() string { return "/predicate/party" })
	}
	if s.Assessment != nil {
		visit(&s.Assessment.Assessor, false, func() string { return "/predicate/assessor" })
	}
	for i, e := range s.evidence() {
		if e.Producer != nil {
			visit(e.Producer, false, func() string { return pointer("predicate", "evidence", i, "producer") })
		}
	}
}

func checkPlaces(c *checker) {
	if d, at := c.s.declarant(); d != nil {
		c.controlledFrom(&d.Party, func() string { return at + "/party" })
	}
	c.s.parties(func(p *Party, public bool, at func() string) {
		if p.Country != "" && !c.t.Country(p.Country) && (!public || p.Country != Anywhere) {
			c.report(at()+"/country", p.Country, "is not a country of ISO 3166-1", countryHint)
		}
		c.controlledFrom(p, at)
	})
	if c.s.DataFlows == nil {
		return
	}
	for i, f := range c.s.DataFlows.Flows {
		for j, r := range f.Recipients {
			at := func(name string) string { return pointer("predicate", "flows", i, "recipients", j, name) }
			c.jurisdictions(r.Storage, func() string { return at("storage") })
			c.jurisdictions(r.AccessFrom, func() string { return at("accessFrom") })
		}
	}
}

func (c *checker) controlledFrom(p *Party, at func() string) {
	if p.ControlledFrom != "" && !c.t.Country(p.ControlledFrom) {
		c.report(at()+"/controlledFrom", p.ControlledFrom, "is not a country of ISO 3166-1",
			countryHint+", or leave the member out: absent reads as anywhere")
	}
}

func (c *checker) jurisdictions(tokens []string, at func() string) {
	for i, token := range tokens {
		switch {
		case !c.t.Jurisdiction(token):
			c.report(at()+pointer(i), token, "is not a jurisdiction",
				"write an ISO 3166-1 code in upper case, a part of one such as FR-NC, EU, EEA or anywhere")
		case token == Anywhere && len(tokens) > 1:
			c.report(at()+pointer(i), token, "anywhere stands beside other places", "keep anywhere alone, or leave it out")
		}
	}
}
