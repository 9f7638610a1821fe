package wire

import (
	"bytes"

	"github.com/avow-dev/avow/attest/observe/internal/record"
)

// Hello is what the beginning of a connection says in clear.
type Hello struct {
	// Protocol is tls, http, ssh or empty.
	Protocol string
	// Name is the server name of TLS, or the host of an HTTP request.
	Name string
	// Odd is set if there was a name that no host can have.
	Odd bool
	// Version is that of a TLS server's hello: 1.0 to 1.3.
	Version string
	// Through is the target of a request to a proxy.
	Through *Target
}

const (
	recordHandshake = 22
	clientHello     = 1
	serverHello     = 2

	extServerName = 0
	extVersions   = 43
)

// Client reads what a client sends first. more: a decision needs more bytes.
func Client(b []byte) (h Hello, more bool) {
	switch {
	case len(b) == 0:
		return h, true
	case b[0] == recordHandshake:
		return clientTLS(b)
	case bytes.HasPrefix(b, []byte("SSH-")):
		return Hello{Protocol: "ssh"}, false
	}
	return request(b)
}

func clientTLS(b []byte) (Hello, bool) {
	body, state := handshake(b, clientHello)
	if state != complete {
		return Hello{}, state == incomplete
	}
	return clientHelloName(body), false
}

// clientHelloName reads the name from the body of a ClientHello.
func clientHelloName(body []byte) Hello {
	h := Hello{Protocol: "tls"}
	c := cursor{b: body}
	c.skip(2 + 32)
	c.skip(int(c.u8()))
	c.skip(int(c.u16()))
	c.skip(int(c.u8()))
	extension(&c, extServerName, func(list []byte) {
		l := cursor{b: list}
		names := cursor{b: l.take(int(l.u16()))}
		for !names.bad && len(names.b) > 0 {
			kind := names.u8()
			name := names.take(int(names.u16()))
			if kind != 0 || names.bad {
				continue
			}
			var ok bool
			h.Name, ok = record.HostName(string(name))
			h.Odd = !ok
			return
		}
	})
	return h
}

// Server reads what a server answers first, of a client that said TLS.
func Server(b []byte) (h Hello, more bool) {
	if len(b) == 0 {
		return h, true
	}
	body, state := handshake(b, serverHello)
	if state != complete {
		return h, state == incomplete
	}
	c := cursor{b: body}
	version := c.u16()
	c.skip(32)
	c.skip(int(c.u8()))
	c.skip(3)
	if c.bad {
		return h, false
	}
	extension(&c, extVersions, func(b []byte) {
		if len(b) == 2 {
			version = be.Uint16(b)
		}
	})
	h.Protocol, h.Version = "tls", tlsVersion(version)
	return h, false
}

func tlsVersion(v uint16) string {
	switch v {
	case 0x0301:
		return "1.0"
	case 0x0302:
		return "1.1"
	case 0x0303:
		return "1.2"
	case 0x0304:
		return "1.3"
	}
	return ""
}

// extension calls f with the extension of a hello that has the type.
func extension(c *cursor, kind uint16, f func([]byte)) {
	list := cursor{b: c.take(int(c.u16()))}
	for !list.bad && len(list.b) > 0 {
		k := list.u16()
		if body := list.take(int(list.u16())); k == kind && !list.bad {
			f(body)
			return
		}
	}
}

type progress int

const (
	complete progress = iota
	incomplete
	different
)

// maxHandshake bounds a hello: those with the largest keys of today have 4 KB.
const maxHandshake = 16 << 10

// handshake takes the first handshake message out of its records.
func handshake(b []byte, kind byte) ([]byte, progress) {
	var message []byte
	for {
		if len(b) < 5 {
			if len(b) > 0 && b[0] != recordHandshake || len(b) > 1 && b[1] != 3 {
				return nil, different
			}
			return nil, incomplete
		}
		size := int(be.Uint16(b[3:]))
		if b[0] != recordHandshake || b[1] != 3 || size == 0 || size > maxHandshake+256 {
			return nil, different
		}
		fragment := b[5:min(len(b), 5+size)]
		whole := len(fragment) == size
		if message == nil {
			message = fragment[:len(fragment):len(fragment)] // no copy for the usual single record
		} else {
			message = append(message, fragment...)
		}
		if len(message) > 0 && message[0] != kind {
			return nil, different
		}
		if len(message) >= 4 {
			n := int(message[1])<<16 | int(be.Uint16(message[2:]))
			switch {
			case n > maxHandshake:
				return nil, different
			case len(message) >= 4+n:
				return message[4 : 4+n], complete
			}
		}
		if !whole {
			return nil, incomplete
		}
		b = b[5+size:]
	}
}

// cursor reads forward and remembers that it came to an end too early.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if n > len(c.b) {
		c.bad, c.b = true, nil
		return nil
	}
	b := c.b[:n]
	c.b = c.b[n:]
	return b
}

func (c *cursor) skip(n int) { c.take(n) }

func (c *cursor) u8() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return be.Uint16(b)
	}
	return 0
}
