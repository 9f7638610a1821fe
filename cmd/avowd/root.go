package main

import (
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "avowd",
		Short: "A transparency service for what vendors say about their builds",
		Long: `avowd takes signed statements from registered vendors, checks them, gives them a time, logs them, keeps them, and
answers with bundles that anybody verifies offline. Start with: avowd quickstart

Exit codes: 0 done, 1 it could not be done or what was checked is not in order, 2 wrong usage or configuration.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArgs,
		Version:       ownVersion(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{fmt.Errorf("which command?"), "avowd quickstart shows the whole story; avowd --help lists the commands"}
		},
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{err, cmd.CommandPath() + " --help lists the flags"}
	})
	root.AddCommand(newQuickstartCommand(), newInitCommand(), newServeCommand(), newFsckCommand(), newReindexCommand(),
		newVendorCommand(), newTrustedRootCommand(), newBenchCommand(), newWitnessCommand(), newShardCommand(), newWebhookCommand(), newTUFCommand(),
		newIndexCommand(), newVersionCommand())
	return root
}

// noArgs refuses positional arguments as wrong usage, which cobra's own check does not mark as such.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", args[0]), cmd.CommandPath() + " --help"}
	}
	return nil
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version and what it was built with",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			info, ok := debug.ReadBuildInfo()
			if !ok {
				return fmt.Errorf("this binary carries no build information")
			}
			fmt.Fprintf(cmd.OutOrStdout(), "avowd %s\n", ownVersion())
			for _, s := range info.Settings {
				if strings.HasPrefix(s.Key, "vcs") || s.Key == "GOOS" || s.Key == "GOARCH" || s.Key == "CGO_ENABLED" {
					fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", s.Key, s.Value)
				}
			}
			return nil
		},
	}
}

// ownVersion is the first line of "avowd version", and what --version prints.
func ownVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return version(info) + " " + info.GoVersion
}

// version is the module version, or "devel" for a build out of a work tree.
func version(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	return "devel"
}

func logLevel(name string) (slog.Level, error) {
	var level slog.Level
	switch name {
	case "debug", "info", "warn", "error":
		return level, level.UnmarshalText([]byte(name))
	}
	return level, fmt.Errorf("logging.level: got %q, want debug, info, warn or error", name)
}

// newLogger makes the service's logger; the configuration was validated.
func newLogger(c LoggingConfig, w io.Writer) (*slog.Logger, error) {
	level, err := logLevel(c.Level)
	if err != nil {
		return nil, err
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return slog.New(slog.NewTextHandler(w, o)), nil
}
