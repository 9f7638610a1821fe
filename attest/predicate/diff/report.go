package diff

import "unicode/utf8"

// Direction says what a change means to a buyer. The zero value is [Widening]:
// a change that nobody classified is read as worst for the declarant.
type Direction int

// The three directions.
const (
	// Widening: more is done, given away or reserved, or less is promised or
	// known, or the change cannot be ordered.
	Widening Direction = iota
	// Narrowing: less is done, given away or reserved, or more is promised.
	Narrowing
	// Neutral: neither, or text that only a person can judge.
	Neutral
)

// String returns "widening", "narrowing" or "neutral".
func (d Direction) String() string {
	switch d {
	case Narrowing:
		return "narrowing"
	case Neutral:
		return "neutral"
	}
	return "widening"
}

// MarshalText returns the same as String.
func (d Direction) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Kind says what happened to the thing at a change's pointer.
type Kind string

// The three kinds of changes.
const (
	Added   Kind = "added"
	Removed Kind = "removed"
	Changed Kind = "changed"
)

// What says what a change is about. The list is closed: see [Whats].
type What string

// What changes are about.
const (
	WhatFlow          What = "flow"
	WhatEndpoint      What = "endpoint"
	WhatRecipient     What = "recipient"
	WhatJurisdiction  What = "jurisdiction" // established, controlled, stored, readable
	WhatDataCategory  What = "data-category"
	WhatPersonal      What = "personal" // how personal data is, and to what it is linked
	WhatPurpose       What = "purpose"  // with the legal bases
	WhatRetention     What = "retention"
	WhatActivation    What = "activation" // default state, trigger, interval, consent
	WhatControl       What = "control"    // the off-switch
	WhatNecessity     What = "necessity"
	WhatNetworkUse    What = "network-use"
	WhatCompleteness  What = "completeness"
	WhatMechanism     What = "mechanism"
	WhatCapability    What = "capability"
	WhatClaim         What = "claim"
	WhatException     What = "exception" // a mechanism that a claim does not cover
	WhatQualification What = "qualification"
	WhatUndertaking   What = "undertaking"
	WhatDefinition    What = "definition" // of the word backdoor
	WhatScope         What = "scope"
	WhatProduct       What = "product"
	WhatSubject       What = "subject" // the files that the statement is about
	WhatDeclarant     What = "declarant"
	WhatEvidence      What = "evidence"
	WhatValidity      What = "validity"
	WhatReference     What = "reference" // to other statements and documents; the statement's own id
	WhatText          What = "text"
	WhatExtension     What = "extension"
	WhatUnknown       What = "unknown" // a member that this version of the types does not have
)

// Whats returns everything that a change can be about.
func Whats() []What {
	return []What{WhatFlow, WhatEndpoint, WhatRecipient, WhatJurisdiction, WhatDataCategory, WhatPersonal, WhatPurpose,
		WhatRetention, WhatActivation, WhatControl, WhatNecessity, WhatNetworkUse, WhatCompleteness, WhatMechanism,
		WhatCapability, WhatClaim, WhatException, WhatQualification, WhatUndertaking, WhatDefinition, WhatScope, WhatProduct,
		WhatSubject, WhatDeclarant, WhatEvidence, WhatValidity, WhatReference, WhatText, WhatExtension, WhatUnknown}
}

// maxValueBytes bounds Old and New of a change.
const maxValueBytes = 1 << 10

// Change is one difference.
type Change struct {
	// What the change is about.
	What What `json:"what"`
	// Item is the id of the flow, claim, mechanism, undertaking or evidence that
	// changed, "completeness" for how complete the list is, "" for the statement.
	Item string `json:"item,omitempty"`
	// Part names the element inside the item: the recipient, the endpoint, the
	// category of data; "" where the item has one such member.
	Part string `json:"part,omitempty"`
	// Pointer is the place as a JSON pointer (RFC 6901): in the old statement if
	// Kind is Removed, else in the new one.
	Pointer string `json:"pointer"`
	// Kind is what happened.
	Kind Kind `json:"kind"`
	// Old and New are the values, or a line about the element where it is not one
	// value; "" = absent. Longer ones than 1 KiB are cut and end with "…".
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
	// Registry is the registry of package predicate that has words for Old and
	// New, "" if they are of none.
	Registry string `json:"registry,omitempty"`
	// Direction is what the change means to a buyer.
	Direction Direction `json:"direction"`
	// Why says so in words of this package: no text of a statement is in it.
	Why string `json:"why"`

	// aside: two statements about one artifact do not contradict each other by
	// such a difference.
	aside bool
}

// Release names one of the statements that were compared.
type Release struct {
	// StatementID is "sha256:" and the digest of the exact bytes.
	StatementID string `json:"statementId"`
	// Product and Version are what it says that it is about.
	Product string `json:"product"`
	Version string `json:"version"`
}

// Report is the answer of [Compare].
type Report struct {
	// Type is the predicate type of both statements.
	Type string `json:"predicateType"`
	// Old and New name the statements.
	Old Release `json:"old"`
	New Release `json:"new"`
	// Changes are in the order of the new statement, member by member; what was
	// removed from a list comes after what is in it.
	Changes []Change `json:"changes"`
}

// Count returns how many changes have the direction.
func (r *Report) Count(d Direction) int {
	n := 0
	for i := range r.Changes {
		if r.Changes[i].Direction == d {
			n++
		}
	}
	return n
}

// Widening returns the changes that widen, in order.
func (r *Report) Widening() []Change {
	var list []Change
	for _, c := range r.Changes {
		if c.Direction != Narrowing && c.Direction != Neutral {
			list = append(list, c)
		}
	}
	return list
}

// WidenedItems returns the ids of the items that widened, in order and each
// once. A change that belongs to no item is named by its pointer, which no id
// can be, so that the list is empty only if nothing widened.
func (r *Report) WidenedItems() []string {
	var ids []string
	seen := map[string]bool{}
	for _, c := range r.Widening() {
		id := c.Item
		if id == "" {
			id = c.Pointer
		}
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// clip cuts a value that is too long for a report.
func clip(s string) string {
	if len(s) <= maxValueBytes {
		return s
	}
	end := maxValueBytes
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
