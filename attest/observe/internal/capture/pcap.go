package capture

import "encoding/binary"

const (
	pcapHeaderBytes = 24
	pcapRecordBytes = 16
)

func (c *Reader) pcapHeader() error {
	h, err := c.rest(pcapHeaderBytes, "the file header")
	if err != nil {
		return err
	}
	c.order = binary.LittleEndian
	magic := c.order.Uint32(h)
	if magic != magicMicro && magic != magicNano {
		c.order = binary.BigEndian
		magic = c.order.Uint32(h)
	}
	if major := c.order.Uint16(h[4:]); major != 2 {
		return c.bad("version %d of pcap, want 2", major)
	}
	c.nanos = magic == magicNano
	c.link = uint16(c.order.Uint32(h[20:])) // the upper half says how long check sequences are
	return c.discard(pcapHeaderBytes)
}

func (c *Reader) nextPCAP(p *Packet) error {
	h, err := c.peek(pcapRecordBytes, "a packet header")
	if err != nil {
		return err
	}
	captured, length := c.order.Uint32(h[8:]), c.order.Uint32(h[12:])
	seconds, fraction := c.order.Uint32(h), int64(c.order.Uint32(h[4:]))
	if captured > MaxPacket {
		return c.bad("a packet of %d bytes, the limit is %d", captured, MaxPacket)
	}
	if h, err = c.rest(pcapRecordBytes+int(captured), "a packet"); err != nil {
		return err
	}
	if !c.nanos {
		fraction *= 1000
	}
	p.Nanos = c.time(int64(seconds), fraction)
	p.Link, p.Data = c.link, h[pcapRecordBytes:]
	p.Length = int(max(captured, min(length, MaxPacket)))
	c.skip = len(h)
	return nil
}
