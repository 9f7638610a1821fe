package recorder

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func query(t testing.TB, name string, kind dnsmessage.Type) []byte {
	t.Helper()
	b, err := (&dnsmessage.Message{Header: dnsmessage.Header{ID: 7, RecursionDesired: true}, Questions: []dnsmessage.Question{
		{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}}}).Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// serveNames starts a resolver on loopback and returns its address.
func serveNames(t *testing.T, r *resolver) netip.AddrPort {
	t.Helper()
	streams, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	packets, err := net.ListenPacket("udp", streams.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.serve(ctx, packets, streams) }()
	t.Cleanup(func() { cancel(); <-done })
	return netip.MustParseAddrPort(streams.Addr().String())
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// TestForward: a query goes to the host's resolver and its answer comes back, by
// both transports, with the next resolver where the first is not there.
func TestForward(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.7")
	host := serveNames(t, newResolver(&Options{Names: map[string][]netip.Addr{"a.example": {addr}}, Logger: quiet()}, nil))
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := netip.MustParseAddrPort(dead.Addr().String())
	dead.Close()
	ours := newResolver(&Options{Logger: quiet()}, []netip.AddrPort{gone, host})
	at := serveNames(t, ours)
	for _, network := range []string{"udp", "tcp"} {
		answer, err := ask(t.Context(), network, at, query(t, "A.example.", dnsmessage.TypeA))
		if err != nil {
			t.Fatal(err)
		}
		var m dnsmessage.Message
		if err := m.Unpack(answer); err != nil || len(m.Answers) != 1 || m.Answers[0].Body.(*dnsmessage.AResource).A != addr.As4() || m.ID != 7 {
			t.Errorf("%s: %v %+v", network, err, m)
		}
	}
	if _, err := ask(t.Context(), "udp", at, query(t, "b.example.", dnsmessage.TypeA)); err != nil {
		t.Fatal(err)
	}
	ours.mu.Lock()
	defer ours.mu.Unlock()
	if a, b := ours.queries["a.example"], ours.queries["b.example"]; !a.Answered || a.Count != 2 || b.Answered || b.Code != "NXDOMAIN" {
		t.Errorf("noted %+v", ours.queries)
	}
}

// TestNoAnswer: where no resolver answers, the program is told, and the name noted.
func TestNoAnswer(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := netip.MustParseAddrPort(dead.Addr().String())
	dead.Close()
	r := newResolver(&Options{Logger: quiet()}, []netip.AddrPort{gone})
	answer := r.answer(t.Context(), "tcp", query(t, "a.example.", dnsmessage.TypeA))
	if code, answered := outcome(answer); code != dnsmessage.RCodeServerFailure || answered || r.queries["a.example"].Code != "SERVFAIL" {
		t.Errorf("code %v, answered %v, noted %+v", code, answered, r.queries)
	}
}

// TestNameLimits: names do not fill memory.
func TestNameLimits(t *testing.T) {
	r := newResolver(&Options{AnyName: true, Logger: quiet()}, nil)
	q := dnsmessage.Question{Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	for n := range maxNames + 3 {
		q.Name = dnsmessage.MustNewName(strings.Repeat("a", n%60+1) + "." + string(rune('a'+n/60%26)) + string(rune('a'+n/1560)) + ".example.")
		r.note(q, dnsmessage.RCodeSuccess, true)
		r.lookup(nameOf(q))
	}
	if _, cut := r.taken(); len(r.queries) > maxNames || len(r.given) > maxNames || cut == 0 {
		t.Errorf("%d names, %d given, %d cut", len(r.queries), len(r.given), cut)
	}
}

func TestConf(t *testing.T) {
	host := []byte("# made by hand\nnameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver nonsense\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nsearch  corp.example\noptions ndots:2\n")
	want := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("[2001:db8::1]:53"), netip.MustParseAddrPort("192.0.2.2:53")}
	if got := hostResolvers(host); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := string(ownConf(host)), "nameserver 127.0.0.53\nsearch corp.example\noptions ndots:2\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestOfTheKernel: neighbour discovery and memberships are nobody's flow; a ping is.
func TestOfTheKernel(t *testing.T) {
	v6 := func(next byte, body ...byte) []byte {
		return append([]byte{0x60, 0, 0, 0, 0, 8, next, 255, 39: 1}, append(body, make([]byte, 16)...)...)
	}
	for name, c := range map[string]struct {
		packet []byte
		want   bool
	}{
		"neighbour":  {v6(58, 135), true},
		"membership": {v6(0, 58, 0, 5, 2, 0, 0, 1, 0, 143), true},
		"ping":       {v6(58, 128), false},
		"tcp":        {v6(6, 135), false},
		"igmp":       {append([]byte{0x45, 9: 2}, make([]byte, 12)...), true},
		"udp":        {append([]byte{0x45, 9: 17}, make([]byte, 12)...), false},
		"short":      {[]byte{0x60}, false},
		"empty":      {nil, false},
	} {
		if got := ofTheKernel(c.packet); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// TestPcapWriter: an error of what takes the packets is not lost.
func TestPcapWriter(t *testing.T) {
	full := errors.New("no space")
	w := newPcapWriter(writerFunc(func([]byte) (int, error) { return 0, full }))
	if err := w.flush(); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// FuzzAnswer: a program may ask for anything; the answer, if there is one, is an
// answer to that.
func FuzzAnswer(f *testing.F) {
	f.Add(query(f, "a.example.", dnsmessage.TypeA))
	f.Add(query(f, "b.example.", dnsmessage.TypeAAAA))
	f.Add([]byte{0, 7, 1, 0, 0, 1})
	r := newResolver(&Options{Names: map[string][]netip.Addr{"a.example": {netip.MustParseAddr("192.0.2.7")}}, Logger: quiet()}, nil)
	f.Fuzz(func(t *testing.T, q []byte) {
		answer := r.answer(t.Context(), "udp", q)
		if answer == nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(answer); err != nil || !m.Response || answer[0] != q[0] || answer[1] != q[1] {
			t.Errorf("%v: % x answers % x", err, answer, q)
		}
	})
}
