package observe

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/net/quic"

	"github.com/avow-dev/avow/attest/observe/internal/packetworld"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// TestLinks: the same conversation on every kind of link gives the same summary.
func TestLinks(t *testing.T) {
	talk := func(w *packetworld.World) {
		w.Resolve(host, resolver, "api.acme.example", packetworld.Address("api.acme.example", "192.0.2.7", 60))
		w.Dial(host, packetworld.Addr("192.0.2.7:443")).TLS("api.acme.example", tls.VersionTLS13)
		w.Dial(host6, packetworld.Addr("[2001:db8::7]:80")).Close()
	}
	for name, set := range map[string]func(w *packetworld.World){
		"ethernet":  func(*packetworld.World) {},
		"VLAN":      func(w *packetworld.World) { w.VLAN = 7 },
		"Linux SLL": func(w *packetworld.World) { w.Link = layers.LinkTypeLinuxSLL },
		"SLL2":      func(w *packetworld.World) { w.Link = layers.LinkTypeLinuxSLL2 },
		"raw IP":    func(w *packetworld.World) { w.Link = layers.LinkTypeRaw },
		"null":      func(w *packetworld.World) { w.Link = layers.LinkTypeNull },
	} {
		w := packetworld.New(t)
		set(w)
		talk(w)
		o := summarise(t, Options{}, input(name, w.PCAP()))
		expect(t, name, lines(o), `outbound udp 10.0.0.1:53 direct x1 domain
outbound tcp 2001:db8::7:80 direct x1
outbound tcp api.acme.example:443 sni x1 https tls1.3 addr 192.0.2.7`)
		expect(t, name+": gaps", gapsOf(o), "")
	}
}

// TestTransports: directions, failures and the protocols beside TCP.
func TestTransports(t *testing.T) {
	server := packetworld.Addr("192.0.2.7:443")
	for name, c := range map[string]struct {
		options Options
		happens func(w *packetworld.World)
		peers   string
		gaps    string
	}{
		"never answered": {Options{}, func(w *packetworld.World) { w.Attempt(host, server) }, "outbound tcp 192.0.2.7:443 unresolved x1 failed1", ""},
		"refused": {Options{}, func(w *packetworld.World) {
			w.Attempt(host, server).Send(false, packetworld.Flags{RST: true, ACK: true}, nil)
		}, "outbound tcp 192.0.2.7:443 unresolved x1 failed1", ""},
		"inbound": {Options{}, func(w *packetworld.World) {
			w.Dial(netip.MustParseAddr("198.51.100.9"), netip.AddrPortFrom(host, 8080)).Close()
		}, "inbound tcp 198.51.100.9:8080 unresolved x1", ""},
		"inbound by --local": {Options{Local: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/32")}}, func(w *packetworld.World) {
			w.Dial(netip.MustParseAddr("10.0.0.3"), netip.AddrPortFrom(host, 8080)).Close()
			w.Dial(host, packetworld.Addr("10.0.0.3:80")).Close()
			w.Dial(netip.MustParseAddr("10.0.0.4"), packetworld.Addr("10.0.0.5:80")).Close()
		}, "outbound tcp 10.0.0.3:80 unresolved x1\ninbound tcp 10.0.0.3:8080 unresolved x1", "notLocal 1"},
		"without the beginning": {Options{}, func(w *packetworld.World) {
			c := w.Dial(host, server)
			w.Frames = nil
			c.Write(false, []byte("data"))
			c.Write(true, []byte("data"))
		}, "outbound tcp 192.0.2.7:443 unresolved x1", "midstream 1"},
		"a question before the capture": {Options{}, func(w *packetworld.World) {
			w.UDP(packetworld.Addr("192.0.2.9:123"), netip.AddrPortFrom(host, 5000), make([]byte, 48))
		}, "outbound udp 192.0.2.9:123 unresolved x1 ntp", ""},
		"what ours sends first is never an answer": {Options{}, func(w *packetworld.World) {
			w.UDP(netip.AddrPortFrom(host, 53), packetworld.Addr("192.0.2.9:5000"), []byte("out"))
		}, "outbound udp 192.0.2.9:5000 unresolved x1", ""},
		"every ten seconds": {Options{}, func(w *packetworld.World) {
			for range 5 {
				w.Dial(host, server).Close()
				w.Wait(10 * time.Second)
			}
		}, "outbound tcp 192.0.2.7:443 unresolved x5 every10s", ""},
		"the same ports again": {Options{}, func(w *packetworld.World) {
			one := w.Dial(host, server)
			one.Close()
			again := *one
			again.SeqClient = 900_000
			again.Send(true, packetworld.Flags{SYN: true}, nil)
			again.Send(false, packetworld.Flags{SYN: true, ACK: true}, nil)
		}, "outbound tcp 192.0.2.7:443 unresolved x2", ""},
		"silence makes two of a UDP conversation": {Options{}, func(w *packetworld.World) {
			from := netip.AddrPortFrom(host, w.Port())
			w.UDP(from, packetworld.Addr("192.0.2.9:5000"), []byte("a"))
			w.UDP(from, packetworld.Addr("192.0.2.9:5000"), []byte("b"))
			w.Wait(time.Hour)
			w.UDP(from, packetworld.Addr("192.0.2.9:5000"), []byte("c"))
		}, "outbound udp 192.0.2.9:5000 unresolved x2", ""},
		"ping, and an error about a connection": {Options{}, func(w *packetworld.World) {
			w.Packet(host, server.Addr(), layers.IPProtocolICMPv4, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0)}, gopacket.Payload("ping"))
			w.Packet(server.Addr(), host, layers.IPProtocolICMPv4, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(0, 0)}, gopacket.Payload("ping"))
			from := netip.AddrPortFrom(host, w.Port())
			w.UDP(from, packetworld.Addr("192.0.2.9:5000"), []byte("a"))
			about := w.Frames[len(w.Frames)-1].Data[14:]
			w.Packet(netip.MustParseAddr("192.0.2.254"), host, layers.IPProtocolICMPv4, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)}, gopacket.Payload(about))
		}, "outbound icmp 192.0.2.7:0 unresolved x1\noutbound udp 192.0.2.9:5000 unresolved x1", ""},
		"SCTP and a tunnel": {Options{}, func(w *packetworld.World) {
			w.Packet(host, server.Addr(), layers.IPProtocolSCTP, gopacket.Payload{0x30, 0x39, 0x0b, 0x59, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 4})
			w.Packet(host, server.Addr(), layers.IPProtocolGRE, gopacket.Payload("anything"))
		}, "outbound other 192.0.2.7:0 unresolved x1\noutbound sctp 192.0.2.7:2905 unresolved x1 failed1", ""},
		"housekeeping of the link": {Options{}, func(w *packetworld.World) {
			w.Dial(host, server).Close()
			w.Packet(host, netip.MustParseAddr("224.0.0.22"), layers.IPProtocolIGMP, gopacket.Payload{0x22, 0, 0, 0, 0, 0, 0, 0})
			w.Packet(netip.MustParseAddr("fe80::1"), netip.MustParseAddr("ff02::1"), layers.IPProtocolICMPv6, gopacket.Payload{134, 0, 0, 0, 0, 0, 0, 0})
		}, "outbound tcp 192.0.2.7:443 unresolved x1", ""},
		"only answers of the named resolver count": {Options{Resolvers: []netip.Addr{resolver.Addr()}}, func(w *packetworld.World) {
			w.Resolve(host, packetworld.Addr("198.51.100.1:53"), "bank.example", packetworld.Address("bank.example", "192.0.2.7", 60))
			w.Dial(host, server).Close()
		}, "outbound tcp 192.0.2.7:443 direct x1\noutbound udp 198.51.100.1:53 direct x1 domain", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := packetworld.New(t)
			c.happens(w)
			o := summarise(t, c.options, input("run.pcap", w.PCAP()))
			expect(t, "peers", lines(o), c.peers)
			expect(t, "gaps", gapsOf(o), c.gaps)
		})
	}
}

// TestBytes: payload counts once, however often it was sent and however much of
// it the capture has.
func TestBytes(t *testing.T) {
	w := packetworld.New(t)
	c := w.Dial(host, packetworld.Addr("192.0.2.7:9000"))
	c.Write(true, make([]byte, 3000))
	c.Write(false, make([]byte, 500)) // over the end of the sequence space
	again := *c
	again.SeqClient -= 1400
	again.Send(true, packetworld.Flags{ACK: true}, make([]byte, 1400))
	c.SeqSv += 2000 // the capture lost these
	c.Write(false, make([]byte, 100))
	c.Close()
	for n := range w.Frames { // a capture of headers only
		f := &w.Frames[n]
		f.Length = len(f.Data)
		f.Data = f.Data[:min(len(f.Data), 54)]
	}
	o := summarise(t, Options{}, input("run.pcap", w.PCAP()))
	if p := o.Peers[0]; *p.BytesOut != 3000 || *p.BytesIn != 2600 {
		t.Errorf("out %d, in %d, want 3000 and 2600", *p.BytesOut, *p.BytesIn)
	}
	if first, last := o.Peers[0].FirstSeen, o.Peers[0].LastSeen; !first.Equal(packetworld.Start.Add(time.Millisecond)) || !last.Equal(w.Now) {
		t.Errorf("seen from %s to %s", first, last)
	}
}

// TestReassembly: hellos and answers in pieces, in whatever order they come.
func TestReassembly(t *testing.T) {
	client, server := packetworld.Hellos(t, "api.acme.example", tls.VersionTLS12)
	w := packetworld.New(t)
	c := w.Dial(host, packetworld.Addr("192.0.2.7:443"))
	c.Segment = 60
	before := len(w.Frames)
	c.Write(true, client)
	for n := before; n+1 < len(w.Frames) && n < before+8; n += 2 { // every two change places
		w.Frames[n].Data, w.Frames[n+1].Data = w.Frames[n+1].Data, w.Frames[n].Data
	}
	c.Write(false, server)
	c.Close()
	expect(t, "hello", lines(summarise(t, Options{}, input("run.pcap", w.PCAP()))),
		"outbound tcp api.acme.example:443 sni x1 https tls1.2 addr 192.0.2.7")

	w = packetworld.New(t)
	d := w.Dial(host, resolver)
	d.Segment = 11
	for _, name := range []string{"a.example", "b.example"} {
		query, answer := w.Messages(name, packetworld.Address(name, map[string]string{"a.example": "192.0.2.7", "b.example": "192.0.2.8"}[name], 60))
		d.Write(true, append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...))
		d.Write(false, append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	}
	d.Close()
	w.Dial(host, packetworld.Addr("192.0.2.8:443")).Close()
	expect(t, "DNS over TCP", lines(summarise(t, Options{}, input("run.pcap", w.PCAP()))),
		"outbound tcp 10.0.0.1:53 direct x1 domain\noutbound tcp b.example:443 dns x1 addr 192.0.2.8")
}

// TestPieces: a hello in more pieces than anybody sends is given up, and said.
func TestPieces(t *testing.T) {
	client, _ := packetworld.Hellos(t, "api.acme.example", tls.VersionTLS12)
	w := packetworld.New(t)
	c := w.Dial(host, packetworld.Addr("192.0.2.7:443"))
	c.Segment = 1
	c.Write(true, client[:maxParts+1])
	o := summarise(t, Options{}, input("run.pcap", w.PCAP()))
	expect(t, "peers", lines(o), "outbound tcp 192.0.2.7:443 unresolved x1")
	expect(t, "gaps", gapsOf(o), "truncated 1 "+gapHello)
}

// TestQUIC: the name in the Initial packets of a real client, which has to be
// decrypted.
func TestQUIC(t *testing.T) {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	endpoint, err := quic.Listen("udp", "127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	dialed := make(chan struct{})
	go func() {
		defer close(dialed)
		_, _ = endpoint.Dial(t.Context(), "udp", socket.LocalAddr().String(), // nobody answers
			&quic.Config{TLSConfig: &tls.Config{ServerName: "quic.acme.example", MinVersion: tls.VersionTLS13, NextProtos: []string{"h3"}}})
	}()
	var flight [2][]byte // a hello with keys of today does not fit into one
	for n := range flight {
		datagram := make([]byte, 2000)
		size, _, err := socket.ReadFrom(datagram)
		if err != nil {
			t.Fatal(err)
		}
		flight[n] = datagram[:size]
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it need not wait for a peer that says nothing
	_ = endpoint.Close(ctx)
	<-dialed
	w := packetworld.New(t)
	w.UDP(netip.AddrPortFrom(host, 4000), packetworld.Addr("192.0.2.7:443"), flight[0])
	o := summarise(t, Options{}, input("run.pcap", w.PCAP()))
	expect(t, "peers of a half", lines(o), "outbound udp 192.0.2.7:443 unresolved x1")
	expect(t, "gaps of a half", gapsOf(o), "truncated 1 a hello or an answer is not all there")
	w.UDP(packetworld.Addr("192.0.2.7:443"), netip.AddrPortFrom(host, 4000), []byte("answer"))
	w.UDP(netip.AddrPortFrom(host, 4000), packetworld.Addr("192.0.2.7:443"), flight[1])
	o = summarise(t, Options{}, input("run.pcap", w.PCAP()))
	expect(t, "peers", lines(o), "outbound udp quic.acme.example:443 sni x1 https tls1.3 addr 192.0.2.7")
	expect(t, "gaps", gapsOf(o), "")
}

// TestFragments: later parts count where the first part was seen; where it was
// not, the peer is still there.
func TestFragments(t *testing.T) {
	w := packetworld.New(t)
	from, to := netip.AddrPortFrom(host, 4000), packetworld.Addr("192.0.2.7:5000")
	w.UDP(from, to, make([]byte, 1000))
	part := func(n int, offset uint16, more byte) {
		f := append([]byte(nil), w.Frames[n].Data...)
		f[14+6], f[14+7] = more|byte(offset>>8), byte(offset)
		w.Frames = append(w.Frames, packetworld.Frame{At: w.Now, Data: f})
	}
	part(0, 0, 0x20)
	part(0, 126, 0)
	first := w.Frames[1:3]
	o := summarise(t, Options{}, input("run.pcap", with(w, first).PCAP()))
	expect(t, "peers", lines(o), "outbound udp 192.0.2.7:5000 unresolved x1")
	if got := *o.Peers[0].BytesOut; got != 1000+1008 {
		t.Errorf("%d bytes, want 2008", got)
	}
	o = summarise(t, Options{}, input("run.pcap", with(w, first[1:]).PCAP()))
	expect(t, "peers", lines(o), "outbound udp 192.0.2.7:0 unresolved x1")
	expect(t, "gaps", gapsOf(o), "fragments 1")
}

func with(w *packetworld.World, frames []packetworld.Frame) *packetworld.World {
	other := *w
	other.Frames = frames
	return &other
}

// TestJoined: the answers are in one capture, the connections in another that is
// given first.
func TestJoined(t *testing.T) {
	names, conns := packetworld.New(t), packetworld.New(t)
	names.Resolve(host, resolver, "api.acme.example", packetworld.Address("api.acme.example", "192.0.2.7", 60))
	conns.Wait(time.Second)
	conns.Dial(host, packetworld.Addr("192.0.2.7:443")).Close()
	o := summarise(t, Options{}, input("conns.pcap", conns.PCAP()), input("names.pcap", names.PCAPNG()))
	expect(t, "peers", lines(o), "outbound udp 10.0.0.1:53 direct x1 domain\noutbound tcp api.acme.example:443 dns x1 addr 192.0.2.7")
	if o.Peers[0].Connections != 1 || len(o.Sources) != 2 {
		t.Errorf("%+v", o.Sources)
	}
}

// TestMemory: beyond the limits the summary is partial and says so.
func TestMemory(t *testing.T) {
	w := packetworld.New(t)
	for n := range 300 {
		w.Attempt(host, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), uint16(1000+n)))
	}
	o := summarise(t, Options{MaxFlows: 10, MaxPeers: 100}, input("run.pcap", w.PCAP()))
	if len(o.Peers) != 100 {
		t.Errorf("%d peers, want 100", len(o.Peers))
	}
	expect(t, "gaps", gapsOf(o), "evicted 290 packets\npeersLimit 200")
}

// TestLive: a recording ends with its stream or with its context. A packet that
// the end of the context cut was not lost; one that the stream lacks was.
func TestLive(t *testing.T) {
	w := packetworld.New(t)
	w.Dial(host, packetworld.Addr("192.0.2.7:443")).Close()
	cut := w.PCAP()
	cut = cut[:len(cut)-10]
	for name, c := range map[string]struct {
		canceled bool
		gaps     string
	}{
		"the stream ends":  {false, "truncated 1 byte 404: a packet is cut: got 66 bytes, want 76"},
		"the context ends": {true, ""},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		r, pipe := io.Pipe()
		go func() {
			_, err := pipe.Write(cut)
			if c.canceled {
				cancel()
				err = errors.New("the recorder was stopped")
			}
			pipe.CloseWithError(err) // nil is the end of the stream
		}()
		o, err := Live(ctx, r, "eth0", Options{Subjects: subjects(), Vantage: observation.VantageNamespace})
		cancel()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		expect(t, name, lines(o), "outbound tcp 192.0.2.7:443 unresolved x1")
		expect(t, name+": gaps", gapsOf(o), c.gaps)
		if o.Vantage != observation.VantageNamespace || o.Sources[0].Name != "eth0" || o.Sources[0].SHA256 != "" {
			t.Errorf("%s: %s, %+v", name, o.Vantage, o.Sources)
		}
	}
	silent, err := Live(t.Context(), bytes.NewReader(packetworld.New(t).PCAP()), "eth0", Options{Subjects: subjects(), Start: packetworld.Start})
	if err != nil {
		t.Fatal(err)
	}
	if payload, err := silent.Payload(); err != nil || len(silent.Peers) != 0 || !silent.Start.Equal(packetworld.Start) {
		t.Errorf("of silence: %v\n%s", err, payload)
	}
	if _, err := Live(t.Context(), strings.NewReader("text"), "eth0", Options{}); !errors.Is(err, ErrFormat) {
		t.Errorf("got %v, want %v", err, ErrFormat)
	}
}
