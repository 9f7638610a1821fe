package wire

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/tls"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/avow-dev/avow/attest/observe/internal/packetworld"
)

// TestQUICKeys: the keys of RFC 9001, A.1 and RFC 9369, A.1, proven by what they
// decrypt and by the mask that they give.
func TestQUICKeys(t *testing.T) {
	dcid := unhex(t, "8394c8f03e515708")
	for version, want := range map[uint32]struct{ key, iv, hp string }{
		quicV1: {"1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c", "9f50449e04a0e810283a1e9933adedd2"},
		quicV2: {"8b1a0bc121284290a29e0971b5cd045d", "91f73e2351d8fa91660e909f", "45b95e15235d6f45a6b19cbcb0294ba9"},
	} {
		var q QUIC
		if err := q.keys(version, dcid); err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(q.iv); got != want.iv {
			t.Errorf("%#x: iv %s, want %s", version, got, want.iv)
		}
		block, err := aes.NewCipher(unhex(t, want.key))
		if err != nil {
			t.Fatal(err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		sealed := aead.Seal(nil, q.iv, []byte("text"), nil)
		if opened, err := q.packet.Open(nil, q.iv, sealed, nil); err != nil || string(opened) != "text" {
			t.Errorf("%#x: another packet key: %v", version, err)
		}
		hp, err := aes.NewCipher(unhex(t, want.hp))
		if err != nil {
			t.Fatal(err)
		}
		var mine, theirs [aes.BlockSize]byte
		q.header.Encrypt(mine[:], make([]byte, aes.BlockSize))
		hp.Encrypt(theirs[:], make([]byte, aes.BlockSize))
		if mine != theirs {
			t.Errorf("%#x: mask % x, want % x", version, mine, theirs)
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRequests: what an HTTP client says first.
func TestRequests(t *testing.T) {
	for head, want := range map[string]Hello{
		"GET / HTTP/1.1\r\nHost: A.example\r\n\r\n":                      {Protocol: "http", Name: "a.example"},
		"GET / HTTP/1.1\r\nhost:a.example:8080\r\n\r\n":                  {Protocol: "http", Name: "a.example"},
		"GET / HTTP/1.1\r\nHost: 192.0.2.7\r\n\r\n":                      {Protocol: "http"},
		"GET / HTTP/1.1\r\nHost: [2001:db8::7]:80\r\n\r\n":               {Protocol: "http"},
		"GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n":   {Protocol: "http", Odd: true},
		"GET / HTTP/1.1\r\nHost: a b\r\n\r\n":                            {Protocol: "http", Odd: true},
		"GET http://u:p@b.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n": {Protocol: "http", Through: &Target{Name: "b.example", Port: 80}},
		"CONNECT b.example:8443 HTTP/1.1\r\n":                            {Protocol: "http", Through: &Target{Name: "b.example", Port: 8443}},
		"CONNECT [2001:db8::7]:443 HTTP/1.1\r\n":                         {Protocol: "http", Through: &Target{Addr: netip.MustParseAddr("2001:db8::7"), Port: 443}},
		"CONNECT b.example:99999 HTTP/1.1\r\n":                           {Protocol: "http", Odd: true},
		"SSH-2.0-OpenSSH\r\n":                                            {Protocol: "ssh"},
		"GET gopher\r\n":                                                 {},
		"\x00\x01binary":                                                 {},
	} {
		got, more := Client([]byte(head))
		same := got.Protocol == want.Protocol && got.Name == want.Name && got.Odd == want.Odd && (got.Through == nil) == (want.Through == nil)
		if more || !same || want.Through != nil && *got.Through != *want.Through {
			t.Errorf("%q: got %+v, more %v, want %+v", head, got, more, want)
		}
		for n := range len(head) { // of a beginning, nothing is believed that the whole does not say
			if part, more := Client([]byte(head[:n])); !more && part.Name != want.Name && part.Name != "" {
				t.Errorf("%q: got %+v", head[:n], part)
			}
		}
	}
}

// TestHelloInPieces: a hello is asked for more bytes until it is whole, and then read.
func TestHelloInPieces(t *testing.T) {
	client, server := packetworld.Hellos(t, "api.acme.example", tls.VersionTLS13)
	size := 5 + int(be.Uint16(client[3:]))
	for n := range size {
		if h, more := Client(client[:n]); !more {
			t.Fatalf("%d of %d bytes: %+v", n, size, h)
		}
	}
	// The same in two records.
	split := append([]byte{22, 3, 1, 0, 100}, client[5:105]...)
	split = append(split, 22, 3, 1, byte((size-105)>>8), byte(size-105))
	split = append(split, client[105:size]...)
	for _, b := range [][]byte{client, split} {
		if h, more := Client(b); more || h.Name != "api.acme.example" {
			t.Errorf("got %+v, more %v", h, more)
		}
	}
	if h, more := Server(server); more || h.Version != "1.3" {
		t.Errorf("server: got %+v, more %v", h, more)
	}
	if h, _ := Server(client); h.Version != "" {
		t.Errorf("a client's hello is taken for a server's: %+v", h)
	}
}

// TestServiceHints: hint addresses of RFC 9460 count, under the name that was asked for.
func TestServiceHints(t *testing.T) {
	d := layers.DNS{ID: 1, QR: true, Questions: []layers.DNSQuestion{{Name: []byte("a.example"), Type: 65, Class: layers.DNSClassIN}}}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, &d); err != nil {
		t.Fatal(err)
	}
	message := append([]byte(nil), b.Bytes()...)
	message[7] = 1 // one answer: its name is that of the question
	rdata := unhex(t, "0001"+"00"+"0004"+"0004"+"c0000207"+"0006"+"0010"+"20010db8000000000000000000000007")
	message = append(message, 0xc0, 12, 0, 65, 0, 1, 0, 0, 0, 60, 0, byte(len(rdata)))
	got, err := ParseDNS(append(message, rdata...))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, a := range got.Answers {
		all = append(all, a.Name+" "+a.Addr.String())
	}
	if s := strings.Join(all, ", "); s != "a.example 192.0.2.7, a.example 2001:db8::7" {
		t.Error(s)
	}
}

// FuzzDecode holds the headers against gopacket: what it decodes without an error
// is decoded here, and the same.
func FuzzDecode(f *testing.F) {
	w := packetworld.New(f)
	w.Dial(netip.MustParseAddr("10.0.0.2"), packetworld.Addr("192.0.2.7:443")).Close()
	w.UDP(packetworld.Addr("[fd00::2]:4000"), packetworld.Addr("[2001:db8::7]:53"), []byte("x"))
	w.VLAN = 5
	w.UDP(packetworld.Addr("10.0.0.2:4000"), packetworld.Addr("192.0.2.7:53"), []byte("x"))
	for _, frame := range w.Frames {
		f.Add(uint16(LinkEthernet), frame.Data)
		f.Add(uint16(LinkRaw), frame.Data[14:])
	}
	f.Fuzz(func(t *testing.T, link uint16, data []byte) {
		var p Packet
		outcome := Decode(link, data, len(data), &p)
		if outcome == Decoded && (p.Length < 0 || len(p.Payload) > len(data)) {
			t.Fatalf("%+v", p)
		}
		if about, ok := Embedded(&p); ok && about.Src == (Addr{}) && about.Dst == (Addr{}) && about.Proto == 0 && len(p.Payload) == 0 {
			t.Fatal("an error about nothing")
		}
		Housekeeping(&p)
		if link == LinkEthernet {
			agrees(t, data, outcome, &p)
		}
	})
}

// agrees compares with gopacket where that is sure.
func agrees(t *testing.T, data []byte, outcome Outcome, p *Packet) {
	t.Helper()
	g := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.DecodeOptions{NoCopy: true})
	all := g.Layers()
	if g.ErrorLayer() != nil || g.Metadata().Truncated || len(all) < 3 {
		return
	}
	at := 1
	for at < len(all) && all[at].LayerType() == layers.LayerTypeDot1Q && at <= maxTags {
		at++
	}
	if at+1 >= len(all) {
		return
	}
	ip, ok := all[at].(*layers.IPv4)
	if !ok || ip.Version != 4 || ip.FragOffset != 0 || ip.Flags&layers.IPv4MoreFragments != 0 || ip.Length == 0 {
		return
	}
	var src, dst uint16
	switch l := all[at+1].(type) {
	case *layers.TCP:
		src, dst = uint16(l.SrcPort), uint16(l.DstPort)
	case *layers.UDP:
		src, dst = uint16(l.SrcPort), uint16(l.DstPort)
	default:
		return
	}
	if outcome != Decoded {
		t.Fatalf("outcome %d, gopacket: %v", outcome, g)
	}
	from, _ := netip.AddrFromSlice(ip.SrcIP)
	to, _ := netip.AddrFromSlice(ip.DstIP)
	if p.Src.Netip() != from || p.Dst.Netip() != to || p.SrcPort != src || p.DstPort != dst || p.Proto != uint8(ip.Protocol) {
		t.Fatalf("%+v, gopacket: %v", p, g)
	}
}

// FuzzDNS: whatever a message holds, names that come out are names.
func FuzzDNS(f *testing.F) {
	w := packetworld.New(f)
	_, answer := w.Messages("a.example", packetworld.Alias("a.example", "b.example", 60), packetworld.Address("b.example", "192.0.2.7", 60))
	f.Add(answer)
	f.Add(append([]byte("\x00\x00\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"), 0xc0, 12, 0, 1, 0, 1, 0xc0, 12))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := ParseDNS(data)
		if err != nil && len(d.Answers) > 0 {
			t.Fatal("answers of a message that cannot be read")
		}
		for _, a := range d.Answers {
			if a.Name != strings.ToLower(a.Name) || strings.ContainsAny(a.Name, " /:*\x00") || !a.Addr.IsValid() || a.TTL > maxTTL {
				t.Fatalf("%+v", a)
			}
		}
		for rest, more := data, false; !more; {
			var message []byte
			before := len(rest)
			if message, rest, more = NextDNS(rest); !more && len(message)+len(rest)+2 != before {
				t.Fatal("bytes were lost")
			}
		}
	})
}

// FuzzHello: hellos of TLS, QUIC and HTTP.
func FuzzHello(f *testing.F) {
	client, server := packetworld.Hellos(f, "api.acme.example", tls.VersionTLS12)
	f.Add(client)
	f.Add(server)
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"))
	f.Add([]byte("CONNECT a.example:443 HTTP/1.1\r\n\r\n"))
	f.Add(append([]byte{0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x44, 0x50}, make([]byte, 1200)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, read := range []func([]byte) (Hello, bool){Client, Server, new(QUIC).Datagram} {
			h, more := read(data)
			if more && h.Name != "" || strings.ContainsAny(h.Name, " /:*\x00") {
				t.Fatalf("more %v, %+v", more, h)
			}
		}
		var q QUIC
		q.frames(data) // what is inside of a packet that a hostile client encrypted
		if len(q.data) > 2*maxHandshake || len(q.data) != len(q.have) {
			t.Fatalf("%d bytes are kept", len(q.data))
		}
		q.hello()
	})
}
