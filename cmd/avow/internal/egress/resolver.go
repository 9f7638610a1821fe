package egress

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// udpSize is the largest answer over UDP that is asked for: what passes anywhere unfragmented.
	udpSize = 1232
	// tries is how often a question is asked before the resolver counts as silent.
	tries = 2
	// maxStrays bounds the messages that answer no question of ours before a try ends.
	maxStrays = 64
)

// Resolver asks one recursive DNS server.
type Resolver struct {
	// Server is the server's address; required.
	Server netip.AddrPort
	// Dial opens the connections; nil means the system's way.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Timeout is for each try; zero means 3 seconds.
	Timeout time.Duration
}

// lookup returns the addresses of a name, IPv4 before IPv6. Both families must answer, if only that there is no address: half
// an answer would let the other half run out.
func (r *Resolver) lookup(ctx context.Context, host string) ([]record, error) {
	name, err := dnsmessage.NewName(host + ".")
	if err != nil {
		return nil, err
	}
	var all []record
	for _, kind := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA} {
		found, err := r.ask(ctx, name, kind)
		if err != nil {
			return all, fmt.Errorf("%s %s: %w", host, kindName(kind), err)
		}
		all = append(all, found...)
	}
	return all, nil
}

func kindName(kind dnsmessage.Type) string {
	if kind == dnsmessage.TypeA {
		return "A"
	}
	return "AAAA"
}

// ask asks one question, over UDP and, where the answer does not fit, over TCP.
func (r *Resolver) ask(ctx context.Context, name dnsmessage.Name, kind dnsmessage.Type) (found []record, err error) {
	for range tries {
		found, err = r.exchange(ctx, "udp", question{name: name, kind: kind})
		if errors.Is(err, errTruncated) {
			found, err = r.exchange(ctx, "tcp", question{name: name, kind: kind})
		}
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	return found, err
}

func (r *Resolver) exchange(ctx context.Context, network string, q question) ([]record, error) {
	var id [2]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	q.id = binary.BigEndian.Uint16(id[:])
	message, err := q.pack()
	if err != nil {
		return nil, err
	}
	timeout := r.Timeout
	if timeout == 0 {
		timeout = 3 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	dial := r.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	conn, err := dial(ctx, network, r.Server.String())
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }() // everything was read, or nothing will be
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	if network == "tcp" {
		return exchangeTCP(conn, q, message)
	}
	return exchangeUDP(conn, q, message)
}

// exchangeUDP passes over messages that answer another question: they may be forged, and the right one may follow.
func exchangeUDP(conn net.Conn, q question, message []byte) ([]record, error) {
	if _, err := conn.Write(message); err != nil {
		return nil, err
	}
	buffer := make([]byte, udpSize+1)
	for range maxStrays {
		n, err := conn.Read(buffer)
		if err != nil {
			return nil, err
		}
		found, err := q.answer(buffer[:n])
		if !errors.Is(err, errForeign) {
			return found, err
		}
	}
	return nil, fmt.Errorf("%d messages did not answer the question", maxStrays)
}

func exchangeTCP(conn net.Conn, q question, message []byte) ([]record, error) {
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	answer := make([]byte, min(int(binary.BigEndian.Uint16(length[:])), maxMessage))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return nil, err
	}
	return q.answer(answer)
}
