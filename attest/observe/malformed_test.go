package observe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"github.com/avow-dev/avow/attest/observe/internal/packetworld"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// TestMalformed: a damaged capture is an error, or a partial result that says so.
func TestMalformed(t *testing.T) {
	w := packetworld.New(t)
	w.Dial(host, packetworld.Addr("192.0.2.7:443")).Close()
	pcap, ng := w.PCAP(), w.PCAPNG()
	frame := len(w.Frames[0].Data)
	second := 24 + 16 + frame // of pcap: where the second packet begins
	for name, c := range map[string]struct {
		data []byte
		err  error
		says string // of the error, or the gaps
	}{
		"cut in a packet":             {pcap[:second+20], nil, "truncated 1 byte 100: a packet is cut: got 20 bytes, want 76"},
		"cut in a packet header":      {pcap[:second+8], nil, "truncated 1 byte 100: a packet header is cut: got 8 bytes, want 16"},
		"a packet of a gigabyte":      {patch(pcap, second+8, 1<<30), nil, "truncated 1 byte 100: a packet of 1073741824 bytes, the limit is 1048576"},
		"a giant snap length":         {patch(pcap, 16, 0xffffffff), nil, ""},
		"a link type that is unknown": {patch(pcap, 20, 147), ErrNothing, "none of 6 packets, the link type is 147"},
		"the wrong link type":         {patch(pcap, 20, 101), ErrNothing, "none of 6 packets, the link type is 101"},
		"pcap without a header":       {pcap[:10], ErrFormat, "the file header is cut: got 10 bytes, want 24"},
		"version of pcap":             {patch(pcap, 4, 0x00040063), ErrFormat, "version 99 of pcap, want 2"},
		"nothing":                     {nil, ErrFormat, "the content is none of"},
		"compressed":                  {[]byte("\x1f\x8b\x08\x00"), ErrFormat, "decompress it first"},
		"text":                        {[]byte("hello\nworld\n"), ErrFormat, "the content is none of zeek-dns"},
		"pcapng cut in a block":       {ng[:len(ng)-4], nil, "truncated 1 byte 584: a block is cut"},
		"an option that runs over its block": {edited(ng, func(b []byte) []byte {
			i := bytes.Index(b, []byte{9, 0, 1, 0})
			binary.LittleEndian.PutUint16(b[i+2:], 0xfff0)
			return b
		}), ErrNothing, "option 9 of 65520 bytes"},
		"options that go nowhere": {edited(ng, func(b []byte) []byte {
			block := make([]byte, 20+4000)
			binary.LittleEndian.PutUint32(block, 1)
			binary.LittleEndian.PutUint32(block[4:], uint32(len(block)))
			binary.LittleEndian.PutUint16(block[8:], 1)
			for i := 16; i < len(block)-4; i += 4 {
				block[i] = 1 // a comment of no bytes
			}
			binary.LittleEndian.PutUint32(block[len(block)-4:], uint32(len(block)))
			return append(b, block...)
		}), nil, ""},
		"a block of no length": {append(bytes.Clone(ng), 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), nil,
			"block of type 6 with a length of 0, want a multiple of 4 and at least 12"},
		"a block of four gigabytes": {append(bytes.Clone(ng), 6, 0, 0, 0, 0xfc, 0xff, 0xff, 0xff, 0, 0, 0, 0), nil,
			"block of type 6 with a length of 4294967292, the limit is"},
		"a skipped block of four gigabytes": {append(bytes.Clone(ng), 99, 0, 0, 0, 0xfc, 0xff, 0xff, 0xff, 0, 0, 0, 0), nil, "bytes are missing"},
		"a packet of no interface": {edited(ng, func(b []byte) []byte {
			i := bytes.Index(b, []byte{6, 0, 0, 0})
			b[i+8] = 7
			return b
		}), ErrNothing, "packet of interface 7, there are 1"},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := Observe(t.Context(), []Input{input("bad", c.data)}, Options{Subjects: subjects()})
			if !errors.Is(err, c.err) {
				t.Fatalf("got %v, want %v", err, c.err)
			}
			says := ""
			if err != nil {
				says = err.Error()
			} else {
				says = gapsOf(o)
			}
			if !strings.Contains(says, c.says) || c.says == "" && says != "" {
				t.Errorf("got %q, want %q", says, c.says)
			}
		})
	}
}

func patch(b []byte, at int, v uint32) []byte {
	b = bytes.Clone(b)
	binary.LittleEndian.PutUint32(b[at:], v)
	return b
}

func edited(b []byte, f func([]byte) []byte) []byte { return f(bytes.Clone(b)) }

// TestHostileNames: answers whose names point at each other, and names that no
// host can have, name nothing and are counted.
func TestHostileNames(t *testing.T) {
	w := packetworld.New(t)
	query, answer := w.Messages("a.example", packetworld.Address("a.example", "192.0.2.7", 60))
	loop := bytes.Clone(answer)
	copy(loop[12:], []byte{0xc0, 12}) // the question points at itself
	from := netip.AddrPortFrom(host, w.Port())
	w.UDP(from, resolver, query)
	w.UDP(resolver, from, loop)
	w.Resolve(host, resolver, "x y.example", packetworld.Address("x y.example", "192.0.2.7", 60))
	w.Resolve(host, resolver, "b.example", packetworld.Alias("b.example", "c.example", 60), packetworld.Alias("c.example", "b.example", 60))
	w.Dial(host, packetworld.Addr("192.0.2.7:443")).Close()
	o := summarise(t, Options{}, input("run.pcap", w.PCAP()))
	expect(t, "peers", lines(o), "outbound udp 10.0.0.1:53 direct x3 domain\noutbound tcp 192.0.2.7:443 direct x1")
	expect(t, "gaps", gapsOf(o), "badName 1\nundecoded 1 a message of a name server")
}

// TestManyPeers: a million peers are read in bounded memory, and the summary
// says what it leaves out.
func TestManyPeers(t *testing.T) {
	if testing.Short() {
		t.Skip("a million packets")
	}
	w := packetworld.New(t)
	w.Link = layers.LinkTypeRaw
	frame := w.Encode(host, netip.MustParseAddr("192.0.2.7"), layers.IPProtocolTCP, &layers.TCP{SrcPort: 40000, DstPort: 443, SYN: true})
	const peers = 1_000_000
	n := 0
	r := io.MultiReader(bytes.NewReader(w.PCAP()), readerFunc(func(b []byte) (int, error) {
		used := 0
		for ; n < peers && used+16+len(frame) <= len(b); n++ {
			binary.BigEndian.PutUint32(frame[16:], uint32(n)|1<<31)
			h := b[used:]
			binary.LittleEndian.PutUint32(h, 1_700_000_000)
			binary.LittleEndian.PutUint32(h[4:], uint32(n))
			binary.LittleEndian.PutUint32(h[8:], uint32(len(frame)))
			binary.LittleEndian.PutUint32(h[12:], uint32(len(frame)))
			used += 16 + copy(h[16:], frame)
		}
		if used == 0 {
			return 0, io.EOF
		}
		return used, nil
	}))
	o, err := Live(t.Context(), r, "flood", Options{Subjects: subjects()})
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Peers) != observation.MaxPeers {
		t.Errorf("%d peers", len(o.Peers))
	}
	expect(t, "gaps", gapsOf(o), "evicted 800000 packets\npeersLimit 900000")
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// FuzzCaptures: whatever a capture holds, the outcome is an error or an
// observation that can be written.
func FuzzCaptures(f *testing.F) {
	w := packetworld.New(f)
	w.Resolve(host, resolver, "a.example", packetworld.Alias("a.example", "b.example", 60), packetworld.Address("b.example", "192.0.2.7", 60))
	c := w.Dial(host, packetworld.Addr("192.0.2.7:80"))
	c.Write(true, []byte("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"))
	c.Close()
	w.Dial(host6, packetworld.Addr("[2001:db8::7]:443")).Close()
	f.Add(w.PCAP())
	f.Add(w.PCAPNG())
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := Observe(t.Context(), []Input{input("fuzz", data)}, Options{Subjects: subjects(), MaxFlows: 8, MaxPeers: 32, Undigested: true})
		if err != nil {
			return
		}
		if _, err := o.Payload(); err != nil {
			t.Fatal(err)
		}
	})
}
