package logs

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/avow-dev/avow/attest/observe/internal/record"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// envoy reads Envoy's access log, in its default form and as JSON with the usual
// keys. A line is a request; requests are counted as connections.
type envoy struct{ to *record.Sink }

// envoyLine is the default format up to what is needed. Quotes inside of values
// are escaped by Envoy.
var envoyLine = regexp.MustCompile(`^\[(\d{4}-\d\d-\d\dT[0-9:.]+Z)\] "([^"]*)" (\d{1,3}) (\S+) (?:\S+ "[^"]*" "[^"]*" )?(\d+) (\d+) (\d+) (\S+) ` +
	`"([^"]*)" "([^"]*)" "([^"]*)" "([^"]*)" "([^"]*)"`)

func (e *envoy) line(b []byte) bool {
	if b[0] == '{' {
		return e.json(b)
	}
	m := envoyLine.FindStringSubmatch(string(b))
	if m == nil {
		return false
	}
	r := request{start: rfc3339(m[1]), method: m[2], authority: m[12], upstream: m[13], code: m[3], flags: m[4]}
	out, ok1 := count(m[5])
	in, ok2 := count(m[6])
	r.out, r.in, r.counted = out, in, ok1 && ok2
	if ms, ok := count(m[7]); ok {
		r.duration = time.Duration(min(ms, 1e12)) * time.Millisecond
	}
	return e.request(&r)
}

type request struct {
	start                  time.Time
	duration               time.Duration
	method, authority, sni string
	upstream, code, flags  string
	out, in                int64
	counted                bool
}

func (e *envoy) json(b []byte) bool {
	var m map[string]any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if d.Decode(&m) != nil {
		return false
	}
	text := func(names ...string) string {
		for _, name := range names {
			switch v := m[name].(type) {
			case string:
				if v != "" && v != "-" {
					return v
				}
			case json.Number:
				return v.String()
			}
		}
		return ""
	}
	r := request{start: rfc3339(text("start_time", "timestamp", "time")), method: text("method", ":method"),
		authority: text("authority", ":authority", "host"), sni: text("requested_server_name", "sni"),
		upstream: text("upstream_host", "upstream_remote_address"), code: text("response_code", "status"), flags: text("response_flags")}
	out, ok1 := count(text("bytes_received"))
	in, ok2 := count(text("bytes_sent"))
	r.out, r.in, r.counted = out, in, ok1 && ok2
	if ms, ok := count(text("duration")); ok {
		r.duration = time.Duration(min(ms, 1e12)) * time.Millisecond
	}
	return e.request(&r)
}

// request makes a connection of a request. Without any peer it is not a line
// of use.
func (e *envoy) request(r *request) bool {
	c := &record.Conn{Transport: "tcp", Sure: true, Direction: observation.Outbound, Begin: r.start, Out: r.out, In: r.in, Counted: r.counted}
	if !r.start.IsZero() {
		c.End = r.start.Add(r.duration)
	}
	_, upstream, _ := strings.Cut(r.upstream, "://")
	if upstream == "" {
		upstream = r.upstream
	}
	peer, err := netip.ParseAddrPort(upstream)
	if err == nil {
		c.Server = netip.AddrPortFrom(peer.Addr().Unmap().WithZone(""), peer.Port())
	}
	name, addr, port, ok := record.HostPort(r.authority)
	switch sni, valid := record.HostName(r.sni); {
	case valid:
		c.Names, c.NamedBy = []string{sni}, observation.NamingSNI
	case ok && name != "":
		c.Names, c.NamedBy = []string{name}, observation.NamingHTTP
	case ok && !c.Server.IsValid():
		c.Server = netip.AddrPortFrom(addr, port)
	case err != nil:
		return false
	}
	if port == 0 && c.Server.Port() == 0 {
		port = 443
		if strings.HasPrefix(r.method, "http://") {
			port = 80
		}
	}
	if port != 0 && c.Server.Port() == 0 || strings.HasPrefix(r.method, "CONNECT") && port != 0 {
		c.Server = netip.AddrPortFrom(c.Server.Addr(), port)
	}
	// UF, UH and the like: the upstream was never reached.
	c.Failed = r.code == "503" && r.upstream == "" || strings.Contains(r.flags, "UF") || strings.Contains(r.flags, "UH")
	e.to.Conn(c)
	return true
}

// squid reads Squid's native access.log.
type squid struct{ to *record.Sink }

var squidLine = regexp.MustCompile(`^(\d{9,11}\.\d{3})\s+(-?\d+) (\S+) ([A-Z_]+)/(\d{3}) (\d+) ([A-Z_-]+) (\S+) (\S+) ([A-Z_0-9]+)/(\S+)`)

func (s *squid) line(b []byte) bool {
	m := squidLine.FindStringSubmatch(string(b))
	if m == nil {
		return false
	}
	end, ok := epoch(m[1])
	if !ok {
		return false
	}
	c := &record.Conn{Transport: "tcp", Sure: true, Direction: observation.Outbound, End: end, Begin: end}
	if ms, ok := count(m[2]); ok {
		c.Begin = end.Add(-time.Duration(min(ms, 1e9)) * time.Millisecond)
	}
	if client, ok := parseAddr(m[3]); ok {
		c.Client = netip.AddrPortFrom(client, 0)
	}
	authority, port := m[8], uint16(443)
	if m[7] != "CONNECT" {
		scheme, rest, ok := strings.Cut(m[8], "://")
		if !ok {
			return strings.HasPrefix(m[8], "error:") || strings.HasPrefix(m[8], "cache_object")
		}
		authority, _, _ = strings.Cut(rest, "/")
		if n := strings.LastIndexByte(authority, '@'); n >= 0 {
			authority = authority[n+1:]
		}
		if scheme == "http" {
			port, c.Application = 80, "http"
		}
	}
	name, addr, p, ok := record.HostPort(authority)
	if !ok {
		return false
	}
	if p != 0 {
		port = p
	}
	if name != "" {
		c.Names, c.NamedBy = []string{name}, observation.NamingHTTP
		addr = netip.Addr{}
		if strings.HasSuffix(m[10], "DIRECT") { // else it is that of another proxy
			addr, _ = parseAddr(m[11])
		}
	}
	c.Server = netip.AddrPortFrom(addr, port)
	c.Failed = strings.HasSuffix(m[4], "_DENIED") || m[10] == "HIER_NONE" && m[5] != "200" && !strings.Contains(m[4], "HIT")
	s.to.Conn(c)
	return true
}
