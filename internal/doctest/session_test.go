//go:build unix

package doctest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// commandLimit ends a command that hangs. It measures nothing: commands of the documents take milliseconds.
	commandLimit = 2 * time.Minute
	// readyLimit is how long a background command may take to print what is expected of it.
	readyLimit = 30 * time.Second
	// endLimit is how long the services of a session may take to stop before they are killed.
	endLimit = 10 * time.Second
	// pollEvery is how often the output of a background command is looked at.
	pollEvery = 20 * time.Millisecond
)

// session is one shell that lives for one document.
type session struct {
	work  string // where the shell starts
	files string // where commands and their outputs are, so that the document does not see them
	count int
	ports ports
	shell *exec.Cmd
	in    io.WriteCloser
	codes chan string // the exit code of each command; closed when the shell ends
}

// startSession starts a shell in dir with the programs of bin and, behind them, those in the directories of path.
func startSession(dir, bin string, path []string, p ports) (*session, error) {
	s := &session{work: filepath.Join(dir, "work"), files: filepath.Join(dir, "session"), ports: p, codes: make(chan string)}
	home, temp := filepath.Join(dir, "home"), filepath.Join(dir, "tmp")
	for _, d := range []string{s.work, s.files, home, temp} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	s.shell = exec.Command("/bin/sh")
	s.shell.Dir = s.work
	s.shell.Env = []string{
		"PATH=" + strings.Join(append([]string{bin}, path...), string(os.PathListSeparator)),
		"HOME=" + home, "TMPDIR=" + temp, "LC_ALL=C", "TZ=UTC",
	}
	s.shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.shell.WaitDelay = time.Second
	in, err := s.shell.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := s.shell.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.shell.Start(); err != nil {
		return nil, err
	}
	s.in = in
	go func() {
		defer close(s.codes)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.codes <- lines.Text()
		}
	}()
	return s, nil
}

// run runs one command. The error says how it differs from the document.
func (s *session) run(c command) error {
	s.count++
	script := filepath.Join(s.files, fmt.Sprintf("%03d.sh", s.count))
	output := filepath.Join(s.files, fmt.Sprintf("%03d.out", s.count))
	if err := os.WriteFile(script, []byte(s.ports.hide(runnable(c.text))+"\n"), 0o600); err != nil {
		return err
	}
	// The shell reads the command from a file: its own standard input would be eaten by the first program that reads it.
	if _, err := fmt.Fprintf(s.in, ". '%s' </dev/null >'%s' 2>&1; echo $?\n", script, output); err != nil {
		return err
	}
	var exit int
	select {
	case code, ok := <-s.codes:
		if !ok {
			got, _ := s.read(output)
			return fmt.Errorf("the shell ended\n%s", diff(nil, got))
		}
		var err error
		if exit, err = strconv.Atoi(code); err != nil {
			return err
		}
	case <-time.After(commandLimit):
		return fmt.Errorf("still running after %s", commandLimit)
	}
	if c.background {
		return s.await(output, c.want)
	}
	got, err := s.read(output)
	if err != nil {
		return err
	}
	different := diff(outputLines(strings.Join(c.want, "\n")), got)
	if exit != c.exit {
		return fmt.Errorf("exit code %d, documented is %d\n%s", exit, c.exit, strings.Join(got, "\n"))
	}
	if different != "" {
		return fmt.Errorf("the output differs (- documented, + printed)\n%s", different)
	}
	return nil
}

// await waits until a background command has printed what is documented.
func (s *session) await(output string, want []string) error {
	want = append(outputLines(strings.Join(want, "\n")), anything) // it may print on
	for deadline := time.Now().Add(readyLimit); ; time.Sleep(pollEvery) {
		got, err := s.read(output)
		if err != nil {
			return err
		}
		different := diff(want, got)
		if different == "" {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the output differs after %s (- documented, + printed)\n%s", readyLimit, different)
		}
	}
}

func (s *session) read(output string) ([]string, error) {
	data, err := os.ReadFile(output)
	if err != nil {
		return nil, err
	}
	return outputLines(s.ports.show(string(data))), nil
}

// end stops everything that the session started, and waits for it.
func (s *session) end() error {
	group := -s.shell.Process.Pid
	kill := time.AfterFunc(endLimit, func() { _ = syscall.Kill(group, syscall.SIGKILL) })
	defer kill.Stop()
	// A trapped signal, unlike an ignored one, is back to its default in what the shell started.
	_, _ = io.WriteString(s.in, "trap : TERM; kill -TERM 0; wait; exit 0\n") // the shell may have ended already: then Wait tells
	s.in.Close()
	for range s.codes { // a code that nobody waited for
	}
	err := s.shell.Wait()
	_ = syscall.Kill(group, syscall.SIGKILL) // what the shell could not wait for
	return err
}
