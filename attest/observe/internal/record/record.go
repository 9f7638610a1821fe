package record

import (
	"net/netip"
	"strings"
	"time"

	"github.com/avow-dev/avow/attest/predicate/observation"
)

// Conn is a connection that has ended or was last seen.
type Conn struct {
	Transport string // tcp, udp, sctp, icmp, other
	// Client opened the connection. Server may have no address, if the source
	// has only its name.
	Client, Server netip.AddrPort
	// Names are what the source says the server is called. More than one means
	// that it does not know which.
	Names []string
	// NamedBy goes with Names: sni, http or log.
	NamedBy observation.Naming
	// Sure: the source itself went to the name, so that it cannot be another's.
	Sure bool
	// Begin and End are zero where the source has no times.
	Begin, End time.Time
	// Out is from client to server, in bytes. Without Counted neither is known.
	Out, In int64
	Counted bool
	// Count is how many connections this stands for; 0 is one.
	Count                     int64
	TLS, Application, Process string
	// Failed: never answered.
	Failed bool
	// Midstream: it was there before the source began.
	Midstream bool
	// Direction is set where the source knows it.
	Direction string
}

// Answer is one address that name resolution gave to a name.
type Answer struct {
	At   time.Time
	Name string
	// Aliases are the other names of the chain that led to the address.
	Aliases []string
	Addr    netip.Addr
	TTL     time.Duration
}

// Sink takes what a reader finds. All functions must be set.
type Sink struct {
	Conn   func(c *Conn)
	Answer func(a Answer)
	// Resolver is called where name resolution was seen to happen at all, with or
	// without an answer.
	Resolver func()
	// Gap counts something that was missed; see docs/observing.md for the codes.
	Gap func(code string, n int64, detail string)
}

// maxHostName is the limit of DNS, without the last dot.
const maxHostName = 253

// HostName returns a host name in lower case without the last dot, and whether
// it can be one: letters, digits, hyphens and underscores between dots, and not
// an IP address.
func HostName(s string) (string, bool) {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > maxHostName {
		return "", false
	}
	lower, empty := true, true
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
			empty = false
		case c >= 'A' && c <= 'Z':
			lower, empty = false, false
		case c == '.' && !empty:
			empty = true
		default:
			return "", false
		}
	}
	if empty {
		return "", false
	}
	if !lower {
		s = strings.ToLower(s)
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return "", false
	}
	return s, true
}

// HostPort splits what an HTTP client writes as Host or as the target of a
// CONNECT. Exactly one of name and addr is set if ok.
func HostPort(s string) (name string, addr netip.Addr, port uint16, ok bool) {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return "", a.Addr().Unmap().WithZone(""), a.Port(), true
	}
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return "", a.Unmap().WithZone(""), 0, true
	}
	host, after, found := strings.Cut(s, ":")
	if found {
		if port, ok = Port(after); !ok {
			return "", netip.Addr{}, 0, false
		}
	}
	name, ok = HostName(host)
	return name, netip.Addr{}, port, ok
}

// Port reads a decimal port number.
func Port(s string) (uint16, bool) {
	if s == "" || len(s) > 5 {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return uint16(n), n <= 65535
}
