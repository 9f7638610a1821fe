package enforce

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
)

// leaveOut decides which flows are left out, and why.
func (p *plan) leaveOut(ctx context.Context, facts verify.Facts) (map[string]Item, error) {
	cut, err := p.cut(ctx, facts)
	if err != nil {
		return nil, err
	}
	withdrawn := p.withdrawn()
	out := map[string]Item{}
	for i := range p.flows {
		f := &p.flows[i]
		switch reason := p.unwanted(f); {
		case withdrawn[f.ID]:
			out[f.ID] = item(f, 0, WhyWithdrawn, "the vendor withdrew it")
		case reason != "":
			out[f.ID] = item(f, 0, "", "%s", reason)
		case cut[f.ID] != "":
			out[f.ID] = item(f, 0, "", "%s", cut[f.ID])
		}
	}
	return out, nil
}

// withdrawn returns the items that were withdrawn. Those that are no flows are noted: less of the statement holds.
func (p *plan) withdrawn() map[string]bool {
	items := map[string]bool{}
	if p.evidence.Standing == nil {
		return items
	}
	for _, id := range p.evidence.Standing.Items {
		items[id] = true
		if !slices.ContainsFunc(p.flows, func(f predicate.Flow) bool { return f.ID == id }) {
			p.notes = append(p.notes, "withdrawn of the statement: "+quoted(id))
		}
	}
	return items
}

// unwanted says why the options leave a flow out, "" if they do not.
func (p *plan) unwanted(f *predicate.Flow) string {
	if p.o.LeaveOutVendorBenefit && !slices.Contains([]string{"core", "feature"}, f.Necessity) {
		return "necessity " + quoted(f.Necessity) // an unknown value reads as the worst
	}
	for i := range f.Recipients {
		r := &f.Recipients[i]
		for _, unwanted := range p.o.LeaveOutRecipients {
			if why := matches(r, unwanted); why != "" {
				return fmt.Sprintf("recipient %s: %s", recipientName(r), why)
			}
		}
	}
	return ""
}

func recipientName(r *predicate.Recipient) string {
	if r.Party == nil {
		return quoted(r.Role)
	}
	return quoted(r.Party.Name)
}

// matches says why a recipient is the unwanted one, "" if it is not. A place that is not declared could be any, and EU and EEA
// are upper bounds. A customer's own system is where the customer put it.
func matches(r *predicate.Recipient, unwanted string) string {
	if r.Role == unwanted {
		return "role " + unwanted
	}
	if !country.MatchString(unwanted) || r.Role == "customer" {
		return ""
	}
	established, controlled := "", ""
	if r.Party != nil {
		established, controlled = r.Party.Country, r.Party.ControlledFrom
	}
	for _, facet := range []struct {
		name   string
		places []string
	}{
		{"country", []string{established}}, {"controlledFrom", []string{controlled}}, {"storage", r.Storage}, {"accessFrom", r.AccessFrom},
	} {
		if len(facet.places) == 0 || facet.places[0] == "" {
			return facet.name + " is not declared, which reads as anywhere"
		}
		for _, place := range facet.places {
			if mayLieIn(place, unwanted) {
				return facet.name + " " + quoted(place)
			}
		}
	}
	return ""
}

// The members of the blocs that a statement can name as upper bounds, as of 2026-01-01.
const (
	euMembers = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
	eeaOnly   = "IS LI NO"
)

// mayLieIn reports whether a place can be in a country.
func mayLieIn(place, code string) bool {
	switch place {
	case predicate.Anywhere:
		return true
	case "EU":
		return strings.Contains(euMembers, code)
	case "EEA":
		return strings.Contains(euMembers+" "+eeaOnly, code)
	}
	return place == code || strings.HasPrefix(place, code+"-")
}

// cut asks the cutting policy which flows make its rules fail.
func (p *plan) cut(ctx context.Context, facts verify.Facts) (map[string]string, error) {
	out := map[string]string{}
	if p.o.Cut == nil {
		return out, nil
	}
	result, err := p.o.Cut.Judge(ctx, facts)
	if err != nil {
		return nil, err
	}
	if result == nil || len(result.Rules) == 0 {
		return nil, refuse(CodeCut, "add a rule to the policy", "the policy that is to cut flows has no rule")
	}
	for _, r := range result.Denials() {
		const hint = "use --policy for rules that must be met, and cut by rules about single flows"
		switch {
		case r.Error != "":
			return nil, refuse(CodeCut, hint, "rule %s could not be evaluated: %s", r.ID, r.Error)
		case len(r.Failing) == 0:
			return nil, refuse(CodeCut, hint, "rule %s fails and names no flow: %s", r.ID, r.Message)
		}
		for _, id := range r.Failing {
			if !slices.ContainsFunc(p.flows, func(f predicate.Flow) bool { return f.ID == id }) {
				return nil, refuse(CodeCut, hint, "rule %s fails because of %s, which is no flow", r.ID, quoted(id))
			}
			if out[id] == "" {
				out[id] = fmt.Sprintf("rejected by %s of policy %s", r.ID, quoted(result.Name))
			}
		}
	}
	return out, nil
}

// findShared lists the flows that are left out while a peer of theirs stays open for another flow.
func (p *plan) findShared(cut []*predicate.Flow) error {
	for _, f := range cut {
		rules, _, err := p.flowRules(f)
		if err != nil {
			return err
		}
		seen := map[string]bool{}
		for i := range rules {
			for j := range p.rules {
				kept := &p.rules[j]
				if seen[kept.flow.ID] || !overlap(&rules[i], kept) {
					continue
				}
				seen[kept.flow.ID] = true
				p.uncompiled = append(p.uncompiled, item(f, rules[i].endpoint, WhySharedPeer,
					"it cannot be left out at the network: flow %s stays and has the peer %s too", kept.flow.ID, kept.peer()))
			}
		}
	}
	return nil
}

// overlap reports whether two rules let something in common through.
func overlap(a, b *rule) bool {
	if a.transport != b.transport {
		return false
	}
	if len(a.ports) > 0 && !slices.ContainsFunc(a.ports, func(p int) bool { return slices.Contains(b.ports, p) }) {
		return false
	}
	switch {
	case a.prefix.IsValid() || b.prefix.IsValid():
		return a.prefix.IsValid() && b.prefix.IsValid() && a.prefix.Overlaps(b.prefix)
	case a.suffix != "" && b.suffix != "":
		return a.suffix == b.suffix || under(a.suffix, b.suffix) || under(b.suffix, a.suffix)
	case a.suffix != "":
		return under(b.host, a.suffix)
	case b.suffix != "":
		return under(a.host, b.suffix)
	}
	return a.host == b.host
}

func under(name, suffix string) bool { return strings.HasSuffix(name, "."+suffix) }
