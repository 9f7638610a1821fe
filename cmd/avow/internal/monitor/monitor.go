package monitor

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/transparency-dev/merkle/compact"
)

// Monitor follows one log. Its fields but Watch, MaxQuiet and Keep are required. Not safe for concurrent use.
type Monitor struct {
	Client *Client
	Logs   *Logs
	Watch  Watch
	// Dir holds the state and the evidence files; it must exist.
	Dir string
	// Report is told what is found, as it is found. An error of its ends the round, which is then repeated: what was not
	// told is not forgotten.
	Report func(Finding) error
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
	now, err := m.current(ctx, s)
	if err != nil {
		return Summary{}, err
	}
	r := &round{Monitor: m, state: s, now: now, tree: newTreeReader(m.Client, now.size, cmp.Or(m.Keep, maxKept))}
	sum := Summary{Origin: now.origin, From: s.tree.End(), Size: now.size}
	err = r.run(ctx)
	if errors.Is(err, errCaught) {
		return sum, nil // it is reported, and the state stays where it was
	}
	return sum, err
}

// current asks for the checkpoint. A smaller one than remembered may come from a cache: it is asked for again.
func (m *Monitor) current(ctx context.Context, s *state) (*head, error) {
	pause := firstPause
	for try := 1; ; try++ {
		now, err := m.Client.checkpoint(ctx, m.Logs)
		switch {
		case err != nil:
			return nil, err
		case s.head != nil && s.head.origin != now.origin:
			return nil, fmt.Errorf("%w: it is of the log %s, and the server shows %s", ErrState, s.head.origin, now.origin)
		case s.head == nil || now.size >= s.head.size || try == maxTries:
			return now, nil
		}
		if err := m.Sleep(ctx, pause); err != nil {
			return nil, err
		}
		pause *= 2
	}
}

// round is the work of one Round.
type round struct {
	*Monitor
	state *state
	now   *head
	tree  *treeReader
	// pending are the entries that were without their statement before this round.
	pending []missing
}

func (r *round) run(ctx context.Context) error {
	if err := r.compare(); err != nil {
		return err
	}
	// The tree comes first: an answer that stays away must not keep it from being looked at.
	r.pending, r.state.Missing = r.state.Missing, nil
	if err := r.advance(ctx); err != nil {
		return err
	}
	if err := r.askAgain(ctx); err != nil {
		return err
	}
	if r.state.head == nil || r.state.head.size < r.now.size {
		r.state.Grown = r.Now().UTC()
	}
	r.state.head = r.now
	if err := r.state.save(r.Dir); err != nil {
		return err
	}
	if quiet := r.Now().Sub(r.state.Grown); r.MaxQuiet > 0 && quiet > r.MaxQuiet {
		return &Outage{Path: "/checkpoint", Reason: fmt.Sprintf("the log shows the same %d entries since %s: it may be old", r.now.size,
			r.state.Grown.Format(time.RFC3339))}
	}
	return nil
}

// compare compares the sizes and roots of the remembered checkpoint and of the one that is served.
func (r *round) compare() error {
	old := r.state.head
	if old == nil {
		return nil
	}
	switch {
	case r.now.size < old.size:
		return r.caught(CodeRolledBack, fmt.Sprintf("the log shows %d entries and has shown %d", r.now.size, old.size),
			&Evidence{Kind: KindNotProvable, First: old.raw, Asked: "/checkpoint", Status: 200, Answered: r.now.raw,
				Wanted: fmt.Sprintf("a checkpoint of at least %d entries", old.size)})
	case r.now.size == old.size && !bytes.Equal(r.now.root, old.root):
		return r.caught(CodeFork, fmt.Sprintf("the log signed two trees of %d entries", old.size),
			&Evidence{Kind: KindFork, First: old.raw})
	}
	return nil
}

// advance reads the new entries. They are reported only after they are known to be those of the tree that was signed.
func (r *round) advance(ctx context.Context) error {
	old := r.state.tree
	w, err := r.tree.grow(ctx, old)
	if err != nil {
		return r.tileFault(err)
	}
	root, err := rootOf(w.tree)
	if err != nil {
		return err
	}
	if !bytes.Equal(root, r.now.root) {
		return r.diagnose(ctx, w)
	}
	if err := r.tree.checkTiles(ctx, w); err != nil {
		return r.tileFault(err)
	}
	for i, want := range w.bundles {
		index := old.End()/tileWidth + uint64(i)
		data, entries, err := r.tree.entries(ctx, index)
		if err == nil && sha256.Sum256(data) != want {
			err = &tileFault{path: entriesPath(index, uint64(len(entries))), got: data,
				want: fmt.Sprintf("bytes with SHA-256 %x, as a moment before", want), err: errors.New("it changed")}
		}
		if err != nil {
			return r.tileFault(err)
		}
		for n, entry := range entries {
			if at := index*tileWidth + uint64(n); at >= old.End() {
				if err := r.inspect(ctx, at, entry); err != nil {
					return err
				}
			}
		}
	}
	r.state.tree = w.tree
	return nil
}

// diagnose finds out why the entries do not give the root that was signed. If the hash tiles do, they are the tree:
// then the log signed a tree that does not contain the old one, or its entries are not what it serves.
func (r *round) diagnose(ctx context.Context, w *walk) error {
	old := r.state.tree
	wanted := fmt.Sprintf("tiles and entries that hash to the root %x of the checkpoint", r.now.root)
	before, err := r.tree.nodes(ctx, 0, old.End())
	var after *compact.Range
	if err == nil {
		after, err = r.tree.nodes(ctx, old.End(), r.now.size)
	}
	var outage *Outage
	if errors.As(err, &outage) && ctx.Err() == nil {
		// What was served is wrong, even if what would tell why is not.
		return r.caught(CodeTile, "the entries do not give the root that the log signed; "+err.Error(),
			&Evidence{Kind: KindNotProvable, Asked: outage.Path, Wanted: wanted})
	}
	if err != nil {
		return r.tileFault(err)
	}
	if root, err := joined(before, w.new); err == nil && bytes.Equal(root, r.now.root) {
		after = w.new // the new entries are right, whatever the tiles say of them
	}
	whole, err := joined(before, after)
	if err != nil {
		return err
	}
	if !bytes.Equal(whole, r.now.root) {
		return r.caught(CodeTile, "neither the entries nor the hash tiles give the root that the log signed",
			&Evidence{Kind: KindNotProvable, Asked: "/tile/", Wanted: wanted})
	}
	if start, err := rootOf(before); err == nil && r.state.head != nil && !bytes.Equal(start, r.state.head.root) {
		return r.caught(CodeInconsistent, fmt.Sprintf("the tree of %d entries does not contain the one of %d that the log signed before",
			r.now.size, old.End()), &Evidence{Kind: KindInconsistent, First: r.state.head.raw, Before: before.Hashes(), After: after.Hashes()})
	}
	return r.wrongBundle(ctx, w, wanted)
}

// wrongBundle reports the entry bundle that is not what the hash tiles, which give the root, say of it.
func (r *round) wrongBundle(ctx context.Context, w *walk, wanted string) error {
	if w.fault == nil {
		return r.caught(CodeTile, "the entries do not give the root that the log signed",
			&Evidence{Kind: KindNotProvable, Asked: "/tile/entries/", Wanted: wanted})
	}
	data, entries, err := r.tree.entries(ctx, w.fault.index)
	if err != nil {
		return r.tileFault(err)
	}
	return r.tileFault(&tileFault{path: entriesPath(w.fault.index, uint64(len(entries))), got: data,
		want: "entries with the leaf hashes " + hex.EncodeToString(w.fault.got),
		err:  errors.New("the entries are not those that the log signed")})
}

// tileFault reports a tile that is not that of the tree. Other errors stay what they are.
func (r *round) tileFault(err error) error {
	var fault *tileFault
	if !errors.As(err, &fault) {
		return err
	}
	return r.caught(CodeTile, fault.Error(), &Evidence{Kind: KindNotProvable, Asked: fault.path, Status: 200, Answered: fault.got,
		Wanted: fault.want})
}

// caught reports a misbehaviour of the log as a whole, and ends the round.
func (r *round) caught(code Code, detail string, e *Evidence) error {
	if err := r.misbehaviour(code, detail, nil, e); err != nil {
		return err
	}
	return errCaught
}

// misbehaviour writes the evidence and reports the finding. The evidence is named by its content: the same again is
// the same file.
func (r *round) misbehaviour(code Code, detail string, entry *Entry, e *Evidence) error {
	e.Code, e.Second = code, r.now.raw
	data, err := e.marshal()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	name := fmt.Sprintf("evidence-%s-%x.json", code, sum[:8])
	if err := writeDurably(r.Dir, name, data); err != nil {
		return fmt.Errorf("evidence of %s: %w", code, err)
	}
	return r.report(Finding{Code: code, Class: Misbehaviour, Detail: detail, Entry: entry, Evidence: name})
}

func (r *round) report(f Finding) error {
	f.Origin, f.Size = r.now.origin, r.now.size
	return r.Report(f)
}
