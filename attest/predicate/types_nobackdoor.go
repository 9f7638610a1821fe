package predicate

import "encoding/json"

// NoBackdoor is the predicate of a no-backdoor/v1 statement: positive claims,
// each signed or not made, and the list of remote and privileged mechanisms
// (specification, section 5).
type NoBackdoor struct {
	Common Common `json:"common" avow:"M"`
	// Definition names the registered text of the word backdoor by URI and
	// digest (R14).
	Definition *ResourceDescriptor `json:"definition,omitzero" avow:"rule=R14,own"`
	Scope      Scope               `json:"scope" avow:"M"`
	Claims     []Claim             `json:"claims" avow:"M"`
	// Mechanisms is always written, also when empty.
	Mechanisms             []Mechanism     `json:"mechanisms" avow:"present,max=128"`
	MechanismsCompleteness Completeness    `json:"mechanismsCompleteness" avow:"M"`
	Evidence               []Evidence      `json:"evidence,omitzero" avow:"max=64"`
	Extensions             json.RawMessage `json:"extensions,omitzero"`
}

// Claim is one sentence of the registry that the vendor signs; a claim that is
// missing was not made. [ClaimSentence] has the words.
type Claim struct {
	ID            string `json:"id" avow:"M,enum=claim"`
	Answer        string `json:"answer" avow:"M,enum=answer"`
	Qualification string `json:"qualification" avow:"M,enum=qualification"`
	// Mechanisms are the ids of the exceptions of assertedExceptDisclosed.
	Mechanisms []string `json:"mechanisms,omitzero"`
	Evidence   []string `json:"evidence,omitzero"`
	Note       string   `json:"note,omitzero"`
}

// Mechanism is a way to reach into the product that must be disclosed.
type Mechanism struct {
	ID             string               `json:"id" avow:"M,format=id"`
	Kind           string               `json:"kind" avow:"M,enum=mechanismKind"`
	Description    string               `json:"description" avow:"M"`
	Capabilities   []string             `json:"capabilities" avow:"M,enum=capability"`
	Operator       string               `json:"operator" avow:"M,enum=operator"`
	Operators      []Party              `json:"operators,omitzero"`
	DefaultState   string               `json:"defaultState" avow:"M,enum=defaultState"`
	Access         string               `json:"access" avow:"M,enum=access"`
	Authentication string               `json:"authentication,omitzero"`
	IntegrityCheck string               `json:"integrityCheck" avow:"M,enum=integrityCheck"`
	UserNotice     string               `json:"userNotice" avow:"M,enum=userNotice"`
	Logging        string               `json:"logging,omitzero" avow:"enum=logging"`
	Control        Control              `json:"control" avow:"M"`
	Flows          []string             `json:"flows,omitzero"`
	CWE            []string             `json:"cwe,omitzero"`
	Documentation  []ResourceDescriptor `json:"documentation,omitzero"`
}
