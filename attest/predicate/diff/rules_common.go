package diff

import (
	"github.com/avow-dev/avow/attest/predicate"
)

func commonRules() rules {
	return rules{
		"statementId":   noted("every statement has its own").about(WhatReference).beside(),
		"product":       inside(WhatProduct),
		"declarant":     inside(WhatDeclarant),
		"validity":      inside(WhatValidity).beside(),
		"supersedes":    references("never", Neutral, Neutral),
		"related":       references("a reference removed", Neutral, Widening),
		"humanReadable": documents("never", Neutral, Neutral).about(WhatReference).beside(),
	}
}

func productRules() rules {
	return rules{
		"name":        bound("another product"),
		"version":     noted("another version"),
		"identifiers": identifiers("never", Neutral, Neutral),
		"edition":     bound("another edition"),
		"platforms":   names(),
	}
}

func declarantRules() rules {
	return rules{
		"party":             inside(""),
		"role":              stated("another role").in("role"),
		"signatoryFunction": needed().beside(),
		"signatoryName":     noted("another person signs").beside(),
		"authority":         scaled("authority", "legalRepresentative < delegatedInWriting < projectGovernance", "").beside(),
		"responsibility":    scaled("responsibility", "soleResponsibility < onBehalfOf", ""),
	}
}

func partyRules() rules {
	return rules{
		"name":           stated("another party"),
		"country":        place(),
		"controlledFrom": place(),
		"uri":            wording(),
		"contact":        wording(),
		"identifiers":    identifiers("an identifier removed", Neutral, Widening),
	}
}

func validityRules() rules {
	return rules{
		"issuedAt":  noted("every statement has its own"),
		"notBefore": noted("the statement is in force from then"),
		"notAfter":  end(),
	}
}

func scopeRules() rules {
	return rules{
		"configuration": scaled("configuration", "asShipped < hardened < described", ""),
		"description":   bound("it says what the statement speaks of: read both").beside(),
		"includes":      documents("a component removed", Narrowing, Widening),
		"excludes":      documents("a component added", Widening, Narrowing),
	}
}

func controlRules() rules {
	return rules{
		"possible": scaled("possible", "yes < partly < no", ""),
		"by":       scaled("controlBy", "user = administrator < vendorOnly", ""),
		"methods":  support().in("controlMethod"),
		"setting":  needed(),
		"effect":   wording(),
	}
}

func completenessRules() rules {
	return rules{
		"level":   scaled("completenessLevel", "complete < completeForConfiguration < partial", ""),
		"methods": support().in("completenessMethod"),
		"exclusions": list[predicate.Exclusion]{added: Widening, removed: Narrowing,
			keys: []func(*predicate.Exclusion) string{
				func(e *predicate.Exclusion) string { return e.Kind + "\x00" + e.Description },
				func(e *predicate.Exclusion) string { return e.Kind }},
			name: func(e *predicate.Exclusion) string { return e.Kind },
			show: func(e *predicate.Exclusion) string { return words(e.Kind+":", e.Description) }}.
			rule("", "an exclusion added"),
	}
}

func exclusionRules() rules {
	return rules{
		"kind":        bound("another exclusion").in("exclusionKind"),
		"description": bound("it says what is left out: read both").beside(),
	}
}

func evidenceList() rule {
	return list[predicate.Evidence]{item: true, added: Narrowing, removed: Widening,
		keys:      []func(*predicate.Evidence) string{func(e *predicate.Evidence) string { return e.ID }},
		name:      func(e *predicate.Evidence) string { return e.ID },
		show:      func(e *predicate.Evidence) string { return words(e.Kind, e.Independence) },
		worthless: func(e *predicate.Evidence) string { return unregistered([2]string{"evidenceKind", e.Kind}) }}.
		rule(WhatEvidence, "evidence removed").beside()
}

func evidenceRules() rules {
	return rules{
		"id":           bound("another item"),
		"kind":         stated("another kind").in("evidenceKind"),
		"resource":     policy().about(""),
		"producer":     inside(""),
		"independence": scaled("independence", "thirdParty < secondParty < firstParty", "firstParty"),
		"producedAt":   later(Neutral),
		"supports":     support(),
	}
}

// sent is the list of what a flow sends. An absent one says nothing, an empty
// one says that nothing is sent.
func sent() rule {
	r := dataItems()
	r.says += ", or the list removed: none means anything"
	inner := r.compare
	r.compare = func(c *comparison, m member) {
		switch was, is := m.was.v.IsNil(), m.is.v.IsNil(); {
		case was && !is:
			c.report(m, Added, "", itemsLine(m.is), Narrowing, "was not stated, which means anything")
		case is && !was:
			c.report(m, Removed, itemsLine(m.was), "", Widening, "not stated any more, which means anything")
		default:
			inner(c, m)
		}
	}
	return r
}

func dataItems() rule {
	return list[predicate.DataItem]{added: Widening, removed: Narrowing,
		keys: []func(*predicate.DataItem) string{
			func(d *predicate.DataItem) string { return d.Category + "\x00" + d.Description },
			func(d *predicate.DataItem) string { return d.Category }},
		name: func(d *predicate.DataItem) string { return d.Category },
		show: itemLine}.rule(WhatDataCategory, "a kind of data added")
}

// references compares references to statements: by their type, because the
// next version refers to the next statement.
func references(says string, added, removed Direction) rule {
	byType := func(r *predicate.StatementRef) string { return r.PredicateType }
	changed := unit("", shown(referenceLine), func(Kind) (Direction, string) { return Neutral, "another statement of the type" })
	l := list[predicate.StatementRef]{added: added, removed: removed, keys: []func(*predicate.StatementRef) string{byType},
		name: byType, show: referenceLine, each: changed.compare}
	return l.rule(WhatReference, says).beside()
}

// policy is a document that is there or not.
func policy() rule {
	return unit("removed", shown(document), func(k Kind) (Direction, string) {
		switch k {
		case Added:
			return Narrowing, "was not there before"
		case Removed:
			return Widening, "is not there any more"
		}
		return Neutral, "another document"
	}).about(WhatReference).beside()
}

// definition is the text that the word backdoor refers to.
func definition() rule {
	return unit("any change", shown(document), func(Kind) (Direction, string) {
		return Widening, "the word may mean something else"
	}).about(WhatDefinition)
}

func identifierRules() rules {
	return rules{"scheme": bound("another identifier"), "value": bound("another identifier")}
}

// identifiers compares lists of names in schemes.
func identifiers(says string, added, removed Direction) rule {
	line := func(i *predicate.Identifier) string { return words(i.Scheme, i.Value) }
	l := list[predicate.Identifier]{added: added, removed: removed, keys: []func(*predicate.Identifier) string{line},
		name: line, show: line}
	return l.rule("", says)
}

// subjectRule compares the files that the statements are about.
func subjectRule() rule {
	byName := func(s *predicate.Subject) string { return s.Name }
	changed := unit("", shown(subjectLine), func(Kind) (Direction, string) { return Neutral, "another file of the name" })
	l := list[predicate.Subject]{added: Neutral, removed: Neutral, keys: []func(*predicate.Subject) string{byName},
		name: byName, show: subjectLine, each: changed.compare}
	return l.rule(WhatSubject, "never").beside()
}

// unregistered returns the reason why an element is worth nothing if one of its
// values, each with its registry, is not in it, else "".
func unregistered(values ...[2]string) string {
	for _, v := range values {
		if _, ok := predicate.Lookup(v[0], v[1]); !ok {
			return "this version does not know the " + v[0] + ", so it promises nothing here"
		}
	}
	return ""
}
