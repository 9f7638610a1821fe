package monitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/avow-dev/avow/cmd/avow/internal/follow"
)

// Monitor follows one log. Its fields but Watch, MaxQuiet and Keep are required. Not safe for concurrent use.
type Monitor struct {
	Client *follow.Client
	Logs   *follow.Logs
	Watch  Watch
	// Dir holds the state and the evidence files; it must exist.
	Dir string
	// Report is told what is found, as it is found. An error of its ends the round, which is then repeated: what was not
	// told is not forgotten.
	Report func(follow.Finding) error
	// Sleep waits between tries.
	Sleep func(context.Context, time.Duration) error
	// Now is the clock.
	Now func() time.Time
	// MaxQuiet is how long the log may show the same tree before that is an outage; 0 is for ever. A checkpoint says
	// nothing about its time, so that an old one shows only by this.
	MaxQuiet time.Duration
	// AllowBare takes entries without a statement for granted, as others make them with Rekor's API, unless a watched
	// signer made them. A service may then withhold the statements of all others, so that products cannot be watched.
	AllowBare bool
	// Keep is the size of the entry bundles that a round keeps between its two passes, in bytes; 0 is 16 MiB, negative none.
	// What is not kept is fetched twice.
	Keep int
}

// Summary is what a round looked at.
type Summary struct {
	Origin string `json:"origin"`
	// From and Size are the sizes of the tree that was remembered and of the one that is now.
	From uint64 `json:"from"`
	Size uint64 `json:"treeSize"`
}

// errCaught ends a round: the log was caught, as reported, and is not followed.
var errCaught = errors.New("the log misbehaved")

// Round looks once at everything that is new since the last round. An error is *Outage, or wraps ErrState, or is one of
// the system: something could not be checked, and the next round begins where this one did.
func (m *Monitor) Round(ctx context.Context) (Summary, error) {
	s, err := loadState(m.Dir, m.Logs)
	if err != nil {
		return Summary{}, err
	}
	now, err := m.Client.Current(ctx, m.Logs, s.head)
	if errors.Is(err, follow.ErrOtherLog) {
		err = fmt.Errorf("%w: %w", ErrState, err)
	}
	if err != nil {
		return Summary{}, err
	}
	r := &round{Monitor: m, state: s, now: now, tree: follow.NewTreeReader(m.Client, now, cmp.Or(m.Keep, maxKept))}
	sum := Summary{Origin: now.Origin, From: s.size(), Size: now.Size}
	err = r.run(ctx)
	if errors.Is(err, errCaught) {
		return sum, nil // it is reported, and the state stays where it was
	}
	return sum, err
}

// round is the work of one Round.
type round struct {
	*Monitor
	state *state
	now   *follow.Head
	tree  *follow.TreeReader
	// pending are the entries that were without their statement before this round.
	pending []missing
}

func (r *round) run(ctx context.Context) error {
	// The tree comes first: an answer that stays away must not keep it from being looked at.
	r.pending, r.state.Missing = r.state.Missing, nil
	if err := r.advance(ctx); err != nil {
		return err
	}
	if err := r.askAgain(ctx); err != nil {
		return err
	}
	if r.state.head == nil || r.state.head.Size < r.now.Size {
		r.state.Grown = r.Now().UTC()
	}
	r.state.head = r.now
	if err := r.state.save(r.Dir); err != nil {
		return err
	}
	if quiet := r.Now().Sub(r.state.Grown); r.MaxQuiet > 0 && quiet > r.MaxQuiet {
		return &follow.Outage{Path: "/checkpoint", Reason: fmt.Sprintf("the log shows the same %d entries since %s: it may be old", r.now.Size,
			r.state.Grown.Format(time.RFC3339))}
	}
	return nil
}

// advance reads the new entries. They are reported only after they are known to be those of the tree that was signed.
func (r *round) advance(ctx context.Context) error {
	walk, err := r.tree.Advance(ctx, follow.Seen{Head: r.state.head, Tree: r.state.tree})
	if err != nil {
		return r.caught(err)
	}
	from := r.state.size()
	for i := range walk.Bundles() {
		first, entries, err := r.tree.Bundle(ctx, walk, i)
		if err != nil {
			return r.caught(err)
		}
		for n, entry := range entries {
			if at := first + uint64(n); at >= from {
				if err := r.inspect(ctx, at, entry); err != nil {
					return err
				}
			}
		}
	}
	r.state.tree = walk.Tree
	return nil
}

// caught reports a misbehaviour of the log as a whole, and ends the round. Other errors stay what they are.
func (r *round) caught(err error) error {
	var c *follow.Caught
	if !errors.As(err, &c) {
		return err
	}
	if err := r.misbehaviour(c.Code, c.Detail, nil, c.Evidence); err != nil {
		return err
	}
	return errCaught
}

// misbehaviour writes the evidence and reports the finding.
func (r *round) misbehaviour(code follow.Code, detail string, entry *follow.Entry, e *follow.Evidence) error {
	e.Code, e.Second = code, r.now.Raw
	name, err := e.Write(r.Dir)
	if err != nil {
		return err
	}
	return r.report(follow.Finding{Code: code, Class: follow.Misbehaviour, Detail: detail, Entry: entry, Evidence: name})
}

func (r *round) report(f follow.Finding) error {
	f.Origin, f.Size = r.now.Origin, r.now.Size
	return r.Report(f)
}
