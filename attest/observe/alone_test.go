package observe

import (
	"crypto/tls"
	"net/netip"
	"testing"

	"github.com/avow-dev/avow/attest/observe/internal/packetworld"
)

// TestAlone: where everything of a program was recorded, a name that it says and
// that no resolver gave it is not believed, and what it says to itself is what it
// serves, if anything does.
func TestAlone(t *testing.T) {
	server := packetworld.Addr("192.0.2.7:443")
	loopback := netip.MustParseAddr("127.0.0.1")
	local := []netip.Prefix{netip.PrefixFrom(host, host.BitLen()), netip.PrefixFrom(loopback, loopback.BitLen())}
	for name, c := range map[string]struct {
		happens     func(w *packetworld.World)
		peers, gaps string
	}{
		"a name that was never resolved": {func(w *packetworld.World) { w.Dial(host, server).TLS("api.acme.example", tls.VersionTLS13) },
			"outbound tcp 192.0.2.7:443 direct x1 https tls1.3", "nameConflict 1 said api.acme.example, which no name server was asked for"},
		"a name that was": {func(w *packetworld.World) {
			w.Resolve(host, resolver, "api.acme.example", packetworld.Address("api.acme.example", "192.0.2.7", 60))
			w.Dial(host, server).TLS("api.acme.example", tls.VersionTLS13)
		}, "outbound udp 10.0.0.1:53 direct x1 domain\noutbound tcp api.acme.example:443 sni x1 https tls1.3 addr 192.0.2.7", ""},
		"no name at all": {func(w *packetworld.World) { w.Dial(host, server).Close() }, "outbound tcp 192.0.2.7:443 direct x1", ""},
		"itself": {func(w *packetworld.World) { w.Dial(loopback, packetworld.Addr("127.0.0.1:8470")).Close() },
			"inbound tcp 127.0.0.1:8470 direct x1", ""},
		"nobody there": {func(w *packetworld.World) { w.Attempt(loopback, packetworld.Addr("127.0.0.1:5432")) },
			"outbound tcp 127.0.0.1:5432 direct x1 failed1", ""},
		"itself, before it listens": {func(w *packetworld.World) {
			w.Attempt(loopback, packetworld.Addr("127.0.0.1:8470"))
			w.Dial(loopback, packetworld.Addr("127.0.0.1:8470")).Close()
		}, "inbound tcp 127.0.0.1:8470 direct x2 failed1", ""},
		"a datagram to nobody": {func(w *packetworld.World) {
			w.UDP(netip.AddrPortFrom(loopback, 4000), packetworld.Addr("127.0.0.1:514"), []byte("log"))
		}, "outbound udp 127.0.0.1:514 direct x1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := packetworld.New(t)
			c.happens(w)
			o := summarise(t, Options{Local: local, Alone: true}, input("run.pcap", w.PCAP()))
			expect(t, "peers", lines(o), c.peers)
			expect(t, "gaps", gapsOf(o), c.gaps)
		})
	}
}

// TestLateResolver: a connection to a resolver out of sight may end after those
// that it gave addresses to, and still tells why they have no names.
func TestLateResolver(t *testing.T) {
	w := packetworld.New(t)
	doh := w.Dial(host, packetworld.Addr("9.9.9.9:443"))
	client, answer := packetworld.Hellos(t, "dns.quad9.net", tls.VersionTLS13)
	doh.Write(true, client)
	doh.Write(false, answer)
	w.Dial(host, packetworld.Addr("192.0.2.7:4444")).Close()
	doh.Close()
	o := summarise(t, Options{}, input("run.pcap", w.PCAP()))
	expect(t, "peers", lines(o), "outbound tcp 192.0.2.7:4444 encryptedDNS x1\noutbound tcp dns.quad9.net:443 sni x1 https tls1.3 addr 9.9.9.9")
}
