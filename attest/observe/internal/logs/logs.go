package logs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-dev/avow/attest/observe/internal/record"
)

// Format is the kind of a log.
type Format string

// The formats.
const (
	Conntrack Format = "conntrack"
	SS        Format = "ss"
	ZeekConn  Format = "zeek-conn"
	ZeekDNS   Format = "zeek-dns"
	ZeekSSL   Format = "zeek-ssl"
	Hubble    Format = "hubble"
	Strace    Format = "strace"
	Envoy     Format = "envoy"
	Squid     Format = "squid"
)

// Formats returns all formats. Those that only name things come first: what
// they say is needed for the others.
func Formats() []Format {
	return []Format{ZeekDNS, ZeekSSL, ZeekConn, Conntrack, SS, Hubble, Strace, Envoy, Squid}
}

const (
	// MaxLine is the longest line, in bytes.
	MaxLine = 1 << 20
	// HeadBytes is how much of a file [Detect] wants to see.
	HeadBytes = 64 << 10
	// maxOpen bounds what is remembered of connections and system calls.
	maxOpen = 200_000
	// maxDetail bounds what a gap repeats of a foreign line.
	maxDetail = 80
)

// ErrFormat is wrapped where a file is not of the format.
var ErrFormat = errors.New("not of this format")

// Shared is what the logs of one observation share.
type Shared struct {
	// TLS are the server names and versions of ssl.log by Zeek's connection uid.
	TLS map[string]*ZeekTLS
}

// Read reads a log. It returns when the log ends or ctx does.
func Read(ctx context.Context, r io.Reader, f Format, shared *Shared, to *record.Sink) error {
	p, err := newParser(f, shared, to)
	if err != nil {
		return err
	}
	l := &lines{r: bufio.NewReaderSize(r, 64<<10)}
	good, bad := 0, 0
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		line, long, err := l.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		switch {
		case long:
			to.Gap("undecoded", 1, string(f)+": a line is too long")
		case len(bytes.TrimSpace(line)) == 0:
		case p.line(line):
			good++
		default:
			bad++
		}
	}
	if good == 0 && bad > 0 {
		return fmt.Errorf("%w: none of %d lines is one of %s", ErrFormat, bad, f)
	}
	if bad > 0 {
		to.Gap("undecoded", int64(bad), string(f)+": lines that are not of the format")
	}
	p.end()
	return nil
}

// parser reads one format line by line.
type parser struct {
	// line reports whether the line is of the format.
	line func([]byte) bool
	end  func()
}

func newParser(f Format, shared *Shared, to *record.Sink) (*parser, error) {
	switch f {
	case Conntrack:
		c := &conntrack{to: to, open: map[connKey]*record.Conn{}}
		return &parser{c.line, c.end}, nil
	case SS:
		s := &sockets{to: to, listening: map[string]bool{}}
		return &parser{s.line, s.end}, nil
	case ZeekConn, ZeekDNS, ZeekSSL:
		z := &zeek{to: to, format: f, shared: shared}
		return &parser{z.line, func() {}}, nil
	case Hubble:
		h := &hubble{to: to, open: map[connKey]*record.Conn{}}
		return &parser{h.line, h.end}, nil
	case Strace:
		s := newStrace(to)
		return &parser{s.line, s.end}, nil
	case Envoy:
		e := &envoy{to: to}
		return &parser{e.line, func() {}}, nil
	case Squid:
		s := &squid{to: to}
		return &parser{s.line, func() {}}, nil
	}
	return nil, fmt.Errorf("%w: there is no format %q", ErrFormat, f)
}

// lines reads lines of bounded length.
type lines struct {
	r    *bufio.Reader
	long []byte
}

// next returns the next line without its end. long: it was longer than MaxLine
// and is not returned.
func (l *lines) next() (line []byte, long bool, err error) {
	l.long = l.long[:0]
	for {
		piece, err := l.r.ReadSlice('\n')
		if err == nil || errors.Is(err, io.EOF) {
			if len(l.long) == 0 && len(piece) == 0 && err != nil && !long {
				return nil, false, io.EOF
			}
			if long {
				return nil, true, nil
			}
			if len(l.long) > 0 {
				l.long = append(l.long, piece...)
				piece = l.long
			}
			return bytes.TrimRight(piece, "\r\n"), len(piece) > MaxLine, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, false, err
		}
		if long || len(l.long)+len(piece) > MaxLine {
			long, l.long = true, l.long[:0]
			continue
		}
		l.long = append(l.long, piece...)
	}
}

// Detect finds the format from the beginning of a file.
func Detect(head []byte) (Format, bool) {
	if i := bytes.LastIndexByte(head, '\n'); i > 0 && len(head) >= HeadBytes {
		head = head[:i] // the last line may be cut
	}
	for n, line := range bytes.Split(head, []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if n > 200 {
			break
		}
		if f, ok := detectLine(line, head); ok {
			return f, true
		}
	}
	return "", false
}

func detectLine(line, head []byte) (Format, bool) {
	s := string(line[:min(len(line), MaxLine)])
	switch {
	case strings.HasPrefix(s, "#separator"), strings.HasPrefix(s, "#fields"), strings.HasPrefix(s, "#path"):
		return detectZeek(head)
	case s[0] == '{':
		return detectJSON(line)
	case strings.HasPrefix(s, "Netid"), strings.HasPrefix(s, "State") && strings.Contains(s, "Recv-Q"):
		return SS, true
	case isConntrack(s):
		return Conntrack, true
	case straceLine.MatchString(s):
		return Strace, true
	case envoyLine.MatchString(s):
		return Envoy, true
	case squidLine.MatchString(s):
		return Squid, true
	}
	return "", false
}

func detectZeek(head []byte) (Format, bool) {
	for line := range bytes.Lines(head) {
		fields := strings.Fields(string(line))
		if len(fields) == 2 && fields[0] == "#path" {
			f := Format("zeek-" + fields[1])
			return f, slices.Contains(Formats(), f)
		}
		if len(fields) > 2 && fields[0] == "#fields" {
			return zeekOf(func(name string) bool { return slices.Contains(fields, name) })
		}
	}
	return "", false
}

func zeekOf(has func(string) bool) (Format, bool) {
	switch {
	case has("query") && has("qtype_name"), has("query") && has("rcode"):
		return ZeekDNS, true
	case has("server_name") || has("cipher"):
		return ZeekSSL, true
	case has("conn_state") || has("proto") && has("id.orig_h"):
		return ZeekConn, true
	}
	return "", false
}

func detectJSON(line []byte) (Format, bool) {
	var m map[string]json.RawMessage
	if json.Unmarshal(line, &m) != nil {
		return "", false
	}
	has := func(name string) bool { _, ok := m[name]; return ok }
	switch {
	case has("id.orig_h"):
		return zeekOf(has)
	case has("flow") || has("IP") && (has("verdict") || has("Type")):
		return Hubble, true
	case has("authority") || has("upstream_host") || has(":authority"):
		return Envoy, true
	}
	return "", false
}

// connKey tells connections apart that a log mentions several times.
type connKey struct {
	transport      string
	client, server netip.AddrPort
}

// parseAddr reads an address; zones are of no use elsewhere.
func parseAddr(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	return a.Unmap().WithZone(""), err == nil
}

// transportOf maps the names of protocols.
func transportOf(s string) string {
	switch strings.ToLower(s) {
	case "tcp", "udp", "sctp", "icmp":
		return strings.ToLower(s)
	case "icmpv6", "icmp6", "ipv6-icmp":
		return "icmp"
	case "udplite":
		return "udp"
	}
	return "other"
}

// count reads a number that is not negative.
func count(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0 && n <= 1<<53
}

// epoch reads seconds since 1970 with a fraction.
func epoch(s string) (time.Time, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n < 0 || n > 253402300799 || len(fraction) > 9 {
		return time.Time{}, false
	}
	nanos := int64(0)
	if fraction != "" {
		if nanos, err = strconv.ParseInt((fraction + "000000000")[:9], 10, 64); err != nil || nanos < 0 {
			return time.Time{}, false
		}
	}
	return time.Unix(n, nanos).UTC(), true
}

// seconds reads a duration of a log: seconds with a fraction.
func seconds(s string) (time.Duration, bool) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0 && f < 1e9) {
		return 0, false
	}
	return time.Duration(f * float64(time.Second)), true
}

// rfc3339 reads the time of a JSON log.
func rfc3339(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}
	}
	return t.UTC()
}

// clip bounds what a gap repeats.
func clip(s string) string {
	if len(s) > maxDetail {
		s = s[:maxDetail]
	}
	return strings.ToValidUTF8(s, "?")
}
