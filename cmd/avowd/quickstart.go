package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/server/vendors"
	"github.com/spf13/cobra"
)

// What the quickstart says and uses. Nothing of it is secret: it is a demonstration on loopback.
const (
	quickstartOrigin    = "quickstart.localhost"
	quickstartPassword  = "quickstart"
	quickstartVendor    = "quickstart"
	quickstartDeclarant = "Quickstart demonstration, not an organisation"
	quickstartCountry   = "CH"
	quickstartFunction  = "whoever ran avowd quickstart on this machine"
	quickstartPackage   = "pkg:golang/github.com/avow-dev/avow"
)

func newQuickstartCommand() *cobra.Command {
	var dir string
	var exit bool
	cmd := &cobra.Command{
		Use:   "quickstart [--dir D] [--exit]",
		Short: "Show the whole story on this machine: set up, issue, verify, refuse, withdraw",
		Long: `Set up a service in a directory, register a vendor, draft and issue avowd's own two statements about the very binary that
runs, verify them as a buyer from the files alone, and show a changed file and a changed claim being refused. Then the vendor
takes one of the statements back, and the buyer's next status proves it. Every step prints the commands that repeat it by
hand. The service goes on serving until Ctrl-C unless --exit is given.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return quickstart(cmd.Context(), dir, exit, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "directory to leave everything in; must not hold a service yet (default: a new temporary one)")
	cmd.Flags().BoolVar(&exit, "exit", false, "stop after the story instead of serving on")
	return cmd
}

// story is one run of the quickstart.
type story struct {
	dir    string
	out    io.Writer
	config *Config
	// listen are open from the start, so that nobody takes a port between the configuration that names it and the service.
	listen *listeners
	server addresses
	key    *attest.KeyFile
	digest string // SHA-256 of the artifact, hex
	step   int
}

// quickstart tells the story. The service runs beside it, on real listeners, until the story ends or the context does.
func quickstart(ctx context.Context, dir string, exit bool, out, errOut io.Writer) error {
	s, err := newStory(ctx, dir, out)
	if err != nil {
		return err
	}
	defer s.listen.close()
	if err := s.makeVendor(); err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: slog.LevelWarn}))
	serving, stop := context.WithCancel(ctx)
	defer stop()
	ready := make(chan addresses, 1)
	served := make(chan error, 1)
	go func() {
		served <- serve(serving, s.config, logger, func(*Config) (*listeners, error) { return s.listen, nil },
			func(a addresses) error { ready <- a; return nil })
	}()
	select {
	case s.server = <-ready:
	case err := <-served:
		return err
	}
	if err := s.tell(ctx); err != nil || exit {
		stop()
		return errors.Join(err, <-served)
	}
	s.say("Serving until Ctrl-C. Later, the same data again:\n    %s serve --config %s\n", program("avowd"), s.path(configName))
	return <-served
}

func (s *story) tell(ctx context.Context) error {
	s.heading("The service runs", fmt.Sprintf("%s serve --config %s", program("avowd"), s.path(configName)))
	s.say("%s", s.server)
	for _, step := range []func(context.Context) error{s.takeArtifact, s.draft, s.issue, s.verifyAsBuyer, s.tamper, s.applyPolicy, s.stand} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	s.say("\nEverything is in %s:\n", s.dir)
	for _, name := range []string{configName, "trusted_root.json", "vendor.pub", "vendor.key", "artifact", "no-backdoor.json",
		"data-flows.json", "no-backdoor.sigstore.json", "data-flows.sigstore.json", indexKeyName, "standing"} {
		s.say("    %s\n", name)
	}
	return nil
}

// newStory sets up the service. A directory that holds one already is refused before anything is written.
func newStory(ctx context.Context, dir string, out io.Writer) (*story, error) {
	if dir == "" {
		made, err := os.MkdirTemp("", "avow-quickstart-")
		if err != nil {
			return nil, err
		}
		dir = made
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := &story{dir: abs, out: out}
	for _, name := range []string{configName, "vendor.key", "vendor.pub", "artifact", indexKeyName} {
		if _, err := os.Lstat(s.path(name)); err == nil {
			return nil, usageError{fmt.Errorf("%s exists", s.path(name)),
				fmt.Sprintf("%s serve --config %s serves it again", program("avowd"), s.path(configName))}
		}
	}
	c := defaultConfig()
	c.Origin = quickstartOrigin
	if s.listen, err = listenNearby(&c); err != nil {
		return nil, err
	}
	s.heading("Keys, log, store and a commented configuration", fmt.Sprintf("%s init --dir %s --origin %s", program("avowd"), abs, c.Origin))
	err = initialise(ctx, abs, c, time.Now)
	if err == nil {
		s.say("  %s\n", s.path(configName))
		s.config, err = loadConfig(s.path(configName))
	}
	if err != nil {
		s.listen.close()
		return nil, err
	}
	return s, nil
}

// listenNearby opens the listeners at the configured addresses, or at free ports of the same hosts where these are taken, and
// writes into the configuration where they are.
func listenNearby(c *Config) (*listeners, error) {
	l := &listeners{}
	for _, x := range []struct {
		to   *net.Listener
		addr *string
	}{{&l.grpc, &c.GRPC.Listen}, {&l.rest, &c.REST.Listen}, {&l.admin, &c.Admin.Listen}} {
		var err error
		if *x.to, err = listenNear(*x.addr); err != nil {
			l.close()
			return nil, err
		}
		*x.addr = (*x.to).Addr().String()
	}
	return l, nil
}

func listenNear(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err == nil {
		return l, nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	return net.Listen("tcp", net.JoinHostPort(host, "0"))
}

// makeVendor makes the vendor's key and registers it. The service never sees the private key.
func (s *story) makeVendor() error {
	s.heading("A vendor makes its key, and the operator registers it",
		fmt.Sprintf("AVOW_PASSWORD=%s %s keygen -o %s", quickstartPassword, program("avow"), s.path("vendor")),
		fmt.Sprintf("%s vendor add --config %s --name %s --declarant %q --country %s --key %s --product %s", program("avowd"),
			s.path(configName), quickstartVendor, quickstartDeclarant, quickstartCountry, s.path("vendor.pub"), quickstartPackage))
	key, err := attest.GenerateKey()
	if err != nil {
		return err
	}
	s.key = key
	secret, err := attest.MarshalEncryptedKey(key, []byte(quickstartPassword))
	if err != nil {
		return err
	}
	public, err := attest.MarshalPublicKey(key.PublicKey())
	if err != nil {
		return err
	}
	if err := errors.Join(writeNew(s.path("vendor.key"), secret, 0o600), writeNew(s.path("vendor.pub"), public, 0o644)); err != nil {
		return err
	}
	id, err := attest.KeyID(key.PublicKey())
	if err != nil {
		return err
	}
	s.say("  key %s\n  may speak about %s\n", id, quickstartPackage)
	return addVendor(s.config, vendorFlags{keys: []string{s.path("vendor.pub")}, vendor: vendors.Vendor{
		Name: quickstartVendor, Declarant: quickstartDeclarant, Country: quickstartCountry, Products: []string{quickstartPackage},
	}})
}

// takeArtifact copies the program that is running: the release that the statements are about.
func (s *story) takeArtifact(context.Context) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	from, err := os.Open(exe)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(s.path("artifact"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	hash := sha256.New()
	size, err := io.Copy(io.MultiWriter(to, hash), from)
	if err := errors.Join(err, to.Close()); err != nil {
		return err
	}
	s.digest = fmt.Sprintf("%x", hash.Sum(nil))
	s.heading("A release: the avowd binary that is running, copied", s.copyCommand(exe)...)
	s.say("  %d bytes, sha256 %s\n", size, s.digest)
	return nil
}

// copyCommand is how to copy the program by hand, unless it is one that `go run` removes afterwards.
func (s *story) copyCommand(exe string) []string {
	if isGoRun(exe) {
		return nil
	}
	return []string{fmt.Sprintf("cp %s %s", exe, s.path("artifact"))}
}

func isGoRun(exe string) bool { return strings.Contains(exe, string(filepath.Separator)+"go-build") }

func (s *story) path(name string) string { return filepath.Join(s.dir, name) }

func (s *story) say(format string, args ...any) { fmt.Fprintf(s.out, format, args...) }

// heading starts a step and prints the commands that repeat it.
func (s *story) heading(title string, commands ...string) {
	s.step++
	s.say("\n%d. %s\n", s.step, title)
	for _, c := range commands {
		s.say("   $ %s\n", c)
	}
}

// program is how the reader of the transcript can start avow or avowd: as this program was started.
func program(name string) string {
	exe, err := os.Executable()
	if err != nil {
		return name
	}
	if isGoRun(exe) {
		return "go run ./cmd/" + name
	}
	beside := filepath.Join(filepath.Dir(exe), name)
	if _, err := os.Stat(beside); err == nil {
		return beside
	}
	return name
}

// productVersion is the version that the statements name: that of the module, or a marked one for a build out of a work tree.
func productVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && version(info) != "devel" {
		return strings.TrimPrefix(version(info), "v")
	}
	return "0.0.0-devel"
}
