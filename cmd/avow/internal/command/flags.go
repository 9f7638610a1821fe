package command

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/remote"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// serverVariable is the environment variable with the default of --server.
const serverVariable = "AVOW_SERVER"

// format is the value of --format. The zero value is text.
type format struct {
	value string
	takes []string // what may be given
}

func (f *format) register(c *cobra.Command) {
	f.registerAs(c, "`FORMAT` of the answer: text or json", "text", "json")
}

// registerAs is register for a command with formats of its own.
func (f *format) registerAs(c *cobra.Command, usage string, takes ...string) {
	f.takes = takes
	c.Flags().Var(f, "format", usage)
	completes(c, "format", takes...)
}

// completes offers the values of a flag to the shell. The flag must exist.
func completes(c *cobra.Command, flag string, values ...string) {
	if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values,
		cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // a flag that does not exist, or is registered twice: a defect of this program, found by any test
	}
}

// typeNames are the short names of avow's own statement types.
func typeNames() []string { return shortNames(predicate.Types()) }

func shortNames(types []string) []string {
	var names []string
	for _, uri := range types {
		names = append(names, plain.TypeName(uri))
	}
	return names
}

func (f *format) json() bool { return f.value == "json" }

// String, Set and Type make format a pflag.Value.
func (f *format) String() string {
	if f.value == "" {
		return "text"
	}
	return f.value
}

// Set takes one of the command's formats.
func (f *format) Set(s string) error {
	if !slices.Contains(f.takes, s) {
		return fmt.Errorf("%q is none of %s", s, strings.Join(f.takes, ", "))
	}
	f.value = s
	return nil
}

// Type names the kind of value for help texts.
func (f *format) Type() string { return "format" }

// serverFlags are the flags of the commands that call the service.
type serverFlags struct {
	options remote.Options
	timeout time.Duration
}

// serverHelp is the part of the help that these commands share.
const serverHelp = `

The service is reached by gRPC over TLS; --ca names the certificate authority if it is not one
of the system's. A service on this machine that speaks without TLS needs --insecure. The address
can also be given in the environment variable AVOW_SERVER.`

func (s *serverFlags) register(c *cobra.Command) {
	o := c.Flags()
	o.StringVar(&s.options.Address, "server", "", "`HOST:PORT` of the service")
	o.StringVar(&s.options.CAFile, "ca", "", "`FILE` with the PEM certificates of the service's authority")
	o.StringVar(&s.options.CertFile, "cert", "", "`FILE` with a PEM client certificate")
	o.StringVar(&s.options.KeyFile, "cert-key", "", "`FILE` with the PEM key of the client certificate")
	o.StringVar(&s.options.TokenFile, "token-file", "", "`FILE` with a bearer token")
	o.BoolVar(&s.options.Insecure, "insecure", false, "speak without TLS, to a loopback address only")
	o.DurationVar(&s.timeout, "timeout", time.Minute, "`DURATION` after which to give up, repetitions included")
}

// connect opens the connection. The context ends with the timeout; both must be given back by calling close.
func (a *app) connect(ctx context.Context, s *serverFlags) (context.Context, *remote.Connection, func(), error) {
	connection, err := a.dial(s)
	if err != nil {
		return nil, nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	return ctx, connection, func() {
		cancel()
		_ = connection.Close() // nothing is in flight any more
	}, nil
}

// dial prepares the connection that the flags describe.
func (a *app) dial(s *serverFlags) (*remote.Connection, error) {
	options := s.options
	if options.Address == "" {
		options.Address, _ = a.env.LookupEnv(serverVariable)
	}
	options.UserAgent = "avow/" + buildVersion().Version
	return remote.Dial(options)
}

// call runs one call with repetitions, which are noted on standard error.
func (a *app) call(ctx context.Context, connection *remote.Connection, f func(context.Context) error) error {
	return a.retrier(connection).Call(ctx, f)
}

func (a *app) retrier(connection *remote.Connection) remote.Retrier {
	return remote.Retrier{Connection: connection, Sleep: a.env.Sleep, Notify: func(cause *remote.Error, pause time.Duration) {
		a.note("%s; trying again in %s", text.Safe(cause.Error()), pause.Round(100*time.Millisecond))
	}}
}
