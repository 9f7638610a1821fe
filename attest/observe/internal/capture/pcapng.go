package capture

import (
	"encoding/binary"
	"math/bits"
)

// Types of blocks.
const (
	blockInterface  = 1
	blockOldPacket  = 2
	blockSimple     = 3
	blockStatistics = 5
	blockPacket     = 6

	blockOverhead = 12
	optionEnd     = 0
	optionTSResol = 9
	optionTSOff   = 14
	optionIfDrop  = 5
	optionOSDrop  = 7
)

// iface is what a section says of an interface.
type iface struct {
	link    uint16
	snap    uint32
	perUnit uint64 // units of its clock in a second
	offset  int64  // seconds
	dropped uint64
}

func (c *Reader) nextNG(p *Packet) error {
	for {
		h, err := c.peek(blockOverhead, "a block")
		if err != nil {
			return err
		}
		if binary.BigEndian.Uint32(h) == magicNG {
			if err := c.section(); err != nil {
				return err
			}
			continue
		}
		if c.order == nil {
			return c.bad("a block before the section header")
		}
		kind, size := c.order.Uint32(h), c.order.Uint32(h[4:])
		if size < blockOverhead || size%4 != 0 {
			return c.bad("block of type %d with a length of %d, want a multiple of 4 and at least %d", kind, size, blockOverhead)
		}
		switch kind {
		case blockPacket, blockOldPacket, blockSimple:
			return c.packetBlock(kind, size, p)
		case blockInterface, blockStatistics:
			err = c.smallBlock(kind, size)
		default: // what it holds is not needed: names, keys, comments
			err = c.discard(int(size))
		}
		if err != nil {
			return err
		}
	}
}

// section begins a section: its byte order, and no interface yet.
func (c *Reader) section() error {
	h, err := c.rest(16, "a section header")
	if err != nil {
		return err
	}
	var order binary.ByteOrder = binary.LittleEndian
	if order.Uint32(h[8:]) != magicBlocks {
		order = binary.BigEndian
	}
	if order.Uint32(h[8:]) != magicBlocks {
		return c.bad("byte-order magic % x", h[8:12])
	}
	size := order.Uint32(h[4:])
	if major := order.Uint16(h[12:]); major != 1 || size < 28 || size%4 != 0 || size > maxSmall {
		return c.bad("section header of version %d with a length of %d, want version 1 and 28 to %d bytes", major, size, maxSmall)
	}
	c.order, c.interfaces = order, c.interfaces[:0]
	return c.discard(int(size))
}

// block returns the body of a block whose two lengths agree.
func (c *Reader) block(kind, size uint32, limit int) ([]byte, error) {
	if int64(size) > int64(limit) {
		return nil, c.bad("block of type %d with a length of %d, the limit is %d", kind, size, limit)
	}
	b, err := c.rest(int(size), "a block")
	if err != nil {
		return nil, err
	}
	if again := c.order.Uint32(b[size-4:]); again != size {
		return nil, c.bad("block of type %d says at its end that its length is %d, and %d at its beginning", kind, again, size)
	}
	return b[8 : size-4], nil
}

func (c *Reader) smallBlock(kind, size uint32) error {
	b, err := c.block(kind, size, maxSmall)
	if err != nil {
		return err
	}
	if kind == blockInterface {
		err = c.addInterface(b)
	} else {
		err = c.statistics(b)
	}
	if err != nil {
		return err
	}
	return c.discard(int(size))
}

func (c *Reader) addInterface(b []byte) error {
	if len(b) < 8 {
		return c.bad("interface of %d bytes, want at least 8", len(b))
	}
	if len(c.interfaces) == MaxInterfaces {
		return c.bad("more than %d interfaces in a section", MaxInterfaces)
	}
	i := iface{link: c.order.Uint16(b), snap: c.order.Uint32(b[4:]), perUnit: 1_000_000}
	err := c.options(b[8:], func(code uint16, value []byte) error {
		switch {
		case code == optionTSResol && len(value) == 1:
			per, ok := resolution(value[0])
			if !ok {
				return c.bad("clock resolution %#x", value[0])
			}
			i.perUnit = per
		case code == optionTSOff && len(value) == 8:
			i.offset = int64(c.order.Uint64(value))
		}
		return nil
	})
	c.interfaces = append(c.interfaces, i)
	return err
}

// resolution reads if_tsresol: a negative power of 10, or of 2 with the top bit.
func resolution(b byte) (uint64, bool) {
	power := b & 0x7f
	if b&0x80 != 0 {
		return 1 << (power & 63), power < 64
	}
	if power > 19 {
		return 0, false
	}
	n := uint64(1)
	for range power {
		n *= 10
	}
	return n, true
}

// statistics adds what the capturing program counted as lost. The counters are
// totals, so the last of each interface counts.
func (c *Reader) statistics(b []byte) error {
	if len(b) < 12 {
		return c.bad("statistics of %d bytes, want at least 12", len(b))
	}
	id := c.order.Uint32(b)
	if int64(id) >= int64(len(c.interfaces)) {
		return c.bad("statistics of interface %d, there are %d", id, len(c.interfaces))
	}
	var dropped uint64
	err := c.options(b[12:], func(code uint16, value []byte) error {
		if (code == optionIfDrop || code == optionOSDrop) && len(value) == 8 {
			dropped += min(c.order.Uint64(value), 1<<40)
		}
		return nil
	})
	i := &c.interfaces[id]
	if dropped > i.dropped {
		c.dropped += dropped - i.dropped
		i.dropped = dropped
	}
	return err
}

// options calls f for each option. Each step goes forward by at least four
// bytes, so it ends.
func (c *Reader) options(b []byte, f func(code uint16, value []byte) error) error {
	for len(b) >= 4 {
		code, size := c.order.Uint16(b), int(c.order.Uint16(b[2:]))
		if code == optionEnd {
			return nil
		}
		padded := (size + 3) &^ 3
		if padded > len(b)-4 {
			return c.bad("option %d of %d bytes, its block has %d left", code, size, len(b)-4)
		}
		if err := f(code, b[4:4+size]); err != nil {
			return err
		}
		b = b[4+padded:]
	}
	return nil
}

// packetBlock reads the three kinds of packets.
func (c *Reader) packetBlock(kind, size uint32, p *Packet) error {
	b, err := c.block(kind, size, MaxPacket+maxSmall)
	if err != nil {
		return err
	}
	fixed := map[uint32]int{blockPacket: 20, blockOldPacket: 20, blockSimple: 4}[kind]
	if len(b) < fixed {
		return c.bad("packet block of %d bytes, want at least %d", len(b), fixed)
	}
	var id, captured, length uint32
	switch kind {
	case blockSimple:
		length = c.order.Uint32(b)
		captured = min(length, uint32(len(b)-fixed))
	case blockOldPacket:
		id = uint32(c.order.Uint16(b))
		captured, length = c.order.Uint32(b[12:]), c.order.Uint32(b[16:])
	default:
		id = c.order.Uint32(b)
		captured, length = c.order.Uint32(b[12:]), c.order.Uint32(b[16:])
	}
	switch {
	case int64(id) >= int64(len(c.interfaces)):
		return c.bad("packet of interface %d, there are %d", id, len(c.interfaces))
	case int64(captured) > int64(len(b)-fixed):
		return c.bad("packet of %d bytes in a block that has %d", captured, len(b)-fixed)
	}
	i := &c.interfaces[id]
	if kind == blockSimple {
		if i.snap != 0 {
			captured = min(captured, i.snap)
		}
		p.Nanos = 0
		c.badTimes++
	} else {
		p.Nanos = c.stamp(i, uint64(c.order.Uint32(b[4:]))<<32|uint64(c.order.Uint32(b[8:])))
	}
	p.Link, p.Data = i.link, b[fixed:fixed+int(captured)]
	p.Length = int(max(captured, min(length, MaxPacket)))
	c.skip = int(size)
	return nil
}

// stamp turns the units of an interface's clock into nanoseconds.
func (c *Reader) stamp(i *iface, units uint64) int64 {
	if i.perUnit == 1_000_000 && i.offset == 0 && units < maxTime*1_000_000 { // nearly all
		return c.time(int64(units/1_000_000), int64(units%1_000_000)*1000)
	}
	seconds, fraction := units/i.perUnit, units%i.perUnit
	if seconds > maxTime || i.offset > maxTime || i.offset < -maxTime {
		c.badTimes++
		return 0
	}
	hi, lo := bits.Mul64(fraction, 1_000_000_000)
	nanos, _ := bits.Div64(hi, lo, i.perUnit) // fraction < perUnit, so it fits
	return c.time(int64(seconds)+i.offset, int64(nanos))
}
