package wire

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
)

// Versions of QUIC whose Initial packets can be read.
const (
	quicV1 = 0x00000001
	quicV2 = 0x6b3343cf
)

// suite is what differs between the versions: the salt of the initial secret,
// the prefix of the labels, and which long packet is an Initial.
type suite struct {
	salt    []byte
	prefix  string
	initial byte
}

func quicSuite(version uint32) (suite, bool) {
	switch version {
	case quicV1: // RFC 9001, 5.2
		return suite{[]byte{0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a},
			"quic ", 0}, true
	case quicV2: // RFC 9369, 3.3
		return suite{[]byte{0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9},
			"quicv2 ", 1}, true
	}
	return suite{}, false
}

// The limits of the client's hello in QUIC.
const (
	maxInitials = 8
	maxPieces   = 64
)

var errNotInitial = errors.New("no Initial packet of a version that can be read")

// QUIC gathers the hello of one connection from the client's Initial packets.
// Clients shuffle its pieces over several frames and packets. The zero value is
// ready.
type QUIC struct {
	header  cipher.Block
	packet  cipher.AEAD
	iv      []byte
	version uint32
	packets int
	pieces  int
	data    []byte
	have    []bool
}

// LooksInitial reports whether a datagram begins with an Initial packet of a
// version that can be read. It costs nothing.
func LooksInitial(b []byte) bool {
	if len(b) < 7 || b[0]&0xc0 != 0xc0 {
		return false
	}
	s, ok := quicSuite(be.Uint32(b[1:]))
	return ok && b[0]>>4&3 == s.initial
}

// Datagram adds a datagram from the client. more: the hello is not complete yet,
// and a further datagram may bring the rest.
func (q *QUIC) Datagram(b []byte) (h Hello, more bool) {
	for len(b) > 0 && q.packets < maxInitials {
		q.packets++
		size, err := q.initial(b)
		if err != nil {
			break
		}
		b = b[size:]
	}
	if body, state := q.hello(); state != incomplete {
		if state == complete {
			h = clientHelloName(body)
		}
		return h, false
	}
	return h, q.packets < maxInitials && q.header != nil
}

// hello looks whether the message is whole.
func (q *QUIC) hello() ([]byte, progress) {
	n := 0
	for n < len(q.have) && q.have[n] {
		n++
	}
	if n >= 1 && q.data[0] != clientHello {
		return nil, different
	}
	if n < 4 {
		return nil, incomplete
	}
	size := int(q.data[1])<<16 | int(be.Uint16(q.data[2:]))
	switch {
	case size > maxHandshake:
		return nil, different
	case n < 4+size:
		return nil, incomplete
	}
	return q.data[4 : 4+size], complete
}

// initial decrypts one packet and takes its frames. It returns the length of
// the packet: others may follow in the datagram.
func (q *QUIC) initial(b []byte) (int, error) {
	if !LooksInitial(b) {
		return 0, errNotInitial
	}
	version := be.Uint32(b[1:])
	c := cursor{b: b[5:]}
	dcid := c.take(int(c.u8()))
	c.skip(int(c.u8()))
	c.skip(int(c.varint()))
	length := int(c.varint())
	if c.bad || len(dcid) > 20 || length > len(c.b) || length < 4+16 {
		return 0, errNotInitial
	}
	if q.header == nil {
		if err := q.keys(version, dcid); err != nil {
			return 0, err
		}
	}
	number := len(b) - len(c.b)
	frames, err := q.open(b[:number+length], number)
	if err != nil {
		return 0, err
	}
	q.frames(frames)
	return number + length, nil
}

// keys derives the client's keys from the first connection id, as anybody can.
func (q *QUIC) keys(version uint32, dcid []byte) error {
	s, _ := quicSuite(version)
	secret, err := hkdf.Extract(sha256.New, dcid, s.salt)
	if err != nil {
		return err
	}
	if secret, err = expand(secret, "client in", sha256.Size); err != nil {
		return err
	}
	key, err1 := expand(secret, s.prefix+"key", 16)
	iv, err2 := expand(secret, s.prefix+"iv", 12)
	hp, err3 := expand(secret, s.prefix+"hp", 16)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	block, err1 := aes.NewCipher(key)
	header, err2 := aes.NewCipher(hp)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if q.packet, err = cipher.NewGCM(block); err != nil {
		return err
	}
	q.header, q.iv, q.version = header, iv, version
	return nil
}

// expand is HKDF-Expand-Label of TLS 1.3 with an empty context.
func expand(secret []byte, label string, size int) ([]byte, error) {
	const prefix = "tls13 "
	info := []byte{byte(size >> 8), byte(size), byte(len(prefix) + len(label))}
	info = append(append(append(info, prefix...), label...), 0)
	return hkdf.Expand(sha256.New, secret, string(info), size)
}

// open removes the protection of a packet whose number begins at the offset.
func (q *QUIC) open(packet []byte, number int) ([]byte, error) {
	const sample = 4
	if len(packet) < number+sample+aes.BlockSize {
		return nil, errNotInitial
	}
	var mask [aes.BlockSize]byte
	q.header.Encrypt(mask[:], packet[number+sample:number+sample+aes.BlockSize])
	first := packet[0] ^ mask[0]&0x0f
	size := int(first&3) + 1
	header := make([]byte, number+size)
	copy(header, packet)
	header[0] = first
	var n uint64
	for i, m := range mask[1 : 1+size] {
		header[number+i] ^= m
		n = n<<8 | uint64(header[number+i])
	}
	nonce := make([]byte, len(q.iv))
	copy(nonce, q.iv)
	for i := range 8 {
		nonce[len(nonce)-1-i] ^= byte(n >> (8 * i))
	}
	return q.packet.Open(nil, nonce, packet[number+size:], header)
}

// frames takes the pieces of the hello. Other frames of an Initial are skipped.
func (q *QUIC) frames(b []byte) {
	c := cursor{b: b}
	for !c.bad && len(c.b) > 0 {
		switch kind := c.varint(); kind {
		case 0, 1: // padding, ping
		case 2, 3: // acknowledgement, 3 with counts of ECN
			c.varint()
			c.varint()
			ranges := c.varint()
			c.varint()
			for ; ranges > 0 && !c.bad; ranges-- {
				c.varint()
				c.varint()
			}
			for n := 0; kind == 3 && n < 3; n++ {
				c.varint()
			}
		case 6:
			offset, size := c.varint(), c.varint()
			if offset > maxHandshake || size > maxHandshake || q.pieces == maxPieces {
				return
			}
			q.add(int(offset), c.take(int(size)))
		default:
			return
		}
	}
}

func (q *QUIC) add(offset int, piece []byte) {
	q.pieces++
	if end := offset + len(piece); end > len(q.data) {
		q.data = append(q.data, make([]byte, end-len(q.data))...)
		q.have = append(q.have, make([]bool, end-len(q.have))...)
	}
	copy(q.data[offset:], piece)
	for i := range piece {
		q.have[offset+i] = true
	}
}

// varint reads an integer of RFC 9000, 16. Those that no length can be become
// one that is too long for everything.
func (c *cursor) varint() uint64 {
	first := c.u8()
	v := uint64(first & 0x3f)
	for range 1<<(first>>6) - 1 {
		v = v<<8 | uint64(c.u8())
	}
	return min(v, 1<<30)
}
