package wire

import (
	"bytes"
	"net/netip"
	"strings"

	"github.com/avow-dev/avow/attest/observe/internal/record"
)

// Target is whom a client asks a proxy to reach.
type Target struct {
	// Exactly one of Name and Addr is set.
	Name string
	Addr netip.Addr
	Port uint16
}

// methods are those that begin a request; PRI is how HTTP/2 begins in clear.
var methods = []string{"GET ", "POST ", "HEAD ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "CONNECT ", "TRACE ", "PROPFIND ", "PRI "}

// maxRequest bounds what is read of a request's header.
const maxRequest = 16 << 10

// request reads the head of an HTTP/1 request.
func request(b []byte) (Hello, bool) {
	method := ""
	short := false
	for _, m := range methods {
		switch {
		case bytes.HasPrefix(b, []byte(m)):
			method = m
		case len(b) < len(m) && strings.HasPrefix(m, string(b)):
			short = true
		}
	}
	if method == "" {
		return Hello{}, short
	}
	line, rest, ok := bytes.Cut(b, []byte("\n"))
	if !ok {
		return Hello{}, len(b) < maxRequest
	}
	h := Hello{Protocol: "http"}
	target, version, _ := strings.Cut(strings.TrimPrefix(string(bytes.TrimSuffix(line, []byte("\r"))), method), " ")
	if !strings.HasPrefix(version, "HTTP/") {
		return Hello{}, false
	}
	if method == "CONNECT " {
		h.Through = through(target, 443)
		h.Odd = h.Through == nil
		return h, false
	}
	if after, found := strings.CutPrefix(target, "http://"); found {
		authority, _, _ := strings.Cut(after, "/")
		_, authority = splitUser(authority)
		h.Through = through(authority, 80)
		h.Odd = h.Through == nil
		return h, false
	}
	return hostOf(h, rest, len(b))
}

// splitUser takes user information off an authority.
func splitUser(authority string) (user, host string) {
	if n := strings.LastIndexByte(authority, '@'); n >= 0 {
		return authority[:n], authority[n+1:]
	}
	return "", authority
}

func through(authority string, port uint16) *Target {
	name, addr, p, ok := record.HostPort(authority)
	if !ok {
		return nil
	}
	if p != 0 {
		port = p
	}
	return &Target{Name: name, Addr: addr, Port: port}
}

// hostOf looks for the Host header. Two of them are none: servers disagree
// about which one counts.
func hostOf(h Hello, head []byte, read int) (Hello, bool) {
	found := 0
	for {
		line, rest, ok := bytes.Cut(head, []byte("\n"))
		if !ok {
			if read < maxRequest {
				return Hello{}, true
			}
			break
		}
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && len(name) == 4 && bytes.EqualFold(name, []byte("host")) {
			found++
			host, addr, _, valid := record.HostPort(strings.TrimSpace(string(value)))
			h.Name, h.Odd = host, !valid && !addr.IsValid()
		}
		head = rest
	}
	if found > 1 {
		h.Name, h.Odd = "", true
	}
	return h, false
}
