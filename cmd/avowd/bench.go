package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/server/vendors"
	"github.com/spf13/cobra"
)

// benchFlags is what `bench` is told.
type benchFlags struct {
	server      string
	pid         int
	keyFile     string
	declarant   string
	country     string
	product     string
	callers     []int
	duration    time.Duration
	maximum     int
	connections int
	batchAge    time.Duration
	rekor       string
	profile     string
	flows       int
}

func newBenchCommand() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench [--server ADDR --key K --declarant NAME --country CC --product PURL]",
		Short: "Drive a service with distinct signed statements; print rate, latency and server CPU",
		Long: `Drive a service over gRPC with distinct statements of the size of a real declaration, signed beforehand, in closed loops of so
many callers, and print statements per second, the 50th and 99th percentile of the time to the answered bundle, and the server's
CPU time per statement (from /proc, where the service runs on this machine).

Without --server it sets up a service in a temporary directory, starts it as a process of its own, and removes it afterwards.
--rekor names a rekor-server program of Rekor v2 (POSIX storage), which is then started and driven beside it, level by level, with
signed digests from the same loader: what it does is log, what avow does is check, store, timestamp, log and verify.
Each level ends after --duration or --maximum statements. The password of --key is taken from AVOW_PASSWORD.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := newBench(cmd.Context(), f)
			if err != nil {
				return err
			}
			defer b.close()
			return b.run(cmd.Context(), cmd)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.server, "server", "", "gRPC address of a running service (default: a service of its own)")
	fl.IntVar(&f.pid, "pid", 0, "process of that service, for its CPU time")
	fl.StringVar(&f.keyFile, "key", "", "the vendor's key file, for --server")
	fl.StringVar(&f.declarant, "declarant", quickstartDeclarant, "declaring party, as registered")
	fl.StringVar(&f.country, "country", quickstartCountry, "its country, as registered")
	fl.StringVar(&f.product, "product", quickstartPackage, "product identifier without its version")
	fl.IntSliceVar(&f.callers, "callers", []int{1, 64, 1024}, "levels: callers at the same time")
	fl.DurationVar(&f.duration, "duration", 8*time.Second, "longest time of one level")
	fl.IntVar(&f.maximum, "maximum", 30000, "most statements of one level")
	fl.IntVar(&f.connections, "connections", 4, "gRPC connections")
	fl.DurationVar(&f.batchAge, "batch-age", 0, "log.batchMaxAge of a service of its own (default: that of init)")
	fl.IntVar(&f.flows, "flows", 2, "declared flows in each statement, 1 to 5; about 2 KB each")
	fl.StringVar(&f.profile, "profile", "", "write a CPU profile of a service of its own at the last level to this file")
	fl.StringVar(&f.rekor, "rekor", "", "rekor-server program to compare with")
	return cmd
}

// bench is one run over all levels.
type bench struct {
	flags benchFlags
	key   attest.Signer
	own   *ownService  // nil with --server
	rekor *rekorServer // nil without --rekor
}

func newBench(ctx context.Context, f benchFlags) (*bench, error) {
	for _, n := range f.callers {
		if n < 1 || n > 16384 {
			return nil, usageError{fmt.Errorf("--callers: got %d, want 1 to 16384", n), ""}
		}
	}
	if f.flows < 1 || f.flows > 5 {
		return nil, usageError{fmt.Errorf("--flows: got %d, want 1 to 5", f.flows), ""}
	}
	if f.maximum < 1 || f.duration <= 0 || f.connections < 1 {
		return nil, usageError{errors.New("--maximum, --duration and --connections must be above 0"), ""}
	}
	b := &bench{flags: f}
	if f.server != "" {
		if f.rekor != "" {
			return nil, usageError{errors.New("--rekor compares with a service of bench's own: leave --server out"), ""}
		}
		return b, b.loadKey()
	}
	key, err := attest.GenerateKey()
	if err != nil {
		return nil, err
	}
	b.key = key
	if b.own, err = startOwnService(ctx, f, key); err != nil {
		return nil, err
	}
	b.flags.server, b.flags.pid = b.own.addresses.GRPC, b.own.addresses.PID
	if f.rekor != "" {
		if b.rekor, err = startRekor(ctx, f.rekor, b.own.dir); err != nil {
			b.close()
			return nil, err
		}
	}
	return b, nil
}

func (b *bench) loadKey() error {
	if b.flags.keyFile == "" {
		return usageError{errors.New("--key is missing"), "the service issues for registered keys only"}
	}
	text, err := readSecret(b.flags.keyFile)
	if err != nil {
		return err
	}
	b.key, err = attest.LoadKey(text, []byte(os.Getenv("AVOW_PASSWORD")))
	return err
}

func (b *bench) close() {
	if b.rekor != nil {
		b.rekor.stop()
	}
	if b.own != nil {
		b.own.stop()
	}
}

func (b *bench) run(ctx context.Context, cmd *cobra.Command) error {
	loads, err := b.loaders()
	if err != nil {
		return err
	}
	payload, _, err := b.benchStatement()
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "statements of %d bytes, %d connections, %d cores\n", len(payload), b.flags.connections, runtime.NumCPU())
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "callers\tservice\tanswered\tper second\tp50\tp99\tserver CPU each\terrors\t")
	var failed []string
	for i, callers := range b.flags.callers {
		for _, load := range loads {
			load.profile = i == len(b.flags.callers)-1
			r, err := load.level(ctx, callers)
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "%d\t%s\t%d\t%.1f\t%s\t%s\t%s\t%d\t\n", callers, load.name, r.answered, r.rate(),
				r.percentile(50), r.percentile(99), r.cpuEach(), r.failed)
			if r.failed > 0 {
				failed = append(failed, fmt.Sprintf("%s, %d callers: %v", load.name, callers, r.firstError))
			}
		}
	}
	for _, load := range loads {
		load.close()
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(failed) > 0 {
		return hintedError{fmt.Errorf("some requests were not answered: %s", strings.Join(failed, "; ")),
			"RATE_LIMITED: raise limits.ratePerSecond and limits.burst of the service under test"}
	}
	return nil
}

func (b *bench) loaders() ([]*loader, error) {
	avow, err := newLoader("avow", b.flags.server, b.flags.pid, b.flags, b.signStatements)
	if b.own != nil {
		avow.admin = b.own.addresses.Admin
	}
	if err != nil || b.rekor == nil {
		return []*loader{avow}, err
	}
	rekor, err := newLoader("rekor", b.rekor.address, b.rekor.cmd.Process.Pid, b.flags, signDigests)
	return []*loader{avow, rekor}, err
}

// ownService is a service in a temporary directory and a process of its own, so that its CPU time can be told from the load's.
type ownService struct {
	dir       string
	child     *child
	addresses addresses
}

func startOwnService(ctx context.Context, f benchFlags, key *attest.KeyFile) (*ownService, error) {
	dir, err := os.MkdirTemp("", "avow-bench-")
	if err != nil {
		return nil, err
	}
	o := &ownService{dir: dir}
	if err := o.setUp(ctx, f, key); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return o, nil
}

func (o *ownService) setUp(ctx context.Context, f benchFlags, key *attest.KeyFile) error {
	c := defaultConfig()
	c.Origin = "bench.localhost"
	c.GRPC.Listen, c.REST.Listen, c.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.Logging.Level = "warn"
	// One caller stands for many here.
	c.Limits.RatePerSecond, c.Limits.Burst, c.Limits.CallsInFlight, c.Limits.ConcurrentStreams = 1e6, 1e6, 1<<15, 1<<14
	c.Admin.Pprof = f.profile != ""
	if f.batchAge > 0 {
		c.Log.BatchMaxAge = f.batchAge
	}
	if err := initialise(ctx, filepath.Join(o.dir, "service"), c, time.Now); err != nil {
		return err
	}
	public, err := attest.MarshalPublicKey(key.PublicKey())
	if err != nil {
		return err
	}
	pub := filepath.Join(o.dir, "vendor.pub")
	if err := writeNew(pub, public, 0o644); err != nil {
		return err
	}
	path := filepath.Join(o.dir, "service", configName)
	made, err := loadConfig(path)
	if err != nil {
		return err
	}
	if err := addVendor(made, vendorFlags{keys: []string{pub}, vendor: vendors.Vendor{
		Name: "bench", Declarant: f.declarant, Country: f.country, Products: []string{f.product},
	}}); err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	o.child, o.addresses, err = startChild(ctx, exe, path, filepath.Join(o.dir, "ready.json"))
	return err
}

func (o *ownService) stop() {
	o.child.stop()
	_ = os.RemoveAll(o.dir) // only what setUp made
}
