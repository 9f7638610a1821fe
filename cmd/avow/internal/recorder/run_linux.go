package recorder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// grace is how long a program has to end after it was asked to.
	grace = 10 * time.Second
	// killed is the exit code of a program that did not.
	killed = 128 + int(syscall.SIGKILL)
)

// Run records a run of a program. Cancelling ctx asks the program to end, and
// what was recorded until then is the result; signals that the process gets
// meanwhile are passed on. The error wraps one of this package's, mostly with a
// [HintError].
func Run(ctx context.Context, o Options) (_ *Result, err error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	path, err := lookup(&o)
	if err != nil {
		return nil, err
	}
	host, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return nil, fmt.Errorf("the host's resolvers: %w", err)
	}
	r := &run{o: &o, result: &Result{Program: path}}
	defer func() { err = errors.Join(err, r.cleanup()) }()
	if err := r.namespace(); err != nil {
		return nil, err
	}
	s := &setup{Conf: ownConf(host), Path: path, Command: o.Command, Dir: o.Dir, Environ: o.Environ, Programs: o.Programs}
	if err := r.wayOut(ctx, s); err != nil {
		return nil, err
	}
	if err := r.prepare(ctx, s, host); err != nil {
		return nil, err
	}
	if err := r.program(ctx); err != nil {
		return nil, err
	}
	return r.result, r.finish()
}

// lookup finds the program as a shell in Dir would.
func lookup(o *Options) (string, error) {
	path, err := exec.LookPath(o.Command[0])
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return "", &HintError{Err: fmt.Errorf("%w: %w", ErrCommand, err), Hint: "give the program and its arguments after --"}
	}
	return path, nil
}

// run is what a run has open. cleanup closes it.
type run struct {
	o      *Options
	result *Result

	helper  *exec.Cmd
	toHelp  channel
	inUser  bool // a user namespace, without rights outside
	closers []func() error

	resolver *resolver
	capture  *capture
	// ended are closed when the resolver and the capture have.
	resolved, captured chan struct{}
	stopResolver       context.CancelFunc
	stopCapture        *os.File
	captureErr         error
	carrier            *carrier
}

// cleanup undoes everything, the last thing first.
func (r *run) cleanup() error {
	var all error
	for i := len(r.closers) - 1; i >= 0; i-- {
		all = errors.Join(all, r.closers[i]())
	}
	r.closers = nil
	return all
}

func (r *run) later(f func() error) { r.closers = append(r.closers, f) }

// namespace starts the helper in new namespaces: with the rights that this process
// has or, without any, those that a user namespace gives.
func (r *run) namespace() error {
	ours, theirs, err := channels()
	if err != nil {
		return err
	}
	r.toHelp = ours
	r.later(func() error { ours.close(); return nil })
	defer theirs.close()
	err = syscall.EPERM
	if os.Geteuid() == 0 {
		err = r.startHelper(theirs, false)
	}
	if errors.Is(err, syscall.EPERM) {
		r.inUser = true
		err = r.startHelper(theirs, true)
	}
	if err != nil {
		return &HintError{Err: fmt.Errorf("%w: %w", ErrNamespace, err), Hint: namespaceHint()}
	}
	r.later(func() error {
		_ = r.helper.Process.Kill() // it may have ended by itself
		_ = r.helper.Wait()         // killed, or its code was of no use to anybody
		return nil
	})
	return nil
}

func (r *run) startHelper(theirs channel, user bool) error {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = r.o.Helper
	cmd.Env = r.o.Environ
	cmd.Stdin, cmd.Stdout, cmd.Stderr = r.o.Stdin, r.o.Stdout, r.o.Stderr
	cmd.ExtraFiles = []*os.File{theirs.file}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	if user {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_NET_ADMIN, unix.CAP_NET_RAW, unix.CAP_SYS_ADMIN, unix.CAP_NET_BIND_SERVICE}
	}
	r.helper = cmd
	return cmd.Start()
}

// namespaceHint says which setting of this system is in the way.
func namespaceHint() string {
	switch {
	case value("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
		return "AppArmor keeps unprivileged programs from user namespaces (kernel.apparmor_restrict_unprivileged_userns=1): run as root, or give avow a profile with `userns,`"
	case value("/proc/sys/kernel/unprivileged_userns_clone") == "0":
		return "this system keeps user namespaces for root (kernel.unprivileged_userns_clone=0): run as root"
	case value("/proc/sys/user/max_user_namespaces") == "0":
		return "this system allows no user namespaces (user.max_user_namespaces=0): run as root"
	}
	return "run as root; in a container, with the capability SYS_ADMIN and a seccomp profile that allows clone with namespaces"
}

// wayOut decides how the program reaches the outside, and prepares it.
func (r *run) wayOut(ctx context.Context, s *setup) error {
	switch {
	case r.o.Offline:
		s.Way = WayOffline
		l4, l6 := netip.AddrFrom4([4]byte{10, 213, 0, 2}), ownIPv6(0).theirs
		s.Addresses = []string{l4.String(), l6.String()}
	case r.inUser:
		return r.userWay(ctx, s)
	default:
		n, err := openNAT(ctx, r.helper.Process.Pid)
		if err != nil {
			return hinted(err, "run without a way out with --offline, which records what is tried")
		}
		r.later(n.close)
		r.warnOfDroppers(ctx, n)
		s.Way, s.Interface = WayNAT, innerName
		s.Addresses, s.Gateways = n.addresses()
		if len(s.Addresses) < 2 {
			r.gap(GapNoIPv6, 0, "the namespace has no way out by IPv6: what is tried there fails before there is a packet")
		}
	}
	r.result.Way = s.Way
	return nil
}

// hinted adds a hint where there is none yet.
func hinted(err error, hint string) error {
	var has *HintError
	if errors.As(err, &has) {
		return err
	}
	return &HintError{Err: err, Hint: hint}
}

// prepare lets the helper set the namespace up, and starts capture and resolver.
func (r *run) prepare(ctx context.Context, s *setup, host []byte) error {
	if err := r.toHelp.send(order{Setup: s}); err != nil {
		return fmt.Errorf("helper: %w", err)
	}
	var ready report
	fds, err := r.toHelp.receive(&ready)
	switch {
	case errors.Is(err, io.EOF):
		return r.notReady()
	case err != nil:
		return fmt.Errorf("helper: %w", err)
	case ready.Error != "":
		return &HintError{Err: fmt.Errorf("%w: %s", ErrNamespace, ready.Error), Hint: namespaceHint()}
	case len(fds) != sockets:
		return fmt.Errorf("helper: %d sockets, want %d", len(fds), sockets)
	}
	if r.carrier != nil {
		r.carrier.ready.Store(true)
	}
	for _, note := range ready.Notes {
		r.o.Logger.WarnContext(ctx, "the namespace is not complete", slog.String("note", note))
		r.gap(GapNamespace, 0, note)
	}
	var local []netip.Addr
	for _, s := range ready.Local {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return err
		}
		local = append(local, a)
	}
	if err := r.startCapture(fds[0], local); err != nil {
		return err
	}
	return r.startResolver(ctx, fds[1], fds[2], host)
}

// notReady says why the helper ended before it was ready.
func (r *run) notReady() error {
	if r.carrier != nil {
		if said, ended := r.carrier.ended(); ended {
			return &HintError{Err: fmt.Errorf("%w: %s ended: %s", ErrWayOut, r.result.Way, said), Hint: "run as root, or use --offline, which records what is tried"}
		}
	}
	return fmt.Errorf("%w: the helper ended before it was ready", ErrNamespace)
}

func (r *run) startCapture(fd int, local []netip.Addr) error {
	r.later(func() error { return unix.Close(fd) })
	to, err := r.o.Packets(local)
	if err != nil {
		return err
	}
	stop, stopped, err := os.Pipe()
	if err != nil {
		return err
	}
	r.stopCapture, r.captured = stopped, make(chan struct{})
	r.capture = &capture{fd: fd, stop: stop, to: newPcapWriter(to), now: r.o.Now}
	go func() {
		defer close(r.captured)
		r.captureErr = r.capture.run()
	}()
	r.later(func() error {
		stopped.Close()
		<-r.captured
		return stop.Close()
	})
	return nil
}

func (r *run) startResolver(ctx context.Context, udp, tcp int, host []byte) error {
	u, t := os.NewFile(uintptr(udp), "udp"), os.NewFile(uintptr(tcp), "tcp")
	defer u.Close()
	defer t.Close()
	packets, err := net.FilePacketConn(u)
	if err != nil {
		return err
	}
	streams, err := net.FileListener(t)
	if err != nil {
		_ = packets.Close()
		return err
	}
	var upstream []netip.AddrPort
	if !r.o.Offline {
		if upstream = hostResolvers(host); len(upstream) == 0 {
			r.gap(GapNoResolver, 0, "the host has no name servers in /etc/resolv.conf: no name was resolved")
		}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r.resolver, r.resolved, r.stopResolver = newResolver(r.o, upstream), make(chan struct{}), cancel
	go func() {
		defer close(r.resolved)
		r.resolver.serve(ctx, packets, streams)
	}()
	r.later(func() error { cancel(); <-r.resolved; return nil })
	return nil
}

// program starts the program and waits for its end.
func (r *run) program(ctx context.Context) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	r.result.Start = r.o.Now()
	if err := r.toHelp.send(order{Start: true}); err != nil {
		return fmt.Errorf("helper: %w", err)
	}
	var started report
	if _, err := r.toHelp.receive(&started); err != nil || started.Error != "" {
		return &HintError{Err: errors.Join(fmt.Errorf("%w: %s", ErrCommand, started.Error), err), Hint: "check that the file is a program for this machine"}
	}
	ended := make(chan report, 1)
	var reading sync.WaitGroup
	reading.Go(func() {
		var e report
		for !e.Ended {
			e = report{}
			if _, err := r.toHelp.receive(&e); err != nil {
				e = report{Ended: true, ExitCode: killed}
			}
			r.result.Sockets = append(r.result.Sockets, e.Sockets...)
		}
		ended <- e
	})
	defer reading.Wait()
	r.wait(ctx, signals, ended)
	r.result.End = r.o.Now()
	return nil
}

// wait passes signals on until the program ends, and ends it when its time is over.
func (r *run) wait(ctx context.Context, signals <-chan os.Signal, ended <-chan report) {
	var over, last <-chan time.Time
	if r.o.For > 0 {
		over = time.After(r.o.For)
	}
	cancelled, failed := ctx.Done(), r.captured
	stop := func(s syscall.Signal) {
		_ = r.toHelp.send(order{Signal: int(s)}) // it may just have ended
		last = time.After(grace)
	}
	for {
		select {
		case e := <-ended:
			r.result.ExitCode = e.ExitCode
			return
		case s := <-signals:
			if n, ok := s.(syscall.Signal); ok && !fromTerminal(n) {
				_ = r.toHelp.send(order{Signal: int(n)}) // it may just have ended
			}
		case <-cancelled:
			cancelled = nil
			// A context that a signal cancelled says so, and the signal is passed on above.
			if last = time.After(grace); errors.Is(context.Cause(ctx), context.Canceled) || !errors.Is(ctx.Err(), context.Canceled) {
				stop(syscall.SIGTERM)
			}
		case <-over:
			r.result.Stopped = true
			stop(syscall.SIGTERM)
		case <-failed: // a run that nobody records any more
			failed = nil
			stop(syscall.SIGKILL)
		case <-last:
			r.result.Stopped = true
			_ = r.helper.Process.Kill() // and everything in its namespace with it
			last = nil
		}
	}
}

// fromTerminal: the terminal sends these to the whole group, the program included.
func fromTerminal(s syscall.Signal) bool {
	if s != syscall.SIGINT && s != syscall.SIGQUIT {
		return false
	}
	group, err := unix.IoctlGetInt(0, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// finish ends what the program left running, reads what is left of the packets
// and fills in the result.
func (r *run) finish() error {
	_ = r.toHelp.send(order{End: true}) // it may have been killed
	_ = r.helper.Wait()                 // its code is of no use: the program's was reported
	r.stopResolver()
	<-r.resolved
	r.stopCapture.Close()
	<-r.captured
	if r.captureErr != nil {
		return r.captureErr
	}
	var err error
	r.result.Packets = r.capture.packets
	if r.result.Dropped, err = r.capture.dropped(); err != nil {
		return err
	}
	if r.result.Dropped > 0 {
		r.gap(GapDropped, r.result.Dropped, "packets for which the kernel had no space")
	}
	var cut int64
	if r.result.Queries, cut = r.resolver.taken(); cut > 0 {
		r.gap(GapNamesLimit, cut, "queries for names beyond those that are kept")
	}
	return nil
}

func (r *run) gap(code string, count int64, detail string) {
	r.result.Gaps = append(r.result.Gaps, Gap{Code: code, Count: count, Detail: detail})
}
