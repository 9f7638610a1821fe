package logs

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/avow-dev/avow/attest/observe/internal/record"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// sockets reads `ss -tunap` and its narrower forms. It is a snapshot: no times,
// no bytes, and only what was open at that moment.
type sockets struct {
	to        *record.Sink
	listening map[string]bool // transport and port
	conns     []*record.Conn
	cut       int64
}

// line reads a socket. Columns: [Netid] State Recv-Q Send-Q Local Peer [Process].
func (s *sockets) line(b []byte) bool {
	fields := strings.Fields(string(b))
	if len(fields) < 5 {
		return false
	}
	if fields[0] == "Netid" || fields[0] == "State" {
		return true
	}
	transport := "tcp" // what ss -t leaves out
	switch fields[0] {
	case "tcp", "udp", "sctp":
		transport, fields = fields[0], fields[1:]
	case "mptcp":
		fields = fields[1:]
	case "icmp6", "raw", "p_raw", "p_dgr", "u_str", "u_dgr", "u_seq", "nl", "v_str", "v_dgr", "ti_st", "xdp":
		return true // not sockets of the internet, or without a peer
	}
	if len(fields) < 5 || !allDigits(fields[1]) || !allDigits(fields[2]) {
		return false
	}
	local, ok := socketAddr(fields[3])
	peer, hasPeer := socketAddr(fields[4])
	if !ok && !strings.HasPrefix(fields[3], "*:") {
		return false
	}
	if !hasPeer || peer.Port() == 0 {
		s.listening[transport+fields[3][strings.LastIndexByte(fields[3], ':'):]] = true
		return true
	}
	conn := &record.Conn{Transport: transport, Client: local, Server: peer, Midstream: true,
		Failed: fields[0] == "SYN-SENT", Process: socketProcess(fields[5:])}
	if len(s.conns) >= maxOpen {
		s.cut++
		return true
	}
	s.conns = append(s.conns, conn)
	return true
}

// socketAddr reads ADDRESS[%ZONE]:PORT; * has no address.
func socketAddr(s string) (netip.AddrPort, bool) {
	n := strings.LastIndexByte(s, ':')
	if n < 0 {
		return netip.AddrPort{}, false
	}
	host, port := s[:n], s[n+1:]
	if port == "*" {
		port = "0"
	}
	p, ok := record.Port(port)
	// The zone may stand inside or outside of the brackets.
	host = strings.Trim(strings.ReplaceAll(host, "]%", "%"), "[]")
	host, _, _ = strings.Cut(host, "%")
	a, valid := parseAddr(host)
	return netip.AddrPortFrom(a, p), ok && valid
}

// socketProcess reads users:(("NAME",pid=N,fd=N)).
func socketProcess(fields []string) string {
	_, after, ok := strings.Cut(strings.Join(fields, " "), `users:(("`)
	if !ok {
		return ""
	}
	name, _, ok := strings.Cut(after, `"`)
	if !ok || len(name) > observation.MaxText {
		return ""
	}
	return strings.ToValidUTF8(name, "?")
}

// end knows all listening sockets: a connection at one of their ports was
// opened by the peer.
func (s *sockets) end() {
	if s.cut > 0 {
		s.to.Gap("evicted", s.cut, string(SS))
	}
	s.to.Gap("snapshot", 0, "ss shows what is open at one moment")
	for _, c := range s.conns {
		if s.listening[c.Transport+":"+strconv.Itoa(int(c.Client.Port()))] {
			c.Client, c.Server, c.Direction = c.Server, c.Client, observation.Inbound
		} else {
			c.Direction = observation.Outbound
		}
		s.to.Conn(c)
	}
}
