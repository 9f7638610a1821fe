package recorder

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// maxNames bounds the answers that are given, and the names that are noted.
	maxNames = 10_000
	// maxMessage is the largest message of DNS.
	maxMessage = 65535
	// maxAsking bounds the queries that are being asked at one time.
	maxAsking = 256
	// askTimeout bounds one question to one resolver of the host, idleTimeout a
	// connection on which nothing is asked.
	askTimeout, idleTimeout = 5 * time.Second, time.Minute
	// ttl is that of answers of one's own, in seconds.
	ttl = 60
)

// Queries are the names that were asked for, by name, with the worst answer.
type Queries map[string]Query

// Query is what was answered for a name.
type Query struct {
	Count int64
	// Answered: at least one answer had records.
	Answered bool
	// Code is that of the last answer: NXDOMAIN and the like, or empty.
	Code string
}

// resolver answers the program of a run: from a table, or with the bytes of the
// host's resolvers. It keeps the names.
type resolver struct {
	upstream []netip.AddrPort // none: answers from the table only
	names    map[string][]netip.Addr
	anyName  bool
	logger   *slog.Logger

	mu      sync.Mutex
	given   map[string]int // names with an address of their own
	queries Queries
	cut     int64 // names that did not fit into queries
	slots   chan struct{}
}

func newResolver(o *Options, upstream []netip.AddrPort) *resolver {
	return &resolver{upstream: upstream, names: o.Names, anyName: o.AnyName, logger: o.Logger, given: map[string]int{},
		queries: Queries{}, slots: make(chan struct{}, maxAsking)}
}

// serve answers until the sockets are closed, and returns when everything that
// it started has ended.
func (r *resolver) serve(ctx context.Context, packets net.PacketConn, streams net.Listener) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() { r.servePackets(ctx, packets, &all) })
	all.Go(func() { r.serveStreams(ctx, streams, &all) })
	<-ctx.Done()
	_ = packets.Close() // ends the reading
	streams.Close()
	cancel()
	all.Wait()
}

func (r *resolver) servePackets(ctx context.Context, c net.PacketConn, all *sync.WaitGroup) {
	buf := make([]byte, maxMessage)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // an ICMP error of an earlier answer
		}
		query := slices.Clone(buf[:n])
		r.slots <- struct{}{}
		all.Go(func() {
			defer func() { <-r.slots }()
			if answer := r.answer(ctx, "udp", query); answer != nil {
				_, _ = c.WriteTo(answer, from) // who does not wait for the answer has none
			}
		})
	}
}

func (r *resolver) serveStreams(ctx context.Context, l net.Listener, all *sync.WaitGroup) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		r.slots <- struct{}{}
		all.Go(func() {
			defer func() { <-r.slots }()
			stop := context.AfterFunc(ctx, func() { _ = c.Close() })
			defer stop()
			defer func() { _ = c.Close() }()
			r.stream(ctx, c)
		})
	}
}

// stream answers the queries of a connection one after another.
func (r *resolver) stream(ctx context.Context, c net.Conn) {
	for {
		_ = c.SetDeadline(time.Now().Add(idleTimeout)) // a connection that has no deadlines has ended
		query, err := readMessage(c)
		if err != nil {
			return
		}
		answer := r.answer(ctx, "tcp", query)
		if answer == nil || writeMessage(c, answer) != nil {
			return
		}
	}
}

func readMessage(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(r, message)
	return message, err
}

func writeMessage(w io.Writer, message []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...))
	return err
}

// answer returns the message that answers a query, nil if there is none to give.
func (r *resolver) answer(ctx context.Context, network string, query []byte) []byte {
	var p dnsmessage.Parser
	header, err := p.Start(query)
	if err != nil || header.Response {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return failure(header, nil, dnsmessage.RCodeFormatError)
	}
	if len(r.upstream) == 0 {
		answer, rcode, answered := r.local(header, q)
		r.note(q, rcode, answered)
		return answer
	}
	for _, to := range r.upstream {
		answer, err := ask(ctx, network, to, query)
		if err != nil {
			r.logger.DebugContext(ctx, "a resolver of the host does not answer", slog.String("resolver", to.String()), slog.Any("error", err))
			continue
		}
		rcode, answered := outcome(answer)
		r.note(q, rcode, answered)
		return answer
	}
	r.note(q, dnsmessage.RCodeServerFailure, false)
	return failure(header, &q, dnsmessage.RCodeServerFailure)
}

// ask sends a query to one resolver and returns the answer with its id.
func ask(ctx context.Context, network string, to netip.AddrPort, query []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, network, to.String())
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if network == "tcp" {
		if err := writeMessage(c, query); err != nil {
			return nil, err
		}
		return readMessage(c)
	}
	if _, err := c.Write(query); err != nil {
		return nil, err
	}
	buf := make([]byte, maxMessage)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return nil, err
		}
		if n >= 12 && buf[0] == query[0] && buf[1] == query[1] { // anything else is late, or forged
			return buf[:n], nil
		}
	}
}

// outcome reads the header of an answer.
func outcome(answer []byte) (dnsmessage.RCode, bool) {
	const headerLength = 12
	if len(answer) < headerLength {
		return dnsmessage.RCodeFormatError, false
	}
	return dnsmessage.RCode(answer[3] & 15), binary.BigEndian.Uint16(answer[6:]) > 0
}

// local answers from the table.
func (r *resolver) local(header dnsmessage.Header, q dnsmessage.Question) ([]byte, dnsmessage.RCode, bool) {
	addrs, known := r.lookup(nameOf(q))
	if !known {
		return failure(header, &q, dnsmessage.RCodeNameError), dnsmessage.RCodeNameError, false
	}
	m := dnsmessage.Message{Questions: []dnsmessage.Question{q}, Header: dnsmessage.Header{ID: header.ID, Response: true,
		RecursionDesired: header.RecursionDesired, RecursionAvailable: true}}
	for _, a := range addrs {
		h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: ttl}
		switch {
		case q.Type == dnsmessage.TypeA && a.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
		case q.Type == dnsmessage.TypeAAAA && a.Is6():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	answer, err := m.Pack()
	if err != nil {
		return failure(header, nil, dnsmessage.RCodeServerFailure), dnsmessage.RCodeServerFailure, false
	}
	// A name that has addresses, only none of the type that was asked for, is answered.
	return answer, dnsmessage.RCodeSuccess, len(addrs) > 0
}

// lookup returns the addresses of a name. With anyName each name has its own two.
func (r *resolver) lookup(name string) ([]netip.Addr, bool) {
	addrs, known := r.names[name]
	if known || !r.anyName {
		return addrs, known
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n, ok := r.given[name]
	if !ok {
		if len(r.given) >= maxNames {
			return nil, false
		}
		n = len(r.given) + 1
		r.given[name] = n
	}
	return ownAddresses(n), true
}

// ownAddresses are the n-th addresses of the blocks for benchmarks.
func ownAddresses(n int) []netip.Addr {
	v6 := [16]byte{0x20, 0x01, 0x00, 0x02, 14: byte(n >> 8), 15: byte(n)}
	return []netip.Addr{netip.AddrFrom4([4]byte{198, 18, byte(n >> 8), byte(n)}), netip.AddrFrom16(v6)}
}

// failure answers with a code and nothing else.
func failure(header dnsmessage.Header, q *dnsmessage.Question, code dnsmessage.RCode) []byte {
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: header.ID, Response: true, RecursionDesired: header.RecursionDesired,
		RecursionAvailable: true, RCode: code}}
	if q != nil {
		m.Questions = []dnsmessage.Question{*q}
	}
	b, err := m.Pack()
	if err != nil {
		return nil
	}
	return b
}

func nameOf(q dnsmessage.Question) string {
	return strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
}

func (r *resolver) note(q dnsmessage.Question, code dnsmessage.RCode, answered bool) {
	name := nameOf(q)
	r.mu.Lock()
	defer r.mu.Unlock()
	n, known := r.queries[name]
	if !known && len(r.queries) >= maxNames {
		r.cut++
		return
	}
	n.Count++
	n.Answered = n.Answered || answered
	n.Code = ""
	if code != dnsmessage.RCodeSuccess {
		n.Code = codeName(code)
	}
	r.queries[name] = n
}

// codeName is the name that the registry of DNS gives a code.
func codeName(code dnsmessage.RCode) string {
	switch code {
	case dnsmessage.RCodeNameError:
		return "NXDOMAIN"
	case dnsmessage.RCodeServerFailure:
		return "SERVFAIL"
	case dnsmessage.RCodeRefused:
		return "REFUSED"
	case dnsmessage.RCodeFormatError:
		return "FORMERR"
	case dnsmessage.RCodeNotImplemented:
		return "NOTIMP"
	}
	return "RCODE" + code.String()
}

// taken returns what was asked. The resolver must have ended.
func (r *resolver) taken() (Queries, int64) { return r.queries, r.cut }

// hostResolvers reads the name servers of a resolv.conf, at most three as the C
// library does.
func hostResolvers(conf []byte) []netip.AddrPort {
	const most = 3
	var found []netip.AddrPort
	for line := range strings.Lines(string(conf)) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "nameserver" || len(found) == most {
			continue
		}
		if a, err := netip.ParseAddr(f[1]); err == nil {
			found = append(found, netip.AddrPortFrom(a, 53))
		}
	}
	return found
}

// ownConf returns the resolv.conf of the namespace: the recording resolver, and
// how the host's says that names are completed.
func ownConf(host []byte) []byte {
	conf := []byte("nameserver " + Resolver.Addr().String() + "\n")
	for line := range strings.Lines(string(host)) {
		f := strings.Fields(line)
		if len(f) > 0 && (f[0] == "search" || f[0] == "domain" || f[0] == "options") {
			conf = append(conf, strings.Join(f, " ")+"\n"...)
		}
	}
	return conf
}
