package observe

import (
	"net/netip"
	"slices"
	"time"

	"github.com/avow-dev/avow/attest/observe/internal/record"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// The limits of one peer.
const (
	maxAddresses = 64
	maxBegins    = 64
	// leastForInterval connections make an interval.
	leastForInterval = 4
)

// peerKey tells peers apart, as [observation.Peer.Key] does.
type peerKey struct {
	direction, transport, name, process string
	addr                                netip.Addr // if there is no name
	port                                uint16
}

// peer is what becomes an [observation.Peer].
type peer struct {
	naming              observation.Naming
	application, tls    string
	connections, failed int64
	out, in             int64
	uncounted           bool
	first, last         int64
	addresses           []netip.Addr
	candidates          []string
	begins              []int64
	// undecided: of a connection without a name the reason is found at the end. The
	// first of them began at undecidedBegin from undecidedNear.
	undecided, undecidedMixed bool
	undecidedNear             netip.Addr
	undecidedBegin            int64
}

// undecidedAt notes a connection without a name. Those of several local addresses
// are not told apart.
func (p *peer) undecidedAt(near netip.Addr, begin int64) {
	p.undecidedMixed = p.undecidedMixed || p.undecided && near != p.undecidedNear
	if !p.undecided || begin < p.undecidedBegin {
		p.undecidedBegin = begin
	}
	p.undecided, p.undecidedNear = true, near
}

// summary turns connections into peers. It is where names, directions and
// limits are decided.
type summary struct {
	o         *Options
	names     *names
	resolvers resolvers
	gaps      gaps
	peers     map[peerKey]*peer
	lost      int64
	// encrypted is since when a local address resolves names where it cannot be
	// seen; the zero address stands for those that are not known.
	encrypted   map[netip.Addr]int64
	first, last int64
	conns       int64
}

func newSummary(o *Options) *summary {
	return &summary{o: o, names: newNames(), resolvers: newResolvers(), gaps: gaps{}, peers: map[peerKey]*peer{},
		encrypted: map[netip.Addr]int64{}}
}

// sink is where readers put what they find.
func (s *summary) sink() *record.Sink {
	return &record.Sink{Conn: s.conn, Answer: s.names.add, Resolver: func() { s.names.resolved = true }, Gap: s.gaps.add}
}

// saw widens the time that the observation spans.
func (s *summary) saw(nanos int64) {
	if nanos == 0 {
		return
	}
	if s.first == 0 || nanos < s.first {
		s.first = nanos
	}
	s.last = max(s.last, nanos)
}

// nanosOf is a time in nanoseconds since 1970; 0 is none. What does not fit is
// none, and counted.
func (s *summary) nanosOf(t time.Time) int64 {
	switch year := t.Year(); {
	case t.IsZero():
		return 0
	case year < 1970 || year > 2261:
		s.gaps.add(GapBadTime, 1, "")
		return 0
	}
	return t.UnixNano()
}

// conn takes a connection.
func (s *summary) conn(c *record.Conn) {
	s.conns++
	begin, end := s.nanosOf(c.Begin), s.nanosOf(c.End)
	s.saw(begin)
	s.saw(end)
	if begin == 0 {
		s.gaps.add(GapNoTimes, 1, "")
	}
	if c.Midstream {
		s.gaps.add(GapMidstream, 1, "")
	}
	direction, ok := s.direction(c)
	if !ok {
		s.gaps.add(GapNotLocal, 1, "")
		return
	}
	far, port, near := c.Server.Addr(), c.Server.Port(), c.Client.Addr()
	if direction == observation.Inbound {
		far, near = near, far
	}
	if c.Transport == "icmp" || c.Transport == "other" { // some logs write types as ports
		port = 0
	}
	id := s.identify(c, direction, far, port, begin)
	if direction == observation.Outbound && s.resolvers.encrypted(far, port, append(slices.Clone(c.Names), id.name)) {
		s.encryptedSince(near, begin)
	}
	key := peerKey{direction: direction, transport: c.Transport, name: id.name, process: c.Process, port: port}
	if id.name == "" {
		if !far.IsValid() {
			s.gaps.add(GapUndecoded, 1, "a connection without name and address")
			return
		}
		key.addr = far
	}
	p := s.peers[key]
	if p == nil {
		if len(s.peers) >= s.o.MaxPeers {
			s.lost++
			s.gaps.add(GapPeersLimit, 1, "")
			return
		}
		p = &peer{}
		s.peers[key] = p
	}
	p.add(c, direction, begin, end)
	s.nameOf(p, id, c, near, begin)
	if id.name != "" && far.IsValid() {
		s.address(p, far)
	}
}

// direction finds out which side the program is. The client opened the
// connection; if nothing says otherwise, the program did.
func (s *summary) direction(c *record.Conn) (string, bool) {
	if c.Direction != "" {
		return c.Direction, true
	}
	client, server := c.Client.Addr(), c.Server.Addr()
	if len(s.o.Local) > 0 {
		switch {
		case s.o.Alone && s.o.local(client) && s.o.local(server) && wasAnswered(c):
			return observation.Inbound, true
		case s.o.local(client), !client.IsValid():
			return observation.Outbound, true
		case s.o.local(server):
			return observation.Inbound, true
		}
		return "", false
	}
	if client.IsValid() && server.IsValid() && !private(client) && private(server) && !server.IsMulticast() {
		return observation.Inbound, true
	}
	return observation.Outbound, true
}

// wasAnswered: somebody was there. Of a datagram only an answer says so.
func wasAnswered(c *record.Conn) bool {
	return !c.Failed && (c.Transport == "tcp" || c.In > 0)
}

// private reports whether an address is one that machines have at home.
func private(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() ||
		sharedSpace.Contains(a)
}

// sharedSpace is that of carriers' NAT, RFC 6598.
var sharedSpace = netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10)

// identity is how a peer is called, and why.
type identity struct {
	name       string
	naming     observation.Naming
	candidates []string
}

// identify joins what the program said and what name servers answered.
func (s *summary) identify(c *record.Conn, direction string, far netip.Addr, port uint16, begin int64) identity {
	if direction == observation.Inbound { // its names are those of the program itself
		c.Names = nil
	}
	switch {
	case len(c.Names) > 1:
		return s.several(c.Names, far)
	case len(c.Names) == 1 && (c.Sure || c.NamedBy == observation.NamingLog || !far.IsValid()):
		return identity{name: c.Names[0], naming: c.NamedBy}
	case len(c.Names) == 1:
		return s.claimed(c.Names[0], c.NamedBy, far)
	}
	switch found := s.names.at(far, begin); len(found) {
	case 0:
		return identity{}
	case 1:
		return identity{name: found[0], naming: observation.NamingDNS}
	default:
		return s.several(found, far)
	}
}

// several is an address with more than one name. Without an address, the first
// name has to do.
func (s *summary) several(all []string, far netip.Addr) identity {
	if !far.IsValid() {
		return identity{name: all[0], naming: observation.NamingLog}
	}
	return identity{naming: observation.NamingAmbiguous, candidates: all}
}

// claimed believes the program's word where no answer contradicts it.
func (s *summary) claimed(name string, by observation.Naming, far netip.Addr) identity {
	others := s.names.all(far)
	switch {
	case s.names.had(far, name):
		return identity{name: name, naming: by}
	case len(others) > 0:
		s.gaps.add(GapNameConflict, 1, "said "+name+", the address was given to "+others[0])
		return identity{naming: observation.NamingAmbiguous, candidates: append(others, name)}
	case s.names.knows(name):
		s.gaps.add(GapNameConflict, 1, "said "+name+", to which other addresses were given")
		return identity{naming: observation.NamingDirect}
	}
	if s.o.Alone { // the program has the address from elsewhere, and may say anything
		s.gaps.add(GapNameConflict, 1, "said "+name+", which no name server was asked for")
		return identity{}
	}
	return identity{name: name, naming: by}
}

func (s *summary) encryptedSince(local netip.Addr, nanos int64) {
	if old, ok := s.encrypted[local]; !ok && len(s.encrypted) < maxPerName || ok && nanos < old {
		s.encrypted[local] = nanos
	}
}

// namingOrder says which naming stands where the connections of a peer have
// several: the one that claims least.
func namingOrder(n observation.Naming) int {
	return slices.Index([]observation.Naming{observation.NamingDirect, observation.NamingUnresolved, observation.NamingEncrypted,
		observation.NamingAmbiguous, observation.NamingLog, observation.NamingDNS, observation.NamingHTTP, observation.NamingSNI, ""}, n)
}

// nameOf puts the naming of a connection on its peer. Of one without any, the
// reason is found when everything was read.
func (s *summary) nameOf(p *peer, id identity, c *record.Conn, near netip.Addr, begin int64) {
	naming := id.naming
	if naming == "" {
		since, ok := s.encrypted[near]
		switch {
		case ok && (begin == 0 || since <= begin):
			naming = observation.NamingEncrypted
		case c.Midstream:
			naming = observation.NamingUnresolved
		default:
			p.undecidedAt(near, begin)
			return
		}
	}
	for _, name := range id.candidates {
		switch {
		case slices.Contains(p.candidates, name):
		case len(p.candidates) < maxAddresses:
			p.candidates = append(p.candidates, name)
		default: // a list that lacks one would look as if the peer could only be one of the others
			s.gaps.add(GapAddressesLimit, 1, "")
			naming = observation.NamingUnresolved
		}
	}
	if namingOrder(naming) < namingOrder(p.naming) {
		p.naming = naming
	}
}

func (s *summary) address(p *peer, a netip.Addr) {
	switch {
	case slices.Contains(p.addresses, a):
	case len(p.addresses) >= maxAddresses:
		s.gaps.add(GapAddressesLimit, 1, "")
	default:
		p.addresses = append(p.addresses, a)
	}
}

// add counts a connection.
func (p *peer) add(c *record.Conn, direction string, begin, end int64) {
	n := max(c.Count, 1)
	p.connections += n
	if c.Failed {
		p.failed += n
	}
	p.uncounted = p.uncounted || !c.Counted
	out, in := c.Out, c.In
	if direction == observation.Inbound {
		out, in = in, out
	}
	p.out, p.in = p.out+out, p.in+in
	if begin != 0 {
		if p.first == 0 || begin < p.first {
			p.first = begin
		}
		if len(p.begins) < maxBegins {
			p.begins = append(p.begins, begin)
		}
	}
	p.last = max(p.last, end, begin)
	if c.TLS != "" && (p.tls == "" || c.TLS < p.tls) {
		p.tls = c.TLS
	}
	if p.application == "" {
		p.application = c.Application
	}
}

// interval is the median time between the beginnings, in seconds.
func (p *peer) interval() int64 {
	if len(p.begins) < leastForInterval {
		return 0
	}
	slices.Sort(p.begins)
	var steps []int64
	for n := 1; n < len(p.begins); n++ {
		steps = append(steps, p.begins[n]-p.begins[n-1])
	}
	slices.Sort(steps)
	return (steps[len(steps)/2] + int64(time.Second)/2) / int64(time.Second)
}

// ownPorts gives connections of a program to itself that came before it listened
// to the peer that they became.
func (s *summary) ownPorts() {
	for key, p := range s.peers {
		if !s.o.Alone || key.direction != observation.Outbound || key.name != "" || p.failed < p.connections || !s.o.local(key.addr) {
			continue
		}
		served := key
		served.direction = observation.Inbound
		if q := s.peers[served]; q != nil {
			q.connections, q.failed = q.connections+p.connections, q.failed+p.failed
			q.first, q.last = min(q.first, p.first), max(q.last, p.last)
			delete(s.peers, key)
		}
	}
}

// finish decides what needed everything, and writes the observation's lists.
func (s *summary) finish(to *observation.Observation) {
	if s.names.lost > 0 {
		s.gaps.add(GapNamesLimit, s.names.lost, "")
	}
	s.ownPorts()
	for key, p := range s.peers {
		to.Peers = append(to.Peers, s.peer(key, p))
	}
	to.Gaps = append(to.Gaps, s.gaps.list()...)
	to.Sort()
}

func (s *summary) peer(key peerKey, p *peer) observation.Peer {
	if p.undecided {
		naming := observation.NamingUnresolved
		// A connection to a resolver may end, and be known, after those that it gave addresses to.
		since, ok := s.encrypted[p.undecidedNear]
		switch {
		case ok && !p.undecidedMixed && since <= p.undecidedBegin:
			naming = observation.NamingEncrypted
		case s.names.resolved || s.o.Alone:
			naming = observation.NamingDirect
		}
		if namingOrder(naming) < namingOrder(p.naming) {
			p.naming = naming
		}
	}
	out := observation.Peer{Name: key.name, Port: int(key.port), Transport: key.transport, Application: p.application, TLSVersion: p.tls,
		Connections: p.connections, Failed: p.failed, FirstSeen: timeOf(p.first), LastSeen: timeOf(p.last), Naming: p.naming,
		Direction: key.direction, Process: key.process, IntervalSeconds: p.interval()}
	if key.name == "" {
		out.Name = key.addr.String()
	}
	if p.naming == observation.NamingAmbiguous {
		out.Candidates = p.candidates
	}
	if !p.uncounted {
		out.BytesOut, out.BytesIn = &p.out, &p.in
	}
	for _, a := range p.addresses {
		out.Addresses = append(out.Addresses, a.String())
	}
	return out
}

// timeOf cuts to the microsecond, which is what captures have.
func timeOf(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC().Truncate(time.Microsecond)
}
