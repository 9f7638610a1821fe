package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

var at = time.Date(2026, 9, 1, 8, 0, 0, 123456789, time.UTC)

// all reads a capture to its end.
func all(t *testing.T, data []byte) ([]Packet, *Reader) {
	t.Helper()
	c, err := NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var list []Packet
	for {
		var p Packet
		err := c.Next(&p)
		if errors.Is(err, io.EOF) {
			return list, c
		}
		if err != nil {
			t.Fatal(err)
		}
		p.Data = bytes.Clone(p.Data)
		list = append(list, p)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestNanoseconds: both clocks of pcap, and the one of pcapng.
func TestNanoseconds(t *testing.T) {
	for name, c := range map[string]struct {
		write func(b *bytes.Buffer) interface {
			WritePacket(gopacket.CaptureInfo, []byte) error
		}
		want int64
	}{
		"micro": {func(b *bytes.Buffer) interface {
			WritePacket(gopacket.CaptureInfo, []byte) error
		} {
			w := pcapgo.NewWriter(b)
			check(t, w.WriteFileHeader(65535, layers.LinkTypeRaw))
			return w
		}, at.Truncate(time.Microsecond).UnixNano()},
		"nano": {func(b *bytes.Buffer) interface {
			WritePacket(gopacket.CaptureInfo, []byte) error
		} {
			w := pcapgo.NewWriterNanos(b)
			check(t, w.WriteFileHeader(65535, layers.LinkTypeRaw))
			return w
		}, at.UnixNano()},
	} {
		var b bytes.Buffer
		w := c.write(&b)
		check(t, w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: 3, Length: 70}, []byte("abc")))
		got, _ := all(t, b.Bytes())
		if len(got) != 1 || got[0].Nanos != c.want || string(got[0].Data) != "abc" || got[0].Length != 70 || got[0].Link != 101 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestClocks: the resolutions and offsets that an interface can have.
func TestClocks(t *testing.T) {
	c := &Reader{}
	for _, i := range []struct {
		iface iface
		units uint64
		want  int64
	}{
		{iface{perUnit: 1_000_000}, 1_500_000, 1_500_000_000},
		{iface{perUnit: 1}, 7, 7_000_000_000},
		{iface{perUnit: 1 << 10, offset: 3}, 1<<10 + 1<<9, 4_500_000_000},
		{iface{perUnit: 1_000_000_000_000}, 1_500_000_000_000, 1_500_000_000},
		{iface{perUnit: 1}, 1 << 60, 0},
		{iface{perUnit: 1, offset: -9}, 7, 0},
	} {
		if got := c.stamp(&i.iface, i.units); got != i.want {
			t.Errorf("%+v: got %d, want %d", i, got, i.want)
		}
	}
	if c.BadTimes() != 2 {
		t.Errorf("%d bad times, want 2", c.BadTimes())
	}
	for b, want := range map[byte]uint64{6: 1_000_000, 0x8a: 1024, 19: 10_000_000_000_000_000_000} {
		if got, ok := resolution(b); !ok || got != want {
			t.Errorf("%#x: got %d, want %d", b, got, want)
		}
	}
	for _, b := range []byte{20, 0xff} {
		if got, ok := resolution(b); ok {
			t.Errorf("%#x: got %d, want none", b, got)
		}
	}
}

// TestSections: several sections and interfaces, statistics of losses, and
// blocks that are skipped.
func TestSections(t *testing.T) {
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriterInterface(&b, pcapgo.NgInterface{LinkType: layers.LinkTypeEthernet}, pcapgo.DefaultNgWriterOptions)
	check(t, err)
	id, err := w.AddInterface(pcapgo.NgInterface{LinkType: layers.LinkTypeRaw, Comment: "second"})
	check(t, err)
	check(t, w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: 5, Length: 5}, []byte("first")))
	check(t, w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: 6, Length: 6, InterfaceIndex: id}, []byte("second")))
	check(t, w.WriteInterfaceStats(id, pcapgo.NgInterfaceStatistics{LastUpdate: at, PacketsReceived: 2, PacketsDropped: 3}))
	check(t, w.WriteInterfaceStats(id, pcapgo.NgInterfaceStatistics{LastUpdate: at, PacketsReceived: 2, PacketsDropped: 4}))
	check(t, w.Flush())
	skipped := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, 0x0bad), 16)
	skipped = binary.LittleEndian.AppendUint32(append(skipped, "name"...), 16)
	got, c := all(t, append(append(bytes.Clone(b.Bytes()), skipped...), b.Bytes()...))
	if len(got) != 4 || got[0].Link != 1 || got[1].Link != 101 || got[1].Nanos != at.UnixNano() || string(got[3].Data) != "second" {
		t.Errorf("%+v", got)
	}
	if c.Dropped() != 8 || c.Format() != PCAPNG {
		t.Errorf("dropped %d, format %s", c.Dropped(), c.Format())
	}
}

// TestBigEndian: a capture of a machine of the other kind.
func TestBigEndian(t *testing.T) {
	b := binary.BigEndian.AppendUint32(nil, magicMicro)
	b = append(b, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 101)
	b = append(b, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 'h', 'i')
	got, _ := all(t, b)
	if len(got) != 1 || got[0].Nanos != 9_000_001_000 || string(got[0].Data) != "hi" {
		t.Errorf("%+v", got)
	}
}

// TestTimes: a time that cannot be is none.
func TestTimes(t *testing.T) {
	b := binary.LittleEndian.AppendUint32(nil, magicMicro)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 101, 0, 0, 0)
	b = append(b, 9, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 1, 0, 0, 0, 'x')
	got, c := all(t, b)
	if got[0].Nanos != 0 || c.BadTimes() != 1 {
		t.Errorf("%+v, %d bad times", got, c.BadTimes())
	}
}

// FuzzReader: every capture ends, in an error or not, and no packet is larger than the limit.
func FuzzReader(f *testing.F) {
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriter(&b, layers.LinkTypeRaw)
	if err != nil {
		f.Fatal(err)
	}
	if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: 3, Length: 3}, []byte("abc")); err != nil {
		f.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := NewReader(bytes.NewReader(data))
		if err != nil {
			return
		}
		var p Packet
		for n := 0; c.Next(&p) == nil; n++ {
			if len(p.Data) > MaxPacket+maxSmall || p.Length < len(p.Data) || p.Nanos < 0 || n > len(data) {
				t.Fatalf("packet %d: %d bytes of %d at %d", n, len(p.Data), p.Length, p.Nanos)
			}
		}
	})
}
