package observation

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
)

// The constants of the statement.
const (
	// PredicateType is in-toto's type for what was seen of a running process.
	PredicateType = predicate.RuntimeTraceType
	// MonitorType says that the entries of the network list are a [Peer] each.
	MonitorType = predicate.FlowSummaryMonitor
)

// The limits of an observation. One that is larger is refused, never cut.
const (
	// MaxBytes is the largest statement that [Parse] reads, in bytes.
	MaxBytes = 64 << 20
	// MaxPeers is the largest number of peers.
	MaxPeers = 100_000
	// MaxText is the longest string, in bytes.
	MaxText = 4096
	// MaxSources is the largest number of captures, and of gaps.
	MaxSources = 1024
)

// Vantage is where the observer stood. What cannot be seen from there is not
// in the observation.
type Vantage string

// The vantages.
const (
	// VantageProcess saw the system calls of a process and its children: no
	// other program's traffic, addresses without names unless a resolver is seen.
	VantageProcess Vantage = "process"
	// VantageNamespace saw every packet of a network namespace in which only
	// the program ran.
	VantageNamespace Vantage = "namespace"
	// VantageHost saw the packets or sockets of a machine, with those of other
	// programs on it.
	VantageHost Vantage = "host"
	// VantageNetwork saw the packets of several machines at a gateway or a tap.
	VantageNetwork Vantage = "network"
	// VantageProxy saw what went through a proxy, and nothing that went around it.
	VantageProxy Vantage = "proxy"
)

// Vantages returns all vantages, the narrowest first.
func Vantages() []Vantage {
	return []Vantage{VantageProcess, VantageNamespace, VantageHost, VantageNetwork, VantageProxy}
}

// Naming says where the name of a peer comes from, or why there is none.
type Naming string

// The namings. The first four name a peer; the others say why it has no name.
const (
	// NamingDNS: an answer that was seen before gave this name the address.
	NamingDNS Naming = "dns"
	// NamingSNI: the program itself named the server in its TLS or QUIC hello.
	NamingSNI Naming = "sni"
	// NamingHTTP: the Host header of a request, or the target of a CONNECT.
	NamingHTTP Naming = "http"
	// NamingLog: the log that was read has the name, and not how it knew it.
	NamingLog Naming = "log"
	// NamingDirect: name resolution was seen, and no answer had the address: the
	// program connects to an address that it has from elsewhere.
	NamingDirect Naming = "direct"
	// NamingUnresolved: no name resolution was seen, so nothing is known of it.
	NamingUnresolved Naming = "unresolved"
	// NamingEncrypted: the program resolves names over TLS, HTTPS or QUIC, so
	// that answers cannot be seen.
	NamingEncrypted Naming = "encryptedDNS"
	// NamingAmbiguous: several names had the address at the time, and nothing
	// says which one was meant. They are in [Peer.Candidates].
	NamingAmbiguous Naming = "ambiguous"
)

// Namings returns all namings.
func Namings() []Naming {
	return []Naming{NamingDNS, NamingSNI, NamingHTTP, NamingLog, NamingDirect, NamingUnresolved, NamingEncrypted, NamingAmbiguous}
}

// Named reports whether a peer with this naming has a name.
func (n Naming) Named() bool {
	return n == NamingDNS || n == NamingSNI || n == NamingHTTP || n == NamingLog
}

// Observation is a summary of flows.
type Observation struct {
	// Subjects are the files of the product that was observed.
	Subjects []predicate.Subject
	Vantage  Vantage
	// Host says where it ran, as a URI; the default of tools is urn:avow:host:unnamed,
	// because host names are nobody's business.
	Host string
	// Event says what was done with the program meanwhile, in the observer's words.
	Event string
	// Settings are the product's settings that differed from its defaults, by
	// name, so that two observations with and without one can be compared.
	Settings map[string]string
	Sources  []Source
	Gaps     []Gap
	// Start and End bound the observation, to the microsecond.
	Start, End time.Time
	Peers      []Peer
}

// Source is a capture or a log that the observation was made from.
type Source struct {
	// Kind is the format, for example pcap, zeek-conn or strace.
	Kind   string `json:"kind"`
	Name   string `json:"name,omitzero"`
	SHA256 string `json:"sha256,omitzero"` // of the whole file, lower-case hex
	Bytes  int64  `json:"bytes,omitzero"`
}

// Gap is something that the observation does not have though its vantage
// sees it.
type Gap struct {
	// Code is stable, see docs/observing.md: truncated, dropped, undecoded ...
	Code string `json:"code"`
	// Count is how often, 0 where it was not counted.
	Count  int64  `json:"count,omitzero"`
	Detail string `json:"detail,omitzero"`
}

// Peer is one name or address that the program had traffic with, at one port.
type Peer struct {
	// Name is the host name in lower case without the last dot, or, if there is
	// no name, the address.
	Name string `json:"destinationName"`
	// Port is 0 where the transport has none.
	Port      int    `json:"destinationPort,omitzero"`
	Transport string `json:"transport"` // tcp, udp, sctp, icmp, other
	// Application is the IANA service name where it was recognised.
	Application string `json:"application,omitzero"`
	// TLSVersion is the lowest version that was negotiated: 1.0 to 1.3.
	TLSVersion  string    `json:"tlsVersion,omitzero"`
	Connections int64     `json:"connections"`
	BytesOut    *int64    `json:"bytesOut,omitzero"`
	BytesIn     *int64    `json:"bytesIn,omitzero"`
	FirstSeen   time.Time `json:"firstSeenAt,omitzero"`
	LastSeen    time.Time `json:"lastSeenAt,omitzero"`
	MatchedFlow string    `json:"matchedFlow,omitzero"`

	Naming Naming `json:"naming"`
	// Addresses are those that were seen for a name; empty for an address.
	Addresses []string `json:"addresses,omitzero"`
	// Candidates are the names that an ambiguous address had.
	Candidates []string `json:"candidates,omitzero"`
	// Direction is outbound if the program opened the connections, inbound if
	// the peer did. A peer of an inbound one is at the program's own port.
	Direction string `json:"direction"`
	// Process is the program that had the traffic, where the vantage tells.
	Process string `json:"process,omitzero"`
	// Failed is how many of the connections were never answered.
	Failed int64 `json:"failed,omitzero"`
	// IntervalSeconds is the median time between the beginnings of connections
	// where there were at least four.
	IntervalSeconds int64 `json:"intervalSeconds,omitzero"`
}

// Directions of a peer.
const (
	Outbound = "outbound"
	Inbound  = "inbound"
)

// Key identifies a peer in an observation.
func (p *Peer) Key() string {
	return p.Direction + "|" + p.Transport + "|" + p.Name + "|" + strconv.Itoa(p.Port) + "|" + p.Process
}

// Sort brings everything that has no order of its own into one.
func (o *Observation) Sort() {
	slices.SortFunc(o.Peers, func(a, b Peer) int {
		return cmp.Or(cmp.Compare(a.Direction, b.Direction)*-1, cmp.Compare(a.Name, b.Name), cmp.Compare(a.Transport, b.Transport),
			cmp.Compare(a.Port, b.Port), cmp.Compare(a.Process, b.Process))
	})
	slices.SortFunc(o.Gaps, func(a, b Gap) int { return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Detail, b.Detail)) })
	for n := range o.Peers {
		slices.Sort(o.Peers[n].Addresses)
		slices.Sort(o.Peers[n].Candidates)
	}
}
