package predicate

import "encoding/json"

// Undertakings is the predicate of an undertakings/v1 statement: what the
// vendor will do over time (specification, section 7).
type Undertakings struct {
	Common       Common          `json:"common" avow:"M"`
	Scope        *Scope          `json:"scope,omitzero"`
	Undertakings []Undertaking   `json:"undertakings" avow:"M"`
	Evidence     []Evidence      `json:"evidence,omitzero" avow:"max=64"`
	Extensions   json.RawMessage `json:"extensions,omitzero"`
}

// Undertaking is one promise of the registry; [UndertakingSentence] has the
// words. Which parameter it needs is in the registry (R18).
type Undertaking struct {
	ID            string `json:"id" avow:"M,enum=undertaking"`
	Qualification string `json:"qualification" avow:"M,enum=qualification"`
	Until         string `json:"until,omitzero" avow:"format=time"`
	// Hours and Days are periods; nil means absent.
	Hours    *int         `json:"hours,omitzero"`
	Days     *int         `json:"days,omitzero"`
	Text     string       `json:"text,omitzero"`
	Channels []Identifier `json:"channels,omitzero" avow:"scheme=channelScheme"`
	Evidence []string     `json:"evidence,omitzero"`
}

// Withdrawal is the predicate of a withdrawal/v1 statement: a statement, or
// items of it, no longer hold (specification, section 8).
type Withdrawal struct {
	StatementID string       `json:"statementId" avow:"M,format=uuid"`
	Target      StatementRef `json:"target" avow:"M"`
	Reason      string       `json:"reason" avow:"M,enum=withdrawalReason"`
	Effect      string       `json:"effect" avow:"M,enum=withdrawalEffect"`
	EffectiveAt string       `json:"effectiveAt" avow:"M,format=time"`
	Explanation string       `json:"explanation,omitzero"`
	// Items are ids of claims, mechanisms, flows or undertakings; empty = the
	// whole statement.
	Items       []string             `json:"items,omitzero"`
	Replacement *StatementRef        `json:"replacement,omitzero"`
	Advisories  []ResourceDescriptor `json:"advisories,omitzero"`
	Declarant   Declarant            `json:"declarant" avow:"M"`
}

// Dispute is the predicate of a dispute/v1 statement: one step of a
// disagreement about a statement.
type Dispute struct {
	StatementID string       `json:"statementId" avow:"M,format=uuid"`
	Target      StatementRef `json:"target" avow:"M"`
	// Thread is the first dispute of the exchange; mandatory unless Event is
	// opened.
	Thread          *StatementRef `json:"thread,omitzero"`
	Event           string        `json:"event" avow:"M,enum=disputeEvent"`
	Ground          string        `json:"ground" avow:"M,enum=disputeGround"`
	Items           []string      `json:"items,omitzero"`
	Summary         string        `json:"summary" avow:"M,chars=2000"`
	Party           Party         `json:"party" avow:"M"`
	Confidentiality string        `json:"confidentiality,omitzero" avow:"enum=confidentiality"`
	Evidence        []Evidence    `json:"evidence,omitzero" avow:"max=64"`
	OccurredAt      string        `json:"occurredAt" avow:"M,format=time"`
	RespondBy       string        `json:"respondBy,omitzero" avow:"format=time"`
}

// Assessment is the predicate of an assessment/v1 statement: what somebody else
// found on examining a statement.
type Assessment struct {
	StatementID    string               `json:"statementId" avow:"M,format=uuid"`
	Target         StatementRef         `json:"target" avow:"M"`
	Assessor       Party                `json:"assessor" avow:"M"`
	Independence   string               `json:"independence" avow:"M,enum=independence"`
	Accreditations []Identifier         `json:"accreditations,omitzero" avow:"scheme=accreditationScheme"`
	Criteria       []ResourceDescriptor `json:"criteria" avow:"M"`
	PerformedFrom  string               `json:"performedFrom" avow:"M,format=time"`
	PerformedTo    string               `json:"performedTo" avow:"M,format=time"`
	Validity       Validity             `json:"validity" avow:"M"`
	Findings       []AssessmentFinding  `json:"findings" avow:"M"`
	Overall        string               `json:"overall" avow:"M,enum=overall"`
	Evidence       []Evidence           `json:"evidence,omitzero" avow:"max=64"`
	Limitations    string               `json:"limitations" avow:"M"`
}

// AssessmentFinding is what the assessor says about one item of the target.
type AssessmentFinding struct {
	// Item is the id of a claim, flow, mechanism or undertaking, or
	// "completeness".
	Item     string   `json:"item" avow:"M"`
	Result   string   `json:"result" avow:"M,enum=findingResult"`
	Method   string   `json:"method,omitzero" avow:"enum=evidenceKind"`
	Note     string   `json:"note,omitzero"`
	Evidence []string `json:"evidence,omitzero"`
}

// Standing is the predicate of a standing/v1 statement: the state of a
// statement as of a tree size, signed by the service.
type Standing struct {
	Target    StatementRef `json:"target" avow:"M"`
	Status    string       `json:"status" avow:"M,enum=standingStatus"`
	LogOrigin string       `json:"logOrigin" avow:"M"`
	// TreeSize is a decimal string: everything up to this size was looked at.
	TreeSize string `json:"treeSize" avow:"M,format=decimal"`
	// RootHash is 64 lower-case hex digits.
	RootHash string `json:"rootHash" avow:"M,format=sha256"`
	// Withdrawals, OpenDisputes and Assessments are always written, also when
	// empty: their absence would be good news.
	Withdrawals  []StatementRef `json:"withdrawals" avow:"present"`
	OpenDisputes []StatementRef `json:"openDisputes" avow:"present"`
	Assessments  []StatementRef `json:"assessments" avow:"present"`
	CheckedAt    string         `json:"checkedAt" avow:"M,format=time"`
	NotAfter     string         `json:"notAfter" avow:"M,format=time"`
}
