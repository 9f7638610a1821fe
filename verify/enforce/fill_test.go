package enforce_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/verify/enforce"
)

// TestFill: each address goes into the sets of the flows that declare its host, of its family, for the longest time that was
// given, with the declared protocol and ports; nothing else goes anywhere.
func TestFill(t *testing.T) {
	two := flow{id: "two", endpoints: []obj{endpoint("host", "a.example.com", "tcp", 443, 80), endpoint("host", "b.example.com", "tcp", 443)}}
	v := accepted(t, two, flow{id: "ping", endpoints: []obj{{"kind": "host", "value": "a.example.com", "transport": "icmp", "application": "icmp"}}})
	p := compile(t, v, optionsFor(enforce.NFTables))
	if got := p.Hosts(); !slices.Equal(got, []string{"a.example.com", "b.example.com"}) {
		t.Errorf("hosts %v", got)
	}
	at := func(host, addr string, d time.Duration) enforce.Address {
		return enforce.Address{Host: host, Addr: netip.MustParseAddr(addr), For: d}
	}
	got := string(p.Fill([]enforce.Address{
		at("a.example.com", "192.0.2.1", 30*time.Second), at("b.example.com", "192.0.2.1", 90*time.Second+time.Millisecond), at("a.example.com", "2001:db8::1", -time.Hour),
		at("c.example.com", "192.0.2.3", time.Minute), at("a.example.com", "::ffff:192.0.2.4", time.Minute), at("a.example.com", "fe80::1%eth0", time.Minute), {Host: "a.example.com"},
	}))
	var added []string
	for line := range strings.Lines(got) {
		if strings.Contains(line, " timeout ") {
			added = append(added, strings.TrimSpace(strings.TrimPrefix(line, "add element inet avow-egress ")))
		}
	}
	want := []string{
		"flow-two.4 { 192.0.2.1 . tcp . 80 timeout 30s }", "flow-two.4 { 192.0.2.1 . tcp . 443 timeout 91s }", "flow-ping.icmp.4 { 192.0.2.1 timeout 30s }",
		"flow-two.6 { 2001:db8::1 . tcp . 80 timeout 1s }", "flow-two.6 { 2001:db8::1 . tcp . 443 timeout 1s }", "flow-ping.icmp.6 { 2001:db8::1 timeout 1s }",
	}
	if !slices.Equal(added, want) {
		t.Errorf("added\n%s\nwant\n%s", strings.Join(added, "\n"), strings.Join(want, "\n"))
	}
	if n := strings.Count(got, "delete element"); n != len(want) {
		t.Errorf("%d elements are replaced, want %d", n, len(want))
	}
	if other := compile(t, accepted(t, update443()), optionsFor(enforce.Squid)); other.Hosts() != nil || len(other.Fill([]enforce.Address{at("updates.example.com", "192.0.2.1", time.Minute)})) != 0 {
		t.Error("a proxy's policy has sets")
	}
}
