package predicate

import "encoding/json"

// The members that several statement types share (specification, section 4).
//
// The struct tags are the one description of the shapes: the strict parser, the
// JSON Schemas and the documentation of limits are driven by them. `json` names
// the member. `avow` holds, separated by commas:
//
//	M            mandatory: absent or empty is R02
//	present      mandatory, but an empty list may be written
//	enum=NAME    the value, or each element, is of that registry (R03)
//	scheme=NAME  registry of the `scheme` of the identifiers inside
//	max=N        most elements
//	chars=N      most Unicode characters
//	format=NAME  a function of formats.go (R02; time: R05)
//	rule=CODE    mandatory by that rule, not by R02
//	own          a resource descriptor whose digest has a rule of its own
//	digest       a resource descriptor that needs a digest (R02)
//
// A member without M and without a rule of its own is optional. In the structs
// nil means absent for slices, maps and pointers; an optional string that is
// absent is "". A slice that is not nil and has no elements was written as [].

// Subject is one artifact that a statement is about: a file of the release.
// Subjects match by digest alone; the name is for people.
type Subject struct {
	// Name is relative and without "..", for example the file name (R04).
	Name string `json:"name"`
	// Digest maps algorithm names to lower-case hex; sha256 is mandatory (R04).
	Digest map[string]string `json:"digest"`
}

// ResourceDescriptor refers to a document or a file, like in-toto's
// ResourceDescriptor v1. It has at least one of URI, Digest and Content.
type ResourceDescriptor struct {
	Name             string            `json:"name,omitzero"`
	URI              string            `json:"uri,omitzero"`
	Digest           map[string]string `json:"digest,omitzero" avow:"format=digest"`
	Content          string            `json:"content,omitzero" avow:"format=content"`
	DownloadLocation string            `json:"downloadLocation,omitzero"`
	MediaType        string            `json:"mediaType,omitzero"`
	Annotations      json.RawMessage   `json:"annotations,omitzero"`
}

// Identifier is a name in a scheme. Which schemes are allowed depends on where
// it stands (registries productScheme, partyScheme, channelScheme,
// accreditationScheme).
type Identifier struct {
	Scheme string `json:"scheme" avow:"M,enum=@scheme"`
	Value  string `json:"value" avow:"M"`
}

// Party is a legal or natural person.
type Party struct {
	// Name is the legal name.
	Name string `json:"name" avow:"M"`
	// Country is the ISO 3166-1 code of establishment; "anywhere" for a
	// publicService only (R25; R06 for the declarant).
	Country string `json:"country,omitzero"`
	// ControlledFrom is the ISO 3166-1 code of the ultimate controlling
	// parent; absent reads as anywhere.
	ControlledFrom string       `json:"controlledFrom,omitzero"`
	URI            string       `json:"uri,omitzero"`
	Contact        string       `json:"contact,omitzero"`
	Identifiers    []Identifier `json:"identifiers,omitzero" avow:"scheme=partyScheme"`
}

// Product is what the statement is about, in the words of a tender.
type Product struct {
	Name    string `json:"name" avow:"M"`
	Version string `json:"version" avow:"M"`
	// Identifiers has at least one element; a purl carries Version (R08).
	Identifiers []Identifier `json:"identifiers,omitzero" avow:"rule=R08,scheme=productScheme"`
	Edition     string       `json:"edition,omitzero"`
	Platforms   []string     `json:"platforms,omitzero"`
}

// Declarant is who makes the statement and on whose authority.
type Declarant struct {
	Party Party  `json:"party" avow:"M"`
	Role  string `json:"role" avow:"M,enum=role"`
	// SignatoryFunction, Authority and Responsibility are mandatory by R07.
	SignatoryFunction string `json:"signatoryFunction,omitzero" avow:"rule=R07"`
	// SignatoryName is personal data and optional.
	SignatoryName  string `json:"signatoryName,omitzero"`
	Authority      string `json:"authority,omitzero" avow:"rule=R07,enum=authority"`
	Responsibility string `json:"responsibility,omitzero" avow:"rule=R07,enum=responsibility"`
}

// Validity is the period in which a statement holds. Times are
// YYYY-MM-DDTHH:MM:SSZ (R05).
type Validity struct {
	IssuedAt  string `json:"issuedAt,omitzero" avow:"rule=R05,format=time"`
	NotBefore string `json:"notBefore,omitzero" avow:"format=time"`
	NotAfter  string `json:"notAfter,omitzero" avow:"rule=R05,format=time"`
}

// StatementRef names another statement by the SHA-256 of its exact bytes.
type StatementRef struct {
	Digest        map[string]string `json:"digest" avow:"M,format=digest"`
	PredicateType string            `json:"predicateType" avow:"M"`
	// LogOrigin and LogIndex are where it was logged; hints, not proofs.
	LogOrigin string `json:"logOrigin,omitzero"`
	// LogIndex is a decimal string.
	LogIndex string `json:"logIndex,omitzero" avow:"format=decimal"`
}

// ID returns the id of the statement that the reference names, "sha256:" and
// the hex digest, or "" if it has none.
func (r StatementRef) ID() string {
	if r.Digest["sha256"] == "" {
		return ""
	}
	return "sha256:" + r.Digest["sha256"]
}

// Scope is the configuration of the product that the statement speaks of.
type Scope struct {
	Configuration string               `json:"configuration" avow:"M,enum=configuration"`
	Description   string               `json:"description,omitzero"`
	Includes      []ResourceDescriptor `json:"includes,omitzero"`
	Excludes      []ResourceDescriptor `json:"excludes,omitzero"`
}

// Evidence is a document that supports items of the statement, by digest.
type Evidence struct {
	ID   string `json:"id" avow:"M,format=id"`
	Kind string `json:"kind" avow:"M,enum=evidenceKind"`
	// Resource is mandatory and has a sha256 or gitCommit digest (R32).
	Resource *ResourceDescriptor `json:"resource,omitzero" avow:"rule=R32,own"`
	Producer *Party              `json:"producer,omitzero"`
	// Independence of the producer; absent reads as firstParty.
	Independence string `json:"independence,omitzero" avow:"enum=independence"`
	ProducedAt   string `json:"producedAt,omitzero" avow:"format=time"`
	// Supports are ids of claims, mechanisms, flows or undertakings (R31).
	Supports []string `json:"supports,omitzero"`
}

// Common are the members of no-backdoor, data-flows and undertakings.
type Common struct {
	// StatementID is a urn:uuid: in lower case, chosen by the declarant.
	StatementID string         `json:"statementId" avow:"M,format=uuid"`
	Product     Product        `json:"product" avow:"M"`
	Declarant   Declarant      `json:"declarant" avow:"M"`
	Validity    Validity       `json:"validity" avow:"M"`
	Supersedes  []StatementRef `json:"supersedes,omitzero"`
	Related     []StatementRef `json:"related,omitzero"`
	// HumanReadable is the text that the signatory read, by digest.
	HumanReadable []ResourceDescriptor `json:"humanReadable,omitzero" avow:"digest"`
}

// Control says whether and how something can be switched off (R28).
type Control struct {
	Possible string   `json:"possible" avow:"M,enum=possible"`
	By       string   `json:"by" avow:"M,enum=controlBy"`
	Methods  []string `json:"methods,omitzero" avow:"enum=controlMethod"`
	// Setting is what to set, literally.
	Setting string `json:"setting,omitzero"`
	// Effect is what stops working.
	Effect string `json:"effect,omitzero"`
}

// Completeness says how complete a list is and how that is known.
type Completeness struct {
	Level      string      `json:"level" avow:"M,enum=completenessLevel"`
	Methods    []string    `json:"methods" avow:"M,enum=completenessMethod"`
	Exclusions []Exclusion `json:"exclusions,omitzero"`
}

// Exclusion is something that a list leaves out on purpose.
type Exclusion struct {
	Kind        string `json:"kind" avow:"M,enum=exclusionKind"`
	Description string `json:"description" avow:"M"`
}
