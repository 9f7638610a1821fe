//go:build faults && linux

package observecorpus

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

// zone is what the name servers of the small internet know. A value that is no
// address is an alias.
func zone() map[string][]string {
	return map[string][]string{
		"updates.acme.example": {updates4, updates6}, "time.acme.example": {"192.0.2.123"}, "quic.acme.example": {"192.0.2.30"},
		"cdn.acme.example": {"acme.cdn.example"}, "acme.cdn.example": {"edge.cdn.example"}, "edge.cdn.example": {shared},
		"ads.example": {"edge.cdn.example"}, "tracker.example": {"192.0.2.40"}, "ntp.tracker.example": {"192.0.2.124"},
		"eu.api.acme.example": {"192.0.2.50"}, "api.acme.example": {"192.0.2.51"}, "api.acme.example.tracker.example": {"192.0.2.52"},
		"dns.quad9.net": {"192.0.2.99"}, "doh.tracker.example": {"192.0.2.98"}, "evil.example": {evil4},
		"fast.api.acme.example": {"192.0.2.60"}, "fast.tracker.example": {"192.0.2.60"},
		"many.tracker.example": many(),
	}
}

// many addresses do not fit into a datagram of 512 bytes.
func many() []string {
	var all []string
	for n := range 40 {
		all = append(all, fmt.Sprintf("192.0.2.%d", 200+n))
	}
	return all
}

// lifetime is that of an answer in seconds: short for names whose address moves.
func lifetime(name string) uint32 {
	if strings.HasPrefix(name, "fast.") {
		return 1
	}
	return 300
}

// openWorld turns the namespace of this process into the small internet.
func openWorld(ctx context.Context, dir string) error {
	for _, command := range []string{
		"ip link set lo up", "ip link add up0 type veth peer name up1", "ip link set up0 up", "ip link set up1 up",
		"ip addr add 203.0.113.1/24 dev up0", "ip route add default via 203.0.113.2",
		"ip -6 addr add 2001:db8:1::1/64 dev up0 nodad", "ip -6 route add default via 2001:db8:1::2", "sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.ip_nonlocal_bind=1 net.ipv4.ip_nonlocal_bind=1",
		"ip addr add 192.0.2.0/24 dev lo", "ip route add local 198.51.100.0/24 dev lo",
		"ip -6 route add local 2001:db8::/64 dev lo",
	} {
		f := strings.Fields(command)
		if out, err := exec.CommandContext(ctx, f[0], f[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", command, err, out)
		}
	}
	conf := dir + "/resolv.conf"
	if err := os.WriteFile(conf, []byte("nameserver 192.0.2.53\n"), 0o644); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount(conf, "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return serveWorld()
}

// serveWorld starts the servers, which end with the process.
func serveWorld() error {
	certificate, err := selfSigned()
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /dns-query", func(w http.ResponseWriter, r *http.Request) {
		query, err := io.ReadAll(io.LimitReader(r.Body, 65535))
		if err != nil {
			return
		}
		w.Header().Set("Content-Type", "application/dns-message")
		_, _ = w.Write(reply(query, 65535))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	for _, port := range []string{"443", "8443", "8883"} {
		l, err := tls.Listen("tcp", ":"+port, config)
		if err != nil {
			return err
		}
		go http.Serve(l, mux) // ends with the process
	}
	web, err := net.Listen("tcp", ":80")
	if err != nil {
		return err
	}
	go http.Serve(web, mux) // ends with the process
	return serveRaw()
}

func serveRaw() error {
	l, err := net.Listen("tcp", ":4444")
	if err != nil {
		return err
	}
	go accept(l, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	for _, at := range []string{"192.0.2.53:53", otherResolver + ":53"} {
		names, err := net.ListenPacket("udp", at)
		if err != nil {
			return err
		}
		go datagrams(names, func(b []byte) []byte { return reply(b, 512) })
	}
	streams, err := net.Listen("tcp", "192.0.2.53:53")
	if err != nil {
		return err
	}
	go accept(streams, func(c net.Conn) {
		for {
			var n [2]byte
			if _, err := io.ReadFull(c, n[:]); err != nil {
				return
			}
			query := make([]byte, binary.BigEndian.Uint16(n[:]))
			if _, err := io.ReadFull(c, query); err != nil {
				return
			}
			answer := reply(query, 65535)
			_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
		}
	})
	for at, answer := range map[string]func([]byte) []byte{
		"192.0.2.123:123": ntp, "192.0.2.124:123": ntp, evil4 + ":5000": echo, "[" + evil6 + "]:5000": echo,
		"192.0.2.30:443": echo, "192.0.2.40:443": echo, evil4 + ":443": echo,
	} {
		c, err := net.ListenPacket("udp", at)
		if err != nil {
			return err
		}
		go datagrams(c, answer)
	}
	return nil
}

func accept(l net.Listener, handle func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() { defer c.Close(); handle(c) }()
	}
}

func datagrams(c net.PacketConn, answer func([]byte) []byte) {
	buf := make([]byte, 65535)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		_, _ = c.WriteTo(answer(append([]byte{}, buf[:n]...)), from)
	}
}

func echo(b []byte) []byte { return b[:min(len(b), 32)] }

// ntp answers as a server of stratum 1 whose clock is the machine's.
func ntp(query []byte) []byte {
	b := make([]byte, 48)
	if len(query) < len(b) {
		return b
	}
	b[0], b[1], b[2], b[3] = query[0]&0x38|4, 1, 6, 0xec // the client's version, mode server
	copy(b[12:], "LOCL")
	copy(b[24:], query[40:48])
	now := time.Now()
	const since1900 = 2208988800
	for _, at := range []int{16, 32, 40} {
		binary.BigEndian.PutUint32(b[at:], uint32(now.Unix()+since1900))
		binary.BigEndian.PutUint32(b[at+4:], uint32(uint64(now.Nanosecond())<<32/1e9))
	}
	return b
}

// reply answers a query; what is longer than most is cut, and says so.
func reply(query []byte, most int) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: h.ID, Response: true, RecursionDesired: true, RecursionAvailable: true}, Questions: []dnsmessage.Question{q}}
	names := zone()
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	values, known := names[name]
	if !known {
		m.RCode = dnsmessage.RCodeNameError
	}
	for owner := name; len(values) > 0; {
		head := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(owner + "."), Class: dnsmessage.ClassINET, TTL: lifetime(name)}
		next := ""
		for _, v := range values {
			a, err := netip.ParseAddr(v)
			switch {
			case err != nil:
				next = v
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(v + ".")}})
			case a.Is4() && q.Type == dnsmessage.TypeA:
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: a.As4()}})
			case a.Is6() && q.Type == dnsmessage.TypeAAAA:
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
			}
		}
		owner, values = next, names[next]
	}
	b, err := m.Pack()
	if err == nil && len(b) > most {
		m.Answers, m.Truncated = nil, true
		b, err = m.Pack()
	}
	if err != nil {
		return nil
	}
	return b
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"server.example"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
