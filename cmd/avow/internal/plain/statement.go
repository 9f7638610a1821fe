package plain

import (
	"fmt"
	"strings"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// labelColumns is the width of the labels beside which a statement's members stand.
const labelColumns = 16

// Statement prints what a statement says. The caller prints the heading that says whether and by whom it was verified.
func Statement(w *text.Writer, st *predicate.Statement) {
	w.Item("  ", labelColumns, "Statement", st.ID())
	subjects(w, st.Subjects)
	if c := st.Common(); c != nil {
		common(w, c)
	}
	switch {
	case st.NoBackdoor != nil:
		noBackdoor(w, st.NoBackdoor)
	case st.DataFlows != nil:
		dataFlows(w, st.DataFlows)
	case st.Undertakings != nil:
		undertakings(w, st.Undertakings)
	default:
		lifeCycle(w, st)
	}
}

// maxSubjects is how many subjects are listed by name.
const maxSubjects = 8

func subjects(w *text.Writer, list []predicate.Subject) {
	for i, s := range list {
		label := ""
		if i == 0 {
			label = "About"
		}
		if i == maxSubjects {
			w.Item("  ", labelColumns, "", fmt.Sprintf("and %d more files", len(list)-i))
			return
		}
		w.Item("  ", labelColumns, label, text.Safe(s.Name)+" sha256:"+text.Safe(s.Digest["sha256"]))
	}
}

func common(w *text.Writer, c *predicate.Common) {
	identifiers := make([]string, len(c.Product.Identifiers))
	for i, id := range c.Product.Identifiers {
		identifiers[i] = text.Safe(id.Value)
	}
	w.Item("  ", labelColumns, "Product", join(" ", text.Safe(c.Product.Name), text.Safe(c.Product.Version),
		text.Safe(c.Product.Edition)))
	w.Item("  ", labelColumns, "Identifiers", strings.Join(identifiers, ", "))
	d := c.Declarant
	w.Item("  ", labelColumns, "Declared by", party(&d.Party)+" ("+word("role", d.Role)+")")
	w.Item("  ", labelColumns, "Signatory", join(", ", or(d.SignatoryFunction, "function "+notStated),
		text.Safe(d.SignatoryName),
		word("authority", d.Authority), word("responsibility", d.Responsibility)))
	from := c.Validity.NotBefore
	if from == "" {
		from = c.Validity.IssuedAt
	}
	w.Item("  ", labelColumns, "In force", "from "+or(from, notStated)+" until "+or(c.Validity.NotAfter, notStated))
	for _, r := range c.Supersedes {
		w.Item("  ", labelColumns, "Supersedes", text.Safe(r.ID()))
	}
	for _, r := range c.Related {
		w.Item("  ", labelColumns, "Refers to", TypeName(r.PredicateType)+" "+text.Safe(r.ID()))
	}
}

func scope(w *text.Writer, s *predicate.Scope) {
	if s == nil {
		return
	}
	w.Item("  ", labelColumns, "Configuration", join(": ", word("configuration", s.Configuration), text.Safe(s.Description)))
	for _, r := range s.Excludes {
		w.Item("  ", labelColumns, "Excluded", resource(&r))
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

func noBackdoor(w *text.Writer, n *predicate.NoBackdoor) {
	scope(w, &n.Scope)
	w.Item("  ", labelColumns, "\"Backdoor\" means", resource(n.Definition))
	mechanisms := make(map[string]predicate.Mechanism, len(n.Mechanisms))
	for _, m := range n.Mechanisms {
		mechanisms[m.ID] = m
	}
	w.Heading("  Claims")
	made := map[string]bool{}
	for _, c := range n.Claims {
		made[c.ID] = true
		claim(w, c, mechanisms)
	}
	for _, id := range predicate.IDs("claim") {
		if !made[id] {
			w.Item("  ", labelColumns, id, "NOT CLAIMED: "+predicate.ClaimSentence(id))
		}
	}
	w.Heading("  Remote and privileged mechanisms")
	w.Item("  ", labelColumns, "The list is", completeness(n.MechanismsCompleteness))
	if len(n.Mechanisms) == 0 {
		w.Item("  ", labelColumns, "", "The vendor lists no mechanism.")
	}
	for _, m := range n.Mechanisms {
		mechanism(w, m)
	}
	evidence(w, n.Evidence)
}

// claim prints the sentence that was signed, with its exceptions and its qualification.
func claim(w *text.Writer, c predicate.Claim, mechanisms map[string]predicate.Mechanism) {
	sentence := predicate.ClaimSentence(c.ID)
	if sentence == "" {
		sentence = "(this program does not know the claim; it counts as not made)"
	}
	w.Item("  ", labelColumns, text.Safe(c.ID), sentence)
	w.Item("  ", labelColumns, "", join(", ", word("answer", c.Answer), word("qualification", c.Qualification)))
	for _, id := range c.Mechanisms {
		m, ok := mechanisms[id]
		if !ok {
			w.Item("  ", labelColumns, "", "Except: "+text.Safe(id)+" (which is not described)")
			continue
		}
		w.Item("  ", labelColumns, "", "Except: "+text.Safe(id)+" ("+word("mechanismKind", m.Kind)+"): "+text.Safe(m.Description))
	}
	if c.Note != "" {
		w.Item("  ", labelColumns, "", "Note: "+text.Safe(c.Note))
	}
}

func mechanism(w *text.Writer, m predicate.Mechanism) {
	w.Item("  ", labelColumns, text.Safe(m.ID), word("mechanismKind", m.Kind)+": "+text.Safe(m.Description))
	who := word("operator", m.Operator)
	for i := range m.Operators {
		who += "; " + party(&m.Operators[i])
	}
	w.Item("  ", labelColumns, "", join("; ", "can "+words("capability", m.Capabilities), "operated by "+who,
		word("access", m.Access),
		word("defaultState", m.DefaultState), word("integrityCheck", m.IntegrityCheck), word("userNotice", m.UserNotice),
		recorded(m.Logging)))
	w.Item("  ", labelColumns, "", "Switching it off: "+control(m.Control))
	if len(m.Flows) > 0 {
		w.Item("  ", labelColumns, "", "Data flows: "+text.Safe(strings.Join(m.Flows, ", ")))
	}
}

// recorded says whether uses of a mechanism are recorded; an absent value says nothing.
func recorded(logging string) string {
	if logging == "" {
		return "whether a use is recorded is " + notStated
	}
	return word("logging", logging)
}

func evidence(w *text.Writer, list []predicate.Evidence) {
	if len(list) == 0 {
		return
	}
	w.Heading("  Evidence that the vendor names (not fetched, not examined)")
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
		w.Item("  ", labelColumns, text.Safe(e.ID), join("; ", word("evidenceKind", e.Kind), word("independence", independence),
			by,
			supports, resource(e.Resource)))
	}
}

func undertakings(w *text.Writer, u *predicate.Undertakings) {
	scope(w, u.Scope)
	w.Heading("  Undertakings")
	for _, p := range u.Undertakings {
		sentence := predicate.UndertakingSentence(p.ID)
		if sentence == "" {
			sentence = "(this program does not know the undertaking; it counts as not given)"
		}
		w.Item("  ", labelColumns, text.Safe(p.ID), sentence)
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
		w.Item("  ", labelColumns, "", join("; ", strings.Join(parameters, "; "), word("qualification", p.Qualification),
			text.Safe(p.Text)))
	}
	evidence(w, u.Evidence)
}

// lifeCycle prints the statements about statements.
func lifeCycle(w *text.Writer, st *predicate.Statement) {
	if t := st.Target(); t != nil {
		w.Item("  ", labelColumns, "About statement", TypeName(t.PredicateType)+" "+text.Safe(t.ID()))
	}
	switch {
	case st.Withdrawal != nil:
		d := st.Withdrawal
		w.Item("  ", labelColumns, "Withdrawn", join("; ", word("withdrawalReason", d.Reason), word("withdrawalEffect", d.Effect),
			text.Safe(d.EffectiveAt)))
		w.Item("  ", labelColumns, "Explanation", text.Safe(d.Explanation))
		w.Item("  ", labelColumns, "Items", or(strings.Join(d.Items, ", "), "the whole statement"))
	case st.Dispute != nil:
		d := st.Dispute
		w.Item("  ", labelColumns, "Dispute", join("; ", word("disputeEvent", d.Event), word("disputeGround", d.Ground),
			"by "+party(&d.Party)))
		w.Item("  ", labelColumns, "Summary", text.Safe(d.Summary))
	case st.Assessment != nil:
		d := st.Assessment
		w.Item("  ", labelColumns, "Assessed by", party(&d.Assessor)+"; "+word("independence", d.Independence))
		w.Item("  ", labelColumns, "Result", word("overall", d.Overall))
		w.Item("  ", labelColumns, "Limitations", text.Safe(d.Limitations))
	case st.Standing != nil:
		d := st.Standing
		w.Item("  ", labelColumns, "Standing", join(" ", word("standingStatus", d.Status), "as of tree size",
			text.Safe(d.TreeSize), "of", text.Safe(d.LogOrigin)))
	}
}
