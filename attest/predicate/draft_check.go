package predicate

import (
	"fmt"
	"slices"
	"strings"
)

// draftRules are the rules that the common members alone can break.
var draftRules = []string{"R05", "R06", "R08", "R25"}

// Check returns what the rules will have to say about the options themselves,
// whatever is filled in later: an unknown country, a package URL of another
// version, a value that is not in its registry (R03), a validity that is too
// long for the type. Nil tables are the embedded ones. The error is the one
// with which the draft would not be made.
func (o DraftOptions) Check(predicateType string, t *Tables) (Findings, error) {
	if t == nil {
		t = EmbeddedTables()
	}
	common, err := o.common()
	if err != nil {
		return nil, err
	}
	// Without a version nothing can be said about that of the package URL.
	if id := common.Product.Identifiers[0]; strings.HasPrefix(common.Product.Version, placeholderPrefix) {
		if version, ok := purlVersion(id.Value); ok && version != "" {
			common.Product.Version = version
		}
	}
	s := &Statement{Type: predicateType}
	switch predicateType {
	case NoBackdoorType:
		s.NoBackdoor = &NoBackdoor{Common: common}
	case DataFlowsType:
		s.DataFlows = &DataFlows{Common: common}
	case UndertakingsType:
		s.Undertakings = &Undertakings{Common: common}
	default:
		return nil, fmt.Errorf("draft: there is no draft of %s", printable(predicateType))
	}
	c := &checker{s: s, t: t, findings: draftValues(common.Declarant)}
	rules := allRules()
	for i := range rules {
		if c.rule = &rules[i]; slices.Contains(draftRules, c.rule.Code) {
			c.rule.check(c)
		}
	}
	return slices.DeleteFunc(c.findings.sort(), func(f Finding) bool { return strings.HasPrefix(f.Found, placeholderPrefix) }), nil
}

// draftValues checks what the walker would when the statement is parsed.
func draftValues(d Declarant) Findings {
	const at = "/predicate/common/declarant/"
	var findings Findings
	for _, m := range []struct{ member, value string }{
		{"role", d.Role}, {"authority", d.Authority}, {"responsibility", d.Responsibility},
	} { // members and registries have the same names
		if !slices.Contains(IDs(m.member), m.value) {
			findings = append(findings, Finding{Code: "R03", Severity: SeverityError, Pointer: at + m.member, Found: printable(m.value),
				Message: "is not in the registry", Hint: "use one of " + strings.Join(IDs(m.member), ", ")})
		}
	}
	return findings
}
