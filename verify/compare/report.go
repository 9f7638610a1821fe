package compare

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-dev/avow/attest/predicate/observation"
)

// Class says what a peer is by the declaration. The zero value is none of them
// and is not clean.
type Class string

// The classes.
const (
	// Declared: an endpoint of the declaration accepts the peer.
	Declared Class = "declared"
	// Undeclared: none does.
	Undeclared Class = "undeclared"
	// Unclassified: no name of the peer is known, and no declared block has its
	// address. It may be declared or not.
	Unclassified Class = "unclassified"
)

// Code says what was found. Codes are stable: docs/comparing.md.
type Code string

// The codes of failures.
const (
	NotDeclared          Code = "notDeclared"
	PortNotDeclared      Code = "portNotDeclared"
	TransportNotDeclared Code = "transportNotDeclared"
	NoName               Code = "noName"
	Plaintext            Code = "plaintext"
	TLSMissing           Code = "tlsMissing"
	TLSVersion           Code = "tlsVersion"
	Direction            Code = "direction"
	SeenAtStartup        Code = "seenAtStartup"
	Interval             Code = "interval"
	OffByDefault         Code = "offByDefault"
	SwitchIneffective    Code = "switchIneffective"
)

// The codes of warnings. Gap is a failure with [Options.FailOnGaps].
const (
	NeverSeen          Code = "neverSeen"
	TLSNotObserved     Code = "tlsNotObserved"
	OtherApplication   Code = "otherApplication"
	PayloadDirection   Code = "payloadDirection"
	Gap                Code = "gap"
	KindNotGiven       Code = "kindNotGiven"
	EndpointIgnored    Code = "endpointIgnored"
	SwitchPartly       Code = "switchPartly"
	SwitchShared       Code = "switchShared"
	SwitchNotExercised Code = "switchNotExercised"
)

// Codes returns all codes, failures first.
func Codes() []Code {
	return []Code{NotDeclared, PortNotDeclared, TransportNotDeclared, NoName, Plaintext, TLSMissing, TLSVersion, Direction, SeenAtStartup,
		Interval, OffByDefault, SwitchIneffective, NeverSeen, TLSNotObserved, OtherApplication, PayloadDirection, Gap, KindNotGiven,
		EndpointIgnored, SwitchPartly, SwitchShared, SwitchNotExercised}
}

// Severity of a finding. The zero value is the worse one.
type Severity int

// The severities.
const (
	Failure Severity = iota
	Warning
)

// MarshalText implements encoding.TextMarshaler: failure or warning.
func (s Severity) MarshalText() ([]byte, error) {
	if s == Warning {
		return []byte("warning"), nil
	}
	return []byte("failure"), nil
}

// Finding is one thing that is not as declared, or that nobody can tell.
type Finding struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	// Observation is its number in the order given, -1 if it is about none.
	Observation int `json:"observation"`
	// Peer is as [PeerName] writes it, "" if it is about none. It is foreign text.
	Peer string `json:"peer,omitempty"`
	// Flow is the id of the flow that it is about, "" if none.
	Flow string `json:"flow,omitempty"`
	// Detail is a sentence with the evidence. It holds foreign text.
	Detail string `json:"detail"`
}

// PeerResult is what a peer of an observation is by the declaration.
type PeerResult struct {
	Observation int `json:"observation"`
	// Peer is the entry of the observation, as it stands there.
	Peer  *observation.Peer `json:"peer"`
	Class Class             `json:"class"`
	// Flows are the ids of the flows that it may belong to.
	Flows []string `json:"flows,omitempty"`
	// Endpoint is what matched: host, suffix, cidr or the kind, and the value.
	Endpoint string `json:"endpoint,omitempty"`
	Codes    []Code `json:"codes,omitempty"` // of failures
}

// Status says how a declared flow was seen.
type Status string

// The statuses.
const (
	Seen      Status = "seen"      // as declared
	Deviating Status = "deviating" // in another way than declared
	Unseen    Status = "neverSeen"
)

// FlowResult is what was seen of a declared flow. Counts are sums over all
// observations; a peer that several flows may explain is counted in each.
type FlowResult struct {
	ID          string `json:"id"`
	Title       string `json:"title"`
	Status      Status `json:"status"`
	Peers       int    `json:"peers"`
	Connections int64  `json:"connections"`
	BytesOut    int64  `json:"bytesOut"`
	BytesIn     int64  `json:"bytesIn"`
	// BytesMeasured is false if the bytes of a peer were not measured: then the
	// sums are at least so much.
	BytesMeasured bool `json:"bytesMeasured"`
	// SharedWith are the flows that explain one of the same peers.
	SharedWith []string `json:"sharedWith,omitempty"`
	// Switch is effective where the flow was seen without the setting and not
	// seen with it; ineffective, partly, shared or notExercised otherwise, and ""
	// if no observation is with its setting.
	Switch string `json:"switch,omitempty"`
}

// Source is one of the observations.
type Source struct {
	Vantage  observation.Vantage `json:"vantage"`
	Event    string              `json:"event,omitempty"`
	Settings map[string]string   `json:"settings,omitempty"`
	Start    time.Time           `json:"start"`
	End      time.Time           `json:"end"`
	Peers    int                 `json:"peers"`
	Gaps     []observation.Gap   `json:"gaps,omitempty"`
}

// Report is the answer of [Compare].
type Report struct {
	Observations []Source `json:"observations"`
	// Flows are in the order of the declaration.
	Flows []FlowResult `json:"flows"`
	// Peers are in the order of the observations.
	Peers    []PeerResult `json:"peers"`
	Findings []Finding    `json:"findings"`
}

// Clean reports whether something was observed, and nothing that is not as
// declared. Warnings do not count.
func (r *Report) Clean() bool {
	return r != nil && len(r.Observations) > 0 &&
		!slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity != Warning }) &&
		!slices.ContainsFunc(r.Peers, func(p PeerResult) bool { return p.Class != Declared || len(p.Codes) > 0 })
}

// Count returns how many peers are of a class.
func (r *Report) Count(class Class) int {
	n := 0
	for i := range r.Peers {
		if r.Peers[i].Class == class {
			n++
		}
	}
	return n
}

// Of returns the findings of a severity, in order.
func (r *Report) Of(s Severity) []Finding {
	var list []Finding
	for _, f := range r.Findings {
		if (f.Severity == Warning) == (s == Warning) {
			list = append(list, f)
		}
	}
	return list
}

// PeerName writes a peer for people and lists: direction, transport, name and
// port, and the program where it is known.
func PeerName(p *observation.Peer) string {
	b := make([]byte, 0, len(p.Direction)+len(p.Transport)+len(p.Name)+len(p.Process)+16)
	b = append(append(append(append(b, p.Direction...), ' '), p.Transport...), ' ')
	switch {
	case p.Port == 0:
		b = append(b, p.Name...)
	case strings.Contains(p.Name, ":"): // RFC 3986: an IPv6 address with a port has brackets
		b = append(append(append(b, '['), p.Name...), "]:"...)
		b = strconv.AppendInt(b, int64(p.Port), 10)
	default:
		b = strconv.AppendInt(append(append(b, p.Name...), ':'), int64(p.Port), 10)
	}
	if p.Process != "" {
		b = append(append(b, " by "...), p.Process...)
	}
	return string(b)
}
