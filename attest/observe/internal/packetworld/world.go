package packetworld

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Frame is a packet of a capture.
type Frame struct {
	At   time.Time
	Data []byte
	// Length on the wire; 0 is that of Data.
	Length int
}

// World is a machine whose wire is captured.
type World struct {
	t      testing.TB
	Now    time.Time
	Frames []Frame
	// Link is the link type of the capture.
	Link layers.LinkType
	VLAN uint16
	port uint16
	id   uint16
}

// Start is when every world begins.
var Start = time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)

// New returns a machine on an Ethernet.
func New(t testing.TB) *World {
	return &World{t: t, Now: Start, Link: layers.LinkTypeEthernet, port: 40000}
}

func (w *World) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// Wait lets time pass.
func (w *World) Wait(d time.Duration) { w.Now = w.Now.Add(d) }

// Port returns a port that was not used before.
func (w *World) Port() uint16 {
	w.port++
	return w.port
}

// Addr reads ADDRESS:PORT.
func Addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// Packet puts a packet on the wire, a millisecond after the one before.
func (w *World) Packet(src, dst netip.Addr, proto layers.IPProtocol, parts ...gopacket.SerializableLayer) {
	w.t.Helper()
	w.Wait(time.Millisecond)
	w.Frames = append(w.Frames, Frame{At: w.Now, Data: w.Encode(src, dst, proto, parts...)})
}

// Encode makes the frame of a packet.
func (w *World) Encode(src, dst netip.Addr, proto layers.IPProtocol, parts ...gopacket.SerializableLayer) []byte {
	w.t.Helper()
	var network gopacket.NetworkLayer
	etherType := layers.EthernetTypeIPv4
	if src.Is4() {
		w.id++
		network = &layers.IPv4{Version: 4, TTL: 64, Id: w.id, Protocol: proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
	} else {
		etherType = layers.EthernetTypeIPv6
		network = &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
	}
	for _, p := range parts {
		if sums, ok := p.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			w.check(sums.SetNetworkLayerForChecksum(network))
		}
	}
	all := append(w.frame(etherType), network.(gopacket.SerializableLayer))
	b := gopacket.NewSerializeBuffer()
	w.check(gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, append(all, parts...)...))
	return bytes.Clone(b.Bytes())
}

// frame is what the link puts before the packet.
func (w *World) frame(etherType layers.EthernetType) []gopacket.SerializableLayer {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	switch w.Link {
	case layers.LinkTypeEthernet:
		e := &layers.Ethernet{SrcMAC: mac, DstMAC: mac, EthernetType: etherType}
		if w.VLAN != 0 {
			e.EthernetType = layers.EthernetTypeDot1Q
			return []gopacket.SerializableLayer{e, &layers.Dot1Q{VLANIdentifier: w.VLAN, Type: etherType}}
		}
		return []gopacket.SerializableLayer{e}
	case layers.LinkTypeLinuxSLL: // gopacket reads it and does not write it
		return []gopacket.SerializableLayer{gopacket.Payload{0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, byte(etherType >> 8), byte(etherType)}}
	case layers.LinkTypeLinuxSLL2:
		return []gopacket.SerializableLayer{gopacket.Payload{byte(etherType >> 8), byte(etherType), 0, 0, 0, 0, 0, 2, 0, 1, 4, 6, 2, 0, 0, 0, 0, 1, 0, 0}}
	case layers.LinkTypeNull:
		family := byte(2)
		if etherType == layers.EthernetTypeIPv6 {
			family = 30
		}
		return []gopacket.SerializableLayer{gopacket.Payload{family, 0, 0, 0}}
	}
	return nil // raw IP
}

// UDP sends a datagram.
func (w *World) UDP(from, to netip.AddrPort, payload []byte) {
	w.t.Helper()
	w.Packet(from.Addr(), to.Addr(), layers.IPProtocolUDP,
		&layers.UDP{SrcPort: layers.UDPPort(from.Port()), DstPort: layers.UDPPort(to.Port())}, gopacket.Payload(payload))
}

// Resolve asks a server for a name over UDP and is answered.
func (w *World) Resolve(client netip.Addr, server netip.AddrPort, question string, records ...layers.DNSResourceRecord) {
	w.t.Helper()
	from := netip.AddrPortFrom(client, w.Port())
	query, answer := w.Messages(question, records...)
	w.UDP(from, server, query)
	w.UDP(server, from, answer)
}

// Messages are the two messages of a resolution.
func (w *World) Messages(question string, records ...layers.DNSResourceRecord) (query, answer []byte) {
	w.t.Helper()
	d := layers.DNS{ID: w.port, RD: true, Questions: []layers.DNSQuestion{{Name: []byte(question), Type: layers.DNSTypeA, Class: layers.DNSClassIN}}}
	query = w.bytes(&d)
	d.QR, d.RA, d.Answers = true, true, records
	return query, w.bytes(&d)
}

func (w *World) bytes(l gopacket.SerializableLayer) []byte {
	b := gopacket.NewSerializeBuffer()
	w.check(gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, l))
	return bytes.Clone(b.Bytes())
}

// Address is a record with an address.
func Address(owner, addr string, ttl uint32) layers.DNSResourceRecord {
	a := netip.MustParseAddr(addr)
	kind := layers.DNSTypeA
	if a.Is6() {
		kind = layers.DNSTypeAAAA
	}
	return layers.DNSResourceRecord{Name: []byte(owner), Type: kind, Class: layers.DNSClassIN, TTL: ttl, IP: a.AsSlice()}
}

// Alias is a record that leads from one name to another.
func Alias(owner, to string, ttl uint32) layers.DNSResourceRecord {
	return layers.DNSResourceRecord{Name: []byte(owner), Type: layers.DNSTypeCNAME, Class: layers.DNSClassIN, TTL: ttl, CNAME: []byte(to)}
}

// TCP is a connection that is open.
type TCP struct {
	w                *World
	Client, Server   netip.AddrPort
	SeqClient, SeqSv uint32
	// Segment is the largest segment.
	Segment int
}

// Flags of a segment.
type Flags struct{ SYN, ACK, FIN, RST bool }

// Dial opens a connection.
func (w *World) Dial(client netip.Addr, server netip.AddrPort) *TCP {
	w.t.Helper()
	c := w.Attempt(client, server)
	c.Send(false, Flags{SYN: true, ACK: true}, nil)
	c.SeqSv++
	c.Send(true, Flags{ACK: true}, nil)
	return c
}

// Attempt sends a SYN.
func (w *World) Attempt(client netip.Addr, server netip.AddrPort) *TCP {
	w.t.Helper()
	c := &TCP{w: w, Client: netip.AddrPortFrom(client, w.Port()), Server: server, SeqClient: 1000, SeqSv: 4_294_967_000, Segment: 1400}
	c.Send(true, Flags{SYN: true}, nil)
	c.SeqClient++
	return c
}

// Send sends one segment.
func (c *TCP) Send(client bool, f Flags, payload []byte) {
	c.w.t.Helper()
	from, to, seq, ack := c.Client, c.Server, c.SeqClient, c.SeqSv
	if !client {
		from, to, seq, ack = c.Server, c.Client, c.SeqSv, c.SeqClient
	}
	c.w.Packet(from.Addr(), to.Addr(), layers.IPProtocolTCP, &layers.TCP{SrcPort: layers.TCPPort(from.Port()), DstPort: layers.TCPPort(to.Port()),
		Seq: seq, Ack: ack, Window: 65535, SYN: f.SYN, ACK: f.ACK, FIN: f.FIN, RST: f.RST}, gopacket.Payload(payload))
}

// Write sends data in segments.
func (c *TCP) Write(client bool, data []byte) {
	c.w.t.Helper()
	for len(data) > 0 {
		n := min(len(data), c.Segment)
		c.Send(client, Flags{ACK: true}, data[:n])
		if client {
			c.SeqClient += uint32(n)
		} else {
			c.SeqSv += uint32(n)
		}
		data = data[n:]
	}
}

// Close ends the connection from both sides.
func (c *TCP) Close() {
	c.w.t.Helper()
	c.Send(true, Flags{FIN: true, ACK: true}, nil)
	c.SeqClient++
	c.Send(false, Flags{FIN: true, ACK: true}, nil)
	c.SeqSv++
	c.Send(true, Flags{ACK: true}, nil)
}

// TLS says the hellos of crypto/tls for a name in a version, and closes.
func (c *TCP) TLS(name string, version uint16) {
	c.w.t.Helper()
	client, server := Hellos(c.w.t, name, version)
	c.Write(true, client)
	c.Write(false, server)
	c.Close()
}

// recorder keeps what is written to a connection until the other side answers.
type recorder struct {
	net.Conn

	mu    sync.Mutex
	wrote bytes.Buffer
}

// Write implements io.Writer.
func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	r.wrote.Write(b)
	r.mu.Unlock()
	return r.Conn.Write(b)
}

func (r *recorder) first() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.wrote.Bytes())
}

// Hellos returns all that client and server of crypto/tls write in a handshake.
func Hellos(t testing.TB, name string, version uint16) (client, server []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"server.example"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a, b := net.Pipe()
	near, far := &recorder{Conn: a}, &recorder{Conn: b}
	done := make(chan error, 1)
	go func() {
		//nolint:gosec // old versions are what is tested
		s := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS10})
		err := s.Handshake()
		if err == nil {
			_, err = io.Copy(io.Discard, s)
		}
		done <- err
	}()
	//nolint:gosec // the peer is ourselves, and old versions are what is tested
	c := tls.Client(near, &tls.Config{ServerName: name, InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: version})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	client, server = near.first(), far.first()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return client, server
}

// PCAP writes the capture as pcap.
func (w *World) PCAP() []byte {
	w.t.Helper()
	var b bytes.Buffer
	out := pcapgo.NewWriter(&b)
	w.check(out.WriteFileHeader(262144, w.Link))
	for _, f := range w.Frames {
		w.check(out.WritePacket(f.info(), f.Data))
	}
	return b.Bytes()
}

// PCAPNG writes the capture as pcapng.
func (w *World) PCAPNG() []byte {
	w.t.Helper()
	var b bytes.Buffer
	out, err := pcapgo.NewNgWriter(&b, w.Link)
	w.check(err)
	for _, f := range w.Frames {
		w.check(out.WritePacket(f.info(), f.Data))
	}
	w.check(out.Flush())
	return b.Bytes()
}

func (f Frame) info() gopacket.CaptureInfo {
	return gopacket.CaptureInfo{Timestamp: f.At, CaptureLength: len(f.Data), Length: max(f.Length, len(f.Data))}
}
