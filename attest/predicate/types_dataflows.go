package predicate

import "encoding/json"

// DataFlows is the predicate of a data-flows/v1 statement: every network peer,
// what goes there, to whom, why, and how to switch it off (specification,
// section 6).
type DataFlows struct {
	Common Common `json:"common" avow:"M"`
	Scope  Scope  `json:"scope" avow:"M"`
	// NetworkUse is none or some and agrees with Flows (R20).
	NetworkUse   string       `json:"networkUse" avow:"M,enum=networkUse"`
	Completeness Completeness `json:"completeness" avow:"M"`
	// Flows is always written, also when empty.
	Flows      []Flow          `json:"flows" avow:"present,max=256"`
	Evidence   []Evidence      `json:"evidence,omitzero" avow:"max=64"`
	Extensions json.RawMessage `json:"extensions,omitzero"`
}

// Flow is one reason to talk to a peer. Its id stays the same across versions
// of the product, so that two releases can be compared.
type Flow struct {
	ID        string `json:"id" avow:"M,format=id"`
	Title     string `json:"title" avow:"M"`
	Component string `json:"component,omitzero"`
	// Initiator is who starts the traffic.
	Initiator string `json:"initiator" avow:"M,enum=initiator"`
	// DataDirection is the direction of the payload, not of the connection.
	DataDirection string     `json:"dataDirection" avow:"M,enum=dataDirection"`
	Endpoints     []Endpoint `json:"endpoints" avow:"M,max=64"`
	Purposes      []string   `json:"purposes" avow:"M,enum=purpose"`
	PurposeText   string     `json:"purposeText,omitzero"`
	// Sends is always written, also when empty (R24).
	Sends []DataItem `json:"sends,omitzero" avow:"rule=R24"`
	// Receives is mandatory where code or settings come in (R29).
	Receives   []DataItem  `json:"receives,omitzero"`
	Recipients []Recipient `json:"recipients" avow:"M"`
	Activation Activation  `json:"activation" avow:"M"`
	Necessity  string      `json:"necessity" avow:"M,enum=necessity"`
	LegalBases []string    `json:"legalBases,omitzero"`
	Evidence   []string    `json:"evidence,omitzero"`
}

// Endpoint is a peer, or a class of peers that somebody else chooses.
type Endpoint struct {
	Kind string `json:"kind" avow:"M,enum=endpointKind"`
	// Value is a host name, a suffix without "*." or a CIDR block (R22);
	// mandatory for host, suffix and cidr.
	Value string `json:"value,omitzero"`
	// Setting names what an operator sets; mandatory for configured and
	// discovered.
	Setting string `json:"setting,omitzero"`
	// Transport and Application are mandatory for host, suffix and cidr.
	Transport string `json:"transport,omitzero" avow:"enum=transport"`
	// Ports are 1 to 65535; mandatory for host, suffix and cidr over tcp, udp
	// and sctp.
	Ports []int `json:"ports,omitzero" avow:"format=port"`
	// Application is an IANA service name: https, ntp, domain.
	Application string `json:"application,omitzero"`
	// TLS is mandatory for host, suffix and cidr but for a few protocols (R30).
	TLS  *TLS   `json:"tls,omitzero"`
	Path string `json:"path,omitzero"`
}

// TLS is how the connection is protected. Requirement "none" is an honest
// answer; silence is not.
type TLS struct {
	Requirement  string `json:"requirement" avow:"M,enum=tlsRequirement"`
	MinVersion   string `json:"minVersion,omitzero" avow:"enum=tlsVersion"`
	Verification string `json:"verification" avow:"M,enum=tlsVerification"`
}

// DataItem is one kind of data that is sent or received.
type DataItem struct {
	Category    string   `json:"category" avow:"M,enum=dataCategory"`
	Personal    string   `json:"personal" avow:"M,enum=personal"`
	Description string   `json:"description" avow:"M"`
	Fields      []string `json:"fields,omitzero"`
	Subjects    []string `json:"subjects,omitzero"`
	DPV         []string `json:"dpv,omitzero"`
	Linked      string   `json:"linked" avow:"M,enum=linked"`
}

// Retention is how long a recipient keeps the data. Days is given for kind
// days.
type Retention struct {
	Kind string `json:"kind" avow:"M,enum=retentionKind"`
	Days *int   `json:"days,omitzero"`
}

// Recipient is who gets the data. Absent Storage, AccessFrom and
// Party.ControlledFrom read as anywhere, the other members as unspecified; for
// the role customer all but the role are optional.
type Recipient struct {
	Party *Party `json:"party,omitzero"`
	Role  string `json:"role" avow:"M,enum=recipientRole"`
	// Storage and AccessFrom are jurisdiction tokens (R24, R25).
	Storage       []string            `json:"storage,omitzero"`
	AccessFrom    []string            `json:"accessFrom,omitzero"`
	TransferBasis string              `json:"transferBasis,omitzero" avow:"enum=transferBasis"`
	Retention     *Retention          `json:"retention,omitzero"`
	SourceAddress string              `json:"sourceAddress,omitzero" avow:"enum=sourceAddress"`
	Onward        string              `json:"onward,omitzero" avow:"enum=onward"`
	Policy        *ResourceDescriptor `json:"policy,omitzero"`
}

// Activation is when a flow happens and who can stop it.
type Activation struct {
	DefaultState string `json:"defaultState" avow:"M,enum=defaultState"`
	Trigger      string `json:"trigger" avow:"M,enum=trigger"`
	// IntervalSeconds is the period of a periodic flow in seconds.
	IntervalSeconds *int    `json:"intervalSeconds,omitzero"`
	Consent         string  `json:"consent" avow:"M,enum=consent"`
	Control         Control `json:"control" avow:"M"`
}
