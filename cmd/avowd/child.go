package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTimeout bounds the start of a child service, stopTimeout its drain.
const (
	startTimeout = 30 * time.Second
	stopTimeout  = 15 * time.Second
)

// child is `avowd serve` as a process of its own.
type child struct {
	cmd    *exec.Cmd
	stderr *lines
	exited chan struct{} // closed when it is gone
	err    error         // how it ended, once exited is closed
}

// lines is what a child wrote, readable while it writes on.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String is everything so far.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// startChild starts exe as a service and waits until it accepts.
func startChild(ctx context.Context, exe, config, readyFile string) (*child, addresses, error) {
	if err := os.Remove(readyFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, addresses{}, err
	}
	//nolint:gosec // the program is this one, or a test's own build of it
	c := &child{cmd: exec.CommandContext(ctx, exe, "serve", "--config", config, "--ready-file", readyFile),
		stderr: &lines{}, exited: make(chan struct{})}
	c.cmd.Stderr = c.stderr
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGTERM) }
	c.cmd.WaitDelay = stopTimeout
	if err := c.cmd.Start(); err != nil {
		return nil, addresses{}, err
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.exited)
	}()
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); {
		select {
		case <-c.exited:
			return nil, addresses{}, fmt.Errorf("the service ended at its start: %w: %s", c.err, strings.TrimSpace(c.stderr.String()))
		case <-time.After(5 * time.Millisecond):
		}
		if data, err := os.ReadFile(readyFile); err == nil {
			var a addresses
			err = json.Unmarshal(data, &a)
			return c, a, err
		}
	}
	c.stop()
	return nil, addresses{}, fmt.Errorf("the service did not accept within %s", startTimeout)
}

// stop asks the child to drain, and kills it if it takes too long.
func (c *child) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.exited:
	case <-time.After(stopTimeout):
		_ = c.cmd.Process.Kill()
		<-c.exited
	}
}
