package diff

import (
	"reflect"
	"strings"
	"sync"

	"github.com/avow-dev/avow/attest/predicate"
)

// rules are the rules of one struct, by the names of its members.
type rules map[string]rule

// allRules says how the members of the statement types are compared: the one
// place that says what widens. A test fails where a member has no entry.
func allRules() map[reflect.Type]rules {
	return map[reflect.Type]rules{
		reflect.TypeFor[predicate.DataFlows]():    dataFlowsRules(),
		reflect.TypeFor[predicate.Flow]():         flowRules(),
		reflect.TypeFor[predicate.Endpoint]():     endpointRules(),
		reflect.TypeFor[predicate.TLS]():          tlsRules(),
		reflect.TypeFor[predicate.DataItem]():     dataItemRules(),
		reflect.TypeFor[predicate.Recipient]():    recipientRules(),
		reflect.TypeFor[predicate.Retention]():    retentionRules(),
		reflect.TypeFor[predicate.Activation]():   activationRules(),
		reflect.TypeFor[predicate.NoBackdoor]():   noBackdoorRules(),
		reflect.TypeFor[predicate.Claim]():        claimRules(),
		reflect.TypeFor[predicate.Mechanism]():    mechanismRules(),
		reflect.TypeFor[predicate.Undertakings](): undertakingsRules(),
		reflect.TypeFor[predicate.Undertaking]():  undertakingRules(),
		reflect.TypeFor[predicate.Common]():       commonRules(),
		reflect.TypeFor[predicate.Product]():      productRules(),
		reflect.TypeFor[predicate.Declarant]():    declarantRules(),
		reflect.TypeFor[predicate.Party]():        partyRules(),
		reflect.TypeFor[predicate.Validity]():     validityRules(),
		reflect.TypeFor[predicate.Scope]():        scopeRules(),
		reflect.TypeFor[predicate.Control]():      controlRules(),
		reflect.TypeFor[predicate.Completeness](): completenessRules(),
		reflect.TypeFor[predicate.Exclusion]():    exclusionRules(),
		reflect.TypeFor[predicate.Evidence]():     evidenceRules(),
		reflect.TypeFor[predicate.Identifier]():   identifierRules(),
	}
}

// plan is the rules of a struct in the order of its members.
type plan struct {
	names []string
	rules []rule
}

// plans are made once, at the first use.
var plans = sync.OnceValue(func() map[reflect.Type]*plan {
	all := map[reflect.Type]*plan{}
	for t, rules := range allRules() {
		p := &plan{names: memberNames(t)}
		for _, name := range p.names {
			r, ok := rules[name]
			if !ok {
				r = unlisted()
			}
			p.rules = append(p.rules, r)
		}
		all[t] = p
	}
	return all
})

// memberNames returns the JSON names of a struct's members, in order.
func memberNames(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return names
}

func dataFlowsRules() rules {
	return rules{
		"common":       inside(""),
		"scope":        inside(WhatScope),
		"networkUse":   scaled("networkUse", "none < some", "").about(WhatNetworkUse),
		"completeness": inside(WhatCompleteness).of("completeness"),
		"flows": list[predicate.Flow]{item: true, added: Widening, removed: Narrowing,
			keys: []func(*predicate.Flow) string{func(f *predicate.Flow) string { return f.ID }},
			name: func(f *predicate.Flow) string { return f.ID }, show: flowLine}.rule(WhatFlow, "a flow added"),
		"evidence":   evidenceList(),
		"extensions": free(),
	}
}

func flowRules() rules {
	return rules{
		"id":            bound("another item"),
		"title":         wording(),
		"component":     wording(),
		"initiator":     scaled("initiator", "user < product < remote", ""),
		"dataDirection": scaled("dataDirection", "outbound | inbound < both", ""),
		"endpoints":     endpoints(),
		"purposes":      more().in("purpose").about(WhatPurpose),
		"purposeText":   wording(),
		"sends":         sent(),
		"receives":      dataItems(),
		"recipients": list[predicate.Recipient]{added: Widening, removed: Narrowing,
			keys: []func(*predicate.Recipient) string{recipientInRole, recipientName},
			name: recipientName, show: recipientLine}.rule(WhatRecipient, "a recipient added"),
		"activation": inside(WhatActivation),
		"necessity":  scaled("necessity", "core < feature < vendorBenefit", "").about(WhatNecessity),
		"legalBases": support().about(WhatPurpose),
		"evidence":   support().about(WhatEvidence).beside(),
	}
}

func endpointRules() rules {
	return rules{
		"kind":        bound("another endpoint").in("endpointKind"),
		"value":       bound("another endpoint"),
		"setting":     bound("another endpoint"),
		"transport":   stated("another protocol").in("transport"),
		"ports":       moreOf("any port"),
		"application": stated("another protocol"),
		"tls":         inside(""),
		"path":        wording().about(WhatEndpoint),
	}
}

func tlsRules() rules {
	return rules{
		"requirement":  scaled("tlsRequirement", "required < optional < none", ""),
		"minVersion":   scaled("tlsVersion", "1.3 < 1.2", ""),
		"verification": scaled("tlsVerification", "pinned = systemRoots < privateRoots < none", ""),
	}
}

func dataItemRules() rules {
	return rules{
		"category":    bound("another category").in("dataCategory"),
		"personal":    scaled("personal", "none < pseudonymous < mayContain = personal < special", "").about(WhatPersonal),
		"description": wording(),
		"fields":      moreOf("any field"),
		"subjects":    moreOf("any person"),
		"dpv":         moreOf("anything"),
		"linked":      scaled("linked", "notLinked < linkedToDevice < linkedToPerson", "").about(WhatPersonal),
	}
}

func recipientRules() rules {
	return rules{
		"party":      inside(""),
		"role":       scaled("recipientRole", "customer < declarant < processor < publicService | independentController", ""),
		"storage":    places(),
		"accessFrom": places(),
		"transferBasis": scaled("transferBasis",
			"notApplicable < adequacy < standardClauses = bindingRules < consent < unspecified", "unspecified"),
		"retention":     inside(WhatRetention),
		"sourceAddress": scaled("sourceAddress", "notRetained < truncated < retained < unspecified", "unspecified"),
		"onward":        scaled("onward", "none < listed < unspecified", "unspecified"),
		"policy":        policy(),
	}
}

func retentionRules() rules {
	return rules{
		"kind": scaled("retentionKind", "none < days < untilDeletedByUser < indefinite < unspecified", "unspecified"),
		"days": retentionDays(),
	}
}

func activationRules() rules {
	return rules{
		"defaultState": scaled("defaultState", "off < on", ""),
		"trigger": scaled("trigger", "userAction < install | crash | event | startup | periodic | remoteRequest",
			""),
		"intervalSeconds": interval(),
		"consent":         scaled("consent", "eachUse = optIn < contract < optOut < none", ""),
		"control":         inside(WhatControl),
	}
}

func noBackdoorRules() rules {
	return rules{
		"common":     inside(""),
		"definition": definition(),
		"scope":      inside(WhatScope),
		"claims": list[predicate.Claim]{item: true, added: Narrowing, removed: Widening,
			keys: []func(*predicate.Claim) string{func(c *predicate.Claim) string { return c.ID }},
			name: func(c *predicate.Claim) string { return c.ID },
			show: func(c *predicate.Claim) string { return c.Answer + ", " + c.Qualification },
			worthless: func(c *predicate.Claim) string {
				return unregistered([2]string{"claim", c.ID}, [2]string{"answer", c.Answer}, [2]string{"qualification", c.Qualification})
			}}.rule(WhatClaim, "a claim removed"),
		"mechanisms": list[predicate.Mechanism]{item: true, added: Widening, removed: Narrowing,
			keys: []func(*predicate.Mechanism) string{func(m *predicate.Mechanism) string { return m.ID }},
			name: func(m *predicate.Mechanism) string { return m.ID }, show: mechanismLine}.
			rule(WhatMechanism, "a mechanism added"),
		"mechanismsCompleteness": inside(WhatCompleteness).of("completeness"),
		"evidence":               evidenceList(),
		"extensions":             free(),
	}
}

func claimRules() rules {
	return rules{
		"id":            bound("another item"),
		"answer":        scaled("answer", "asserted < assertedExceptDisclosed", ""),
		"qualification": scaled("qualification", "unqualified < bestOfKnowledge", "").about(WhatQualification),
		"mechanisms":    more().about(WhatException),
		"evidence":      support().about(WhatEvidence).beside(),
		"note":          wording(),
	}
}

func mechanismRules() rules {
	return rules{
		"id":           bound("another item"),
		"kind":         stated("another kind").in("mechanismKind"),
		"description":  wording(),
		"capabilities": more().in("capability").about(WhatCapability),
		"operator":     scaled("operator", "user = administrator < physicalHolder < vendor < thirdParty", ""),
		"operators": list[predicate.Party]{added: Widening, removed: Narrowing,
			keys: []func(*predicate.Party) string{func(p *predicate.Party) string { return p.Name }},
			name: func(p *predicate.Party) string { return p.Name }, show: partyLine, empty: "anybody"}.
			rule("", "an operator added, or all removed: none means anybody"),
		"defaultState":   scaled("defaultState", "off < on", ""),
		"access":         scaled("access", "physical < localHost < localNetwork < internet", ""),
		"authentication": stated("other words, and the two cannot be ordered: read both"),
		"integrityCheck": scaled("integrityCheck", "signature < tlsOnly < none | notApplicable", ""),
		"userNotice":     scaled("userNotice", "eachUse < firstUse < documentedOnly < none", ""),
		"logging":        scaled("logging", "userVisible < vendorOnly < none", "none"),
		"control":        inside(WhatControl),
		"flows":          more(),
		"cwe":            notes(),
		"documentation":  documents("a document removed", Narrowing, Widening).about(WhatReference).beside(),
	}
}

func undertakingsRules() rules {
	return rules{
		"common": inside(""),
		"scope":  inside(WhatScope),
		"undertakings": list[predicate.Undertaking]{item: true, added: Narrowing, removed: Widening,
			keys: []func(*predicate.Undertaking) string{func(u *predicate.Undertaking) string { return u.ID }},
			name: func(u *predicate.Undertaking) string { return u.ID },
			show: func(u *predicate.Undertaking) string { return u.Qualification },
			worthless: func(u *predicate.Undertaking) string {
				return unregistered([2]string{"undertaking", u.ID}, [2]string{"qualification", u.Qualification})
			}}.rule(WhatUndertaking, "an undertaking removed"),
		"evidence":   evidenceList(),
		"extensions": free(),
	}
}

func undertakingRules() rules {
	return rules{
		"id":            bound("another item"),
		"qualification": scaled("qualification", "unqualified < bestOfKnowledge", "").about(WhatQualification),
		"until":         later(Narrowing),
		"hours":         fewer(),
		"days":          fewer(),
		"text":          bound("it says how far the undertaking goes: read both").beside(),
		"channels":      identifiers("a channel removed", Narrowing, Widening),
		"evidence":      support().about(WhatEvidence).beside(),
	}
}
