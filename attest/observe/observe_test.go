package observe

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest/observe/internal/packetworld"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

var (
	host     = netip.MustParseAddr("10.0.0.2")
	host6    = netip.MustParseAddr("fd00::2")
	resolver = netip.MustParseAddrPort("10.0.0.1:53")
)

func subjects() []predicate.Subject {
	return []predicate.Subject{{Name: "agent", Digest: map[string]string{"sha256": strings.Repeat("ab", 32)}}}
}

func input(name string, data []byte) Input {
	return Input{Name: name, Modified: packetworld.Start, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

// summarise observes the files, and holds the result against the rules of the statement.
func summarise(t *testing.T, o Options, inputs ...Input) *observation.Observation {
	t.Helper()
	o.Subjects = subjects()
	out, err := Observe(t.Context(), inputs, o)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := out.Payload()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := observation.Parse(payload); err != nil {
		t.Fatal(err)
	}
	return out
}

// line is a peer as the tests write it.
func line(p observation.Peer) string {
	b := fmt.Sprintf("%s %s %s:%d %s x%d", p.Direction, p.Transport, p.Name, p.Port, p.Naming, p.Connections)
	for _, more := range []struct {
		label, value string
	}{{"", p.Application}, {"tls", p.TLSVersion}, {"addr ", strings.Join(p.Addresses, ",")}, {"or ", strings.Join(p.Candidates, ",")}, {"by ", p.Process}} {
		if more.value != "" {
			b += " " + more.label + more.value
		}
	}
	if p.Failed > 0 {
		b += fmt.Sprintf(" failed%d", p.Failed)
	}
	if p.IntervalSeconds > 0 {
		b += fmt.Sprintf(" every%ds", p.IntervalSeconds)
	}
	return b
}

func lines(o *observation.Observation) string {
	var all []string
	for _, p := range o.Peers {
		all = append(all, line(p))
	}
	return strings.Join(all, "\n")
}

func gapsOf(o *observation.Observation) string {
	var all []string
	for _, g := range o.Gaps {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %d %s", g.Code, g.Count, g.Detail)))
	}
	return strings.Join(all, "\n")
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != strings.TrimSpace(want) {
		t.Errorf("%s:\n%s\nwant:\n%s", what, got, strings.TrimSpace(want))
	}
}

const dnsPeer = "outbound udp 10.0.0.1:53 direct x%d domain"

// TestNaming: how a peer is called, by what was seen before and in its connection.
func TestNaming(t *testing.T) {
	server := packetworld.Addr("192.0.2.7:443")
	for name, c := range map[string]struct {
		happens func(w *packetworld.World)
		peers   string
		gaps    string
	}{
		"answer over an alias": {func(w *packetworld.World) {
			w.Resolve(host, resolver, "Updates.Acme.example", packetworld.Alias("updates.acme.example", "edge.cdn.example", 60),
				packetworld.Address("edge.cdn.example", "192.0.2.7", 60))
			w.Dial(host, server).Close()
		}, fmt.Sprintf(dnsPeer, 1) + "\noutbound tcp updates.acme.example:443 dns x1 addr 192.0.2.7", ""},
		"an answer that was not asked for names nothing": {func(w *packetworld.World) {
			w.Resolve(host, resolver, "a.example", packetworld.Address("a.example", "192.0.2.1", 60), packetworld.Address("bank.example", "192.0.2.7", 60))
			w.Dial(host, server).Close()
		}, fmt.Sprintf(dnsPeer, 1) + "\noutbound tcp 192.0.2.7:443 direct x1", ""},
		"hello without any answers": {func(w *packetworld.World) { w.Dial(host, server).TLS("api.acme.example", tls.VersionTLS13) },
			"outbound tcp api.acme.example:443 sni x1 https tls1.3 addr 192.0.2.7", ""},
		"TLS 1.2": {func(w *packetworld.World) { w.Dial(host, server).TLS("api.acme.example", tls.VersionTLS12) },
			"outbound tcp api.acme.example:443 sni x1 https tls1.2 addr 192.0.2.7", ""},
		"no name resolution at all": {func(w *packetworld.World) { w.Dial(host, server).Close() }, "outbound tcp 192.0.2.7:443 unresolved x1", ""},
		"two names at one address": {func(w *packetworld.World) {
			w.Resolve(host, resolver, "a.example", packetworld.Address("a.example", "192.0.2.7", 60))
			w.Resolve(host, resolver, "b.example", packetworld.Address("b.example", "192.0.2.7", 60))
			w.Dial(host, server).Close()
		}, fmt.Sprintf(dnsPeer, 2) + "\noutbound tcp 192.0.2.7:443 ambiguous x1 or a.example,b.example", ""},
		"the hello tells which of two": {func(w *packetworld.World) {
			w.Resolve(host, resolver, "a.example", packetworld.Address("a.example", "192.0.2.7", 60))
			w.Resolve(host, resolver, "b.example", packetworld.Address("b.example", "192.0.2.7", 60))
			w.Dial(host, server).TLS("b.example", tls.VersionTLS13)
		}, fmt.Sprintf(dnsPeer, 2) + "\noutbound tcp b.example:443 sni x1 https tls1.3 addr 192.0.2.7", ""},
		"a used address belongs to the newest name": {func(w *packetworld.World) {
			w.Resolve(host, resolver, "a.example", packetworld.Address("a.example", "192.0.2.7", 60))
			w.Wait(2 * time.Minute)
			w.Resolve(host, resolver, "b.example", packetworld.Address("b.example", "192.0.2.7", 60))
			w.Dial(host, server).Close()
			w.Wait(time.Hour)
			w.Dial(host, server).Close()
		}, fmt.Sprintf(dnsPeer, 2) + "\noutbound tcp b.example:443 dns x2 addr 192.0.2.7", ""},
		"a hello that lies about the address": {func(w *packetworld.World) {
			w.Resolve(host, resolver, "tracker.example", packetworld.Address("tracker.example", "192.0.2.7", 60))
			w.Dial(host, server).TLS("updates.acme.example", tls.VersionTLS13)
		}, fmt.Sprintf(dnsPeer, 1) + "\noutbound tcp 192.0.2.7:443 ambiguous x1 https tls1.3 or tracker.example,updates.acme.example",
			"nameConflict 1 said updates.acme.example, the address was given to tracker.example"},
		"a hello that lies about the name": {func(w *packetworld.World) {
			w.Resolve(host, resolver, "updates.acme.example", packetworld.Address("updates.acme.example", "192.0.2.1", 60))
			w.Dial(host, server).TLS("updates.acme.example", tls.VersionTLS13)
		}, fmt.Sprintf(dnsPeer, 1) + "\noutbound tcp 192.0.2.7:443 direct x1 https tls1.3",
			"nameConflict 1 said updates.acme.example, to which other addresses were given"},
		"DNS over TLS hides what follows": {func(w *packetworld.World) {
			w.Resolve(host, resolver, "dot.acme.example", packetworld.Address("dot.acme.example", "192.0.2.53", 60))
			w.Dial(host, packetworld.Addr("192.0.2.53:853")).TLS("dot.acme.example", tls.VersionTLS13)
			w.Dial(host, server).Close()
		}, fmt.Sprintf(dnsPeer, 1) + "\noutbound tcp 192.0.2.7:443 encryptedDNS x1\noutbound tcp dot.acme.example:853 sni x1 domain-s tls1.3 addr 192.0.2.53", ""},
		"DNS over HTTPS of a known service": {func(w *packetworld.World) {
			w.Dial(host, packetworld.Addr("9.9.9.9:443")).TLS("dns.quad9.net", tls.VersionTLS13)
			w.Dial(host, server).Close()
		}, "outbound tcp 192.0.2.7:443 encryptedDNS x1\noutbound tcp dns.quad9.net:443 sni x1 https tls1.3 addr 9.9.9.9", ""},
		"multicast DNS names nothing": {func(w *packetworld.World) {
			_, answer := w.Messages("bank.example", packetworld.Address("bank.example", "192.0.2.7", 60))
			w.UDP(netip.AddrPortFrom(host, 5353), packetworld.Addr("224.0.0.251:5353"), answer)
			w.Dial(host, server).Close()
		}, "outbound tcp 192.0.2.7:443 unresolved x1\noutbound udp 224.0.0.251:5353 unresolved x1 mdns", ""},
		"an answer to no question names nothing": {func(w *packetworld.World) {
			_, answer := w.Messages("bank.example", packetworld.Address("bank.example", "192.0.2.7", 60))
			w.UDP(resolver, netip.AddrPortFrom(host, 1234), answer)
			w.Dial(host, server).Close()
		}, fmt.Sprintf(dnsPeer, 1) + "\noutbound tcp 192.0.2.7:443 direct x1", "undecoded 1 an answer of a name server to no question"},
		"host of HTTP": {func(w *packetworld.World) {
			c := w.Dial(host, packetworld.Addr("192.0.2.7:80"))
			c.Write(true, []byte("GET / HTTP/1.1\r\nUser-Agent: x\r\nHost: www.acme.example\r\n\r\n"))
			c.Close()
		}, "outbound tcp www.acme.example:80 http x1 http addr 192.0.2.7", ""},
		"through a proxy": {func(w *packetworld.World) {
			c := w.Dial(host, packetworld.Addr("10.0.0.9:3128"))
			c.Write(true, []byte("CONNECT api.acme.example:443 HTTP/1.1\r\nHost: api.acme.example:443\r\n\r\n"))
			c.Close()
		}, "outbound tcp 10.0.0.9:3128 unresolved x1 http\noutbound tcp api.acme.example:443 http x1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := packetworld.New(t)
			c.happens(w)
			for kind, data := range map[string][]byte{"pcap": w.PCAP(), "pcapng": w.PCAPNG()} {
				o := summarise(t, Options{}, input("run."+kind, data))
				expect(t, kind, lines(o), c.peers)
				expect(t, kind+": gaps", gapsOf(o), c.gaps)
				if o.Sources[0].Kind != kind || o.Sources[0].Bytes != int64(len(data)) {
					t.Errorf("source: %+v", o.Sources[0])
				}
			}
		})
	}
}
