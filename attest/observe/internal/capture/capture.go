package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// The limits of a capture, whatever it says of itself.
const (
	// MaxPacket is the largest packet, in bytes as captured.
	MaxPacket = 1 << 20
	// MaxInterfaces is the largest number of interfaces in a section of a pcapng.
	MaxInterfaces = 4096

	bufferSize = 2 << 20
	// maxSmall bounds the blocks that are read for what they say.
	maxSmall = 64 << 10
	// maxTime is the last second of the year 9999: what is later cannot be written.
	maxTime = 253402300799
)

// Packet is one packet.
type Packet struct {
	// Nanos is the time in nanoseconds since 1970; 0 if the file has none that
	// can be.
	Nanos int64
	// Link is the link type as in the registry of tcpdump.org.
	Link uint16
	// Length is the length on the wire. It is never less than len(Data).
	Length int
	// Data is what was captured of it. It is valid until the next call of Next.
	Data []byte
}

// Error says where a capture stops making sense.
type Error struct {
	// Offset is the place in the file, in bytes.
	Offset int64
	Detail string
	// Cut is set if the file ends in the middle of something.
	Cut bool
}

// Error says where, and what is wrong.
func (e *Error) Error() string { return fmt.Sprintf("byte %d: %s", e.Offset, e.Detail) }

// Format is the container.
type Format int

// The containers.
const (
	None Format = iota
	PCAP
	PCAPNG
)

// String is the name of the format, as users give it.
func (f Format) String() string { return [...]string{"none", "pcap", "pcapng"}[f] }

const (
	magicMicro  = 0xa1b2c3d4
	magicNano   = 0xa1b23c4d
	magicNG     = 0x0a0d0d0a
	magicBlocks = 0x1a2b3c4d
)

// Detect finds the container from the first four bytes.
func Detect(head []byte) Format {
	if len(head) < 4 {
		return None
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(head) {
		case magicMicro, magicNano:
			return PCAP
		case magicNG:
			return PCAPNG
		}
	}
	return None
}

// Reader reads one capture.
type Reader struct {
	r      *bufio.Reader
	offset int64
	order  binary.ByteOrder
	format Format
	skip   int // bytes of the last packet that are still in the buffer

	link  uint16 // pcap
	nanos bool

	interfaces []iface // pcapng
	dropped    uint64
	badTimes   int64
}

// NewReader reads the header. The error is an *[Error], or that of r.
func NewReader(r io.Reader) (*Reader, error) {
	c := &Reader{r: bufio.NewReaderSize(r, bufferSize)}
	head, err := c.r.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch c.format = Detect(head); c.format {
	case PCAP:
		return c, c.pcapHeader()
	case PCAPNG:
		return c, nil
	}
	return nil, c.bad("it begins with % x, which is neither pcap nor pcapng", head)
}

// Format returns the container.
func (c *Reader) Format() Format { return c.format }

// Dropped returns how many packets the capturing program says it lost, so far.
func (c *Reader) Dropped() uint64 { return c.dropped }

// BadTimes returns how many packets had a time that cannot be.
func (c *Reader) BadTimes() int64 { return c.badTimes }

// Buffered returns how many bytes were read and not given out yet.
func (c *Reader) Buffered() int { return c.r.Buffered() - c.skip }

// Next reads the next packet into p. At the end it returns io.EOF; every other
// error is an *[Error], or that of the underlying reader.
func (c *Reader) Next(p *Packet) error {
	if err := c.discard(c.skip); err != nil {
		return err
	}
	c.skip = 0
	if c.format == PCAP {
		return c.nextPCAP(p)
	}
	return c.nextNG(p)
}

func (c *Reader) bad(format string, args ...any) *Error {
	return &Error{Offset: c.offset, Detail: fmt.Sprintf(format, args...)}
}

// peek returns n bytes without taking them. io.EOF means that not one was left.
func (c *Reader) peek(n int, what string) ([]byte, error) {
	b, err := c.r.Peek(n)
	switch {
	case err == nil:
		return b, nil
	case !errors.Is(err, io.EOF):
		return nil, err
	case len(b) == 0:
		return nil, io.EOF
	}
	return nil, &Error{Offset: c.offset, Detail: fmt.Sprintf("%s is cut: got %d bytes, want %d", what, len(b), n), Cut: true}
}

// rest is peek where the end of the file is not one of the capture.
func (c *Reader) rest(n int, what string) ([]byte, error) {
	b, err := c.peek(n, what)
	if err == io.EOF { //nolint:errorlint // peek returns it bare
		return nil, &Error{Offset: c.offset, Detail: what + " is missing", Cut: true}
	}
	return b, err
}

func (c *Reader) discard(n int) error {
	done, err := c.r.Discard(n)
	c.offset += int64(done)
	if errors.Is(err, io.EOF) {
		return &Error{Offset: c.offset, Detail: fmt.Sprintf("%d bytes are missing", n-done), Cut: true}
	}
	return err
}

// time joins seconds and a fraction in nanoseconds, and counts what no clock
// of ours can say.
func (c *Reader) time(seconds int64, nanos int64) int64 {
	if seconds < 0 || seconds > min(maxTime, math.MaxInt64/1_000_000_000-1) || nanos < 0 || nanos >= 1_000_000_000 {
		c.badTimes++
		return 0
	}
	return seconds*1_000_000_000 + nanos
}
