//go:build faults && linux

package observecorpus

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// client is a program in Go: what it does is in the cases.
func client(ctx context.Context, name string) error {
	switch name {
	case "doh":
		return overHTTPS(ctx)
	case "direct":
		return errors.Join(talk("tcp", evil4+":4444"), talk("tcp", "["+evil6+"]:4444"), talk("udp", evil4+":5000"))
	case "quic":
		return errors.Join(quic("quic.acme.example:443", "quic.acme.example"), quic("tracker.example:443", "tracker.example"),
			quic(evil4+":443", "quic.acme.example"))
	case "dnstcp":
		return overTCP(ctx)
	case "resolver":
		r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "udp", otherResolver+":53")
		}}
		return dialBy(ctx, r, "tracker.example")
	case "reused":
		return errors.Join(hello("cdn.acme.example"), hello("ads.example"), talk("tcp", "ads.example:4444"))
	case "reassigned":
		return reassigned(ctx)
	}
	return fmt.Errorf("there is no client %q", name)
}

const patience = 10 * time.Second

// talk says hello, and waits for the answer of a datagram or the end of a stream.
func talk(network, address string) error {
	c, err := net.DialTimeout(network, address, patience)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	if s, ok := c.(*net.TCPConn); ok {
		_ = s.CloseWrite()
		_, err = io.Copy(io.Discard, c)
		return err
	}
	_, err = c.Read(make([]byte, 64))
	return err
}

// hello makes a TLS connection to a host.
func hello(host string) error {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp4", host+":443", &tls.Config{InsecureSkipVerify: true, ServerName: host})
	if err != nil {
		return err
	}
	return c.Close()
}

func dialBy(ctx context.Context, r *net.Resolver, host string) error {
	addrs, err := r.LookupNetIP(ctx, "ip4", host)
	if err != nil {
		return err
	}
	return talk("tcp", netip.AddrPortFrom(addrs[0], 4444).String())
}

// overHTTPS asks a known service for names, and talks to what it answers.
func overHTTPS(ctx context.Context) error {
	web := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	lookup := func(name string) (netip.Addr, error) {
		query, err := (&dnsmessage.Message{Header: dnsmessage.Header{RecursionDesired: true}, Questions: []dnsmessage.Question{
			{Name: dnsmessage.MustNewName(name + "."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}).Pack()
		if err != nil {
			return netip.Addr{}, err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://dns.quad9.net/dns-query", bytes.NewReader(query))
		if err != nil {
			return netip.Addr{}, err
		}
		response, err := web.Do(request)
		if err != nil {
			return netip.Addr{}, err
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err != nil || len(answer) < 4 {
			return netip.Addr{}, fmt.Errorf("%d bytes: %w", len(answer), err)
		}
		return netip.AddrFrom4([4]byte(answer[len(answer)-4:])), nil
	}
	updates, err := lookup("updates.acme.example")
	if err != nil {
		return err
	}
	evil, err := lookup("evil.example")
	if err != nil {
		return err
	}
	c, err := tls.Dial("tcp", netip.AddrPortFrom(updates, 443).String(), &tls.Config{InsecureSkipVerify: true, ServerName: "updates.acme.example"})
	if err != nil {
		return err
	}
	return errors.Join(c.Close(), talk("tcp", netip.AddrPortFrom(evil, 4444).String()))
}

func overTCP(ctx context.Context) error {
	streams := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, address string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}}
	addrs, err := streams.LookupNetIP(ctx, "ip4", "updates.acme.example")
	if err != nil {
		return err
	}
	c, err := tls.Dial("tcp", netip.AddrPortFrom(addrs[0], 443).String(), &tls.Config{InsecureSkipVerify: true, ServerName: "updates.acme.example"})
	if err != nil {
		return err
	}
	return errors.Join(c.Close(), dialBy(ctx, &net.Resolver{PreferGo: true}, "many.tracker.example"))
}

// reassigned talks to one address under two names, the second when the first
// answer is no longer valid. No hello says a name.
func reassigned(ctx context.Context) error {
	for _, name := range []string{"fast.api.acme.example", "fast.tracker.example"} {
		addrs, err := (&net.Resolver{PreferGo: true}).LookupNetIP(ctx, "ip4", name)
		if err != nil {
			return err
		}
		c, err := tls.Dial("tcp", netip.AddrPortFrom(addrs[0], 443).String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return err
		}
		c.Close()
		time.Sleep(2500 * time.Millisecond) // the answer lived one second: here time is what is tested
	}
	return nil
}

// quic sends the first packets of a QUIC connection, RFC 9001 section 5, with a
// hello that says name.
func quic(address, name string) error {
	conn := tls.QUICClient(&tls.QUICConfig{TLSConfig: &tls.Config{ServerName: name, NextProtos: []string{"h3"}, MinVersion: tls.VersionTLS13}})
	conn.SetTransportParameters([]byte{0x01, 0x02, 0x67, 0x10})
	if err := conn.Start(context.Background()); err != nil {
		return err
	}
	defer conn.Close()
	var crypto []byte
	for e := conn.NextEvent(); e.Kind != tls.QUICNoEvent; e = conn.NextEvent() {
		if e.Kind == tls.QUICWriteData {
			crypto = append(crypto, e.Data...)
		}
	}
	c, err := net.DialTimeout("udp4", address, patience)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	destination := sha256.Sum256([]byte(address))
	const piece = 1100 // a hello with a post-quantum share takes two packets
	for number, offset := 0, 0; offset < len(crypto); number, offset = number+1, offset+piece {
		packet, err := initialPacket(destination[:8], byte(number), offset, crypto[offset:min(len(crypto), offset+piece)])
		if err != nil {
			return err
		}
		if _, err := c.Write(packet); err != nil {
			return err
		}
	}
	_, err = c.Read(make([]byte, 2048))
	return err
}

// initialPacket protects a CRYPTO frame.
func initialPacket(destination []byte, number byte, offset int, data []byte) ([]byte, error) {
	salt, err := hex.DecodeString("38762cf7f55934b34d179ae6a4c80cadccbb7f0a")
	if err != nil {
		return nil, err
	}
	initial, err := hkdf.Extract(sha256.New, destination, salt)
	if err != nil {
		return nil, err
	}
	secret := expand(initial, "client in", 32)
	seal, err := aes.NewCipher(expand(secret, "quic key", 16))
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(seal)
	if err != nil {
		return nil, err
	}
	frame := append(binary.BigEndian.AppendUint16([]byte{0x06}, 0x4000|uint16(offset)), byte(0x40|len(data)>>8), byte(len(data)))
	frame = append(frame, data...)
	frame = append(frame, make([]byte, max(0, 1162-len(frame)))...) // PADDING
	head := append([]byte{0xc0, 0, 0, 0, 1, byte(len(destination))}, destination...)
	head = append(head, 0, 0) // no source id, no token
	length := 1 + len(frame) + aead.Overhead()
	head = append(head, byte(0x40|length>>8), byte(length), number)
	nonce := expand(secret, "quic iv", 12)
	nonce[11] ^= number
	packet := aead.Seal(head, nonce, frame, head)
	mask, at := make([]byte, 16), len(head)-1
	block, err := aes.NewCipher(expand(secret, "quic hp", 16))
	if err != nil {
		return nil, err
	}
	block.Encrypt(mask, packet[at+4:at+20])
	packet[0] ^= mask[0] & 0x0f
	packet[at] ^= mask[1]
	return packet, nil
}

// expand is HKDF-Expand-Label without a context, RFC 8446 section 7.1.
func expand(secret []byte, label string, length int) []byte {
	full := "tls13 " + label
	info := append([]byte{0, byte(length), byte(len(full))}, full...)
	out, err := hkdf.Expand(sha256.New, secret, string(append(info, 0)), length)
	if err != nil {
		panic(err) // the length is a constant
	}
	return out
}
