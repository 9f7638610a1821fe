package recorder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// The two processes talk over a pair of sockets that keeps messages apart.

// order is what the caller tells the helper.
type order struct {
	// Setup comes first, and is answered with a report and three sockets.
	Setup *setup `json:",omitempty"`
	// Start starts the program.
	Start bool `json:",omitempty"`
	// Signal is passed on to the program.
	Signal int `json:",omitempty"`
	// End ends the helper, and with it everything in its process namespace.
	End bool `json:",omitempty"`
}

// setup is how the namespace is to be.
type setup struct {
	Way Way
	// Interface has to be given Addresses and Gateways (WayNAT).
	Interface string
	Addresses []string
	Gateways  []string
	Conf      []byte // of the resolver
	Path      string
	Command   []string
	Dir       string
	Environ   []string
	// Programs asks for reports of sockets.
	Programs bool `json:",omitempty"`
}

// report is what the helper answers.
type report struct {
	// Error: it did not work.
	Error string `json:",omitempty"`
	// Ready: everything is there, with the addresses of the program. The sockets
	// (capture, UDP, TCP) come along.
	Ready bool     `json:",omitempty"`
	Local []string `json:",omitempty"`
	// Notes are things that did not work and need not.
	Notes []string `json:",omitempty"`
	// Sockets are some of those that were seen. They come before Ended.
	Sockets []Socket `json:",omitempty"`
	// Started: the program runs. Ended: it does not any more.
	Started, Ended bool `json:",omitempty"`
	ExitCode       int  `json:",omitempty"`
}

// sockets that come with report.Ready.
const sockets = 3

// maxOrder bounds a message: an environment can be large.
const maxOrder = 4 << 20

// channel is one end.
type channel struct{ file *os.File }

// channels makes a pair of ends.
func channels() (ours, theirs channel, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return channel{}, channel{}, fmt.Errorf("socket pair: %w", err)
	}
	for _, fd := range fds {
		// Without room a large environment would not fit into one message.
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, maxOrder) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, maxOrder) // sending says so if it is too little
		}
	}
	return channel{os.NewFile(uintptr(fds[0]), "helper")}, channel{os.NewFile(uintptr(fds[1]), "caller")}, nil
}

func (c channel) close() { c.file.Close() }

// send sends a message, with open files.
func (c channel) send(v any, fds ...int) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	return unix.Sendmsg(int(c.file.Fd()), b, oob, nil, 0)
}

// receive waits for a message. io.EOF means that the other end is gone.
func (c channel) receive(v any) (fds []int, err error) {
	b, oob := make([]byte, maxOrder), make([]byte, unix.CmsgSpace(4*sockets))
	n, oobn := 0, 0
	for {
		n, oobn, _, _, err = unix.Recvmsg(int(c.file.Fd()), b, oob, unix.MSG_CMSG_CLOEXEC)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, io.EOF
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return nil, err
	}
	for i := range messages {
		more, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return nil, err
		}
		fds = append(fds, more...)
	}
	return fds, json.Unmarshal(b[:n], v)
}
