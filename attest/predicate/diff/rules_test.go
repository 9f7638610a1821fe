package diff

import (
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest/predicate"
)

const (
	gateway  = "data-flows/minimal-data-flows"
	flow     = "/flows/0"
	party    = flow + "/recipients/0"
	switchW  = flow + "/activation"
	firmware = "no-backdoor/minimal-no-backdoor"
	mech     = "/mechanisms/0"
	promises = "undertakings/router-undertakings"
)

// step is one change of one member: from one value to another one, both JSON
// and "" = absent, in an example. It has this direction forth and that back.
type step struct {
	example, pointer string
	from, to         string
	what             What
	forth, back      Direction
}

// steps are the rules by example: at least one for each kind of rule and each
// member whose direction somebody decided.
var steps = []step{
	// Flows: who starts it, what it sends, when, and who can stop it.
	{gateway, flow + "/initiator", `"user"`, `"product"`, WhatFlow, Widening, Narrowing},
	{gateway, flow + "/initiator", `"product"`, `"remote"`, WhatFlow, Widening, Narrowing},
	{gateway, flow + "/dataDirection", `"outbound"`, `"both"`, WhatFlow, Widening, Narrowing},
	{gateway, flow + "/dataDirection", `"outbound"`, `"inbound"`, WhatFlow, Widening, Widening},
	{gateway, flow + "/title", `"Update"`, `"Everything"`, WhatText, Neutral, Neutral},
	{gateway, flow + "/component", ``, `"updater"`, WhatText, Neutral, Neutral},
	{gateway, flow + "/purposeText", ``, `"why"`, WhatText, Neutral, Neutral},
	{gateway, flow + "/purposes", `["updateCheck"]`, `["updateCheck","advertising"]`, WhatPurpose, Widening, Narrowing},
	{gateway, flow + "/legalBases", `["consent"]`, `["consent","contract"]`, WhatPurpose, Narrowing, Widening},
	{gateway, flow + "/necessity", `"core"`, `"feature"`, WhatNecessity, Widening, Narrowing},
	{gateway, flow + "/necessity", `"feature"`, `"vendorBenefit"`, WhatNecessity, Widening, Narrowing},
	{gateway, flow + "/evidence", `["capture","capture2"]`, `["capture"]`, WhatEvidence, Widening, Narrowing},
	{gateway, switchW + "/defaultState", `"off"`, `"on"`, WhatActivation, Widening, Narrowing},
	{gateway, switchW + "/trigger", `"userAction"`, `"event"`, WhatActivation, Widening, Narrowing},
	{gateway, switchW + "/trigger", `"startup"`, `"install"`, WhatActivation, Widening, Widening},
	{gateway, switchW + "/intervalSeconds", `86400`, `3600`, WhatActivation, Widening, Narrowing},
	{gateway, switchW + "/intervalSeconds", `86400`, ``, WhatActivation, Widening, Narrowing},
	{gateway, switchW + "/consent", `"optIn"`, `"eachUse"`, WhatActivation, Neutral, Neutral},
	{gateway, switchW + "/consent", `"optIn"`, `"contract"`, WhatActivation, Widening, Narrowing},
	{gateway, switchW + "/consent", `"contract"`, `"optOut"`, WhatActivation, Widening, Narrowing},
	{gateway, switchW + "/consent", `"optOut"`, `"none"`, WhatActivation, Widening, Narrowing},
	{gateway, switchW + "/consent", `"none"`, `"assumed"`, WhatActivation, Widening, Narrowing},
	{gateway, switchW + "/consent", `"implied"`, `"assumed"`, WhatActivation, Widening, Widening},
	{gateway, switchW + "/control/possible", `"yes"`, `"partly"`, WhatControl, Widening, Narrowing},
	{gateway, switchW + "/control/possible", `"partly"`, `"no"`, WhatControl, Widening, Narrowing},
	{gateway, switchW + "/control/by", `"user"`, `"administrator"`, WhatControl, Neutral, Neutral},
	{gateway, switchW + "/control/by", `"administrator"`, `"vendorOnly"`, WhatControl, Widening, Narrowing},
	{gateway, switchW + "/control/methods", `["setting","ui"]`, `["setting"]`, WhatControl, Widening, Narrowing},
	{gateway, switchW + "/control/methods", `["setting"]`, `["setting","prayer"]`, WhatControl, Widening, Widening},
	{gateway, switchW + "/control/setting", `"a = 1"`, `"b = 1"`, WhatControl, Neutral, Neutral},
	{gateway, switchW + "/control/setting", `"a = 1"`, ``, WhatControl, Widening, Narrowing},
	{gateway, switchW + "/control/effect", ``, `"no updates"`, WhatText, Neutral, Neutral},

	// Data.
	{gateway, flow + "/sends/0/personal", `"none"`, `"pseudonymous"`, WhatPersonal, Widening, Narrowing},
	{gateway, flow + "/sends/0/personal", `"pseudonymous"`, `"mayContain"`, WhatPersonal, Widening, Narrowing},
	{gateway, flow + "/sends/0/personal", `"mayContain"`, `"personal"`, WhatPersonal, Neutral, Neutral},
	{gateway, flow + "/sends/0/personal", `"personal"`, `"special"`, WhatPersonal, Widening, Narrowing},
	{gateway, flow + "/sends/0/linked", `"notLinked"`, `"linkedToDevice"`, WhatPersonal, Widening, Narrowing},
	{gateway, flow + "/sends/0/linked", `"linkedToDevice"`, `"linkedToPerson"`, WhatPersonal, Widening, Narrowing},
	{gateway, flow + "/sends/0/description", `"model"`, `"model and name"`, WhatText, Neutral, Neutral},
	{gateway, flow + "/sends/0/fields", `["a"]`, `["a","b"]`, WhatDataCategory, Widening, Narrowing},
	{gateway, flow + "/sends/0/fields", `["a"]`, ``, WhatDataCategory, Widening, Narrowing},
	{gateway, flow + "/sends/0/subjects", `["user"]`, `["user","child"]`, WhatDataCategory, Widening, Narrowing},
	{gateway, flow + "/sends/0/dpv", `["a"]`, `["a","b"]`, WhatDataCategory, Widening, Narrowing},
	{gateway, flow + "/sends", `[]`, ``, WhatDataCategory, Widening, Narrowing},
	{gateway, flow + "/receives", ``, `[{"category":"softwareImage","personal":"none","description":"d","linked":"notLinked"}]`,
		WhatDataCategory, Widening, Narrowing},

	// Recipients.
	{gateway, party + "/role", `"customer"`, `"declarant"`, WhatRecipient, Widening, Narrowing},
	{gateway, party + "/role", `"declarant"`, `"processor"`, WhatRecipient, Widening, Narrowing},
	{gateway, party + "/role", `"processor"`, `"independentController"`, WhatRecipient, Widening, Narrowing},
	{gateway, party + "/role", `"publicService"`, `"independentController"`, WhatRecipient, Widening, Widening},
	{gateway, party + "/party/country", `"DE"`, `"US"`, WhatJurisdiction, Widening, Widening},
	{gateway, party + "/party/country", `"DE"`, `"anywhere"`, WhatJurisdiction, Widening, Narrowing},
	{gateway, party + "/party/controlledFrom", `"DE"`, ``, WhatJurisdiction, Widening, Narrowing},
	{gateway, party + "/party/controlledFrom", `"anywhere"`, ``, WhatJurisdiction, Neutral, Neutral},
	{gateway, party + "/party/controlledFrom", `"DE"`, `"XX"`, WhatJurisdiction, Widening, Widening},
	{gateway, party + "/party/uri", ``, `"https://example.com"`, WhatText, Neutral, Neutral},
	{gateway, party + "/party/contact", ``, `"somebody"`, WhatText, Neutral, Neutral},
	{gateway, party + "/party/identifiers", `[{"scheme":"lei","value":"1"}]`, `[]`, WhatRecipient, Widening, Neutral},
	{gateway, party + "/storage", `["DE"]`, `["DE","FR"]`, WhatJurisdiction, Widening, Narrowing},
	{gateway, party + "/storage", `["EEA"]`, `["EEA","DE"]`, WhatJurisdiction, Neutral, Neutral},
	{gateway, party + "/storage", `["DE"]`, ``, WhatJurisdiction, Widening, Narrowing},
	{gateway, party + "/storage", ``, `["DE","UK"]`, WhatJurisdiction, Widening, Widening},
	{gateway, party + "/storage", `[]`, `["anywhere"]`, WhatJurisdiction, Neutral, Neutral},
	{gateway, party + "/accessFrom", `["DE"]`, `["DE","IN"]`, WhatJurisdiction, Widening, Narrowing},
	{gateway, party + "/transferBasis", `"notApplicable"`, `"adequacy"`, WhatRecipient, Widening, Narrowing},
	{gateway, party + "/transferBasis", `"standardClauses"`, `"bindingRules"`, WhatRecipient, Neutral, Neutral},
	{gateway, party + "/transferBasis", `"bindingRules"`, `"consent"`, WhatRecipient, Widening, Narrowing},
	{gateway, party + "/transferBasis", `"consent"`, ``, WhatRecipient, Widening, Narrowing},
	{gateway, party + "/transferBasis", `"unspecified"`, ``, WhatRecipient, Neutral, Neutral},
	{gateway, party + "/retention/kind", `"none"`, `"untilDeletedByUser"`, WhatRetention, Widening, Narrowing},
	{gateway, party + "/retention/kind", `"days"`, `"untilDeletedByUser"`, WhatRetention, Widening, Narrowing},
	{gateway, party + "/retention/kind", `"untilDeletedByUser"`, `"indefinite"`, WhatRetention, Widening, Narrowing},
	{gateway, party + "/retention/kind", `"indefinite"`, `"unspecified"`, WhatRetention, Widening, Narrowing},
	{gateway, party + "/retention/days", `30`, `31`, WhatRetention, Widening, Narrowing},
	{gateway, party + "/retention", `{"kind":"none"}`, ``, WhatRetention, Widening, Narrowing},
	{gateway, party + "/retention", `{"kind":"unspecified"}`, ``, WhatRetention, Neutral, Neutral},
	{gateway, party + "/retention", `{"kind":"none"}`, `{"kind":"none","days":9}`, WhatRetention, Neutral, Neutral},
	{gateway, party + "/sourceAddress", `"notRetained"`, `"truncated"`, WhatRecipient, Widening, Narrowing},
	{gateway, party + "/sourceAddress", `"retained"`, ``, WhatRecipient, Widening, Narrowing},
	{gateway, party + "/onward", `"none"`, `"listed"`, WhatRecipient, Widening, Narrowing},
	{gateway, party + "/policy", `{"uri":"a"}`, `{"uri":"b"}`, WhatReference, Neutral, Neutral},
	{gateway, party + "/policy", `{"uri":"a"}`, ``, WhatReference, Widening, Narrowing},

	// The way to an endpoint.
	{gateway, flow + "/endpoints/0/transport", `"tcp"`, `"udp"`, WhatEndpoint, Widening, Widening},
	{gateway, flow + "/endpoints", `[{"kind":"configured","setting":"s"}]`, `[{"kind":"configured","setting":"s","transport":"udp"}]`, WhatEndpoint, Narrowing, Widening},
	{gateway, flow + "/endpoints", `[{"kind":"configured","setting":"s"}]`, `[{"kind":"configured","setting":"s","transport":"carrierPigeon"}]`, WhatEndpoint, Widening, Widening},
	{gateway, flow + "/endpoints/0/ports", `[443]`, `[443,80]`, WhatEndpoint, Widening, Narrowing},
	{gateway, flow + "/endpoints/0/application", `"https"`, `"http"`, WhatEndpoint, Widening, Widening},
	{gateway, flow + "/endpoints/0/path", `"/a"`, `"/b"`, WhatEndpoint, Neutral, Neutral},
	{gateway, flow + "/endpoints/0/tls/requirement", `"required"`, `"optional"`, WhatEndpoint, Widening, Narrowing},
	{gateway, flow + "/endpoints/0/tls/requirement", `"optional"`, `"none"`, WhatEndpoint, Widening, Narrowing},
	{gateway, flow + "/endpoints/0/tls/minVersion", `"1.3"`, `"1.2"`, WhatEndpoint, Widening, Narrowing},
	{gateway, flow + "/endpoints/0/tls/minVersion", `"1.2"`, ``, WhatEndpoint, Widening, Narrowing},
	{gateway, flow + "/endpoints/0/tls/verification", `"pinned"`, `"systemRoots"`, WhatEndpoint, Neutral, Neutral},
	{gateway, flow + "/endpoints/0/tls/verification", `"systemRoots"`, `"privateRoots"`, WhatEndpoint, Widening, Narrowing},
	{gateway, flow + "/endpoints/0/tls/verification", `"privateRoots"`, `"none"`, WhatEndpoint, Widening, Narrowing},

	// The statement as a whole.
	{gateway, "/networkUse", `"none"`, `"some"`, WhatNetworkUse, Widening, Narrowing},
	{gateway, "/completeness/level", `"complete"`, `"completeForConfiguration"`, WhatCompleteness, Widening, Narrowing},
	{gateway, "/completeness/level", `"completeForConfiguration"`, `"partial"`, WhatCompleteness, Widening, Narrowing},
	{gateway, "/completeness/methods", `["sourceReview","flowCapture"]`, `["sourceReview"]`, WhatCompleteness, Widening, Narrowing},
	{gateway, "/completeness/exclusions", `[]`, `[{"kind":"other","description":"d"}]`, WhatCompleteness, Widening, Narrowing},
	{gateway, "/completeness/exclusions", `[{"kind":"other","description":"d"}]`, `[{"kind":"other","description":"all"}]`,
		WhatCompleteness, Widening, Widening},
	{gateway, "/scope/configuration", `"asShipped"`, `"hardened"`, WhatScope, Widening, Narrowing},
	{gateway, "/scope/configuration", `"hardened"`, `"described"`, WhatScope, Widening, Narrowing},
	{gateway, "/scope/description", ``, `"without the bootloader"`, WhatScope, Widening, Widening},
	{gateway, "/scope/includes", `[{"uri":"a"}]`, `[]`, WhatScope, Widening, Narrowing},
	{gateway, "/scope/includes", `[{"name":"a","uri":"b"}]`, `[{"name":"a","uri":"c"}]`, WhatScope, Neutral, Neutral},
	{gateway, "/scope/excludes", `[]`, `[{"uri":"a"}]`, WhatScope, Widening, Narrowing},
	{gateway, "/extensions", ``, `{"build":1}`, WhatExtension, Neutral, Neutral},
	{gateway, "/common/statementId", `"urn:uuid:00000000-0000-4000-8000-000000000001"`,
		`"urn:uuid:00000000-0000-4000-8000-000000000002"`, WhatReference, Neutral, Neutral},
	{gateway, "/common/product/name", `"Gateway"`, `"Router"`, WhatProduct, Widening, Widening},
	{gateway, "/common/product/version", `"1"`, `"2"`, WhatProduct, Neutral, Neutral},
	{gateway, "/common/product/edition", ``, `"community"`, WhatProduct, Widening, Widening},
	{gateway, "/common/product/platforms", `["linux","windows"]`, `["linux"]`, WhatProduct, Widening, Neutral},
	{gateway, "/common/product/identifiers", `[{"scheme":"purl","value":"pkg:a/b@1"}]`, `[{"scheme":"purl","value":"pkg:a/b@1"},{"scheme":"gtin","value":"1"}]`,
		WhatProduct, Neutral, Neutral},
	{gateway, "/common/declarant/party/name", `"A"`, `"B"`, WhatDeclarant, Widening, Widening},
	{gateway, "/common/declarant/party/country", `"DE"`, `"CH"`, WhatJurisdiction, Widening, Widening},
	{gateway, "/common/declarant/party/identifiers", `[{"scheme":"lei","value":"1"}]`, ``, WhatDeclarant, Widening, Neutral},
	{gateway, "/common/declarant/role", `"manufacturer"`, `"distributor"`, WhatDeclarant, Widening, Widening},
	{gateway, "/common/declarant/authority", `"legalRepresentative"`, `"delegatedInWriting"`, WhatDeclarant, Widening, Narrowing},
	{gateway, "/common/declarant/authority", `"delegatedInWriting"`, `"projectGovernance"`, WhatDeclarant, Widening, Narrowing},
	{gateway, "/common/declarant/responsibility", `"soleResponsibility"`, `"onBehalfOf"`, WhatDeclarant, Widening, Narrowing},
	{gateway, "/common/declarant/signatoryFunction", `"CEO"`, ``, WhatDeclarant, Widening, Narrowing},
	{gateway, "/common/declarant/signatoryFunction", `"CEO"`, `"CTO"`, WhatDeclarant, Neutral, Neutral},
	{gateway, "/common/declarant/signatoryName", `"A"`, ``, WhatDeclarant, Neutral, Neutral},
	{gateway, "/common/validity/issuedAt", `"2026-09-01T09:00:00Z"`, `"2026-09-02T09:00:00Z"`, WhatValidity, Neutral, Neutral},
	{gateway, "/common/validity/notBefore", ``, `"2026-09-02T09:00:00Z"`, WhatValidity, Neutral, Neutral},
	{gateway, "/common/validity/notAfter", `"2027-09-01T09:00:00Z"`, `"2027-01-01T09:00:00Z"`, WhatValidity, Neutral, Neutral},
	{gateway, "/common/humanReadable", `[{"name":"a","digest":{"sha256":"` + digest1 + `"}}]`, ``, WhatReference, Neutral, Neutral},
	{gateway, "/common/supersedes", `[{"predicateType":"a","digest":{"sha256":"` + digest1 + `"}}]`, ``, WhatReference, Neutral, Neutral},
	{gateway, "/common/related", `[{"predicateType":"a","digest":{"sha256":"` + digest1 + `"}}]`, ``, WhatReference, Widening, Neutral},
	{gateway, "/common/related", `[{"predicateType":"a","digest":{"sha256":"` + digest1 + `"}}]`,
		`[{"predicateType":"a","digest":{"sha256":"` + digest2 + `"}}]`, WhatReference, Neutral, Neutral},

	// Evidence.
	{gateway, "/evidence/0/kind", `"flowCapture"`, `"document"`, WhatEvidence, Widening, Widening},
	{gateway, "/evidence/0/independence", `"thirdParty"`, `"secondParty"`, WhatEvidence, Widening, Narrowing},
	{gateway, "/evidence/0/independence", `"secondParty"`, ``, WhatEvidence, Widening, Narrowing},
	{gateway, "/evidence/0/independence", `"firstParty"`, ``, WhatEvidence, Neutral, Neutral},
	{gateway, "/evidence/0/resource", `{"uri":"a"}`, ``, WhatEvidence, Widening, Narrowing},
	{gateway, "/evidence/0/resource", `{"uri":"a"}`, `{"uri":"b"}`, WhatEvidence, Neutral, Neutral},
	{gateway, "/evidence/0/producer", `{"name":"A"}`, `{"name":"B"}`, WhatEvidence, Widening, Widening},
	{gateway, "/evidence/0/producedAt", `"2026-08-01T00:00:00Z"`, `"2025-08-01T00:00:00Z"`, WhatEvidence, Widening, Neutral},
	{gateway, "/evidence/0/supports", `["update"]`, `[]`, WhatEvidence, Widening, Narrowing},

	// Claims.
	{firmware, "/definition", `{"uri":"a"}`, `{"uri":"b"}`, WhatDefinition, Widening, Widening},
	{firmware, "/claims/0/answer", `"asserted"`, `"assertedExceptDisclosed"`, WhatClaim, Widening, Narrowing},
	{firmware, "/claims/0/qualification", `"unqualified"`, `"bestOfKnowledge"`, WhatQualification, Widening, Narrowing},
	{firmware, "/claims/0/mechanisms", `["a"]`, `["a","b"]`, WhatException, Widening, Narrowing},
	{firmware, "/claims/0/evidence", `["rebuild"]`, ``, WhatEvidence, Widening, Narrowing},
	{firmware, "/claims/0/note", ``, `"but"`, WhatText, Neutral, Neutral},
	{firmware, "/mechanismsCompleteness/level", `"complete"`, `"partial"`, WhatCompleteness, Widening, Narrowing},

	// Mechanisms.
	{firmware, mech + "/kind", `"autoUpdate"`, `"remoteWipe"`, WhatMechanism, Widening, Widening},
	{firmware, mech + "/description", `"a"`, `"b"`, WhatText, Neutral, Neutral},
	{firmware, mech + "/capabilities", `["readData"]`, `["readData","executeCode"]`, WhatCapability, Widening, Narrowing},
	{firmware, mech + "/operator", `"user"`, `"administrator"`, WhatMechanism, Neutral, Neutral},
	{firmware, mech + "/operator", `"administrator"`, `"physicalHolder"`, WhatMechanism, Widening, Narrowing},
	{firmware, mech + "/operator", `"physicalHolder"`, `"vendor"`, WhatMechanism, Widening, Narrowing},
	{firmware, mech + "/operator", `"vendor"`, `"thirdParty"`, WhatMechanism, Widening, Narrowing},
	{firmware, mech + "/operators", `[{"name":"A"}]`, `[{"name":"A"},{"name":"B"}]`, WhatMechanism, Widening, Narrowing},
	{firmware, mech + "/operators", `[{"name":"A"}]`, `[]`, WhatMechanism, Widening, Narrowing},
	{firmware, mech + "/defaultState", `"off"`, `"on"`, WhatMechanism, Widening, Narrowing},
	{firmware, mech + "/access", `"physical"`, `"localHost"`, WhatMechanism, Widening, Narrowing},
	{firmware, mech + "/access", `"localHost"`, `"localNetwork"`, WhatMechanism, Widening, Narrowing},
	{firmware, mech + "/access", `"localNetwork"`, `"internet"`, WhatMechanism, Widening, Narrowing},
	{firmware, mech + "/authentication", `"mutual TLS"`, `"a password"`, WhatMechanism, Widening, Widening},
	{firmware, mech + "/authentication", `"mutual TLS"`, ``, WhatMechanism, Widening, Narrowing},
	{firmware, mech + "/integrityCheck", `"signature"`, `"tlsOnly"`, WhatMechanism, Widening, Narrowing},
	{firmware, mech + "/integrityCheck", `"tlsOnly"`, `"none"`, WhatMechanism, Widening, Narrowing},
	{firmware, mech + "/integrityCheck", `"signature"`, `"notApplicable"`, WhatMechanism, Widening, Narrowing},
	{firmware, mech + "/integrityCheck", `"none"`, `"notApplicable"`, WhatMechanism, Widening, Widening},
	{firmware, mech + "/userNotice", `"eachUse"`, `"firstUse"`, WhatMechanism, Widening, Narrowing},
	{firmware, mech + "/userNotice", `"firstUse"`, `"documentedOnly"`, WhatMechanism, Widening, Narrowing},
	{firmware, mech + "/userNotice", `"documentedOnly"`, `"none"`, WhatMechanism, Widening, Narrowing},
	{firmware, mech + "/logging", `"userVisible"`, `"vendorOnly"`, WhatMechanism, Widening, Narrowing},
	{firmware, mech + "/logging", `"vendorOnly"`, ``, WhatMechanism, Widening, Narrowing},
	{firmware, mech + "/logging", `"none"`, ``, WhatMechanism, Neutral, Neutral},
	{firmware, mech + "/control/possible", `"yes"`, `"no"`, WhatControl, Widening, Narrowing},
	{firmware, mech + "/flows", `["update"]`, `["update","other"]`, WhatMechanism, Widening, Narrowing},
	{firmware, mech + "/cwe", ``, `["CWE-912"]`, WhatMechanism, Neutral, Neutral},
	{firmware, mech + "/documentation", `[{"uri":"a"}]`, `[]`, WhatReference, Widening, Narrowing},

	// Undertakings.
	{promises, "/undertakings/0/qualification", `"unqualified"`, `"bestOfKnowledge"`, WhatQualification, Widening, Narrowing},
	{promises, "/undertakings/0/hours", `72`, `96`, WhatUndertaking, Widening, Narrowing},
	{promises, "/undertakings/0/hours", `72`, ``, WhatUndertaking, Widening, Narrowing},
	{promises, "/undertakings/0/channels", `[{"scheme":"url","value":"a"}]`, `[]`, WhatUndertaking, Widening, Narrowing},
	{promises, "/undertakings/0/text", ``, `"on working days"`, WhatUndertaking, Widening, Widening},
	{promises, "/undertakings/1/days", `90`, `91`, WhatUndertaking, Widening, Narrowing},
	{promises, "/undertakings/2/until", `"2027-09-01T00:00:00Z"`, `"2027-08-01T00:00:00Z"`, WhatUndertaking, Widening, Narrowing},
	{promises, "/undertakings/2/until", `"2027-09-01T00:00:00Z"`, ``, WhatUndertaking, Widening, Narrowing},
	{promises, "/undertakings/2/until", `"soon"`, `"later"`, WhatUndertaking, Widening, Widening},
	{promises, "/undertakings/2/until", `"2027-09-01T00:00:00Z"`, `"later"`, WhatUndertaking, Widening, Narrowing},
	{promises, "/common/validity/notAfter", `"2027-09-01T09:00:00Z"`, `"2027-01-01T09:00:00Z"`, WhatValidity, Widening, Narrowing},
	{promises, "/scope", ``, `{"configuration":"asShipped"}`, WhatScope, Narrowing, Widening},
}

const (
	digest1 = "1111111111111111111111111111111111111111111111111111111111111111"
	digest2 = "2222222222222222222222222222222222222222222222222222222222222222"
)

func TestSteps(t *testing.T) {
	for _, s := range steps {
		base := vector(t, s.example)
		from, to := edited(t, base, edit{s.pointer, s.from}), edited(t, base, edit{s.pointer, s.to})
		for _, way := range []struct {
			was, is []byte
			want    Direction
		}{{from, to, s.forth}, {to, from, s.back}} {
			report := compareBytes(t, way.was, way.is)
			if len(report.Changes) != 1 {
				t.Errorf("%s %s -> %s: got %d changes, want 1: %+v", s.pointer, s.from, s.to, len(report.Changes), report.Changes)
				continue
			}
			c := report.Changes[0]
			if c.What != s.what || c.Direction != way.want || c.Why == "" {
				t.Errorf("%s %s -> %s: got %s, %s (%s), want %s, %s", s.pointer, c.Old, c.New, c.What, c.Direction, c.Why, s.what, way.want)
			}
			if !strings.HasPrefix(c.Pointer, "/predicate"+s.pointer) {
				t.Errorf("%s: the pointer is %s", s.pointer, c.Pointer)
			}
		}
	}
}

// TestItems: what is added to and removed from the lists of items.
func TestItems(t *testing.T) {
	for _, c := range []struct {
		example, list, element string
		what                   What
		item                   string
		added, removed         Direction
	}{
		{gateway, "/flows/-", string(flowNamed(t, "telemetry")), WhatFlow, "telemetry", Widening, Narrowing},
		{gateway, "/evidence/-", `{"id":"audit","kind":"auditReport"}`, WhatEvidence, "audit", Narrowing, Widening},
		{gateway, flow + "/recipients/-", `{"role":"customer"}`, WhatRecipient, "update", Widening, Narrowing},
		{gateway, flow + "/sends/-", `{"category":"health","personal":"special","description":"d","linked":"linkedToPerson"}`,
			WhatDataCategory, "update", Widening, Narrowing},
		{gateway, flow + "/endpoints/-", `{"kind":"configured","setting":"proxy"}`, WhatEndpoint, "update", Widening, Narrowing},
		{firmware, "/claims/-", `{"id":"NB-CRYPTO","answer":"asserted","qualification":"unqualified"}`, WhatClaim, "NB-CRYPTO",
			Narrowing, Widening},
		{firmware, "/claims/-", `{"id":"NB-NEW","answer":"asserted","qualification":"unqualified"}`, WhatClaim, "NB-NEW",
			Neutral, Widening},
		{firmware, "/claims/-", `{"id":"NB-CRYPTO","answer":"perhaps","qualification":"unqualified"}`, WhatClaim, "NB-CRYPTO",
			Neutral, Widening},
		{gateway, "/evidence/-", `{"id":"audit","kind":"hearsay"}`, WhatEvidence, "audit", Neutral, Widening},
		{firmware, "/mechanisms/-", `{"id":"wipe","kind":"remoteWipe","description":"d","capabilities":["disableProduct"],` +
			`"operator":"vendor","defaultState":"on","access":"internet","integrityCheck":"signature","userNotice":"none",` +
			`"control":{"possible":"no","by":"vendorOnly"}}`, WhatMechanism, "wipe", Widening, Narrowing},
		{promises, "/undertakings/-", `{"id":"U-NO-LOCKIN","qualification":"unqualified"}`, WhatUndertaking, "U-NO-LOCKIN",
			Narrowing, Widening},
		{promises, "/undertakings/-", `{"id":"U-NEW","qualification":"unqualified"}`, WhatUndertaking, "U-NEW", Neutral, Widening},
	} {
		base := vector(t, c.example)
		more := edited(t, base, edit{c.list, c.element})
		for _, way := range []struct {
			was, is []byte
			kind    Kind
			want    Direction
		}{{base, more, Added, c.added}, {more, base, Removed, c.removed}} {
			report := compareBytes(t, way.was, way.is)
			if len(report.Changes) != 1 {
				t.Errorf("%s: got %+v, want one change", c.list, report.Changes)
				continue
			}
			if got := report.Changes[0]; got.What != c.what || got.Item != c.item || got.Kind != way.kind || got.Direction != way.want {
				t.Errorf("%s: got %+v, want %s %s %s %s", c.list, got, way.kind, c.what, c.item, way.want)
			}
		}
	}
}

// flowNamed returns the flow of the example under another id.
func flowNamed(t *testing.T, id string) []byte {
	t.Helper()
	root := decodeJSON(t, vector(t, gateway))
	f := root["predicate"].(map[string]any)["flows"].([]any)[0].(map[string]any)
	f["id"] = id
	return encodeJSON(t, f)
}

func TestJurisdictions(t *testing.T) {
	type change struct {
		kind  Kind
		place string
		want  Direction
	}
	for _, c := range []struct {
		was, is string
		want    []change
	}{
		{`["EEA"]`, `["DE"]`, []change{{Added, "DE", Narrowing}, {Removed, "EEA", Narrowing}}},
		{`["DE"]`, `["EEA"]`, []change{{Added, "EEA", Widening}, {Removed, "DE", Neutral}}},
		{`["EEA"]`, `["EU"]`, []change{{Added, "EU", Narrowing}, {Removed, "EEA", Narrowing}}},
		{`["EU"]`, `["EEA"]`, []change{{Added, "EEA", Widening}, {Removed, "EU", Neutral}}},
		{`["EU"]`, `["NO"]`, []change{{Added, "NO", Widening}, {Removed, "EU", Narrowing}}},
		{`["EEA"]`, `["NO"]`, []change{{Added, "NO", Narrowing}, {Removed, "EEA", Narrowing}}},
		{`["EEA"]`, `["CH"]`, []change{{Added, "CH", Widening}, {Removed, "EEA", Narrowing}}},
		{`["EEA"]`, `["GB"]`, []change{{Added, "GB", Widening}, {Removed, "EEA", Narrowing}}},
		{`["anywhere"]`, `["CN"]`, []change{{Added, "CN", Narrowing}, {Removed, "anywhere", Narrowing}}},
		{`["CN"]`, `["anywhere"]`, []change{{Added, "anywhere", Widening}, {Removed, "CN", Neutral}}},
		{`["FR"]`, `["FR-NC"]`, []change{{Added, "FR-NC", Widening}, {Removed, "FR", Narrowing}}}, // not in the EEA
		{`["DE-BY"]`, `["DE"]`, []change{{Added, "DE", Widening}, {Removed, "DE-BY", Narrowing}}},
		{`["anywhere"]`, `["UK"]`, []change{{Added, "UK", Widening}, {Removed, "anywhere", Narrowing}}}, // no such code
		{`["DE","FR"]`, `["FR","DE","DE"]`, nil},
	} {
		base := vector(t, gateway)
		report := compareBytes(t, edited(t, base, edit{party + "/storage", c.was}), edited(t, base, edit{party + "/storage", c.is}))
		var got []change
		for _, g := range report.Changes {
			got = append(got, change{g.Kind, g.Old + g.New, g.Direction})
		}
		if len(got) != len(c.want) {
			t.Errorf("%s -> %s: got %v, want %v", c.was, c.is, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s -> %s: got %v, want %v", c.was, c.is, got, c.want)
			}
		}
	}
}

// TestBlocsAreCountries: a typing error in the table would make a place wider
// without anybody being told.
func TestBlocsAreCountries(t *testing.T) {
	if len(euMembers) != 27 || len(eftaMembersOfEEA) != 3 {
		t.Errorf("%d members of the EU and %d more of the EEA", len(euMembers), len(eftaMembersOfEEA))
	}
	for _, code := range append(append([]string{}, euMembers...), eftaMembersOfEEA...) {
		if !predicate.EmbeddedTables().Country(code) {
			t.Errorf("%q is no country", code)
		}
	}
}

func TestEndpoints(t *testing.T) {
	const https = `,"transport":"tcp","ports":[443],"application":"https","tls":{"requirement":"required","minVersion":"1.2","verification":"systemRoots"}}`
	host := func(name string) string { return `{"kind":"host","value":"` + name + `"` + https }
	suffix := func(name string) string { return `{"kind":"suffix","value":"` + name + `"` + https }
	cidr := func(block string) string { return `{"kind":"cidr","value":"` + block + `"` + https }
	plain := func(s string) string { return strings.Replace(s, `"required"`, `"none"`, 1) }
	const directed = `{"kind":"userDirected"}`
	for _, c := range []struct {
		was, is string
		want    []Direction
	}{
		{host("a.example.com"), suffix("example.com"), []Direction{Widening, Neutral}},
		{suffix("example.com"), host("a.example.com"), []Direction{Narrowing, Narrowing}},
		{suffix("example.com"), host("example.com"), []Direction{Widening, Narrowing}}, // a suffix is the names under it
		{suffix("example.com"), host("badexample.com"), []Direction{Widening, Narrowing}},
		{suffix("example.com"), suffix("b.example.com"), []Direction{Narrowing, Narrowing}},
		{suffix("b.example.com"), suffix("example.com"), []Direction{Widening, Neutral}},
		{suffix("example.com"), suffix("example.com") + "," + host("a.example.com"), []Direction{Neutral}},
		{suffix("example.com"), plain(host("a.example.com")), []Direction{Widening, Narrowing}}, // inside, and without TLS
		{suffix("example.com"), strings.Replace(host("a.example.com"), "443", "443,80", 1), []Direction{Widening, Narrowing}},
		{suffix("example.com"), strings.Replace(host("a.example.com"), `"tls"`, `"addedLater":1,"tls"`, 1),
			[]Direction{Widening, Narrowing}},
		{suffix("example.com"), directed, []Direction{Widening, Neutral}},
		{`{"kind":"configured","setting":"proxy"}`, directed, []Direction{Widening, Neutral}},
		{directed, host("a.example.com"), []Direction{Narrowing, Narrowing}},
		{directed, `{"kind":"configured","setting":"proxy"}`, []Direction{Narrowing, Narrowing}},
		{directed, `{"kind":"satellite"}`, []Direction{Widening, Narrowing}}, // a kind that nobody knows
		{cidr("192.0.2.0/24"), cidr("192.0.2.16/28"), []Direction{Narrowing, Narrowing}},
		{cidr("192.0.2.16/28"), cidr("192.0.2.0/24"), []Direction{Widening, Neutral}},
		{cidr("192.0.2.0/24"), cidr("192.0.3.0/28"), []Direction{Widening, Narrowing}},
		{cidr("192.0.2.0/24"), cidr("192.0.2.0/33"), []Direction{Widening, Narrowing}},
		{cidr("2001:db8::/32"), cidr("2001:db8:1::/48"), []Direction{Narrowing, Narrowing}},
		{cidr("0.0.0.0/0"), host("a.example.com"), []Direction{Widening, Narrowing}},
		{host("a.example.com"), host("b.example.com"), []Direction{Widening, Narrowing}},
		{`{"kind":"configured","setting":"proxy"}`, `{"kind":"configured","setting":"mirror"}`, []Direction{Widening, Narrowing}},
		{host("a.example.com") + "," + host("b.example.com"), host("b.example.com") + "," + host("a.example.com"), nil},
		// One endpoint for two ports is two endpoints for one each.
		{strings.Replace(host("a.example.com"), "443", "443,8443", 1),
			host("a.example.com") + "," + strings.Replace(host("a.example.com"), "443", "8443", 1), []Direction{Narrowing, Narrowing, Narrowing}},
	} {
		base := vector(t, gateway)
		at := flow + "/endpoints"
		report := compareBytes(t, edited(t, base, edit{at, "[" + c.was + "]"}), edited(t, base, edit{at, "[" + c.is + "]"}))
		var got []Direction
		for _, g := range report.Changes {
			got = append(got, g.Direction)
			if g.What != WhatEndpoint || g.Item != "update" {
				t.Errorf("%s -> %s: got %+v", c.was, c.is, g)
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%s -> %s: got %+v, want %v", c.was, c.is, report.Changes, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s -> %s: got %v, want %v", c.was, c.is, got, c.want)
			}
		}
	}
}

// TestMatching: elements without id are matched by what they name, and only
// where there is no doubt.
func TestMatching(t *testing.T) {
	item := func(category, description, personal string) string {
		return `{"category":"` + category + `","personal":"` + personal + `","description":"` + description + `","linked":"notLinked"}`
	}
	for name, c := range map[string]struct {
		was, is string
		want    []string
	}{
		"other order":       {item("other", "a", "none") + "," + item("other", "b", "none"), item("other", "b", "none") + "," + item("other", "a", "none"), nil},
		"by description":    {item("other", "a", "none") + "," + item("other", "b", "none"), item("other", "b", "special") + "," + item("other", "a", "none"), []string{"changed widening"}},
		"by category":       {item("other", "a", "none"), item("other", "b", "none"), []string{"changed neutral"}},
		"two of a category": {item("other", "a", "special") + "," + item("other", "b", "special"), item("other", "c", "none"), []string{"added widening", "removed narrowing", "removed narrowing"}},
		"twice the same":    {item("other", "a", "none") + "," + item("other", "a", "none"), item("other", "a", "none"), []string{"removed narrowing"}},
	} {
		base := vector(t, gateway)
		at := flow + "/sends"
		report := compareBytes(t, edited(t, base, edit{at, "[" + c.was + "]"}), edited(t, base, edit{at, "[" + c.is + "]"}))
		var got []string
		for _, g := range report.Changes {
			got = append(got, string(g.Kind)+" "+g.Direction.String())
		}
		if strings.Join(got, ", ") != strings.Join(c.want, ", ") {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// TestItemsTwice: an id that is there twice is no id. Nothing of such a
// statement is taken for what was there.
func TestItemsTwice(t *testing.T) {
	base := vector(t, gateway)
	twice := edited(t, base, edit{"/flows/-", string(flowNamed(t, "update"))}, edit{"/flows/1/necessity", `"vendorBenefit"`})
	report := compareBytes(t, base, twice)
	if len(report.Widening()) != 1 || report.Changes[0].Kind != Added || report.Changes[0].Item != "update" {
		t.Errorf("got %+v", report.Changes)
	}
}
