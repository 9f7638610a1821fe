package logs

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/avow-dev/avow/attest/observe/internal/record"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// ZeekTLS is what ssl.log says of a connection. Conn is used for one that no
// conn.log has.
type ZeekTLS struct {
	Name, Version string
	Conn          record.Conn
	Used          bool
}

// zeek reads conn.log, dns.log and ssl.log in both forms.
type zeek struct {
	to     *record.Sink
	format Format
	shared *Shared
	// Of the header of the TSV form.
	separator, set, empty, unset string
	fields                       []string
}

// row is a line: the values by their names, lists already split.
type row struct {
	one  map[string]string
	many map[string][]string
}

func (z *zeek) line(b []byte) bool {
	if b[0] == '#' {
		return z.header(string(b))
	}
	var r row
	var ok bool
	if b[0] == '{' {
		r, ok = zeekJSON(b)
	} else {
		r, ok = z.tsv(string(b))
	}
	if !ok {
		return false
	}
	switch z.format {
	case ZeekDNS:
		return z.dns(r)
	case ZeekSSL:
		return z.ssl(r)
	}
	return z.conn(r)
}

// header reads the lines that begin with #. Only their own values are believed.
func (z *zeek) header(s string) bool {
	if z.separator == "" {
		z.separator, z.set, z.empty, z.unset = "\t", ",", "(empty)", "-"
	}
	if after, ok := strings.CutPrefix(s, "#separator "); ok {
		if unquoted, err := strconv.Unquote(`"` + after + `"`); err == nil && unquoted != "" {
			z.separator = unquoted
		}
		return true
	}
	parts := strings.Split(s, z.separator)
	value := ""
	if len(parts) > 1 {
		value = parts[1]
	}
	switch parts[0] {
	case "#set_separator":
		z.set = value
	case "#empty_field":
		z.empty = value
	case "#unset_field":
		z.unset = value
	case "#fields":
		z.fields = parts[1:]
	}
	return true
}

func (z *zeek) tsv(s string) (row, bool) {
	values := strings.Split(s, z.separator)
	if len(z.fields) == 0 || len(values) != len(z.fields) {
		return row{}, false
	}
	r := row{one: map[string]string{}, many: map[string][]string{}}
	for n, v := range values {
		if v == z.unset || v == z.empty {
			continue
		}
		switch name := z.fields[n]; name {
		case "answers", "TTLs":
			r.many[name] = strings.Split(v, z.set)
		default:
			r.one[name] = v
		}
	}
	return r, true
}

// zeekJSON reads a line of the JSON writer. Numbers keep their text.
func zeekJSON(b []byte) (row, bool) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var m map[string]any
	if d.Decode(&m) != nil {
		return row{}, false
	}
	r := row{one: map[string]string{}, many: map[string][]string{}}
	for name, v := range m {
		switch v := v.(type) {
		case string:
			r.one[name] = v
		case json.Number:
			r.one[name] = v.String()
		case bool:
			r.one[name] = strconv.FormatBool(v)
		case []any:
			for _, e := range v {
				switch e := e.(type) {
				case string:
					r.many[name] = append(r.many[name], e)
				case json.Number:
					r.many[name] = append(r.many[name], e.String())
				}
			}
		}
	}
	return r, true
}

func (r row) time() time.Time {
	if t, ok := epoch(r.one["ts"]); ok {
		return t
	}
	return rfc3339(r.one["ts"])
}

// ends reads the two ends of the connection.
func (r row) ends() (client, server netip.AddrPort, ok bool) {
	c, ok1 := parseAddr(r.one["id.orig_h"])
	s, ok2 := parseAddr(r.one["id.resp_h"])
	cp, ok3 := record.Port(r.one["id.orig_p"])
	sp, ok4 := record.Port(r.one["id.resp_p"])
	return netip.AddrPortFrom(c, cp), netip.AddrPortFrom(s, sp), ok1 && ok2 && ok3 && ok4
}

func (z *zeek) conn(r row) bool {
	c := record.Conn{Transport: transportOf(r.one["proto"])}
	var ok bool
	if c.Client, c.Server, ok = r.ends(); !ok {
		return false
	}
	if c.Transport == "icmp" || c.Transport == "other" { // Zeek writes types as ports
		c.Client, c.Server = netip.AddrPortFrom(c.Client.Addr(), 0), netip.AddrPortFrom(c.Server.Addr(), 0)
	}
	c.Begin = r.time()
	c.End = c.Begin
	if d, ok := seconds(r.one["duration"]); ok && !c.Begin.IsZero() {
		c.End = c.Begin.Add(d)
	}
	out, ok1 := count(r.one["orig_bytes"])
	in, ok2 := count(r.one["resp_bytes"])
	c.Out, c.In, c.Counted = out, in, ok1 && ok2
	state := r.one["conn_state"]
	c.Failed = c.Transport == "tcp" && (state == "S0" || state == "REJ")
	c.Midstream = state == "OTH"
	c.Application = zeekService(r.one["service"], c.Server.Port())
	if strings.Contains(r.one["service"], "dns") {
		z.to.Resolver()
	}
	if t := z.shared.TLS[r.one["uid"]]; t != nil {
		t.Used = true
		t.apply(&c)
	}
	z.to.Conn(&c)
	return true
}

// zeekService maps Zeek's names of protocols to those of IANA.
func zeekService(service string, port uint16) string {
	first, _, _ := strings.Cut(service, ",")
	switch first {
	case "ssl", "quic":
		if port == 443 {
			return "https"
		}
	case "dns":
		return "domain"
	case "http", "ssh", "smtp", "ftp", "ntp", "imap", "pop3", "irc", "sip", "snmp", "ldap", "mqtt", "syslog":
		return first
	}
	return ""
}

// maxNames bounds the connections of an ssl.log that are remembered for conn.log.
const maxNames = maxOpen

func (z *zeek) ssl(r row) bool {
	t := &ZeekTLS{Version: zeekVersion(r.one["version"])}
	if name, ok := record.HostName(r.one["server_name"]); ok {
		t.Name = name
	}
	client, server, ok := r.ends()
	uid := r.one["uid"]
	if !ok || uid == "" {
		return false
	}
	t.Conn = record.Conn{Transport: "tcp", Client: client, Server: server, Begin: r.time(), End: r.time()}
	if strings.HasPrefix(r.one["version"], "DTLS") {
		t.Conn.Transport = "udp"
	}
	if len(z.shared.TLS) >= maxNames {
		z.to.Gap("evicted", 1, string(ZeekSSL))
		t.apply(&t.Conn)
		z.to.Conn(&t.Conn)
		return true
	}
	z.shared.TLS[uid] = t
	return true
}

// apply puts what the hellos said on a connection.
func (t *ZeekTLS) apply(c *record.Conn) {
	c.TLS = t.Version
	if t.Name != "" {
		c.Names, c.NamedBy = []string{t.Name}, observation.NamingSNI
	}
	if c.Application == "" && c.Server.Port() == 443 {
		c.Application = "https"
	}
}

// Unused hands over the connections of ssl.log that no conn.log had.
func (s *Shared) Unused(to *record.Sink) {
	open := map[connKey]*record.Conn{}
	for _, t := range s.TLS {
		if !t.Used {
			t.apply(&t.Conn)
			key := connKey{t.Conn.Transport, t.Conn.Client, t.Conn.Server}
			for open[key] != nil { // the same ports twice: two connections
				key.transport += "+"
			}
			open[key] = &t.Conn
		}
	}
	flush(open, to)
}

func zeekVersion(s string) string {
	switch s {
	case "TLSv10":
		return "1.0"
	case "TLSv11", "DTLSv10":
		return "1.1"
	case "TLSv12", "DTLSv12":
		return "1.2"
	case "TLSv13", "DTLSv13":
		return "1.3"
	}
	return ""
}

// multicastDNS is the port of names that everybody on the link may claim.
const multicastDNS = 5353

func (z *zeek) dns(r row) bool {
	_, server, ok := r.ends()
	if !ok {
		return false
	}
	if server.Port() == multicastDNS || server.Port() == 5355 || server.Port() == 137 {
		return true
	}
	z.to.Resolver()
	name, ok := record.HostName(r.one["query"])
	if !ok {
		return true // a query without a name of a host
	}
	var aliases []string
	for n, value := range r.many["answers"] {
		addr, isAddr := parseAddr(value)
		if !isAddr {
			if alias, ok := record.HostName(value); ok && len(aliases) < 16 {
				aliases = append(aliases, alias)
			}
			continue
		}
		ttl := time.Duration(0)
		if n < len(r.many["TTLs"]) {
			ttl, _ = seconds(r.many["TTLs"][n])
		}
		z.to.Answer(record.Answer{At: r.time(), Name: name, Aliases: aliases, Addr: addr, TTL: ttl})
	}
	return true
}
