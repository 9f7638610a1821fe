package plain

import (
	"fmt"
	"strings"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// Describe returns what a statement says, section by section. Every text is safe to print. The caller says whether and by
// whom it was verified.
func Describe(st *predicate.Statement) []Section {
	out := &description{sections: make([]Section, 1)}
	out.item("Statement", st.ID())
	subjects(out, st.Subjects)
	if c := st.Common(); c != nil {
		common(out, c)
	}
	switch {
	case st.NoBackdoor != nil:
		noBackdoor(out, st.NoBackdoor)
	case st.DataFlows != nil:
		dataFlows(out, st.DataFlows)
	case st.Undertakings != nil:
		undertakings(out, st.Undertakings)
	case st.IsEvidence():
		reused(out, st)
	default:
		lifeCycle(out, st)
	}
	return out.sections
}

// maxSubjects is how many subjects are listed by name.
const maxSubjects = 8

func subjects(out *description, list []predicate.Subject) {
	for i, s := range list {
		label := ""
		if i == 0 {
			label = "About"
		}
		if i == maxSubjects {
			out.item("", fmt.Sprintf("and %d more files", len(list)-i))
			return
		}
		out.item(label, text.Safe(s.Name)+" sha256:"+text.Safe(s.Digest["sha256"]))
	}
}

func common(out *description, c *predicate.Common) {
	identifiers := make([]string, len(c.Product.Identifiers))
	for i, id := range c.Product.Identifiers {
		identifiers[i] = text.Safe(id.Value)
	}
	out.item("Product", join(" ", text.Safe(c.Product.Name), text.Safe(c.Product.Version),
		text.Safe(c.Product.Edition)))
	out.item("Identifiers", strings.Join(identifiers, ", "))
	d := c.Declarant
	out.item("Declared by", party(&d.Party)+" ("+word("role", d.Role)+")")
	out.item("Signatory", join(", ", or(d.SignatoryFunction, "function "+notStated),
		text.Safe(d.SignatoryName),
		word("authority", d.Authority), word("responsibility", d.Responsibility)))
	from := c.Validity.NotBefore
	if from == "" {
		from = c.Validity.IssuedAt
	}
	out.item("In force", "from "+or(from, notStated)+" until "+or(c.Validity.NotAfter, notStated))
	for _, r := range c.Supersedes {
		out.item("Supersedes", text.Safe(r.ID()))
	}
	for _, r := range c.Related {
		out.item("Refers to", TypeName(r.PredicateType)+" "+text.Safe(r.ID()))
	}
}

func scope(out *description, s *predicate.Scope) {
	if s == nil {
		return
	}
	out.item("Configuration", join(": ", word("configuration", s.Configuration), text.Safe(s.Description)))
	for _, r := range s.Excludes {
		out.item("Excluded", resource(&r))
	}
}

func resource(r *predicate.ResourceDescriptor) string {
	if r == nil {
		return "nothing named"
	}
	digest := ""
	if d := r.Digest["sha256"]; d != "" {
		digest = "sha256:" + text.Safe(d)
	} else if d := r.Digest["gitCommit"]; d != "" {
		digest = "git commit " + text.Safe(d)
	}
	return join(" ", text.Safe(r.Name), text.Safe(r.URI), digest)
}

func noBackdoor(out *description, n *predicate.NoBackdoor) {
	scope(out, &n.Scope)
	out.item("\"Backdoor\" means", resource(n.Definition))
	mechanisms := make(map[string]predicate.Mechanism, len(n.Mechanisms))
	for _, m := range n.Mechanisms {
		mechanisms[m.ID] = m
	}
	out.section("Claims")
	made := map[string]bool{}
	for _, c := range n.Claims {
		made[c.ID] = true
		claim(out, c, mechanisms)
	}
	for _, id := range predicate.IDs("claim") {
		if !made[id] {
			out.item(id, "NOT CLAIMED: "+predicate.ClaimSentence(id))
			out.notMade()
		}
	}
	out.section("Remote and privileged mechanisms")
	out.item("The list is", completeness(n.MechanismsCompleteness))
	if len(n.Mechanisms) == 0 {
		out.item("", "The vendor lists no mechanism.")
	}
	for _, m := range n.Mechanisms {
		mechanism(out, m)
	}
	evidence(out, n.Evidence)
}

// claim prints the sentence that was signed, with its exceptions and its qualification.
func claim(out *description, c predicate.Claim, mechanisms map[string]predicate.Mechanism) {
	sentence := predicate.ClaimSentence(c.ID)
	if sentence == "" {
		sentence = "(this program does not know the claim; it counts as not made)"
	}
	out.item(text.Safe(c.ID), sentence)
	out.item("", join(", ", word("answer", c.Answer), word("qualification", c.Qualification)))
	for _, id := range c.Mechanisms {
		m, ok := mechanisms[id]
		if !ok {
			out.item("", "Except: "+text.Safe(id)+" (which is not described)")
			continue
		}
		out.item("", "Except: "+text.Safe(id)+" ("+word("mechanismKind", m.Kind)+"): "+text.Safe(m.Description))
	}
	if c.Note != "" {
		out.item("", "Note: "+text.Safe(c.Note))
	}
}

func mechanism(out *description, m predicate.Mechanism) {
	out.item(text.Safe(m.ID), word("mechanismKind", m.Kind)+": "+text.Safe(m.Description))
	who := word("operator", m.Operator)
	for i := range m.Operators {
		who += "; " + party(&m.Operators[i])
	}
	out.item("", join("; ", "can "+words("capability", m.Capabilities), "operated by "+who,
		word("access", m.Access),
		word("defaultState", m.DefaultState), word("integrityCheck", m.IntegrityCheck), word("userNotice", m.UserNotice),
		recorded(m.Logging)))
	out.item("", "Switching it off: "+control(m.Control))
	if len(m.Flows) > 0 {
		out.item("", "Data flows: "+text.Safe(strings.Join(m.Flows, ", ")))
	}
}

// recorded says whether uses of a mechanism are recorded; an absent value says nothing.
func recorded(logging string) string {
	if logging == "" {
		return "whether a use is recorded is " + notStated
	}
	return word("logging", logging)
}

func evidence(out *description, list []predicate.Evidence) {
	if len(list) == 0 {
		return
	}
	out.section("Evidence that the vendor names (not fetched, not examined)")
	for _, e := range list {
		independence := e.Independence
		if independence == "" {
			independence = "firstParty"
		}
		by := ""
		if e.Producer != nil {
			by = "by " + party(e.Producer)
		}
		supports := ""
		if len(e.Supports) > 0 {
			supports = "for " + text.Safe(strings.Join(e.Supports, ", "))
		}
		out.item(text.Safe(e.ID), join("; ", word("evidenceKind", e.Kind), word("independence", independence),
			by,
			supports, resource(e.Resource)))
	}
}

func undertakings(out *description, u *predicate.Undertakings) {
	scope(out, u.Scope)
	out.section("Undertakings")
	for _, p := range u.Undertakings {
		sentence := predicate.UndertakingSentence(p.ID)
		if sentence == "" {
			sentence = "(this program does not know the undertaking; it counts as not given)"
		}
		out.item(text.Safe(p.ID), sentence)
		var parameters []string
		if p.Hours != nil {
			parameters = append(parameters, fmt.Sprintf("within %d hours", *p.Hours))
		}
		if p.Days != nil {
			parameters = append(parameters, fmt.Sprintf("within %d days", *p.Days))
		}
		if p.Until != "" {
			parameters = append(parameters, "until "+text.Safe(p.Until))
		}
		for _, c := range p.Channels {
			parameters = append(parameters, text.Safe(c.Value))
		}
		out.item("", join("; ", strings.Join(parameters, "; "), word("qualification", p.Qualification),
			text.Safe(p.Text)))
	}
	evidence(out, u.Evidence)
}

// lifeCycle prints the statements about statements.
func lifeCycle(out *description, st *predicate.Statement) {
	if t := st.Target(); t != nil {
		out.item("About statement", TypeName(t.PredicateType)+" "+text.Safe(t.ID()))
	}
	switch {
	case st.Withdrawal != nil:
		d := st.Withdrawal
		out.item("Withdrawn", join("; ", word("withdrawalReason", d.Reason), word("withdrawalEffect", d.Effect),
			text.Safe(d.EffectiveAt)))
		out.item("Explanation", text.Safe(d.Explanation))
		out.item("Items", or(text.Safe(strings.Join(d.Items, ", ")), "the whole statement"))
		if d.Replacement != nil {
			out.item("Replaced by", text.Safe(d.Replacement.ID()))
		}
		out.item("By", party(&d.Declarant.Party)+"; "+text.Safe(d.Declarant.SignatoryFunction))
	case st.Dispute != nil:
		d := st.Dispute
		out.item("Dispute", join("; ", word("disputeEvent", d.Event), word("disputeGround", d.Ground),
			"by "+party(&d.Party)))
		out.item("Summary", text.Safe(d.Summary))
		if d.Thread != nil {
			out.item("Goes on with", text.Safe(d.Thread.ID()))
		}
		if len(d.Items) > 0 {
			out.item("Items", text.Safe(strings.Join(d.Items, ", ")))
		}
		for i := range d.Evidence {
			if e := &d.Evidence[i]; e.Resource != nil {
				out.item("Evidence", word("evidenceKind", e.Kind)+": "+resource(e.Resource))
			}
		}
	case st.Assessment != nil:
		d := st.Assessment
		out.item("Assessed by", party(&d.Assessor)+"; "+word("independence", d.Independence))
		out.item("Examined", join(" ", "from", text.Safe(d.PerformedFrom), "to", text.Safe(d.PerformedTo)))
		for i := range d.Criteria {
			out.item("Criteria", resource(&d.Criteria[i]))
		}
		for _, f := range d.Findings {
			finding := text.Safe(f.Item) + ": " + word("findingResult", f.Result)
			if f.Method != "" {
				finding += ", by " + word("evidenceKind", f.Method)
			}
			out.item("Finding", join("; ", finding, text.Safe(f.Note)))
		}
		out.item("Result", word("overall", d.Overall))
		out.item("Limitations", text.Safe(d.Limitations))
	case st.Standing != nil:
		d := st.Standing
		out.item("Standing", join(" ", word("standingStatus", d.Status), "as of tree size",
			text.Safe(d.TreeSize), "of", text.Safe(d.LogOrigin)))
	}
}
