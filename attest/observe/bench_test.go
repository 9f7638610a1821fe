package observe

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest/observe/internal/packetworld"
)

// traffic is a capture of about size bytes as programs make them: names are
// asked for, hellos said, and most bytes come in large segments and go out as
// small acknowledgements, several connections at a time. The mean packet has
// about 800 bytes.
func traffic(tb testing.TB, size int) []byte {
	w := packetworld.New(tb)
	data := make([]byte, 1400)
	hello, answer := packetworld.Hellos(tb, "www.acme.example", tls.VersionTLS13)
	total := 0
	for n := 0; total < size; n++ {
		before := len(w.Frames)
		name := fmt.Sprintf("host%d.acme.example", n%500)
		addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(n % 250)})
		w.Resolve(host, resolver, name, packetworld.Alias(name, "www.acme.example", 300), packetworld.Address("www.acme.example", addr.String(), 300))
		var open []*packetworld.TCP
		for range 4 {
			c := w.Dial(host, netip.AddrPortFrom(addr, 443))
			c.Write(true, hello)
			c.Write(false, answer)
			open = append(open, c)
		}
		for range 60 {
			for _, c := range open {
				c.Write(false, data)
				c.Write(false, data)
				c.Write(true, data[:80])
				c.Send(true, packetworld.Flags{ACK: true}, nil)
				c.Write(false, data[:600])
			}
		}
		for _, c := range open {
			c.Close()
		}
		w.Wait(time.Second)
		for _, f := range w.Frames[before:] {
			total += len(f.Data) + 16
		}
	}
	return w.PCAP()
}

// BenchmarkObserve reads a capture from memory: what a disk adds is not in it.
// AVOW_BENCH_CAPTURE names a file to write it to, for other programs to read.
func BenchmarkObserve(b *testing.B) {
	data := traffic(b, 64<<20)
	if path := os.Getenv("AVOW_BENCH_CAPTURE"); path != "" {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for name, undigested := range map[string]bool{"summary": true, "statement": false} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Observe(b.Context(), []Input{input("bench.pcap", data)}, Options{Subjects: subjects(), Undigested: undigested}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
