package egress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/avow-dev/avow/verify/enforce"
)

// ErrEnded says that the policy is not founded any more: the statement's time is over, or its standing is not known.
var ErrEnded = errors.New("the time of the policy is over")

// Limits of lookups and of the pauses between them.
const (
	// DefaultInterval is the least pause if nothing else is said.
	DefaultInterval = 5 * time.Second
	// DefaultGrace is how much longer than the answer holds an address counts if nothing else is said: the product may have got
	// the same answer a moment later than the Follower.
	DefaultGrace = 30 * time.Second
	// maxPause bounds the pause, so that a host that moves is followed.
	maxPause = 5 * time.Minute
	// maxLookups bounds the names that are asked for at a time.
	maxLookups = 16
)

// Follower keeps the sets of a ruleset filled. All fields but AllowPrivate and Grace are required.
type Follower struct {
	// Policy is the compiled ruleset.
	Policy *enforce.Policy
	// Resolver answers what addresses the names have.
	Resolver *Resolver
	// Apply runs commands of nft as one transaction.
	Apply func(ctx context.Context, commands []byte) error
	// Now is the clock and Sleep waits; it ends early with the context's error.
	Now   func() time.Time
	Sleep func(context.Context, time.Duration) error
	// Log tells what changes and what goes wrong.
	Log *slog.Logger
	// Interval is the least pause between two lookups.
	Interval time.Duration
	// Grace is how much longer than the answer holds an address counts.
	Grace time.Duration
	// AllowPrivate takes addresses that are not [Public] too.
	AllowPrivate bool

	live map[peer]time.Time // until when an address counts
}

// peer is an address that a host has.
type peer struct {
	host string
	addr netip.Addr
}

// Run loads the ruleset and follows the names until the context ends, which is no error, or the policy's time is over
// ([ErrEnded]); then the sets are emptied. Other errors are those of Apply. The ruleset stays loaded in any case.
func (f *Follower) Run(ctx context.Context) error {
	f.live = map[peer]time.Time{}
	// First of all, with empty sets: while names are being resolved nothing undeclared may leave.
	if err := f.Apply(ctx, f.Policy.Content); err != nil {
		return unlessEnded(ctx, err)
	}
	f.Log.InfoContext(ctx, "ruleset loaded", slog.String("statement", f.Policy.StatementID), slog.Time("until", f.Policy.Until))
	for f.Now().Before(f.Policy.Until) {
		pause := f.lookup(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err := f.fill(ctx); err != nil {
			return unlessEnded(ctx, err)
		}
		if err := f.Sleep(ctx, max(min(pause, f.Policy.Until.Sub(f.Now())), 0)); err != nil {
			return nil //nolint:nilerr // the context ended: whoever ended it knows
		}
	}
	return errors.Join(fmt.Errorf("%w: %s", ErrEnded, f.Policy.Until.UTC().Format(time.RFC3339)), f.Apply(ctx, f.Policy.Content))
}

// unlessEnded drops an error that only says that the context ended.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// lookup asks for all names and returns when to ask again: before the first answer is over.
func (f *Follower) lookup(ctx context.Context) time.Duration {
	hosts := f.Policy.Hosts()
	answers := f.ask(ctx, hosts)
	if ctx.Err() != nil {
		return 0
	}
	pause := maxPause
	for i, host := range hosts {
		if err := answers[i].err; err != nil {
			f.Log.WarnContext(ctx, "name not resolved; its addresses run out", slog.String("host", host), slog.String("error", err.Error()))
			pause = f.Interval
		}
		for _, r := range answers[i].found {
			pause = min(pause, r.ttl)
			f.take(ctx, host, r)
		}
	}
	now := f.Now()
	for p, until := range f.live {
		if !until.After(now) {
			delete(f.live, p)
			f.Log.InfoContext(ctx, "address is over", slog.String("host", p.host), slog.String("address", p.addr.String()))
		}
	}
	return max(pause, f.Interval)
}

// answered is what came of a lookup.
type answered struct {
	found []record
	err   error
}

// ask looks up all names, a few at a time: one that is answered slowly does not hold up the others.
func (f *Follower) ask(ctx context.Context, hosts []string) []answered {
	answers := make([]answered, len(hosts))
	var group errgroup.Group
	group.SetLimit(maxLookups)
	for i, host := range hosts {
		group.Go(func() error {
			answers[i].found, answers[i].err = f.Resolver.lookup(ctx, host)
			return nil
		})
	}
	_ = group.Wait() // each answer has its own error
	return answers
}

// take notes that a host has an address. What an earlier answer promised stays true.
func (f *Follower) take(ctx context.Context, host string, r record) {
	if !f.AllowPrivate && !Public(r.addr) {
		f.Log.WarnContext(ctx, "address refused: it is not public", slog.String("host", host), slog.String("address", r.addr.String()))
		return
	}
	p := peer{host, r.addr}
	// Until it is asked again and answered an address has to count.
	until := f.Now().Add(max(r.ttl, f.Interval) + f.Grace)
	if old, ok := f.live[p]; !ok {
		f.Log.InfoContext(ctx, "new address", slog.String("host", host), slog.String("address", r.addr.String()))
	} else if old.After(until) {
		until = old
	}
	f.live[p] = until
}

// fill fills the sets, and loads the ruleset again where somebody removed it.
func (f *Follower) fill(ctx context.Context) error {
	commands := f.Policy.Fill(f.addresses())
	if len(commands) == 0 {
		return nil
	}
	err := f.Apply(ctx, commands)
	if err == nil || ctx.Err() != nil {
		return err
	}
	f.Log.WarnContext(ctx, "sets not filled; loading the ruleset again", slog.String("error", err.Error()))
	return f.Apply(ctx, slices.Concat(f.Policy.Content, commands))
}

// addresses are those that count, in a fixed order.
func (f *Follower) addresses() []enforce.Address {
	now := f.Now()
	var list []enforce.Address
	for p, until := range f.live {
		list = append(list, enforce.Address{Host: p.host, Addr: p.addr, For: until.Sub(now)})
	}
	slices.SortFunc(list, func(a, b enforce.Address) int {
		if a.Host != b.Host {
			if a.Host < b.Host {
				return -1
			}
			return 1
		}
		return a.Addr.Compare(b.Addr)
	})
	return list
}
