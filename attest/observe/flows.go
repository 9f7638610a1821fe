package observe

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/avow-dev/avow/attest/observe/internal/record"
	"github.com/avow-dev/avow/attest/observe/internal/wire"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// How long what has no end of its own is remembered, in nanoseconds.
const (
	idleDatagrams = int64(180 * time.Second)
	idleClosed    = int64(10 * time.Second)
	// maxFragments bounds the first fragments whose ports are remembered.
	maxFragments = 4096
)

// flowKey is a connection seen from neither side: the smaller end comes first.
type flowKey struct {
	a, b   wire.Addr
	pa, pb uint16
	proto  uint16 // 16 bits leave no padding, which makes the key cheap to hash
}

// flow is a connection that is going on. Index 0 is the end a of the key.
type flow struct {
	key         flowKey
	prev, next  *flow
	list        *lru
	begin, last int64
	client      int
	bytes       [2]int64
	packets     [2]int64
	seq         [2]sequence
	finished    [2]bool
	opened      bool // the beginning was seen
	reset       bool
	answered    bool
	streams     [2]*stream
	quic        *wire.QUIC
	name        string
	namedBy     observation.Naming
	application string
	tls         string
	through     *wire.Target
}

// lru is a ring of flows, the one that was idle longest at its end.
type lru struct{ root flow }

func (l *lru) init() { l.root.prev, l.root.next = &l.root, &l.root }

func (l *lru) oldest() *flow {
	if l.root.prev == &l.root {
		return nil
	}
	return l.root.prev
}

func (l *lru) front(f *flow) {
	if l.root.next == f {
		return
	}
	if f.list != nil {
		f.unlink()
	}
	f.list, f.prev, f.next = l, &l.root, l.root.next
	f.prev.next, f.next.prev = f, f
}

func (f *flow) unlink() {
	f.prev.next, f.next.prev = f.next, f.prev
	f.list, f.prev, f.next = nil, nil, nil
}

// tracker turns packets into connections.
type tracker struct {
	s        *summary
	flows    map[flowKey]*flow
	open     lru // TCP and SCTP
	datagram lru // everything without an end
	closed   lru // ended, and remembered for late packets
	now      int64
	last     *flow
	buffered int
	first    map[fragmentKey]*flow
	free     *flow // for reuse, linked by next
}

type fragmentKey struct {
	src, dst wire.Addr
	id       uint32
	proto    uint8
}

func newTracker(s *summary) *tracker {
	t := &tracker{s: s, flows: map[flowKey]*flow{}, first: map[fragmentKey]*flow{}}
	t.open.init()
	t.datagram.init()
	t.closed.init()
	return t
}

// packet takes a decoded packet. nanos is 0 where its time is not known.
func (t *tracker) packet(p *wire.Packet, nanos int64) {
	if nanos == 0 {
		nanos = t.now
	}
	t.now = max(t.now, nanos)
	t.s.saw(nanos)
	t.expire()
	if wire.Housekeeping(p) {
		return
	}
	key, from := keyOf(p)
	if p.Fragment == wire.Later && t.fragment(p) {
		return
	}
	if about, ok := wire.Embedded(p); ok {
		if k, _ := keyOf(&about); t.flows[k] != nil {
			return // an error about a connection that is counted
		}
	}
	f := t.find(key, p, from, nanos)
	f.last = nanos
	f.packets[from]++
	if p.Fragment == wire.First {
		t.remember(p, f)
	}
	switch p.Proto {
	case wire.ProtoTCP:
		t.tcp(f, p, from)
	default:
		f.bytes[from] += int64(p.Length)
		if p.Proto == wire.ProtoUDP && len(p.Payload) > 0 {
			t.udp(f, p, from)
		}
	}
	f.list.front(f)
}

// keyOf orders the two ends. from says which of them sent the packet.
func keyOf(p *wire.Packet) (key flowKey, from int) {
	order := bytes.Compare(p.Src[:], p.Dst[:])
	if order < 0 || order == 0 && p.SrcPort <= p.DstPort {
		return flowKey{p.Src, p.Dst, p.SrcPort, p.DstPort, uint16(p.Proto)}, 0
	}
	return flowKey{p.Dst, p.Src, p.DstPort, p.SrcPort, uint16(p.Proto)}, 1
}

// find returns the connection of a packet, and begins one if there is none or
// the packet opens a new one at the same ports.
func (t *tracker) find(key flowKey, p *wire.Packet, from int, nanos int64) *flow {
	f := t.last
	if f == nil || f.key != key {
		f = t.flows[key]
	}
	if f != nil {
		opens := p.Proto == wire.ProtoTCP && p.Flags&(wire.SYN|wire.ACK|wire.RST) == wire.SYN
		again := opens && (f.ended() || f.opened && f.seq[from].started && f.seq[from].first != p.Seq+1)
		if !again && (f.list != &t.datagram || nanos-f.last <= idleDatagrams) {
			t.last = f
			return f
		}
		t.finish(f)
	}
	if len(t.flows) >= t.s.o.MaxFlows {
		t.evict()
	}
	f = t.free
	if f == nil {
		f = &flow{}
	} else {
		t.free = f.next
		*f = flow{}
	}
	f.key, f.begin = key, nanos
	f.client = t.opener(p, from)
	t.flows[key] = f
	t.last = f
	if p.Proto == wire.ProtoTCP || p.Proto == wire.ProtoSCTP {
		t.open.front(f)
	} else {
		t.datagram.front(f)
	}
	return f
}

// opener finds who opened the connection that a packet is the first of.
func (t *tracker) opener(p *wire.Packet, from int) int {
	other := 1 - from
	switch p.Proto {
	case wire.ProtoTCP:
		switch p.Flags & (wire.SYN | wire.ACK) {
		case wire.SYN:
			return from
		case wire.SYN | wire.ACK:
			return other
		}
		if p.SrcPort < p.DstPort {
			return other
		}
	case wire.ProtoUDP:
		// An answer to a question from before the capture. What a side of ours sends
		// first is never taken for one.
		if p.SrcPort < 1024 && p.DstPort >= 1024 && !t.s.ours(p.Src.Netip(), p.Dst.Netip()) {
			return other
		}
	case wire.ProtoICMP:
		if p.ICMPType == 0 {
			return other
		}
	case wire.ProtoICMPv6:
		if p.ICMPType == 129 {
			return other
		}
	}
	return from
}

// ours reports whether the first address is of the program's side and the
// second is not.
func (s *summary) ours(a, b netip.Addr) bool {
	if len(s.o.Local) > 0 {
		return s.o.local(a) && !s.o.local(b)
	}
	return private(a) && !private(b)
}

func (f *flow) ended() bool { return f.reset || f.finished[0] && f.finished[1] }

// sequence follows the sequence numbers of one direction, so that what is sent
// twice counts once, and what the capture missed counts too.
type sequence struct {
	first, next uint32
	started     bool
}

// maxJump is the largest gap that is believed: more than a window is an error.
const maxJump = 1 << 28

func (s *sequence) add(seq uint32, n int) int64 {
	if !s.started {
		s.first, s.next, s.started = seq, seq, true
	}
	end := seq + uint32(n)
	switch d := int32(end - s.next); {
	case d <= 0 && d > -maxJump:
		return 0
	case d > 0 && d < maxJump:
		s.next = end
		return int64(d)
	}
	s.next = end
	return int64(n)
}

func (t *tracker) tcp(f *flow, p *wire.Packet, from int) {
	seq := p.Seq
	if p.Flags&wire.SYN != 0 {
		seq++
		f.opened = true
		if !f.seq[from].started {
			f.seq[from].add(seq, 0)
		}
	}
	if from != f.client && p.Flags&wire.RST == 0 {
		f.answered = true
	}
	if p.Length > 0 {
		f.bytes[from] += f.seq[from].add(seq, p.Length)
		if len(p.Payload) > 0 {
			t.payload(f, p, seq, from)
		}
	}
	if p.Flags&wire.FIN != 0 {
		f.finished[from] = true
	}
	f.reset = f.reset || p.Flags&wire.RST != 0
	if f.ended() && f.list != &t.closed {
		t.closed.front(f)
	}
}

// fragment counts a later part of a packet whose first part was seen. Without
// that its ports are not known: it is a gap, and a peer without a port.
func (t *tracker) fragment(p *wire.Packet) bool {
	f := t.first[fragmentKey{p.Src, p.Dst, p.FragmentID, p.Proto}]
	if f == nil || f.list == nil || f.key.a != p.Src && f.key.b != p.Src {
		t.s.gaps.add(GapFragments, 1, "")
		return false
	}
	from := 0
	if f.key.a != p.Src {
		from = 1
	}
	f.bytes[from] += int64(p.Length)
	return true
}

func (t *tracker) remember(p *wire.Packet, f *flow) {
	if len(t.first) >= maxFragments {
		clear(t.first)
	}
	t.first[fragmentKey{p.Src, p.Dst, p.FragmentID, p.Proto}] = f
}

// expire ends what was idle for long enough.
func (t *tracker) expire() {
	for f := t.datagram.oldest(); f != nil && t.now-f.last > idleDatagrams; f = t.datagram.oldest() {
		t.finish(f)
	}
	for f := t.closed.oldest(); f != nil && t.now-f.last > idleClosed; f = t.closed.oldest() {
		t.finish(f)
	}
}

// evict makes room: first of what has ended, then of what was idle longest.
func (t *tracker) evict() {
	f := t.closed.oldest()
	if f == nil {
		f = t.datagram.oldest()
		if o := t.open.oldest(); f == nil || o != nil && o.last < f.last {
			f = o
		}
		t.s.gaps.add(GapEvicted, 1, "packets")
	}
	t.finish(f)
}

// finish hands the connection over.
func (t *tracker) finish(f *flow) {
	t.unfinished(f)
	c := f.record()
	t.s.conn(c)
	if f.through != nil {
		t.s.conn(throughProxy(c, f.through))
	}
	delete(t.flows, f.key)
	f.unlink()
	if t.last == f {
		t.last = nil
	}
	if len(t.first) == 0 { // else a fragment may still point here
		f.next, t.free = t.free, f
	}
}

// end hands over everything that is still open, the oldest first.
func (t *tracker) end() {
	for _, l := range []*lru{&t.closed, &t.datagram, &t.open} {
		for f := l.oldest(); f != nil; f = l.oldest() {
			t.finish(f)
		}
	}
}

func transportName(proto uint16) string {
	switch proto {
	case wire.ProtoTCP:
		return "tcp"
	case wire.ProtoUDP:
		return "udp"
	case wire.ProtoSCTP:
		return "sctp"
	case wire.ProtoICMP, wire.ProtoICMPv6:
		return "icmp"
	}
	return "other"
}

func (f *flow) end(n int) netip.AddrPort {
	if n == 0 {
		return netip.AddrPortFrom(f.key.a.Netip(), f.key.pa)
	}
	return netip.AddrPortFrom(f.key.b.Netip(), f.key.pb)
}

func (f *flow) record() *record.Conn {
	server := 1 - f.client
	c := &record.Conn{Transport: transportName(f.key.proto), Client: f.end(f.client), Server: f.end(server), Begin: stamp(f.begin),
		End: stamp(f.last), Out: f.bytes[f.client], In: f.bytes[server], Counted: true, TLS: f.tls, Application: f.application}
	switch f.key.proto {
	case wire.ProtoTCP:
		c.Midstream = !f.opened
		c.Failed = f.opened && !f.answered
	case wire.ProtoSCTP:
		c.Failed = f.packets[server] == 0
	}
	if f.name != "" {
		c.Names, c.NamedBy = []string{f.name}, f.namedBy
	}
	return c
}

// stamp is the exact time; 0 is none.
func stamp(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}

// throughProxy is the connection that a proxy was asked to make. What went over
// it is not known: it went to the proxy.
func throughProxy(c *record.Conn, t *wire.Target) *record.Conn {
	far := &record.Conn{Transport: "tcp", Client: c.Client, Server: netip.AddrPortFrom(t.Addr, t.Port), Begin: c.Begin, End: c.End,
		Failed: c.Failed, Direction: c.Direction, Sure: true}
	if t.Name != "" {
		far.Names, far.NamedBy = []string{t.Name}, observation.NamingHTTP
	}
	return far
}
