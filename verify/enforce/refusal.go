package enforce

import (
	"fmt"
	"strings"
)

// Code says in one stable word why nothing was compiled. A code never changes its meaning, and none is reused.
type Code string

// The codes of refusals.
const (
	// CodeUnverified: the verdict is not one that a Verifier gave.
	CodeUnverified Code = "unverified"
	// CodeRejected: the verdict is rejected.
	CodeRejected Code = "rejected"
	// CodeNoDataFlows: no statement that counts is a data-flows statement.
	CodeNoDataFlows Code = "no-data-flows"
	// CodeNotInForce: the statement is not in force at the time of compilation: expired, or not yet valid.
	CodeNotInForce Code = "not-in-force"
	// CodeNoStanding: standing was required and not asked for at verification.
	CodeNoStanding Code = "no-standing"
	// CodeStanding: the statement does not stand: withdrawn, superseded, of unknown or stale standing.
	CodeStanding Code = "standing"
	// CodeUncompiled: endpoints or cuts that cannot be compiled, and nobody said that they are to be left out.
	CodeUncompiled Code = "uncompiled"
	// CodeHostNames: the target cannot express host names, which the statement declares.
	CodeHostNames Code = "host-names"
	// CodeCannotEnforce: the target cannot enforce anything.
	CodeCannotEnforce Code = "cannot-enforce"
	// CodeOptions: the options lack something, or contradict the statement or each other.
	CodeOptions Code = "options"
	// CodeCut: a rule of the cutting policy is not about flows, so that leaving flows out does not meet it.
	CodeCut Code = "cut"
	// CodeMalformed: a value of the statement is not what the issuance rules allow, which verification checks.
	CodeMalformed Code = "malformed"
)

// Codes returns all codes in the order in which they are documented.
func Codes() []Code {
	return []Code{CodeUnverified, CodeRejected, CodeNoDataFlows, CodeNotInForce, CodeNoStanding, CodeStanding, CodeUncompiled, CodeHostNames,
		CodeCannotEnforce, CodeOptions, CodeCut, CodeMalformed}
}

// Refusal is why nothing was compiled.
type Refusal struct {
	// Code is the stable reason.
	Code Code
	// Detail is a sentence for a person. It may quote the statement: show it escaped.
	Detail string
	// Hint says what to do.
	Hint string
	// Items are what could not be compiled, with CodeUncompiled and CodeHostNames.
	Items []Item
}

// Error returns the code and the sentence.
func (r *Refusal) Error() string { return string(r.Code) + ": " + r.Detail }

func refuse(code Code, hint, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Detail: fmt.Sprintf(format, args...), Hint: hint}
}

// Why says in one stable word why an item is not in the policy.
type Why string

// Why an item is not compiled. Each but WhyHostName asks for [Options].AllowUncompiled.
const (
	// WhyUserDirected: the user chooses the peer.
	WhyUserDirected Why = "user-directed"
	// WhyDiscovered: the network announces the peer, and the operator gave no value.
	WhyDiscovered Why = "discovered"
	// WhyNotConfigured: the operator configures the peer, and gave no value.
	WhyNotConfigured Why = "not-configured"
	// WhyLocalNetwork: any peer of the local network.
	WhyLocalNetwork Why = "local-network"
	// WhySuffix: names under a suffix, which the target cannot express exactly.
	WhySuffix Why = "suffix"
	// WhyHostName: a host name, which the target cannot express.
	WhyHostName Why = "host-name"
	// WhyAddressBlock: an address block, which the target cannot express.
	WhyAddressBlock Why = "address-block"
	// WhyTransport: a transport protocol that the target cannot express.
	WhyTransport Why = "transport"
	// WhyNoPort: no port is declared, and the operator gave none.
	WhyNoPort Why = "no-port"
	// WhyUnknownKind: a kind of endpoint that this version does not know.
	WhyUnknownKind Why = "unknown-kind"
	// WhyWithdrawn: the vendor withdrew the flow.
	WhyWithdrawn Why = "withdrawn"
	// WhySharedPeer: the flow is to be left out, and another flow that stays has the same peer.
	WhySharedPeer Why = "shared-peer"
)

// Whys returns all reasons in the order in which they are documented.
func Whys() []Why {
	return []Why{WhyUserDirected, WhyDiscovered, WhyNotConfigured, WhyLocalNetwork, WhySuffix, WhyHostName, WhyAddressBlock, WhyTransport,
		WhyNoPort, WhyUnknownKind, WhyWithdrawn, WhySharedPeer}
}

// Item is a flow, or an endpoint of one, that is not in a policy.
type Item struct {
	// Flow is the flow's id, Title its title: the vendor's text, to be shown escaped.
	Flow, Title string
	// Endpoint is the endpoint's position, from 1; 0 for the whole flow.
	Endpoint int
	// Why is the stable reason; empty for what was to be left out.
	Why Why
	// Detail is a sentence for a person. It may quote the statement.
	Detail string
}

// String returns the item as one line without line breaks or other characters that are not printable ASCII.
func (i Item) String() string {
	var b strings.Builder
	b.WriteString("flow " + i.Flow)
	if i.Endpoint > 0 {
		fmt.Fprintf(&b, " endpoint %d", i.Endpoint)
	}
	b.WriteString(" (" + quoted(i.Title) + ")")
	if i.Why != "" {
		b.WriteString(": " + string(i.Why))
	}
	return b.String() + ": " + plainText(i.Detail)
}
