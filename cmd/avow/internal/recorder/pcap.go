package recorder

import (
	"encoding/binary"
	"io"
	"time"
)

const (
	// pcapNano is the magic number of files with nanoseconds.
	pcapNano = 0xa1b23c4d
	// linkRaw is the link type of packets that begin with their IP header.
	linkRaw = 101
	// snapLen is the largest packet that is kept whole: a packet of IP has no more.
	snapLen = 65535
	// recordHeader is the length of what stands before each packet.
	recordHeader = 16
)

// pcapHeader returns the header of a file.
func pcapHeader() []byte {
	h := make([]byte, 0, 24)
	h = binary.LittleEndian.AppendUint32(h, pcapNano)
	h = binary.LittleEndian.AppendUint16(h, 2)
	h = binary.LittleEndian.AppendUint16(h, 4)
	h = binary.LittleEndian.AppendUint64(h, 0) // time zone and accuracy: always 0
	h = binary.LittleEndian.AppendUint32(h, snapLen)
	return binary.LittleEndian.AppendUint32(h, linkRaw)
}

// appendRecord appends a packet of length bytes, of which data was captured.
func appendRecord(b []byte, at time.Time, data []byte, length int) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(at.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(at.Nanosecond()))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	b = binary.LittleEndian.AppendUint32(b, uint32(max(length, len(data))))
	return append(b, data...)
}

// pcapWriter writes records in large pieces. It is for one goroutine.
type pcapWriter struct {
	to  io.Writer
	buf []byte
}

func newPcapWriter(to io.Writer) *pcapWriter {
	return &pcapWriter{to: to, buf: append(make([]byte, 0, 256<<10), pcapHeader()...)}
}

func (w *pcapWriter) packet(at time.Time, data []byte, length int) error {
	if len(w.buf)+recordHeader+len(data) > cap(w.buf) {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.buf = appendRecord(w.buf, at, data, length)
	return nil
}

func (w *pcapWriter) flush() error {
	_, err := w.to.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

// ofTheKernel reports whether a packet is what the kernel itself says on a link:
// neighbour discovery and multicast membership. p begins with the IP header.
func ofTheKernel(p []byte) bool {
	const (
		igmp, icmp6, hopByHop   = 2, 58, 0
		listenerQuery, redirect = 130, 137
		listenerReport2         = 143
	)
	if len(p) >= 20 && p[0]>>4 == 4 {
		return p[9] == igmp
	}
	if len(p) < 48 || p[0]>>4 != 6 {
		return false
	}
	next, body := p[6], p[40:]
	if next == hopByHop && len(body) >= 9 && body[1] == 0 { // membership reports carry a router alert
		next, body = body[0], body[8:]
	}
	return next == icmp6 && len(body) > 0 && (body[0] >= listenerQuery && body[0] <= redirect || body[0] == listenerReport2)
}
