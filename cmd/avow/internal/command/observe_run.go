package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest/observe"
	"github.com/avow-dev/avow/attest/predicate/observation"
	"github.com/avow-dev/avow/cmd/avow/internal/recorder"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// recordFlags are the flags of observe run.
type recordFlags struct {
	observeFlags
	pcap     string
	duration time.Duration
	offline  bool
	anyName  bool
	programs bool
	resolve  []string
}

// startEvent is what is done with a program that is only started.
const startEvent = "start"

// helperCommand is how the helper of a recording is called. It is nobody's command.
const helperCommand = "observe-inside"

func (a *app) observeRun() *cobra.Command {
	f := &recordFlags{}
	c := &cobra.Command{
		Use:   "run [flags] -- COMMAND [ARGUMENT...]",
		Short: "Run a program in a network of its own, and summarise what it says there",
		Long: `Run a program in a network namespace in which nothing else runs, behind a recording resolver and a
packet capture, and summarise whom it had traffic with, as avow observe does for captures. It is
for Linux.

  as root       a pair of virtual interfaces, and address translation by nft or iptables
  as a user     a user namespace; pasta or slirp4netns, if installed, carries the packets
  --offline     no way out: every connection is refused at once and recorded all the same. Names
                have the addresses of --resolve; others do not exist or, with --any-name, have an
                address of their own, so that it is seen what the program would do there

The program has the terminal's input; what it prints goes to standard error. It runs until it ends,
until --for is over, or until you interrupt it; then everything that it started is ended. Nothing
of the network it had is left.

Every answer that the program got from a resolver is known, so a name in a hello of TLS or QUIC that
was never resolved is not believed: the peer is an address without a name (direct), and the gap
nameConflict has the name. A program that resolves names by HTTPS itself has such peers only.
--pcap keeps the packets; avow observe reads them without that rule.

With --programs a peer is noted with the program that had the traffic with it, where the sockets of
all its connections were seen and were one program's. They are looked at when there are packets, at
most 50 times a second: those of short connections may be missed, and the peer then has no program.
A draft makes a flow for each program.

The subject is the file of the program, unless --subject says otherwise: a script is run by an
interpreter, and the product is the script. Sockets of the file system (D-Bus, a container daemon)
lead out of every network namespace and are not seen.

Exit code 0: recorded, whatever the program's own code was, which is printed; 2: not recorded.` + keyHelp,
		Example: `  sudo avow observe run -o observation.json -- ./agent --config agent.yaml
  avow observe run --offline --any-name -- ./agent
  avow observe run --for 10m --pcap run.pcap --event "idle" -o idle.json -- ./agent
  avow observe run --offline --resolve updates.acme.example=192.0.2.10 -- ./agent update
  avow observe run --subject agent.py --setting telemetry=off -o off.json -- python3 agent.py`,
		Args: arguments(1, -1, "which program? give it and its arguments after --"),
		RunE: func(c *cobra.Command, args []string) error { return a.runRecord(c, args, f) },
	}
	f.registerRun(c)
	o := c.Flags()
	o.SetInterspersed(false) // what follows the program is its own
	o.StringVar(&f.pcap, "pcap", "", "`FILE` to keep the packets in; must not exist")
	o.DurationVar(&f.duration, "for", 0, "`DURATION` after which the program is ended (default: when it ends)")
	o.BoolVar(&f.offline, "offline", false, "give the program no way out, and record what it tries")
	o.BoolVar(&f.anyName, "any-name", false, "with --offline: every name has an address")
	o.BoolVar(&f.programs, "programs", false, "note which program had the traffic, where that could be seen")
	o.StringArrayVar(&f.resolve, "resolve", nil, "`NAME=ADDRESS` that the resolver answers with --offline; may be repeated")
	return c
}

// observeInside is what avow is inside of the namespace.
func (a *app) observeInside() *cobra.Command {
	return &cobra.Command{Use: helperCommand, Hidden: true, Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		caller := os.NewFile(recorder.HelperFile, "caller")
		if info, err := caller.Stat(); err != nil || info.Mode()&os.ModeSocket == 0 {
			return failed("run `avow observe run`", "%s is for avow itself", helperCommand)
		}
		if code := recorder.Inside(caller); code != 0 {
			return &failure{code: code}
		}
		return nil
	}}
}

func (a *app) runRecord(c *cobra.Command, args []string, f *recordFlags) error {
	if err := f.complete(args); err != nil {
		return err
	}
	options, err := f.options(c)
	if err != nil {
		return err
	}
	names, err := f.names(c)
	if err != nil {
		return err
	}
	if options.Subjects, err = a.observedSubjects(c.Context(), f.subjects); err != nil {
		return err
	}
	key, done, err := a.openObserver(c.Context(), &f.observeFlags) // before the program runs
	if err != nil {
		return err
	}
	defer done()
	o, err := a.record(c.Context(), args, f, options, names)
	if err != nil {
		return recordFailure(err)
	}
	// The program was interrupted, and not the summary of what it did until then.
	return a.tellObservation(context.WithoutCancel(c.Context()), o, &f.observeFlags, key)
}

// complete fills in what a run says by itself.
func (f *recordFlags) complete(args []string) error {
	if f.event == "" {
		f.event = startEvent
	}
	if len(f.subjects) > 0 {
		return nil
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return failed("give the program and its arguments after --", "%w", err)
	}
	f.subjects = []string{path}
	return nil
}

// names reads --resolve.
func (f *recordFlags) names(c *cobra.Command) (map[string][]netip.Addr, error) {
	if !f.offline && (f.anyName || len(f.resolve) > 0) {
		return nil, usageFailure(c.CommandPath(), errors.New("--resolve and --any-name are for --offline: with a way out the resolver answers what the host's does"))
	}
	names := map[string][]netip.Addr{}
	for _, s := range f.resolve {
		name, value, ok := strings.Cut(s, "=")
		addr, err := netip.ParseAddr(value)
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		if !ok || name == "" || err != nil {
			return nil, usageFailure(c.CommandPath(), fmt.Errorf("--resolve %q is not NAME=ADDRESS", s))
		}
		names[name] = append(names[name], addr.Unmap())
	}
	return names, nil
}

// record runs the program and summarises its packets while they come.
func (a *app) record(ctx context.Context, args []string, f *recordFlags, options observe.Options, names map[string][]netip.Addr) (*observation.Observation, error) {
	options.Vantage, options.Alone = observation.VantageNamespace, true
	kept, err := keepPackets(f.pcap)
	if err != nil {
		return nil, err
	}
	defer kept.close()
	streams, err := a.programStreams()
	if err != nil {
		return nil, err
	}
	defer streams.close()
	read, write := io.Pipe()
	summary := make(chan summarised, 1)
	live := context.WithoutCancel(ctx) // what was recorded until an interruption counts
	started := false
	result, err := recorder.Run(ctx, recorder.Options{
		Command: args, Environ: a.env.Environ, Stdin: streams.in, Stdout: streams.out, Stderr: streams.out,
		Helper: []string{"avow", helperCommand}, Offline: f.offline, Names: names, AnyName: f.anyName, Programs: f.programs, For: f.duration, Now: a.env.Now,
		Logger: slog.New(slog.NewTextHandler(a.env.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Packets: func(local []netip.Addr) (io.Writer, error) {
			for _, addr := range local {
				options.Local = append(options.Local, netip.PrefixFrom(addr, addr.BitLen()))
			}
			options.Start = a.env.Now() // a program that is silent was watched all the same
			started = true
			go func() {
				o, err := observe.Live(live, read, kept.name, options)
				read.CloseWithError(err)
				summary <- summarised{o, err}
			}()
			return io.MultiWriter(write, kept), nil
		}})
	_ = write.Close() // a pipe in memory
	if !started {
		return nil, err
	}
	s := <-summary
	switch {
	case err != nil:
		return nil, err
	case s.err != nil:
		return nil, s.err
	}
	a.sayEnd(result)
	return s.observation, errors.Join(kept.finish(s.observation), addRun(s.observation, result))
}

// summarised is what the reader of the packets made of them.
type summarised struct {
	observation *observation.Observation
	err         error
}

// sayEnd notes how the program ended.
func (a *app) sayEnd(r *recorder.Result) {
	how := fmt.Sprintf("ended with exit code %d", r.ExitCode)
	if r.Stopped {
		how = "was ended when its time was over"
	}
	a.note("%s %s after %s (%s, %s)", text.Safe(filepath.Base(r.Program)), how, r.End.Sub(r.Start).Round(time.Millisecond), r.Way,
		count(int(r.Packets), "packet"))
}

// addRun puts what only the recorder knows into the observation. Its beginning is
// the program's, so that what happens at start-up can be told from what follows.
func addRun(o *observation.Observation, r *recorder.Result) error {
	attribute(o.Peers, r.Sockets)
	o.Start = r.Start.UTC().Truncate(time.Microsecond)
	if end := r.End.UTC().Truncate(time.Microsecond); end.After(o.End) {
		o.End = end
	}
	for _, g := range r.Gaps {
		o.Gaps = append(o.Gaps, observation.Gap{Code: g.Code, Count: g.Count, Detail: g.Detail})
	}
	const most = 200
	left := int64(0)
	for n, name := range slices.Sorted(maps.Keys(r.Queries)) {
		switch q := r.Queries[name]; {
		case q.Answered:
		case n >= most:
			left += q.Count
		default:
			o.Gaps = append(o.Gaps, observation.Gap{Code: recorder.GapNotResolved, Count: q.Count, Detail: strings.TrimSuffix(name+", "+q.Code, ", ")})
		}
	}
	if left > 0 {
		o.Gaps = append(o.Gaps, observation.Gap{Code: recorder.GapNotResolved, Count: left, Detail: "other names"})
	}
	_, err := o.Payload() // sorts, and says what cannot be said
	return err
}

// recordFailure finds the hint for what the recorder cannot do.
func recordFailure(err error) error {
	var hint *recorder.HintError
	if errors.As(err, &hint) {
		return failed(hint.Hint, "%w", err)
	}
	return observeFailure(err)
}

// keeper writes the packets to a file, if one is wanted, and hashes them.
type keeper struct {
	name string
	file *os.File
	sum  hash.Hash
	n    int64
}

func keepPackets(path string) (*keeper, error) {
	k := &keeper{name: "recorded", sum: sha256.New()}
	if path == "" {
		return k, nil
	}
	k.name = filepath.Base(path)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // packets may hold secrets
	if errors.Is(err, os.ErrExist) {
		return nil, failed("give another file, or move it away", "%w", err)
	}
	k.file = f
	return k, err
}

// Write takes a piece of the capture.
func (k *keeper) Write(b []byte) (int, error) {
	if k.file == nil {
		return len(b), nil
	}
	k.sum.Write(b)
	n, err := k.file.Write(b)
	k.n += int64(n)
	return n, err
}

// finish makes the file durable and puts its digest into the observation.
func (k *keeper) finish(o *observation.Observation) error {
	if k.file == nil {
		return nil
	}
	for i := range o.Sources {
		o.Sources[i].SHA256, o.Sources[i].Bytes = hex.EncodeToString(k.sum.Sum(nil)), k.n
	}
	return k.file.Sync()
}

func (k *keeper) close() {
	if k.file != nil {
		k.file.Close()
	}
}

// programStreams are the files that the program gets as its standard streams.
type programStreams struct {
	in, out *os.File
	close   func()
}

// programStreams finds them: standard output is for the summary alone, so that
// what the program prints goes to standard error.
func (a *app) programStreams() (programStreams, error) {
	s := programStreams{close: func() {}}
	s.in, _ = a.env.Stdin.(*os.File) // without one the program has no input
	if file, ok := a.env.Stderr.(*os.File); ok {
		s.out = file
		return s, nil
	}
	read, write, err := os.Pipe()
	if err != nil {
		return s, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(a.env.Stderr, read) // what cannot be shown is not what is recorded
	}()
	s.out, s.close = write, func() { write.Close(); <-done; read.Close() }
	return s, nil
}
