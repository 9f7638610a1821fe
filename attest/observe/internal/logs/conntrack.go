package logs

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/avow-dev/avow/attest/observe/internal/record"
)

// conntrack reads `conntrack -L` and `conntrack -E`, with and without -o
// timestamp and -o extended. Bytes are of whole packets: that is what the kernel
// counts.
type conntrack struct {
	to     *record.Sink
	open   map[connKey]*record.Conn
	events bool
}

// tuple is one direction of an entry.
type tuple struct {
	src, dst     netip.Addr
	sport, dport uint16
	bytes        int64
	counted      bool
}

func isConntrack(s string) bool {
	return strings.Contains(s, " src=") && strings.Contains(s, " dst=") && !strings.Contains(s, "sa_family")
}

func (c *conntrack) line(b []byte) bool {
	s := string(b)
	if !isConntrack(s) {
		return strings.HasPrefix(s, "conntrack v") // the closing line of -L
	}
	var at time.Time
	var event, transport string
	flags := map[string]bool{}
	var tuples []tuple
	for field := range strings.FieldsSeq(s) {
		if name, value, ok := strings.Cut(field, "="); ok {
			tuples = addTuple(tuples, name, value)
			continue
		}
		if len(field) > 2 && field[0] == '[' && field[len(field)-1] == ']' {
			word := field[1 : len(field)-1]
			if t, ok := epoch(word); ok {
				at = t
			} else if word == "NEW" || word == "UPDATE" || word == "DESTROY" {
				event = word
			}
			flags[word] = true
			continue
		}
		if transport == "" && len(tuples) == 0 && field != "ipv4" && field != "ipv6" && !allDigits(field) {
			transport = field
		}
		flags[field] = true
	}
	if len(tuples) == 0 || !tuples[0].src.IsValid() || !tuples[0].dst.IsValid() {
		return false
	}
	c.entry(event, transportOf(transport), at, tuples, flags)
	return true
}

func allDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// addTuple takes name=value; src begins a new direction.
func addTuple(tuples []tuple, name, value string) []tuple {
	if name == "src" && len(tuples) < 2 {
		tuples = append(tuples, tuple{})
	}
	if len(tuples) == 0 {
		return tuples
	}
	t := &tuples[len(tuples)-1]
	switch name {
	case "src":
		t.src, _ = parseAddr(value)
	case "dst":
		t.dst, _ = parseAddr(value)
	case "sport":
		t.sport, _ = record.Port(value)
	case "dport":
		t.dport, _ = record.Port(value)
	case "bytes":
		t.bytes, t.counted = count(value)
	}
	return tuples
}

func (c *conntrack) entry(event, transport string, at time.Time, tuples []tuple, flags map[string]bool) {
	t := tuples[0]
	conn := &record.Conn{Transport: transport, Client: netip.AddrPortFrom(t.src, t.sport), Server: netip.AddrPortFrom(t.dst, t.dport),
		Begin: at, End: at}
	if len(tuples) == 2 {
		conn.Out, conn.In, conn.Counted = t.bytes, tuples[1].bytes, t.counted && tuples[1].counted
	}
	// SYN_SENT without an answer; of UDP an answer may not be wanted.
	conn.Failed = transport == "tcp" && flags["UNREPLIED"]
	if event == "" {
		conn.Midstream = true
		c.to.Conn(conn)
		return
	}
	c.events = true
	key := connKey{transport, conn.Client, conn.Server}
	known := c.open[key]
	switch {
	case event == "NEW" && known != nil: // the port is used again
		c.to.Conn(known)
		c.open[key] = conn
	case known == nil && event == "DESTROY":
		conn.Midstream = true
		c.to.Conn(conn)
	case known == nil:
		conn.Midstream = event != "NEW"
		if len(c.open) >= maxOpen {
			c.to.Gap("evicted", 1, string(Conntrack))
			c.to.Conn(conn)
			return
		}
		c.open[key] = conn
	default:
		known.End = at
		known.Failed = known.Failed && flags["UNREPLIED"]
		if event == "DESTROY" {
			known.Out, known.In, known.Counted = conn.Out, conn.In, conn.Counted
			c.to.Conn(known)
			delete(c.open, key)
		}
	}
}

func (c *conntrack) end() { flush(c.open, c.to) }

// flush hands over what is still open, in an order that does not depend on the map.
func flush(open map[connKey]*record.Conn, to *record.Sink) {
	list := make([]*record.Conn, 0, len(open))
	for _, conn := range open {
		list = append(list, conn)
	}
	slices.SortFunc(list, func(a, b *record.Conn) int {
		if d := a.Begin.Compare(b.Begin); d != 0 {
			return d
		}
		if d := a.Client.Compare(b.Client); d != 0 {
			return d
		}
		if d := a.Server.Compare(b.Server); d != 0 {
			return d
		}
		return strings.Compare(a.Transport, b.Transport)
	})
	for _, conn := range list {
		to.Conn(conn)
	}
}
