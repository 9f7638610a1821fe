package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/avow-dev/avow/cmd/avow/internal/command"
	"github.com/avow-dev/avow/cmd/avow/internal/remote"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command.Run(ctx, environment())
	stop()
	os.Exit(code)
}

// environment collects everything that the commands may touch of the process.
func environment() command.Env {
	env := command.Env{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		LookupEnv: os.LookupEnv, Environ: os.Environ(), Now: time.Now, Sleep: remote.Sleep,
		ErrorIsTerminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
	if fd := int(os.Stdout.Fd()); term.IsTerminal(fd) {
		env.OutputIsTerminal = true
		if width, _, err := term.GetSize(fd); err == nil {
			env.Width = width
		}
	}
	if fd := int(os.Stdin.Fd()); term.IsTerminal(fd) {
		env.ReadPassword = func(prompt string) ([]byte, error) {
			fmt.Fprint(os.Stderr, prompt)
			password, err := term.ReadPassword(fd)
			fmt.Fprintln(os.Stderr)
			return password, err
		}
	}
	return env
}
