package tufrepo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// publication is what one call brings out, in the order in which it is written.
type publication struct {
	old, next *state
	// newRoot and newTargets tell what comes from the staged files.
	newRoot, newTargets bool
	// bridging: clients with the old root accept the new timestamp too.
	bridging bool
}

// Publish brings out what is staged, if it has enough signatures, with a new snapshot and timestamp by the online keys, and
// returns the names of the new files. When the online key changes, the old and the new one are both given where the old
// one is to be had: then no client is ever left without a valid timestamp. Errors wrap [ErrNothingStaged] and [ErrThreshold].
func (r *Repository) Publish(ctx context.Context, online ...Key) ([]string, error) {
	unlock, err := r.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	p, err := r.prepare()
	if err != nil {
		return nil, err
	}
	if err := r.signOnline(ctx, p, true, online); err != nil {
		return nil, err
	}
	return r.bringOut(p)
}

// prepare puts the next state together and checks its thresholds.
func (r *Repository) prepare() (*publication, error) {
	old, err := r.published()
	if err != nil {
		return nil, err
	}
	root, targets, err := r.stagedRoles()
	if err != nil {
		return nil, err
	}
	p := &publication{old: old, next: &state{root: old.root, targets: old.targets}, newRoot: root != nil, newTargets: targets != nil}
	if p.newRoot {
		if err := checkChain(old.root, root); err != nil {
			return nil, err
		}
		p.next.root = root
	}
	if p.newTargets {
		p.next.targets = targets
	}
	switch {
	case p.next.root == nil:
		return nil, errors.New("there is no root")
	case p.next.targets == nil:
		return nil, errors.New("no targets are staged yet; the first publication has some")
	}
	if err := threshold(p.next.root, metadata.TARGETS, p.next.targets, "the root"); err != nil {
		return nil, err
	}
	now := r.clock()
	if p.next.root.Signed.IsExpired(now) || p.next.targets.Signed.IsExpired(now) {
		return nil, fmt.Errorf("root expires at %s and targets at %s: stage and sign anew what has expired",
			p.next.root.Signed.Expires.Format(time.RFC3339), p.next.targets.Signed.Expires.Format(time.RFC3339))
	}
	return p, nil
}

// checkChain checks that the staged root follows the published one, and has the signatures that both demand. The published
// root itself is what an interrupted publication left staged.
func checkChain(old, root *metadata.Metadata[metadata.RootType]) error {
	if err := checkRoot(&root.Signed); err != nil {
		return err
	}
	if old == nil {
		return threshold(root, metadata.ROOT, root, "the root itself")
	}
	was, err := digest(old)
	if err != nil {
		return err
	}
	is, err := digest(root)
	if err != nil {
		return err
	}
	if was == is {
		return nil
	}
	if got, want := root.Signed.Version, old.Signed.Version+1; got != want {
		return fmt.Errorf("the staged root has version %d, want %d; stage it anew", got, want)
	}
	return errors.Join(threshold(old, metadata.ROOT, root, "the root before it"), threshold(root, metadata.ROOT, root, "the root itself"))
}

// threshold checks a file's signatures, by go-tuf as clients do, and says how many there are.
func threshold[T metadata.Roles](root *metadata.Metadata[metadata.RootType], role string, m *metadata.Metadata[T], by string) error {
	if err := root.VerifyDelegate(role, m); err != nil {
		return fmt.Errorf("%w: %s has %d of the %d that %s demands", ErrThreshold, role, len(signers(root, role, m)),
			root.Signed.Roles[role].Threshold, by)
	}
	return nil
}

// signOnline makes the next timestamp, and the next snapshot where it is asked for.
func (r *Repository) signOnline(ctx context.Context, p *publication, snapshot bool, keys []Key) error {
	next, signed := p.next, &p.next.root.Signed
	next.snapshot = p.old.snapshot
	if snapshot {
		data, err := next.targets.ToBytes(true)
		if err != nil {
			return err
		}
		next.snapshot = metadata.Snapshot(r.expiry(signed, metadata.SNAPSHOT))
		if p.old.snapshot != nil {
			next.snapshot.Signed.Version = p.old.snapshot.Signed.Version + 1
		}
		next.snapshot.Signed.Meta[metadata.TARGETS+".json"] = meta(next.targets.Signed.Version, data)
		if err := signAs(ctx, p, metadata.SNAPSHOT, next.snapshot, keys); err != nil {
			return err
		}
	}
	data, err := next.snapshot.ToBytes(true)
	if err != nil {
		return err
	}
	next.timestamp = metadata.Timestamp(r.expiry(signed, metadata.TIMESTAMP))
	if p.old.timestamp != nil {
		next.timestamp.Signed.Version = p.old.timestamp.Signed.Version + 1
	}
	next.timestamp.Signed.Meta[metadata.SNAPSHOT+".json"] = meta(next.snapshot.Signed.Version, data)
	if err := signAs(ctx, p, metadata.TIMESTAMP, next.timestamp, keys); err != nil {
		return err
	}
	before := p.old.root
	p.bridging = before != nil && before.VerifyDelegate(metadata.TIMESTAMP, next.timestamp) == nil &&
		before.VerifyDelegate(metadata.SNAPSHOT, next.snapshot) == nil && before.VerifyDelegate(metadata.TARGETS, next.targets) == nil
	return nil
}

func meta(version int64, data []byte) *metadata.MetaFiles {
	sum := sha256.Sum256(data)
	m := metadata.MetaFile(version)
	m.Length, m.Hashes = int64(len(data)), metadata.Hashes{"sha256": sum[:]}
	return m
}

// signAs signs with the keys that the next or the old root names for a role.
func signAs[T metadata.Roles](ctx context.Context, p *publication, role string, m *metadata.Metadata[T], keys []Key) error {
	for _, k := range keys {
		if !holds(p.next.root, role, k.Public) && !holds(p.old.root, role, k.Public) {
			return fmt.Errorf("%w: the online key is not the one that the root names for %s", ErrKey, role)
		}
		if err := sign(ctx, m, k); err != nil {
			return err
		}
	}
	return threshold(p.next.root, role, m, "the root")
}

// bringOut writes the files. Those with a version or a hash in their name come first: nobody asks for them before the
// timestamp or the root names them. Then come root and timestamp, in the order in which clients with the old root go on.
func (r *Repository) bringOut(p *publication) ([]string, error) {
	var names []string
	put := func(name string, data []byte) error {
		if old, err := os.ReadFile(r.public(name)); err == nil && bytes.Equal(old, data) {
			return nil // an interrupted publication wrote it
		}
		names = append(names, name)
		return r.write(r.public(name), data)
	}
	if p.newTargets {
		if err := r.putTargets(p.next.targets, put); err != nil {
			return names, err
		}
	}
	if p.next.snapshot != p.old.snapshot {
		if err := putAs(metadata.SNAPSHOT, p.next.snapshot.Signed.Version, p.next.snapshot, put); err != nil {
			return names, err
		}
	}
	last := []func() error{
		func() error { return putAs(metadata.ROOT, p.next.root.Signed.Version, p.next.root, put) },
		func() error {
			data, err := p.next.timestamp.ToBytes(true)
			if err != nil {
				return err
			}
			return put(metadata.TIMESTAMP+".json", data)
		},
	}
	if !p.newRoot {
		last = last[1:]
	} else if p.bridging {
		slices.Reverse(last)
	}
	for _, write := range last {
		if err := write(); err != nil {
			return names, err
		}
	}
	return names, r.clearStaged(p)
}

func putAs[T metadata.Roles](role string, version int64, m *metadata.Metadata[T], put func(string, []byte) error) error {
	data, err := m.ToBytes(true)
	if err != nil {
		return err
	}
	return put(versioned(version, role), data)
}

// putTargets writes the target files that are not there yet, each as the signed list describes it, and then the list.
func (r *Repository) putTargets(targets *metadata.Metadata[metadata.TargetsType], put func(string, []byte) error) error {
	for name, t := range targets.Signed.Targets {
		file := "targets/" + hashed(name, t)
		data, err := os.ReadFile(r.staged(file))
		if errors.Is(err, os.ErrNotExist) {
			data, err = os.ReadFile(r.public(file))
		}
		if err == nil {
			err = t.VerifyLengthHashes(data)
		}
		if err != nil {
			return fmt.Errorf("target %s: %w", name, err)
		}
		if err := put(file, data); err != nil {
			return err
		}
	}
	return putAs(metadata.TARGETS, targets.Signed.Version, targets, put)
}

// clearStaged removes what was published.
func (r *Repository) clearStaged(p *publication) error {
	var err error
	if p.newRoot {
		err = r.unstage(metadata.ROOT + ".json")
	}
	if p.newTargets {
		err = errors.Join(err, r.unstage(metadata.TARGETS+".json"))
		for name, t := range p.next.targets.Signed.Targets {
			err = errors.Join(err, r.unstage("targets/"+hashed(name, t)))
		}
	}
	return err
}

// Renew signs the timestamp anew, and the snapshot, if half of their period is over, or anyway where force is set. It
// reports whether it wrote something. It is for the online key alone: what is trusted does not change.
func (r *Repository) Renew(ctx context.Context, force bool, online ...Key) (bool, error) {
	unlock, err := r.lock()
	if err != nil {
		return false, err
	}
	defer unlock()
	old, err := r.published()
	if err != nil {
		return false, err
	}
	if old.timestamp == nil {
		return false, errors.New("nothing is published yet")
	}
	now := r.clock()
	due := func(role string, expires time.Time) bool {
		whole := r.expiry(&old.root.Signed, role).Sub(now)
		return expires.Sub(now) < whole/2
	}
	snapshot := due(metadata.SNAPSHOT, old.snapshot.Signed.Expires) || force
	if !snapshot && !due(metadata.TIMESTAMP, old.timestamp.Signed.Expires) {
		return false, nil
	}
	p := &publication{old: old, next: &state{root: old.root, targets: old.targets}}
	if err := r.signOnline(ctx, p, snapshot, online); err != nil {
		return false, err
	}
	_, err = r.bringOut(p)
	return err == nil, err
}
