package recorder

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// tunDevice is what both carriers make their interface with.
const tunDevice = "/dev/net/tun"

// carrier is a program that carries packets for users without rights.
type carrier struct {
	said  bytes.Buffer // to be read when done is closed
	done  chan struct{}
	ready atomic.Bool
}

// ended reports whether it has ended, with its last words.
func (c *carrier) ended() (string, bool) {
	select {
	case <-c.done:
	default:
		return "", false
	}
	lines := strings.Split(strings.TrimSpace(c.said.String()), "\n")
	return lines[len(lines)-1], true
}

// userWay starts a carrier for the namespace, pasta rather than slirp4netns: it
// gives the program the addresses of the host.
func (r *run) userWay(ctx context.Context, s *setup) error {
	pid := strconv.Itoa(r.helper.Process.Pid)
	args := map[Way][]string{
		WayPasta: {"--foreground", "--quiet", "--config-net", "--no-map-gw", "-t", "none", "-u", "none", "-T", "none", "-U", "none", pid},
		WaySlirp: {"--configure", "--mtu=65520", "--disable-host-loopback", "--enable-ipv6", pid, "tap0"},
	}
	for _, way := range []Way{WayPasta, WaySlirp} {
		path, err := exec.LookPath(string(way))
		if err != nil {
			continue
		}
		if err := unix.Access(tunDevice, unix.R_OK|unix.W_OK); err != nil {
			return &HintError{Err: fmt.Errorf("%w: %s needs %s: %w", ErrWayOut, way, tunDevice, err),
				Hint: "let users open the device (mode 0666, as most systems have it), run as root, or use --offline, which records what is tried"}
		}
		s.Way, r.result.Way = way, way
		return r.carry(ctx, path, args[way])
	}
	return &HintError{Err: fmt.Errorf("%w: as an unprivileged user it takes pasta or slirp4netns, and neither is installed", ErrWayOut),
		Hint: "install passt (or slirp4netns), run as root, or use --offline, which records what is tried"}
}

// carry runs a carrier until the end of the run. One that ends before there is a
// way takes the helper, which waits for it, along.
func (r *run) carry(ctx context.Context, path string, args []string) error {
	c := &carrier{done: make(chan struct{})}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), path, args...) //nolint:gosec // one of two programs, found on the path
	cmd.Stdout, cmd.Stderr = &c.said, &c.said
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w: %w", ErrWayOut, err)
	}
	r.carrier = c
	go func() {
		_ = cmd.Wait() // what it said is kept
		close(c.done)
		if !c.ready.Load() {
			_ = r.helper.Process.Kill() // it may have ended by itself
		}
	}()
	r.later(func() error {
		c.ready.Store(true)
		_ = cmd.Process.Kill() // it may have ended with the namespace
		<-c.done
		return nil
	})
	return nil
}
