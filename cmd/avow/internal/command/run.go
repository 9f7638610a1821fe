package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// Exit codes.
const (
	exitYes   = 0
	exitNo    = 1
	exitError = 2
)

// Env is what the commands may touch of the process. All fields but Environ, Width, ReadPassword and the two booleans are
// required.
type Env struct {
	// Args are the arguments without the program's name.
	Args []string
	// Stdin, Stdout and Stderr are the standard streams.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// LookupEnv reads the environment: AVOW_PASSWORD, AVOW_SERVER, AVOW_PKCS11_PIN, AVOW_PKCS11_MODULE, NO_COLOR, TERM, and where
	// identity tokens are.
	LookupEnv func(string) (string, bool)
	// Environ is the environment of programs that are started for keys in a key management service.
	Environ []string
	// Now is the clock.
	Now func() time.Time
	// Sleep waits between tries.
	Sleep func(context.Context, time.Duration) error
	// OutputIsTerminal and ErrorIsTerminal allow colours and progress.
	OutputIsTerminal, ErrorIsTerminal bool
	// Width is the terminal's width in columns; 0 means that there is none to ask.
	Width int
	// ReadPassword prompts on the terminal without echo; nil where there is none.
	ReadPassword func(prompt string) ([]byte, error)
}

// app is what the commands share.
type app struct {
	env Env
}

// Run executes the command line and returns the exit code.
func Run(ctx context.Context, env Env) int {
	a := &app{env: env}
	root := a.root()
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	err := root.ExecuteContext(ctx)
	return a.report(err)
}

// root assembles the commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "avow",
		Short: "Sign, log and verify what a vendor says about a build",
		Long: `avow signs, logs and verifies what a vendor says about a build: that it has no backdoors, claim
by claim, and which data it sends to whom, where, why, and how to switch that off.

A vendor drafts a statement about the release files, checks it, signs it and has a service log
it. What comes back is a Sigstore bundle. A buyer verifies file, bundle and claims offline with
the vendor's public key and the service's trusted root.`,
		Example: `  # the vendor
  avow keygen -o vendor
  avow draft no-backdoor app.tar.gz -o no-backdoor.json      # then fill it in
  avow lint no-backdoor.json data-flows.json
  avow attest no-backdoor.json data-flows.json --key vendor.key --server avow.example:8443

  # the buyer
  avow verify app.tar.gz --bundle no-backdoor.sigstore.json --bundle data-flows.sigstore.json \
      --trusted-root trusted_root.json --key vendor.pub`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownCommand,
		Version:       buildVersion().line(),

		SuggestionsMinimumDistance: 2,
		RunE:                       func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageFailure(c.CommandPath(), err)
	})
	root.AddGroup(&cobra.Group{ID: "vendor", Title: "For vendors:"}, &cobra.Group{ID: "buyer", Title: "For buyers:"},
		&cobra.Group{ID: "both", Title: "For everybody:"})
	for group, commands := range map[string][]*cobra.Command{
		"vendor": {a.keygen(), a.publicKey(), a.observe(), a.draft(), a.lint(), a.attest(), a.submit(), a.withdraw(), a.attach(), a.schema(), a.evidence()},
		"buyer": {a.verify(), a.enforce(), a.policy(), a.diff(), a.compare(), a.list(), a.status(), a.fetch(), a.trust(), a.watchCommand(), a.monitor(), a.audit(),
			a.proveMisbehaviour()},
		"both": {a.openDispute(), a.answerDispute(), a.assess(), a.show(), a.verifyBundle(), a.signBundle(), a.version()},
	} {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	root.AddCommand(a.observeInside())
	root.SetHelpCommandGroupID("both")
	root.SetCompletionCommandGroupID("both")
	return root
}

// knownCommand refuses what is no command, and says which one may have been meant.
func knownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "run `" + c.CommandPath() + " --help` for the list of commands"
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean `" + c.CommandPath() + " " + near[0] + "`?"
	}
	return failed(hint, "there is no command %q", args[0])
}

// writer returns the printer for standard output.
func (a *app) writer() *text.Writer { return text.NewWriter(a.env.Stdout, a.colours(), a.env.Width) }

// colours reports whether standard output may have them: that needs a terminal that knows them, and no NO_COLOR.
func (a *app) colours() bool {
	noColour, _ := a.env.LookupEnv("NO_COLOR")
	terminal, _ := a.env.LookupEnv("TERM")
	return a.env.OutputIsTerminal && noColour == "" && terminal != "dumb"
}

// note prints a line for the person at the terminal on standard error.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.env.Stderr, format+"\n", args...)
}

// arguments takes from least to most arguments, any number from least on if most is negative. missing is what is said
// when there are too few.
func arguments(least, most int, missing string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usageFailure(c.CommandPath(), errors.New(missing))
		case most >= 0 && len(args) > most:
			return usageFailure(c.CommandPath(), fmt.Errorf("unexpected argument %q", args[most]))
		}
		return nil
	}
}
