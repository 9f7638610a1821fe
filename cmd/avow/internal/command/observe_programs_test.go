package command

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/avow-dev/avow/attest/predicate/observation"
	"github.com/avow-dev/avow/cmd/avow/internal/recorder"
)

// TestAttribute: a peer has a program only where there is no doubt.
func TestAttribute(t *testing.T) {
	to := func(remote, program string, n int) recorder.Socket {
		return recorder.Socket{Transport: "tcp", Remote: netip.MustParseAddrPort(remote), Program: program, Count: n}
	}
	sockets := []recorder.Socket{
		to("192.0.2.1:443", "agent", 2),
		to("[2001:db8::1]:443", "agent", 1),
		to("192.0.2.2:443", "agent", 1), to("192.0.2.2:443", "curl", 1),
		to("192.0.2.3:443", "agent", 1),
		to("192.0.2.4:443", "agent", 2),
		{Transport: "tcp", Listening: 8080, Program: "server", Count: 1},
		{Transport: "tcp", Listening: 8081, Program: "server", Count: 1}, {Transport: "tcp", Listening: 8081, Program: "other", Count: 1},
	}
	peer := func(name, transport, direction string, port int, connections int64, addresses ...string) observation.Peer {
		return observation.Peer{Name: name, Transport: transport, Direction: direction, Port: port, Connections: connections, Addresses: addresses}
	}
	out, in := observation.Outbound, observation.Inbound
	peers := []observation.Peer{
		peer("a.example", "tcp", out, 443, 3, "192.0.2.1", "2001:db8::1"),
		peer("192.0.2.2", "tcp", out, 443, 2),
		peer("192.0.2.3", "tcp", out, 443, 2),
		peer("b.example", "tcp", out, 443, 1, "192.0.2.4"),
		peer("c.example", "tcp", out, 443, 1, "192.0.2.4"),
		peer("192.0.2.1", "udp", out, 443, 1),
		peer("192.0.2.1", "tcp", out, 80, 1),
		peer("198.51.100.1", "tcp", in, 8080, 7),
		peer("198.51.100.2", "tcp", in, 8080, 1),
		peer("198.51.100.1", "tcp", in, 8081, 1),
		peer("192.0.2.1", "icmp", out, 0, 1),
	}
	attribute(peers, sockets)
	for i, want := range []struct{ program, why string }{
		{"agent", "all three connections, by both families"},
		{"", "two programs"},
		{"", "one of two connections was seen"},
		{"", "two names have the address"}, {"", "two names have the address"},
		{"", "another transport"},
		{"", "another port"},
		{"server", "its listener"}, {"server", "its listener, for whoever comes"},
		{"", "two programs listen"},
		{"", "no ports"},
	} {
		if peers[i].Process != want.program {
			t.Errorf("%s: got %q, want %q (%s)", peers[i].Key(), peers[i].Process, want.program, want.why)
		}
	}
	untouched := slices.Clone(peers[:1])
	untouched[0].Process = ""
	if attribute(untouched, nil); untouched[0].Process != "" {
		t.Errorf("without sockets: %q", untouched[0].Process)
	}
}
