package predicate

import (
	"cmp"
	"slices"
	"strings"
)

// Placeholder returns a text that [Lint] refuses until it is replaced, with what
// is to be filled in.
func Placeholder(what string) string { return fill(what) }

// PlaceholderOf returns a placeholder for a value of a registry. note, if it is
// not empty, says what is known about it.
func PlaceholderOf(registry, note string) string {
	if note == "" {
		return fillOne(registry)
	}
	return fillOne(registry) + "; " + note
}

// IsPlaceholder reports whether a text is still to be replaced.
func IsPlaceholder(s string) bool { return strings.HasPrefix(s, placeholderPrefix) }

// NewDataFlowsDraft returns a data-flows statement to fill in, with the flows of
// the options, or with one as a pattern.
func NewDataFlowsDraft(o DraftOptions) ([]byte, error) {
	common, err := o.common()
	if err != nil {
		return nil, err
	}
	use, flows := "some", o.Flows
	if len(flows) == 0 {
		use = fillOne("networkUse") + " (none: remove the flow and keep flows as an empty list)"
		flows = []Flow{{Endpoints: []Endpoint{{Kind: "host", Transport: "tcp", Ports: []int{443}, Application: "https", TLS: &TLS{}}}}}
	}
	completeness := draftCompleteness()
	if o.Completeness != nil {
		completeness = *o.Completeness
	}
	p := DataFlows{Common: common, Scope: o.scope(), NetworkUse: use, Completeness: completeness, Evidence: o.Evidence}
	for i := range flows {
		p.Flows = append(p.Flows, flows[i].filled())
	}
	return o.render(DataFlowsType, p)
}

// filled returns the flow with a placeholder for everything that is not known
// of it. Lists that are empty on purpose (not nil) stay so.
func (f Flow) filled() Flow {
	f.ID = cmp.Or(f.ID, fill("short id such as update-check, the same in every release"))
	f.Title = cmp.Or(f.Title, fill("what happens, in a few words"))
	f.Initiator = cmp.Or(f.Initiator, fillOne("initiator"))
	f.DataDirection = cmp.Or(f.DataDirection, fillOne("dataDirection"))
	if len(f.Purposes) == 0 {
		f.Purposes = []string{fillOne("purpose")}
	}
	item := DataItem{Category: fillOne("dataCategory"), Personal: fillOne("personal"), Description: fill("what exactly"),
		Linked: fillOne("linked")}
	if f.Sends == nil {
		f.Sends = []DataItem{item}
	}
	if f.Receives == nil {
		f.Receives = []DataItem{item}
	}
	f.Sends, f.Receives, f.Recipients = slices.Clone(f.Sends), slices.Clone(f.Receives), slices.Clone(f.Recipients)
	for _, list := range [][]DataItem{f.Sends, f.Receives} {
		for i := range list {
			list[i].Category = cmp.Or(list[i].Category, item.Category)
			list[i].Personal = cmp.Or(list[i].Personal, item.Personal)
			list[i].Description = cmp.Or(list[i].Description, item.Description)
			list[i].Linked = cmp.Or(list[i].Linked, item.Linked)
		}
	}
	f.Endpoints = filledEndpoints(f.Endpoints)
	if len(f.Recipients) == 0 {
		f.Recipients = []Recipient{draftRecipient(nil)}
	}
	for i, r := range f.Recipients {
		if r.Role == "" { // one of which only the party is known
			f.Recipients[i] = draftRecipient(r.Party)
		}
	}
	a := &f.Activation
	a.DefaultState = cmp.Or(a.DefaultState, fillOne("defaultState"))
	a.Trigger = cmp.Or(a.Trigger, fillOne("trigger"))
	a.Consent = cmp.Or(a.Consent, fillOne("consent"))
	if a.Control.Possible == "" {
		a.Control = draftControl()
	}
	f.Necessity = cmp.Or(f.Necessity, fillOne("necessity"))
	return f
}

// filledEndpoints fills what R02 and R30 ask for and a string can hold a place for.
func filledEndpoints(list []Endpoint) []Endpoint {
	out := make([]Endpoint, len(list))
	for i, e := range list {
		switch e.Kind {
		case "host", "suffix", "cidr":
			e.Value = cmp.Or(e.Value, fill("host name"))
			e.Transport = cmp.Or(e.Transport, fillOne("transport"))
			e.Application = cmp.Or(e.Application, fill("IANA service name of the protocol, for example https"))
		}
		if e.TLS != nil {
			tls := *e.TLS
			tls.Requirement = cmp.Or(tls.Requirement, fillOne("tlsRequirement"))
			tls.Verification = cmp.Or(tls.Verification, fillOne("tlsVerification"))
			e.TLS = &tls
		}
		out[i] = e
	}
	return out
}

func draftRecipient(party *Party) Recipient {
	p := Party{}
	if party != nil {
		p = *party
	}
	p.Name = cmp.Or(p.Name, fill("legal name of who receives it"))
	p.Country = cmp.Or(p.Country, fill("ISO 3166-1 code, for example DE"))
	p.ControlledFrom = cmp.Or(p.ControlledFrom, fill("ISO 3166-1 code of the controlling parent's country; remove if not known"))
	return Recipient{
		Party:         &p,
		Role:          fillOne("recipientRole"),
		Storage:       []string{fill("where it is kept: country codes, EU, EEA or anywhere")},
		AccessFrom:    []string{fill("from where it is read: country codes, EU, EEA or anywhere")},
		TransferBasis: fillOne("transferBasis"),
		Retention:     &Retention{Kind: fillOne("retentionKind")},
		SourceAddress: fillOne("sourceAddress"),
		Onward:        fillOne("onward"),
	}
}
