package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/evidence"
	"github.com/avow-dev/avow/attest/observe"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify/result"
)

// observeFlags are the flags of observe.
type observeFlags struct {
	subjects    []string
	vantage     string
	host        string
	event       string
	settings    []string
	local       []string
	resolvers   []string
	inputFormat string
	output      string
	format      format
	key         string
	into        string
	bundle      string
}

func (a *app) observe() *cobra.Command {
	f := &observeFlags{}
	c := &cobra.Command{
		Use:   "observe FILE... --subject ARTIFACT...",
		Short: "Summarise captures and logs: whom a program had traffic with",
		Long: `Read what was recorded of a program's network traffic, and say whom it had traffic with: one line
for each name, or address without a name, and port. Read are

  packets      pcap and pcapng, as tcpdump, dumpcap and Wireshark write them
  logs         zeek-conn, zeek-dns and zeek-ssl (TSV and JSON), hubble (JSON), conntrack (-L and -E),
               ss (-tunap), strace (-f), envoy and squid access logs

The format is found from the content. Several files are one observation and are joined: give the
log with the names together with that of the connections. "-" is a capture on standard input,
summarised when it ends.

Names come from the answers of name servers that were seen, and from what the program itself said
in TLS, QUIC and HTTP. Where the two contradict each other the name is not believed. A peer without
a name says why: direct (never resolved), encryptedDNS, ambiguous, unresolved.

Packets do not say on which side the program is. The side that opened a connection is taken to be
the program's, unless only the other one has a private address; --local says it for certain.

With -o the summary is written as an in-toto runtime-trace statement about the files of --subject.
It is what a draft of a declaration is made from and what a declaration is compared with. --sign
signs it too; --into names it as evidence in a draft; avow attest has it logged. What could not be read or seen is in the list of gaps: without gaps, everything was read.

Exit code 0: summarised, with or without gaps; 2: could not be read.` + keyHelp,
		Example: `  avow observe run.pcapng --subject agent --event "first start" -o observation.json
  avow observe conn.log dns.log ssl.log --subject agent --local 10.0.0.0/8
  strace -f -s 4096 -e trace=network,process -o run.strace ./agent; avow observe run.strace --subject agent
  avow observe run.pcap --subject agent --setting telemetry=off -o off.json --sign lab.key
  tcpdump -i eth0 -w - | avow observe - --subject agent`,
		Args: arguments(1, -1, "which captures or logs? give their files"),
		RunE: func(c *cobra.Command, args []string) error { return a.runObserve(c, args, f) },
	}
	f.register(c)
	c.AddCommand(a.observeRun())
	return c
}

func (f *observeFlags) register(c *cobra.Command) {
	o := c.Flags()
	o.StringVar(&f.vantage, "vantage", "", "`WHERE` it was recorded: "+vantages())
	o.StringArrayVar(&f.local, "local", nil, "`CIDR` or address of the program's side; may be repeated")
	o.StringArrayVar(&f.resolvers, "resolver", nil, "`ADDRESS` of a name server whose answers count (default: any that was asked); may be repeated")
	o.StringVar(&f.inputFormat, "input-format", "", "`FORMAT` of the files (default: found from the content)")
	f.registerRun(c)
	completes(c, "input-format", observe.Formats()...)
	completes(c, "vantage", strings.Split(vantages(), ", ")...)
}

// registerRun registers what a recording has too.
func (f *observeFlags) registerRun(c *cobra.Command) {
	o := c.Flags()
	o.StringArrayVar(&f.subjects, "subject", nil, "`ARTIFACT` that was observed: a file, a directory, or NAME=sha256:HEX; may be repeated")
	o.StringVar(&f.host, "host", "", "`URI` of the machine (default: unnamed)")
	o.StringVar(&f.event, "event", "", "`TEXT` that says what was done with the program meanwhile")
	o.StringArrayVar(&f.settings, "setting", nil, "`NAME=VALUE` of a setting that differed from the default; may be repeated")
	o.StringVarP(&f.output, "output", "o", "", "`FILE` for the statement; must not exist")
	o.StringVar(&f.key, "sign", "", "`KEY` to sign the statement with: the file of an encrypted key, or a key reference")
	o.StringVar(&f.bundle, "bundle", "", "`FILE` for the signed statement (default: that of -o, ending in "+bundleSuffix+")")
	o.StringVar(&f.into, "into", "", "draft `FILE` to append the statement of -o to, as evidence by its digest")
	f.format.register(c)
}

func vantages() string {
	var all []string
	for _, v := range observation.Vantages() {
		all = append(all, string(v))
	}
	return strings.Join(all, ", ")
}

func (a *app) runObserve(c *cobra.Command, paths []string, f *observeFlags) error {
	options, err := f.options(c)
	if err != nil {
		return err
	}
	if options.Subjects, err = a.observedSubjects(c.Context(), f.subjects); err != nil {
		return err
	}
	key, done, err := a.openObserver(c.Context(), f) // before the work begins
	if err != nil {
		return err
	}
	defer done()
	o, err := a.readCaptures(c.Context(), paths, f, options)
	if err != nil {
		return observeFailure(err)
	}
	return a.tellObservation(c.Context(), o, f, key)
}

// openObserver opens the key that an observation is to be signed with; nil if it is not to be.
func (a *app) openObserver(ctx context.Context, f *observeFlags) (key attest.Signer, done func(), err error) {
	if f.key == "" {
		return nil, func() {}, nil
	}
	return a.openSigner(ctx, f.key)
}

// tellObservation writes the statement where that is asked for, and prints it or its table.
func (a *app) tellObservation(ctx context.Context, o *observation.Observation, f *observeFlags, key attest.Signer) error {
	if err := a.writeObservation(ctx, o, f, key); err != nil {
		return err
	}
	if f.format.json() {
		payload, err := o.Payload()
		if err != nil {
			return err
		}
		return a.printRawJSON(payload)
	}
	return a.printObservation(o)
}

// options reads the flags that say what was observed.
func (f *observeFlags) options(c *cobra.Command) (observe.Options, error) {
	o := observe.Options{Vantage: observation.Vantage(f.vantage), Host: f.host, Event: f.event,
		Undigested: f.output == "" && f.key == "" && !f.format.json()}
	usage := func(format string, args ...any) (observe.Options, error) {
		return o, usageFailure(c.CommandPath(), fmt.Errorf(format, args...))
	}
	switch {
	case len(f.subjects) == 0:
		return usage("what was observed? give --subject FILE")
	case f.vantage != "" && !strings.Contains(", "+vantages()+",", ", "+f.vantage+","):
		return usage("--vantage %q is none of %s", f.vantage, vantages())
	case f.key != "" && f.output == "" && f.bundle == "":
		return usage("--sign needs -o or --bundle: where should the signed statement be written?")
	case f.into != "" && f.output == "":
		return usage("--into names the statement by digest: write it with -o FILE")
	case f.key == "" && f.bundle != "":
		return usage("--bundle has no effect without --sign")
	}
	for _, s := range f.settings {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return usage("--setting %q is not NAME=VALUE", s)
		}
		if o.Settings == nil {
			o.Settings = map[string]string{}
		}
		o.Settings[name] = value
	}
	for _, s := range f.local {
		p, err := netip.ParsePrefix(s)
		if addr, err2 := netip.ParseAddr(s); err != nil && err2 == nil {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return usage("--local %q is neither an address nor a CIDR prefix", s)
		}
		o.Local = append(o.Local, p)
	}
	for _, s := range f.resolvers {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return usage("--resolver %q is not an address", s)
		}
		o.Resolvers = append(o.Resolvers, addr)
	}
	return o, nil
}

// observedSubjects hashes the files that were observed.
func (a *app) observedSubjects(ctx context.Context, arguments []string) ([]predicate.Subject, error) {
	subjects, paths, err := digestSubjects(arguments)
	if err != nil || len(paths) == 0 {
		return subjects, err
	}
	files, err := attest.SubjectsFromPaths(ctx, paths, attest.SubjectOptions{
		Duplicate: func(name, sameAs string) { a.note("%q has the same content as %q and is left out", name, sameAs) }})
	return append(files, subjects...), err
}

// readCaptures reads the files, or the capture on standard input.
func (a *app) readCaptures(ctx context.Context, paths []string, f *observeFlags, options observe.Options) (*observation.Observation, error) {
	if len(paths) == 1 && paths[0] == "-" {
		return observe.Live(ctx, a.env.Stdin, "standard input", options)
	}
	var inputs []observe.Input
	for _, path := range paths {
		if path == "-" {
			return nil, failed("give it alone, or write it to a file first", "standard input cannot be joined with files")
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() {
			return nil, failed("give files; a pipe with a capture is read as \"-\"", "%s is not a file", path)
		}
		inputs = append(inputs, observe.Input{Name: filepath.Base(path), Format: f.inputFormat, Modified: info.ModTime(),
			Open: func() (io.ReadCloser, error) { return os.Open(path) }})
	}
	return observe.Observe(ctx, inputs, options)
}

// observeFailure finds the hint for what observe cannot read.
func observeFailure(err error) error {
	switch {
	case errors.Is(err, observe.ErrVantage):
		return failed("give --vantage with one of "+vantages(), "%w", err)
	case errors.Is(err, observe.ErrFormat):
		return failed("name the format with --input-format, or give a file in one of the formats of `avow observe --help`", "%w", err)
	case errors.Is(err, observe.ErrNothing):
		return failed("check how it was recorded; docs/observing.md shows commands for each format", "%w", err)
	}
	return err
}

// writeObservation writes the statement, and signs it. Signing comes first: what was to be signed and is not has not been
// made.
func (a *app) writeObservation(ctx context.Context, o *observation.Observation, f *observeFlags, key attest.Signer) error {
	payload, err := o.Payload()
	if err != nil {
		return failed("observe less at a time, or fewer peers", "%w", err)
	}
	if key != nil {
		signed, err := result.SignObservation(ctx, o, key)
		if err != nil {
			return err
		}
		bundle, err := signed.Bundle()
		if err != nil {
			return err
		}
		path := f.bundle
		if path == "" {
			path = bundlePath(f.output, "")
		}
		if err := a.output(path, append(bundle, '\n')); err != nil {
			return err
		}
	}
	if f.output == "" {
		return nil
	}
	if err := createFile(f.output, payload, 0o644); err != nil {
		return err
	}
	a.note("wrote %s", text.Safe(f.output))
	if _, err := predicate.Parse(payload, predicate.Issuance); err != nil {
		a.note("it cannot be logged (avow attest), only signed and named by digest: %s", text.Safe(err.Error()))
	}
	return a.capturedInto(f.into, "observation", f.output, payload)
}

// capturedInto appends a statement about observed flows to the evidence of a draft, if there is one.
func (a *app) capturedInto(draft, id, path string, statement []byte) error {
	if draft == "" {
		return nil
	}
	e := evidence.Entry(id, evidence.KindFlowCapture, filepath.Base(path), predicate.PayloadType, statement)
	return a.insert(draft, e)
}
