package recorder

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// loopback is the index of the loopback interface of every namespace.
	loopback = 1
	// captureBuffer is what the kernel keeps for a reader that is late, in bytes.
	captureBuffer = 64 << 20
)

// openCapture opens a socket that sees the packets of every interface of the
// namespace, from their IP headers on.
func openCapture() (int, error) {
	const allProtocols = 0x0300 // ETH_P_ALL in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("packet socket: %w", err)
	}
	// Before it is bound it receives nothing, so that no packet has no time stamp.
	err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1), setBuffer(fd),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: allProtocols}))
	if err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("packet socket: %w", err)
	}
	return fd, nil
}

// setBuffer asks for more than is usual, and takes what an unprivileged user gets.
func setBuffer(fd int) error {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer) == nil {
		return nil
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, captureBuffer)
}

// capture reads a packet socket into a pcap file.
type capture struct {
	fd   int
	stop *os.File // readable when the end has come
	to   *pcapWriter
	now  func() time.Time

	packets int64
}

// run reads until stop is readable, and then what is still there.
func (c *capture) run() error {
	buf, oob := make([]byte, snapLen), make([]byte, 128)
	for ending := false; ; {
		for {
			more, err := c.read(buf, oob)
			if err != nil {
				return err
			}
			if !more {
				break
			}
		}
		if err := c.to.flush(); err != nil || ending {
			return err
		}
		wait := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}, {Fd: int32(c.stop.Fd()), Events: unix.POLLIN}}
		if _, err := unix.Poll(wait, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("capture: %w", err)
		}
		ending = wait[1].Revents != 0
	}
}

// read takes one packet, and reports whether there was one.
func (c *capture) read(buf, oob []byte) (bool, error) {
	n, oobn, _, from, err := unix.Recvmsg(c.fd, buf, oob, unix.MSG_TRUNC)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return false, nil
	case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENETDOWN): // an interface went away; the others stay
		return true, nil
	case err != nil:
		return false, fmt.Errorf("capture: %w", err)
	}
	source, ok := from.(*unix.SockaddrLinklayer)
	if !ok || source.Ifindex == loopback && source.Pkttype == unix.PACKET_OUTGOING { // comes in again at once
		return true, nil
	}
	data := buf[:min(n, len(buf))]
	if !isIP(source.Protocol) || ofTheKernel(data) {
		return true, nil
	}
	c.packets++
	return true, c.to.packet(c.stamp(oob[:oobn]), data, n)
}

// isIP takes a protocol number in network order.
func isIP(protocol uint16) bool {
	p := protocol>>8 | protocol<<8
	return p == unix.ETH_P_IP || p == unix.ETH_P_IPV6
}

// stamp is the kernel's time of a packet.
func (c *capture) stamp(oob []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return c.now()
	}
	for i := range messages {
		h, data := &messages[i].Header, messages[i].Data
		if h.Level != unix.SOL_SOCKET || h.Type != unix.SCM_TIMESTAMPNS {
			continue
		}
		switch len(data) { // a timespec, of two words
		case 16:
			return time.Unix(int64(le.Uint64(data)), int64(le.Uint64(data[8:])))
		case 8:
			return time.Unix(int64(le.Uint32(data)), int64(le.Uint32(data[4:])))
		}
	}
	return c.now()
}

// dropped is what the kernel had no space for.
func (c *capture) dropped() (int64, error) {
	s, err := unix.GetsockoptTpacketStats(c.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, fmt.Errorf("capture: statistics: %w", err)
	}
	return int64(s.Drops), nil
}
