package command

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/cmd/avow/internal/manifest"
	"github.com/avow-dev/avow/verify"
)

const (
	// maxFilters is how many filters a subscription takes. A longer list is watched by everything that is told.
	maxFilters = 1000
	// judgedTogether is how many entries of a list are judged with the statuses of one call.
	judgedTogether = 64
	// maxDoze is the longest sleep of the clock: a machine that was suspended is awake again by then.
	maxDoze = time.Minute
	// askAgainAfter is how long after a service that does not answer is asked for a status again.
	askAgainAfter = 30 * time.Second
)

const guardHelp = `

With --manifest a list of files is guarded: the verdict of each, with its bundles, keys and policy
as in ` + "`avow verify --manifest`" + `, is looked at anew when the service tells of something that
concerns it, and before its status gets too old (--max-staleness) or a period ends. Statuses are
fetched and verified as by ` + "`avow verify --status`" + `; a service that answers no more, or shows
nothing that verifies, lets every verdict end in rejected. A service that keeps an event back
gains half of --max-staleness at most.

The first verdict that flips from accepted ends the command with exit code 1, and so does a file or
bundle that cannot be read any more, with 2. With --exec PROGRAM it goes on, and runs the program for each
flip, one at a time, without a shell, with the arguments after --, and with AVOW_FILE, AVOW_VERDICT,
AVOW_BEFORE, AVOW_REASON and others in its environment (docs/watch.md). With --once the list
is judged once, and the exit code is that of verify. Keys, policy and list are read at the start. What
both logs showed last is kept in --state, by default avow/seen.json in the user's configuration, or
none; a log that does not continue it ends the command with exit code 3.`

// guardFlags are the flags of watch about a list.
type guardFlags struct {
	verify  verifyFlags
	program string
	limit   time.Duration
	own     []string // the names of these flags
}

func (f *guardFlags) register(c *cobra.Command) {
	before := map[string]bool{}
	c.Flags().VisitAll(func(x *pflag.Flag) { before[x.Name] = true })
	f.verify.registerDemands(c)
	f.verify.status.registerJudged(c)
	c.Flags().StringVar(&f.program, "exec", "", "`PROGRAM` to run when a verdict flips; its arguments come after --")
	c.Flags().DurationVar(&f.limit, "exec-timeout", time.Minute, "`DURATION` after which the program is killed")
	c.Flags().VisitAll(func(x *pflag.Flag) {
		if !before[x.Name] {
			f.own = append(f.own, x.Name)
		}
	})
}

// absent refuses the flags that are about a list where there is none.
func (f *guardFlags) absent(c *cobra.Command) error {
	for _, name := range f.own {
		if c.Flags().Changed(name) {
			return usageFailure(c.CommandPath(), fmt.Errorf("--%s is about a list, and no --manifest was given", name))
		}
	}
	return nil
}

// present refuses what makes no sense with a list.
func (f *guardFlags) present(c *cobra.Command, args []string) error {
	for _, name := range []string{"statement", "vendor", "product", "key-id", "from", "approved"} {
		if c.Flags().Changed(name) {
			return usageFailure(c.CommandPath(), fmt.Errorf("--%s is not for a list: --manifest says what is watched", name))
		}
	}
	switch {
	case len(args) > 0 && f.program == "":
		return usageFailure(c.CommandPath(), fmt.Errorf("unexpected argument %q: --manifest says what is watched", args[0]))
	case len(args) > 0 && c.ArgsLenAtDash() != 0:
		return usageFailure(c.CommandPath(), fmt.Errorf("unexpected argument %q: those of --exec come after --", args[0]))
	case c.Flags().Changed("exec-timeout") && f.program == "":
		return usageFailure(c.CommandPath(), errors.New("--exec-timeout is about a program: give --exec"))
	case f.limit <= 0:
		return usageFailure(c.CommandPath(), errors.New("--exec-timeout must be more than 0"))
	}
	return nil
}

// runGuard watches a list.
func (a *app) runGuard(c *cobra.Command, args []string, f *watchFlags) (err error) {
	g, err := a.newGuard(c, args, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	ctx := c.Context()
	if err := g.evaluate(ctx, g.entries); err != nil {
		return err
	}
	if err := g.started(); err != nil {
		return err
	}
	if f.once {
		return g.exit()
	}
	return g.watch(ctx)
}

// newGuard reads everything that the flags name, before anything is asked.
func (a *app) newGuard(c *cobra.Command, args []string, f *watchFlags) (_ *guard, err error) {
	v := &f.guard.verify
	v.status.live = true
	if err := f.guard.present(c, args); err != nil {
		return nil, err
	}
	demands, err := a.verifyDemands(c, v)
	if err == nil {
		err = someoneDeclares(c, demands.Signers)
	}
	if err == nil {
		err = a.pinnedTrust(v)
	}
	if err != nil {
		return nil, err
	}
	g := &guard{a: a, format: f.format, program: f.guard.program, arguments: args, limit: f.guard.limit, timeout: f.server.timeout,
		named: map[string][]int{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close())
		}
	}()
	if g.trust, err = a.readTrust(v.trustedRoot); err != nil {
		return nil, err
	}
	if g.options, err = v.status.options(a, demands.Witnesses, g.trust, v.trustedRoot); err != nil {
		return nil, err
	}
	if g.entries, err = guardedEntries(c, v); err != nil {
		return nil, err
	}
	verifier, err := verify.New(verify.Config{Trust: g.trust, TrustDate: v.trustDate, Clock: a.env.Now})
	if err != nil {
		return nil, err
	}
	if g.judge, err = a.newManifestJudge(c.Context(), v, manifestJudge{verifier: verifier, trust: g.trust, demands: *demands}); err != nil {
		return nil, err
	}
	if g.connection, err = a.dial(&f.server); err != nil {
		return nil, err
	}
	if g.memory, err = a.memory(&stateFlag{f.state}); err != nil {
		return nil, err
	}
	if g.keys, err = a.logKeysOf(v.trustedRoot, g.options.IndexLog); err != nil {
		return nil, err
	}
	g.prove, g.proved, err = a.prover(&f.server)
	return g, err
}

// guardedEntries reads the list.
func guardedEntries(c *cobra.Command, v *verifyFlags) (entries []*guarded, err error) {
	list, err := manifest.Open(v.manifest.path, manifest.Format(v.manifest.format))
	if err != nil {
		return nil, manifestFailure(err)
	}
	defer func() { err = errors.Join(err, list.Close()) }()
	if v.manifest.bundles == "" && len(v.bundles) == 0 && list.Format() != manifest.FormatJSONLines {
		return nil, usageFailure(c.CommandPath(), errors.New("no bundles were given: give --bundles DIR, or --bundle FILE"))
	}
	for item := range list.Items() {
		entries = append(entries, &guarded{number: len(entries), item: item})
	}
	if list.Err() != nil {
		return nil, manifestFailure(list.Err())
	}
	return entries, nil
}

// watch follows the service's events and the clock until a verdict flips, or for ever.
func (g *guard) watch(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	var clock sync.WaitGroup
	clock.Go(func() {
		if err := g.keepTime(ctx); err != nil {
			cancel(err)
		}
	})
	first := true
	w := &watching{request: g.subscription(), client: avowv1.NewStandingServiceClient(g.connection),
		begin: func() { first = true },
		event: func(_ context.Context, e *avowv1.StatementEvent) error {
			g.heard(e)
			return nil
		},
		progress: func(ctx context.Context, p *avowv1.WatchProgress) error {
			all := first
			first = false
			return g.caughtUp(ctx, p, all)
		}}
	retrier := g.a.retrier(g.connection)
	retrier.Reached = true // it told how the statements stand
	err := retrier.Follow(ctx, w.follow)
	if parent.Err() == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	cancel(nil)
	clock.Wait()
	return stoppedOr(parent, err)
}

// keepTime judges what is due, as the clock says.
func (g *guard) keepTime(ctx context.Context) error {
	for {
		if g.a.env.Sleep(ctx, g.doze()) != nil {
			return nil // the command ends
		}
		if due := g.due(); len(due) > 0 {
			if err := g.evaluate(ctx, due); err != nil {
				return err
			}
		}
	}
}

// close gives back what the guard holds.
func (g *guard) close() error {
	var err error
	if g.judge != nil {
		err = g.judge.close()
	}
	if g.proved != nil {
		g.proved()
	}
	if g.connection != nil {
		err = errors.Join(err, g.connection.Close())
	}
	return err
}
