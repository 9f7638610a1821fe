package egress

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// zone is what the DNS server of a test answers. It can change while the server runs.
type zone struct {
	mu      sync.Mutex
	ttl     uint32
	hosts   map[string][]netip.Addr
	aliases map[string]string
	rcode   dnsmessage.RCode
	asked   []string
	// overTCP answers truncated over UDP.
	overTCP bool
	// stray is sent before each answer over UDP.
	stray func(query, answer []byte) []byte
}

func (z *zone) change(f func()) {
	z.mu.Lock()
	defer z.mu.Unlock()
	f()
}

// answer makes the answer to a query.
func (z *zone) answer(tb testing.TB, query []byte, network string) []byte {
	z.mu.Lock()
	defer z.mu.Unlock()
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil {
		tb.Errorf("query: %v", err)
		return nil
	}
	q, err := p.Question()
	if err != nil {
		tb.Errorf("query: %v", err)
		return nil
	}
	z.asked = append(z.asked, network+" "+q.Type.String()+" "+q.Name.String())
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: h.ID, Response: true, RecursionAvailable: true, RCode: z.rcode, Truncated: z.overTCP && network == "udp"})
	must := func(err error) {
		if err != nil {
			tb.Errorf("answer: %v", err)
		}
	}
	must(b.StartQuestions())
	must(b.Question(q))
	must(b.StartAnswers())
	name := strings.TrimSuffix(q.Name.String(), ".")
	rh := func(owner string) dnsmessage.ResourceHeader {
		return dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(owner + "."), Class: dnsmessage.ClassINET, TTL: z.ttl}
	}
	if to, ok := z.aliases[name]; ok {
		must(b.CNAMEResource(rh(name), dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(to + ".")}))
		name = to
	}
	for _, a := range z.hosts[name] {
		if a.Is4() && q.Type == dnsmessage.TypeA {
			must(b.AResource(rh(name), dnsmessage.AResource{A: a.As4()}))
		}
		if a.Is6() && q.Type == dnsmessage.TypeAAAA {
			must(b.AAAAResource(rh(name), dnsmessage.AAAAResource{AAAA: a.As16()}))
		}
	}
	out, err := b.Finish()
	must(err)
	return out
}

// serve answers on both sockets until the test ends.
func (z *zone) serve(tb testing.TB, packets net.PacketConn, streams net.Listener) {
	tb.Helper()
	var done sync.WaitGroup
	tb.Cleanup(func() {
		packets.Close()
		streams.Close()
		done.Wait()
	})
	done.Go(func() {
		buffer := make([]byte, 4096)
		for {
			n, from, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			answer := z.answer(tb, buffer[:n], "udp")
			if z.stray != nil {
				packets.WriteTo(z.stray(buffer[:n], answer), from)
			}
			packets.WriteTo(answer, from)
		}
	})
	done.Go(func() {
		for {
			conn, err := streams.Accept()
			if err != nil {
				return
			}
			var length [2]byte
			if _, err := io.ReadFull(conn, length[:]); err == nil {
				query := make([]byte, binary.BigEndian.Uint16(length[:]))
				if _, err := io.ReadFull(conn, query); err == nil {
					answer := z.answer(tb, query, "tcp")
					conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
				}
			}
			conn.Close()
		}
	})
}

// listen serves on loopback and returns a resolver that asks there.
func (z *zone) listen(tb testing.TB) *Resolver {
	tb.Helper()
	for range 20 { // one port for both protocols, which need not be free at once
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		streams, err := net.Listen("tcp", packets.LocalAddr().String())
		if err != nil {
			packets.Close()
			continue
		}
		z.serve(tb, packets, streams)
		return &Resolver{Server: netip.MustParseAddrPort(packets.LocalAddr().String())}
	}
	tb.Fatal("no port is free for UDP and TCP")
	return nil
}

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}
