package observe

import (
	"slices"

	"github.com/avow-dev/avow/attest/observe/internal/wire"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// The limits of reassembly: hellos are small, and at the beginning.
const (
	maxPrefix = 17 << 10
	// maxMessage is the largest message of DNS over TCP, with its length.
	maxMessage = 2 + 1<<16
	maxLate    = 16
	// maxParts bounds how often the beginning of a hello is looked at again.
	maxParts = 64
	// maxBuffered bounds all buffers together, in bytes.
	maxBuffered = 64 << 20
	quicBytes   = 32 << 10
	dnsPort     = 53
)

// reader is what looks at a direction of a connection.
type reader int

const (
	undecided reader = iota
	clientHello
	serverHello
	dnsMessages
	nothing
)

// stream puts the beginning of one direction together.
type stream struct {
	reader reader
	next   uint32
	buf    []byte
	late   []piece
	parts  int
	held   int // of its size, what the tracker's sum has
}

type piece struct {
	seq  uint32
	data []byte
}

func (s *stream) size() int {
	n := cap(s.buf)
	for _, l := range s.late {
		n += cap(l.data)
	}
	return n
}

const gapHello = "a hello or an answer is not all there"

// done is the stream of which nothing more is wanted.
var done = &stream{reader: nothing}

// payload looks at what a segment carries, as long as there is something to be
// found.
func (t *tracker) payload(f *flow, p *wire.Packet, seq uint32, from int) {
	s := f.streams[from]
	if s == done {
		return
	}
	if s == nil {
		s = t.begin(f, from)
		f.streams[from] = s
		if s == done {
			return
		}
		s.next = f.seq[from].first
	}
	cut := len(p.Payload) < p.Length
	data := p.Payload
	switch d := int32(seq - s.next); {
	case d > 0:
		if d > maxMessage || len(s.late) >= maxLate || len(data) > maxMessage || cut {
			t.giveUp(f, from)
			return
		}
		s.late = append(s.late, piece{seq, slices.Clone(data)})
		t.account(f, from, s)
		return
	case int(-int64(d)) >= len(data):
		return // all of it is there already
	default:
		data = data[-d:]
	}
	t.take(f, from, s, data)
	for n := 0; n < len(s.late) && f.streams[from] == s; {
		l := s.late[n]
		d := int32(l.seq - s.next)
		if d > 0 {
			n++
			continue
		}
		s.late = slices.Delete(s.late, n, n+1)
		if int(-int64(d)) < len(l.data) {
			t.take(f, from, s, l.data[-d:])
		}
		n = 0
	}
	if f.streams[from] != s {
		return
	}
	if cut {
		t.giveUp(f, from)
		return
	}
	t.account(f, from, s)
}

// begin decides what a direction is looked at for.
func (t *tracker) begin(f *flow, from int) *stream {
	server := 1 - f.client
	switch {
	case f.end(server).Port() == dnsPort:
		if from == server && t.s.o.resolver(f.end(server).Addr()) {
			return &stream{reader: dnsMessages}
		}
		t.s.names.resolved = true
		f.application = "domain"
		return done
	case from == f.client:
		return &stream{reader: clientHello}
	case f.application == "" && f.tls == "" && f.streams[f.client] == nil: // the server speaks first: no hello will follow in clear
		return done
	}
	return &stream{reader: serverHello}
}

// take reads the next bytes in order. The usual hello is in one segment, and is
// read where it lies.
func (t *tracker) take(f *flow, from int, s *stream, data []byte) {
	s.next += uint32(len(data))
	s.parts++
	all := data
	if len(s.buf) > 0 {
		s.buf = append(s.buf, data...)
		all = s.buf
	}
	more := false
	switch s.reader {
	case clientHello:
		var h wire.Hello
		if h, more = wire.Client(all); !more {
			t.said(f, h)
		}
	case serverHello:
		var h wire.Hello
		if h, more = wire.Server(all); !more && h.Version != "" {
			f.tls = h.Version
		}
	case dnsMessages:
		t.messages(f, s, all)
		return
	}
	switch {
	case !more:
		t.release(f, from)
	case len(all) > maxPrefix, s.parts >= maxParts:
		t.giveUp(f, from)
	case len(s.buf) == 0:
		s.buf = slices.Clone(data)
	}
}

// messages reads whole messages of DNS over TCP, and keeps the rest.
func (t *tracker) messages(f *flow, s *stream, all []byte) {
	whole := len(all)
	for {
		message, rest, more := wire.NextDNS(all)
		if more {
			break
		}
		t.dns(f, message)
		all = rest
	}
	if len(all) < whole || len(s.buf) == 0 { // else it is in the buffer already
		s.buf = slices.Clone(all)
	}
}

// said puts what the client said on the connection.
func (t *tracker) said(f *flow, h wire.Hello) {
	if h.Odd {
		t.s.gaps.add(GapBadName, 1, "")
	}
	port := f.end(1 - f.client).Port()
	f.name, f.through = h.Name, h.Through
	f.namedBy = observation.NamingSNI
	switch h.Protocol {
	case "tls":
		f.application = map[uint16]string{443: "https", encryptedPort: "domain-s"}[port]
		return
	case "http":
		f.namedBy = observation.NamingHTTP
	}
	f.application = h.Protocol
	f.streams[1-f.client] = done
}

// account keeps the sum of all buffers bounded.
func (t *tracker) account(f *flow, from int, s *stream) {
	size := s.size()
	t.buffered += size - s.held
	s.held = size
	if t.buffered > maxBuffered {
		t.s.gaps.add(GapReassemblyLimit, 1, "")
		t.release(f, from)
	}
}

// giveUp ends the reading of a direction of which a part is missing.
func (t *tracker) giveUp(f *flow, from int) {
	t.s.gaps.add(GapTruncated, 1, gapHello)
	t.release(f, from)
}

// unfinished gives back what a connection was still being read with, and says so
// where a hello had begun.
func (t *tracker) unfinished(f *flow) {
	for n, s := range f.streams {
		if s != nil && s != done && (len(s.buf) > 0 || len(s.late) > 0) {
			t.giveUp(f, n)
		}
	}
	if f.quic != nil {
		t.s.gaps.add(GapTruncated, 1, gapHello)
		t.quicDone(f)
	}
}

func (t *tracker) release(f *flow, from int) {
	if s := f.streams[from]; s != nil && s != done {
		t.buffered -= s.held
		f.streams[from] = done
	}
}

// udp looks at a datagram.
func (t *tracker) udp(f *flow, p *wire.Packet, from int) {
	server := 1 - f.client
	switch port := f.end(server).Port(); {
	case port == dnsPort:
		t.s.names.resolved = true
		f.application = "domain"
		switch {
		case from != server || !t.s.o.resolver(f.end(server).Addr()):
			return
		case f.packets[f.client] == 0: // nobody of ours asked
			t.s.gaps.add(GapUndecoded, 1, "an answer of a name server to no question")
			return
		}
		if len(p.Payload) < p.Length {
			t.s.gaps.add(GapTruncated, 1, gapHello)
			return
		}
		t.dns(f, p.Payload)
	case port == 5353:
		f.application = "mdns"
	case port == 123 && p.Length >= 48:
		f.application = "ntp"
	case from == f.client && f.streams[from] != done:
		t.quic(f, p)
	}
}

func (t *tracker) quic(f *flow, p *wire.Packet) {
	if f.quic == nil {
		if !wire.LooksInitial(p.Payload) {
			if f.packets[f.client] > 4 {
				f.streams[f.client] = done
			}
			return
		}
		f.quic = &wire.QUIC{}
		t.buffered += quicBytes
		if t.buffered > maxBuffered {
			t.s.gaps.add(GapReassemblyLimit, 1, "")
			t.quicDone(f)
			return
		}
	}
	h, more := f.quic.Datagram(p.Payload)
	if more {
		return
	}
	t.quicDone(f)
	if h.Protocol == "" {
		t.s.gaps.add(GapUndecoded, 1, "a QUIC Initial packet")
		return
	}
	if h.Odd {
		t.s.gaps.add(GapBadName, 1, "")
	}
	f.name, f.namedBy, f.tls = h.Name, observation.NamingSNI, "1.3"
	switch f.end(1 - f.client).Port() {
	case 443:
		f.application = "https"
	case encryptedPort:
		f.application = "domain-s"
	}
}

func (t *tracker) quicDone(f *flow) {
	t.buffered -= quicBytes
	f.quic = nil
	f.streams[f.client] = done
}

// dns takes the answers of a message of a name server.
func (t *tracker) dns(f *flow, message []byte) {
	f.application = "domain"
	t.s.names.resolved = true
	d, err := wire.ParseDNS(message)
	if err != nil {
		t.s.gaps.add(GapUndecoded, 1, "a message of a name server")
		return
	}
	if d.Odd > 0 {
		t.s.gaps.add(GapBadName, int64(d.Odd), "")
	}
	if !d.Response {
		return
	}
	for _, a := range d.Answers {
		a.At = stamp(f.last)
		t.s.names.add(a)
	}
}
