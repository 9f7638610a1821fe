package logs

import (
	"net/netip"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/avow-dev/avow/attest/observe/internal/record"
	"github.com/avow-dev/avow/attest/observe/internal/wire"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// strace reads what `strace -f` wrote: connect, sendto, sendmsg, recvfrom and
// the calls that make sockets and processes. Bytes are not counted: reads and
// writes of sockets need not be in the trace.
type strace struct {
	to *record.Sink
	// names of programs, and the process that a thread or child came from.
	program map[string]string
	parent  map[string]string
	owner   map[string]string // of a thread's descriptors: the process
	sockets map[socketKey]*socket
	halves  map[string]string // of calls that were interrupted by another line
	waiting []*pending        // of connect for UDP: no packet yet
	sent    bool              // some send was seen: a connect alone sends nothing
	seen    map[connKey]bool  // of datagrams without a connection
	cut     int64
}

type socketKey struct {
	process string
	fd      string
}

// pending is a connect that sends nothing by itself.
type pending struct {
	conn *record.Conn
	used bool
}

type socket struct {
	transport string
	known     bool
	waiting   *pending
	server    netip.AddrPort
}

func newStrace(to *record.Sink) *strace {
	return &strace{to: to, program: map[string]string{}, parent: map[string]string{}, owner: map[string]string{}, sockets: map[socketKey]*socket{},
		halves: map[string]string{}, seen: map[connKey]bool{}}
}

// straceLine finds the parts before the call: process, time.
var straceLine = regexp.MustCompile(`^(?:\[pid\s+(\d+)\] |(\d+)\s+)?(?:(\d{9,11}\.\d{1,9}|\d\d:\d\d:\d\d(?:\.\d+)?|\s*\d+\.\d{6}) )?` +
	`(<\.\.\. )?([a-z_][a-z0-9_]*)(\(| resumed>)(.*)$`)

// straceOther are lines of strace that are no calls.
var straceOther = regexp.MustCompile(`^(?:\[pid\s+\d+\] |\d+\s+)?(?:[0-9:.]+ )?(?:\+\+\+ |--- |strace: )`)

func (s *strace) line(b []byte) bool {
	text := string(b)
	m := straceLine.FindStringSubmatch(text)
	if m == nil {
		return straceOther.MatchString(text)
	}
	process := m[1] + m[2]
	call, rest := m[5], m[7]
	if m[6] == "(" && m[4] == "" {
		if before, unfinished := strings.CutSuffix(rest, "<unfinished ...>"); unfinished {
			if len(s.halves) < maxOpen {
				s.halves[process+" "+call] = before
			}
			return true
		}
	} else {
		if m[6] != " resumed>" {
			return false
		}
		key := process + " " + call
		rest = s.halves[key] + rest
		delete(s.halves, key)
	}
	at, _ := epoch(m[3])
	n := strings.LastIndex(rest, ") = ")
	if at.Year() < 2000 { // -r and -t say no date
		at = time.Time{}
	}
	if n < 0 {
		if k := strings.LastIndex(rest, " = "); k > 0 { // strace aligns short calls
			n = strings.LastIndex(rest[:k], ")")
		}
	}
	if n < 0 {
		return strings.HasPrefix(call, "exit") || strings.HasPrefix(call, "exec") || strings.HasSuffix(rest, ")")
	}
	_, result, _ := strings.Cut(rest[n:], "= ")
	s.call(&systemCall{process: process, name: call, args: rest[:n], result: result, at: at})
	return true
}

type systemCall struct {
	process, name, args, result string
	at                          time.Time
}

// ok reports whether the call did what it was to do.
func (c *systemCall) ok() bool { return !strings.HasPrefix(c.result, "-1") && c.result != "?" }

// fd is the first argument without what -y adds to it.
func (c *systemCall) fd() string {
	n := 0
	for n < len(c.args) && c.args[n] >= '0' && c.args[n] <= '9' {
		n++
	}
	return c.args[:n]
}

// number is the result without what -y adds to it.
func (c *systemCall) number() string {
	n := 0
	for n < len(c.result) && c.result[n] >= '0' && c.result[n] <= '9' {
		n++
	}
	return c.result[:n]
}

func (s *strace) call(c *systemCall) {
	switch c.name {
	case "execve", "execveat":
		if c.ok() {
			s.executed(c)
		}
	case "clone", "clone3", "fork", "vfork":
		s.forked(c)
	case "socket":
		if c.ok() && len(s.sockets) < maxOpen {
			s.sockets[s.own(c.process, c.number())] = &socket{transport: socketType(c.args), known: true}
		}
	case "dup", "dup2", "dup3":
		if from := s.socket(c); from != nil && c.ok() && len(s.sockets) < maxOpen {
			s.sockets[s.own(c.process, c.number())] = from
		}
	case "close":
		delete(s.sockets, s.own(c.process, c.fd()))
	case "connect":
		s.connect(c)
	case "accept", "accept4":
		s.accept(c)
	case "sendto", "sendmsg", "sendmmsg", "send":
		s.send(c)
	case "write", "writev":
		if sk := s.socket(c); sk != nil && sk.waiting != nil && c.ok() {
			s.datagram(sk)
		}
	case "recvfrom", "recvmsg", "recv", "read":
		s.receive(c)
	}
}

// executed remembers the program's name.
func (s *strace) executed(c *systemCall) {
	_, after, _ := strings.Cut(c.args, `"`)
	name, _, ok := strings.Cut(after, `"`)
	if ok && len(name) < observation.MaxText && (len(s.program) < maxOpen || s.program[c.process] != "") {
		s.program[c.process] = clip(path.Base(name))
	}
}

// forked lets the child have its parent's program, and a thread its sockets.
func (s *strace) forked(c *systemCall) {
	child := c.number()
	if child == "" || child == "0" || len(s.parent) >= maxOpen {
		return
	}
	if s.program[child] == "" {
		s.program[child] = s.program[c.process]
	}
	s.parent[child] = c.process
	if strings.Contains(c.args, "CLONE_FILES") {
		s.owner[child] = s.own(c.process, "").process
	}
}

// own is where a process makes a descriptor: threads share theirs.
func (s *strace) own(process, fd string) socketKey {
	if o, ok := s.owner[process]; ok {
		process = o
	}
	return socketKey{process, fd}
}

// key finds where a descriptor was made: by the process, or by one that it came
// from.
func (s *strace) key(process, fd string) socketKey {
	key := s.own(process, fd)
	if s.sockets[key] != nil {
		return key
	}
	for p, n := key.process, 0; n < 64; n++ {
		if k := (socketKey{p, fd}); s.sockets[k] != nil {
			return k
		}
		up, ok := s.parent[p]
		if !ok {
			break
		}
		p = up
	}
	return key
}

func (s *strace) socket(c *systemCall) *socket { return s.sockets[s.key(c.process, c.fd())] }

// socketType reads the arguments of socket(2).
func socketType(args string) string {
	switch {
	case !strings.HasPrefix(args, "AF_INET") && !strings.HasPrefix(args, "PF_INET"):
		return ""
	case strings.Contains(args, "IPPROTO_SCTP"):
		return "sctp"
	case strings.Contains(args, "IPPROTO_ICMP"):
		return "icmp"
	case strings.Contains(args, "SOCK_STREAM"):
		return "tcp"
	case strings.Contains(args, "SOCK_DGRAM"):
		return "udp"
	}
	return "other"
}

var (
	sockaddr4 = regexp.MustCompile(`sa_family=AF_INET, sin_port=htons\((\d{1,5})\), sin_addr=inet_addr\("([0-9.]+)"\)`)
	sockaddr6 = regexp.MustCompile(`sa_family=AF_INET6, sin6_port=htons\((\d{1,5})\)[^}]*inet_pton\(AF_INET6, "([0-9A-Fa-f:.]+)"`)
)

// address finds the last socket address in the arguments.
func address(args string) (netip.AddrPort, bool) {
	all := sockaddr4.FindAllStringSubmatch(args, -1)
	if len(all) == 0 {
		all = sockaddr6.FindAllStringSubmatch(args, -1)
	}
	if len(all) == 0 {
		return netip.AddrPort{}, false
	}
	m := all[len(all)-1]
	port, ok1 := record.Port(m[1])
	addr, ok2 := parseAddr(m[2])
	return netip.AddrPortFrom(addr, port), ok1 && ok2
}

// reached reports whether a connect that was made reached out.
func reached(result string) (attempted, failed bool) {
	if !strings.HasPrefix(result, "-1") {
		return true, false
	}
	for _, word := range []string{"EINPROGRESS", "EINTR", "EALREADY", "EAGAIN"} {
		if strings.Contains(result, word) {
			return true, false
		}
	}
	for _, word := range []string{"ECONNREFUSED", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "ECONNRESET", "ECONNABORTED", "?"} {
		if strings.Contains(result, word) {
			return true, true
		}
	}
	return !strings.Contains(result, "EBADF") && !strings.Contains(result, "EISCONN"), true
}

func (s *strace) connect(c *systemCall) {
	server, ok := address(c.args)
	attempted, failed := reached(c.result)
	if !ok || !attempted {
		return
	}
	sk := s.socket(c)
	if sk == nil {
		sk = &socket{transport: "tcp"}
		if server.Port() == 53 {
			sk.transport = "udp"
		}
		s.to.Gap("transportAssumed", 1, "strace: the call that made the socket is not in the trace")
		if len(s.sockets) < maxOpen {
			s.sockets[s.own(c.process, c.fd())] = sk
		}
	}
	if sk.transport == "" {
		return
	}
	conn := s.conn(c, sk.transport, server)
	conn.Failed = failed && sk.transport != "udp"
	sk.server = server
	if sk.transport != "udp" || !sk.known {
		s.to.Conn(conn)
		return
	}
	if len(s.waiting) >= maxOpen {
		s.cut++
		s.to.Conn(conn)
		return
	}
	sk.waiting = &pending{conn: conn}
	s.waiting = append(s.waiting, sk.waiting)
}

func (s *strace) conn(c *systemCall, transport string, server netip.AddrPort) *record.Conn {
	if transport == "icmp" || transport == "other" {
		server = netip.AddrPortFrom(server.Addr(), 0)
	}
	return &record.Conn{Transport: transport, Server: server, Begin: c.at, End: c.at, Process: s.program[c.process], Direction: observation.Outbound}
}

func (s *strace) accept(c *systemCall) {
	peer, ok := address(c.args)
	if !ok || !c.ok() {
		return
	}
	conn := s.conn(c, "tcp", netip.AddrPort{})
	conn.Client, conn.Direction = peer, observation.Inbound
	s.to.Gap("localPortUnknown", 1, "strace: accept does not say at which port")
	s.to.Conn(conn)
}

// send is what brings a datagram on its way.
func (s *strace) send(c *systemCall) {
	s.sent = true
	sk := s.socket(c)
	server, ok := address(c.args)
	if !ok {
		if sk != nil && sk.waiting != nil {
			s.datagram(sk)
		}
		return
	}
	transport := "udp"
	if sk != nil {
		transport = sk.transport
	} else {
		s.to.Gap("transportAssumed", 1, "strace: the call that made the socket is not in the trace")
	}
	if sk != nil {
		sk.server = server
	}
	if transport == "" || transport == "tcp" && sk != nil && sk.waiting == nil && !strings.Contains(c.args, "MSG_FASTOPEN") {
		return // an address on a connected stream is ignored
	}
	key := connKey{transport + "/" + c.process + "/" + c.fd(), netip.AddrPort{}, server}
	if s.seen[key] {
		return
	}
	if len(s.seen) < maxOpen {
		s.seen[key] = true
	}
	s.to.Conn(s.conn(c, transport, server))
}

// datagram says that a connected datagram socket was used.
func (s *strace) datagram(sk *socket) {
	s.sent = true
	if !sk.waiting.used {
		s.to.Conn(sk.waiting.conn)
	}
	sk.waiting.used, sk.waiting = true, nil
}

// receive looks for answers of name servers.
func (s *strace) receive(c *systemCall) {
	from, ok := address(c.args)
	sk := s.socket(c)
	if !ok && sk != nil {
		from = sk.server
	}
	if from.Port() != 53 || !c.ok() || sk != nil && sk.transport == "tcp" {
		return
	}
	s.to.Resolver()
	_, after, found := strings.Cut(c.args, `"`)
	if !found {
		return
	}
	data, rest, ok := unescape(after)
	size, err := strconv.Atoi(c.number())
	if !ok || err != nil || strings.HasPrefix(rest, "...") || len(data) < size {
		s.to.Gap("truncated", 1, "strace: an answer of a name server is cut; trace with -s 4096")
		return
	}
	d, err := wire.ParseDNS(data[:size])
	if err != nil {
		s.to.Gap("undecoded", 1, "strace: an answer of a name server")
		return
	}
	for _, a := range d.Answers {
		a.At = c.at
		s.to.Answer(a)
	}
}

// end decides about datagram sockets that were connected and never used. Where
// the trace has no sends at all it cannot tell, and they count.
func (s *strace) end() {
	if s.cut > 0 {
		s.to.Gap("evicted", s.cut, string(Strace))
	}
	if s.sent {
		return
	}
	for _, w := range s.waiting {
		s.to.Conn(w.conn)
	}
}

// unescape reads a string as strace writes it, up to its closing quote.
func unescape(s string) (data []byte, rest string, ok bool) {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"':
			return data, s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return nil, "", false
			}
			b, used := escape(s[i:])
			if used == 0 {
				return nil, "", false
			}
			data = append(data, b)
			i += used - 1
		default:
			data = append(data, c)
		}
	}
	return nil, "", false
}

// escape reads what follows a backslash, and how long it is.
func escape(s string) (b byte, used int) {
	const letters, values = `nrtfvab"\e`, "\n\r\t\f\v\a\b\"\\\x1b"
	if i := strings.IndexByte(letters, s[0]); i >= 0 {
		return values[i], 1
	}
	if s[0] == 'x' && len(s) >= 3 {
		n, err := strconv.ParseUint(s[1:3], 16, 8)
		if err != nil {
			return 0, 0
		}
		return byte(n), 3
	}
	n := 0
	for n < len(s) && n < 3 && s[n] >= '0' && s[n] <= '7' {
		n++
	}
	if n == 0 {
		return 0, 0
	}
	v, err := strconv.ParseUint(s[:n], 8, 8)
	if err != nil {
		return 0, 0
	}
	return byte(v), n
}
