package recorder

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// watchStep is how long after a look there is no other. A socket that is open for
	// less may not be seen.
	watchStep = 20 * time.Millisecond
	// maxSockets bounds what is remembered of them.
	maxSockets = 20_000
	// socketsPerReport bounds a message: a user's socket takes 200 kB.
	socketsPerReport = 200
	listening        = 0x0a // TCP_LISTEN
)

// socketKey is one use of a socket: one that is connected to somebody else is
// another.
type socketKey struct {
	inode  uint64
	remote netip.AddrPort
}

// kernelSocket is a line of /proc/net/tcp and its like.
type kernelSocket struct {
	socketKey
	transport string
	local     netip.AddrPort
	state     uint64
}

// watcher finds out which program has which socket, by looking whenever there are
// packets: the kernel tells of no process with the sockets that it makes.
type watcher struct {
	packets int // a packet socket
	stop    *os.File
	done    chan struct{}

	seen    map[socketKey]bool
	sockets map[Socket]int // without Count
}

// watch begins to look. It has to be ended.
func watch() (*watcher, error) {
	packets, err := openCapture()
	if err != nil {
		return nil, err
	}
	stopped, stop, err := os.Pipe()
	if err != nil {
		_ = unix.Close(packets)
		return nil, err
	}
	w := &watcher{packets: packets, stop: stop, done: make(chan struct{}), seen: map[socketKey]bool{}, sockets: map[Socket]int{}}
	go func() {
		defer close(w.done)
		defer stopped.Close()
		w.run(int32(stopped.Fd()))
	}()
	return w, nil
}

// run looks at the first packet of a burst, and again while it lasts. Looking takes
// the kernel milliseconds; a program that is silent costs nothing.
func (w *watcher) run(stopped int32) {
	const whileBusy = watchStep / time.Millisecond
	for ended := false; !ended; {
		ended = readable(-1, stopped, int32(w.packets))
		w.drain()
		w.look() // at the end, too: what the program has left running is still there
		ended = ended || readable(int(whileBusy), stopped)
	}
}

// readable waits for at most some milliseconds, -1 is for ever, until one can be
// read, and reports whether that is the first.
func readable(milliseconds int, fds ...int32) bool {
	var wait []unix.PollFd
	for _, fd := range fds {
		wait = append(wait, unix.PollFd{Fd: fd, Events: unix.POLLIN})
	}
	_, err := unix.Poll(wait, milliseconds)
	return wait[0].Revents != 0 || err != nil && !errors.Is(err, unix.EINTR)
}

// drain forgets the packets: that there are some is enough.
func (w *watcher) drain() {
	var b [1]byte
	for {
		if _, _, err := unix.Recvfrom(w.packets, b[:], 0); err != nil && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ENETDOWN) {
			return
		}
	}
}

// end looks once more and returns what was found.
func (w *watcher) end() []Socket {
	w.stop.Close()
	<-w.done
	_ = unix.Close(w.packets)
	var all []Socket
	for s, n := range w.sockets {
		s.Count = n
		all = append(all, s)
	}
	return all
}

func (w *watcher) look() {
	var fresh []kernelSocket
	ports := map[string]bool{} // that are listened at
	for _, name := range []string{"tcp", "tcp6", "udp", "udp6"} {
		data, err := os.ReadFile("/proc/net/" + name)
		if err != nil {
			continue // no IPv6
		}
		for _, s := range parseSockets(string(data), name[:3]) {
			if s.listens() {
				ports[portOf(s.transport, s.local.Port())] = true
			}
			if !w.seen[s.socketKey] {
				fresh = append(fresh, s)
			}
		}
	}
	if len(fresh) == 0 || len(w.seen) >= maxSockets {
		return
	}
	programs := socketPrograms()
	for _, s := range fresh {
		program, known := programs[s.inode]
		if !known {
			continue // it may be the next time
		}
		if w.seen[s.socketKey] = true; program == "" {
			continue
		}
		found := Socket{Transport: s.transport, Program: program}
		switch {
		case s.listens():
			found.Listening = s.local.Port()
		case ports[portOf(s.transport, s.local.Port())]:
			continue // accepted: its listener counts
		default:
			found.Remote = s.remote
		}
		w.sockets[found]++
	}
}

// listens: UDP knows no listening; a socket without a peer may be that of a server.
func (s *kernelSocket) listens() bool {
	return s.transport == "tcp" && s.state == listening || s.transport == "udp" && s.remote.Port() == 0
}

func portOf(transport string, port uint16) string { return transport + strconv.Itoa(int(port)) }

// parseSockets reads /proc/net/tcp and its like. Sockets without an inode are no
// process's any more.
func parseSockets(text, transport string) []kernelSocket {
	const local, remote, state, inode = 1, 2, 3, 9
	var all []kernelSocket
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) <= inode {
			continue
		}
		s := kernelSocket{transport: transport}
		var err1, err2, err3, err4 error
		s.local, err1 = kernelAddress(f[local])
		s.remote, err2 = kernelAddress(f[remote])
		s.state, err3 = strconv.ParseUint(f[state], 16, 8)
		s.inode, err4 = strconv.ParseUint(f[inode], 10, 64)
		if cmp.Or(err1, err2, err3, err4) == nil && s.inode != 0 {
			all = append(all, s)
		}
	}
	return all
}

// kernelAddress reads ADDRESS:PORT in hexadecimal. The address is in words of 32
// bits, each in the order of the machine.
func kernelAddress(s string) (netip.AddrPort, error) {
	address, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for word := range slices.Chunk(b, 4) {
		if len(word) == 4 {
			binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
		}
	}
	a, ok := netip.AddrFromSlice(b)
	n, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is no address of the kernel's", s)
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), nil
}

// socketPrograms are the programs that have sockets, by inode; "" where several
// share one.
func socketPrograms() map[uint64]string {
	programs := map[uint64]string{}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return nil
	}
	names := map[string]string{} // of processes
	own := strconv.Itoa(os.Getpid())
	for _, link := range links {
		target, err := os.Readlink(link)
		number, ok := strings.CutPrefix(target, "socket:[")
		pid := strings.Split(link, "/")[2]
		if err != nil || !ok || pid == own {
			continue
		}
		inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
		if err != nil {
			continue
		}
		if _, known := names[pid]; !known {
			names[pid] = programOf(pid)
		}
		name := names[pid]
		if name == "" {
			continue
		}
		if before, has := programs[inode]; has && before != name {
			name = ""
		}
		programs[inode] = name
	}
	return programs
}

// programOf is the name of the file that a process runs, "" if it is gone.
func programOf(pid string) string {
	path, err := os.Readlink("/proc/" + pid + "/exe")
	if err != nil {
		return ""
	}
	return strings.ToValidUTF8(filepath.Base(strings.TrimSuffix(path, " (deleted)")), "\ufffd")
}
