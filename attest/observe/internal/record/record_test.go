package record

import (
	"strconv"
	"strings"
	"testing"
)

// TestHostName: what can be a name, and what only looks like one.
func TestHostName(t *testing.T) {
	for in, want := range map[string]string{
		"Api.Acme.Example.": "api.acme.example", "_dns.resolver.arpa": "_dns.resolver.arpa", "localhost": "localhost", "xn--bcher-kva.example": "xn--bcher-kva.example",
		"": "", ".": "", "a..b": "", ".a": "", "a b": "", "192.0.2.7": "", "a:1": "", "a/b": "", "*.example": "", "bücher.example": "",
		strings.Repeat("a.", 127): "", "a\x00b": "",
	} {
		got, ok := HostName(in)
		if in == strings.Repeat("a.", 127) {
			want = strings.TrimSuffix(in, ".")
		}
		if got != want || ok != (want != "") {
			t.Errorf("%q: got %q %v, want %q", in, got, ok, want)
		}
	}
	if got, ok := HostName(strings.Repeat("a", 254)); ok {
		t.Errorf("got %q", got)
	}
}

// TestHostPort: authorities of HTTP.
func TestHostPort(t *testing.T) {
	for in, want := range map[string]string{
		"a.example": "a.example invalid IP 0 true", "A.example:8080": "a.example invalid IP 8080 true", "192.0.2.7:80": " 192.0.2.7 80 true",
		"[2001:db8::7]": " 2001:db8::7 0 true", "[::ffff:192.0.2.7]:1": " 192.0.2.7 1 true", "a.example:": "", "a.example:65536": "", "a.example:x": "", "a b": "",
	} {
		name, addr, port, ok := HostPort(in)
		got := strings.Join([]string{name, addr.String(), strconv.Itoa(int(port)), map[bool]string{true: "true", false: "false"}[ok]}, " ")
		if !ok {
			got = ""
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
