package tufrepo

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Periods are for how long metadata is valid once made, in days.
type Periods struct {
	Root, Targets, Snapshot, Timestamp int
}

// DefaultPeriods has the holders meet once a year, and the online key's word last for a week.
func DefaultPeriods() Periods { return Periods{Root: 365, Targets: 365, Snapshot: 21, Timestamp: 7} }

// maxPeriod is the longest period in days.
const maxPeriod = 3660

// periodField is where tuf-on-ci keeps the period of a role.
const periodField = "x-tuf-on-ci-expiry-period"

func (p Periods) of(role string) int {
	return map[string]int{metadata.ROOT: p.Root, metadata.TARGETS: p.Targets, metadata.SNAPSHOT: p.Snapshot,
		metadata.TIMESTAMP: p.Timestamp}[role]
}

// roles are the four roles in the order in which they vouch for each other.
func roles() []string {
	return []string{metadata.ROOT, metadata.TARGETS, metadata.SNAPSHOT, metadata.TIMESTAMP}
}

// expiry is when metadata of a role that is made now expires.
func (r *Repository) expiry(root *metadata.RootType, role string) time.Time {
	days := DefaultPeriods().of(role)
	if v, ok := root.Roles[role].UnrecognizedFields[periodField].(float64); ok && v >= 1 && v <= maxPeriod {
		days = int(v)
	}
	return r.clock().UTC().Truncate(time.Second).AddDate(0, 0, days)
}

// RootChange says what the next root changes. Zero members change nothing.
type RootChange struct {
	AddRoot, RemoveRoot, AddTargets, RemoveTargets []*ecdsa.PublicKey
	RootThreshold, TargetsThreshold                int
	// Online replaces the key of snapshot and timestamp.
	Online *ecdsa.PublicKey
	// Periods replace those that are not zero.
	Periods Periods
}

// Init stages the first root of a new repository: needed are keys and threshold of root and targets, and the online key.
func (r *Repository) Init(c RootChange) error {
	unlock, err := r.lock()
	if err != nil {
		return err
	}
	defer unlock()
	s, err := r.published()
	if err != nil {
		return err
	}
	if s.root != nil {
		return fmt.Errorf("%w in %s", ErrExists, r.dir)
	}
	root := metadata.Root(r.clock())
	for _, role := range roles() {
		root.Signed.Roles[role].UnrecognizedFields = map[string]any{periodField: float64(DefaultPeriods().of(role))}
	}
	return r.stageRoot(root, c)
}

// StageRoot stages the next root. The one before it and the new one must both sign it, each by its own threshold.
func (r *Repository) StageRoot(c RootChange) error {
	unlock, err := r.lock()
	if err != nil {
		return err
	}
	defer unlock()
	s, err := r.published()
	if err != nil {
		return err
	}
	if s.root == nil {
		return errors.New("the first root is not published yet; init stages it")
	}
	s.root.Signed.Version++
	return r.stageRoot(s.root, c)
}

// stageRoot applies a change and writes the unsigned root.
func (r *Repository) stageRoot(root *metadata.Metadata[metadata.RootType], c RootChange) error {
	signed := &root.Signed
	err := errors.Join(
		addKeys(signed, metadata.ROOT, c.AddRoot), removeKeys(signed, metadata.ROOT, c.RemoveRoot),
		addKeys(signed, metadata.TARGETS, c.AddTargets), removeKeys(signed, metadata.TARGETS, c.RemoveTargets))
	if c.Online != nil {
		for _, role := range []string{metadata.SNAPSHOT, metadata.TIMESTAMP} {
			for _, id := range append([]string(nil), signed.Roles[role].KeyIDs...) {
				err = errors.Join(err, signed.RevokeKey(id, role))
			}
			err = errors.Join(err, addKeys(signed, role, []*ecdsa.PublicKey{c.Online}))
		}
	}
	if err != nil {
		return err
	}
	for role, threshold := range map[string]int{metadata.ROOT: c.RootThreshold, metadata.TARGETS: c.TargetsThreshold} {
		if threshold != 0 {
			signed.Roles[role].Threshold = threshold
		}
	}
	for _, role := range roles() {
		if days := c.Periods.of(role); days != 0 {
			signed.Roles[role].UnrecognizedFields = map[string]any{periodField: float64(days)}
		}
	}
	if err := checkRoot(signed); err != nil {
		return err
	}
	signed.Expires = r.expiry(signed, metadata.ROOT)
	root.Signatures = []metadata.Signature{}
	return stage(r, metadata.ROOT, root)
}

// checkRoot refuses a root that nobody, or one thief, could use.
func checkRoot(root *metadata.RootType) error {
	online := root.Roles[metadata.TIMESTAMP].KeyIDs
	if len(online) != 1 {
		return fmt.Errorf("got %d online keys, want 1", len(online))
	}
	for _, role := range roles() {
		have := root.Roles[role]
		if n := len(have.KeyIDs); have.Threshold < 1 || have.Threshold > n || n > MaxKeys {
			return fmt.Errorf("%s: a threshold of %d of %d keys, want 1 to the number of keys, and at most %d keys", role, have.Threshold, n, MaxKeys)
		}
		if days, _ := have.UnrecognizedFields[periodField].(float64); days < 1 || days > maxPeriod {
			return fmt.Errorf("%s: a period of %v days, want 1 to %d", role, days, maxPeriod)
		}
		if role == metadata.ROOT || role == metadata.TARGETS {
			for _, id := range have.KeyIDs {
				if id == online[0] {
					return fmt.Errorf("%s: the online key is one of its keys; who steals it must not decide what is trusted", role)
				}
			}
		}
	}
	return nil
}

// targetName is what a target may be called.
var targetName = regexp.MustCompile(`^[a-z0-9][A-Za-z0-9._-]{0,99}$`)

// StageTargets stages the next list of targets: those that are published, with the given ones added or replaced; nil
// takes one out.
func (r *Repository) StageTargets(files map[string][]byte) error {
	unlock, err := r.lock()
	if err != nil {
		return err
	}
	defer unlock()
	s, err := r.published()
	if err != nil {
		return err
	}
	root, err := r.authority(s)
	if err != nil {
		return err
	}
	targets := metadata.Targets(r.expiry(&root.Signed, metadata.TARGETS))
	if s.targets != nil {
		targets.Signed.Targets = s.targets.Signed.Targets
		targets.Signed.Version = s.targets.Signed.Version + 1
	}
	for name, data := range files {
		if data == nil {
			if targets.Signed.Targets[name] == nil {
				return fmt.Errorf("there is no target %q", name)
			}
			delete(targets.Signed.Targets, name)
			continue
		}
		if !targetName.MatchString(name) || len(data) > MaxTargetBytes {
			return fmt.Errorf("target %.120q of %d bytes: want a plain file name, and at most %d bytes", name, len(data), MaxTargetBytes)
		}
		if targets.Signed.Targets[name], err = metadata.TargetFile().FromBytes(name, data); err != nil {
			return err
		}
		if err := r.write(r.staged("targets/"+hashed(name, targets.Signed.Targets[name])), data); err != nil {
			return err
		}
	}
	if n := len(targets.Signed.Targets); n > MaxTargets {
		return fmt.Errorf("got %d targets, want at most %d", n, MaxTargets)
	}
	return stage(r, metadata.TARGETS, targets)
}

// hashed is the name of a target's file in a consistent snapshot.
func hashed(name string, t *metadata.TargetFiles) string {
	return hex.EncodeToString(t.Hashes["sha256"]) + "." + name
}

// authority is the root that the next targets must satisfy: the staged one, if there is one.
func (r *Repository) authority(s *state) (*metadata.Metadata[metadata.RootType], error) {
	staged, err := readStaged[metadata.RootType](r, metadata.ROOT)
	if err != nil || staged != nil {
		return staged, err
	}
	if s.root == nil {
		return nil, errors.New("there is no root; init stages the first one")
	}
	return s.root, nil
}

func stage[T metadata.Roles](r *Repository, role string, m *metadata.Metadata[T]) error {
	data, err := m.ToBytes(true)
	if err != nil {
		return err
	}
	if len(data) > MaxMetadataBytes {
		return fmt.Errorf("%s: got %d bytes, want at most %d", role, len(data), MaxMetadataBytes)
	}
	return r.write(r.staged(role+".json"), data)
}

// Sign signs every staged file that the key may sign, and returns the roles. Errors wrap [ErrNothingStaged] and [ErrKey].
func (r *Repository) Sign(ctx context.Context, key Key) ([]string, error) {
	unlock, err := r.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	s, err := r.published()
	if err != nil {
		return nil, err
	}
	root, targets, err := r.stagedRoles()
	if err != nil {
		return nil, err
	}
	var done []string
	if root != nil && (holds(root, metadata.ROOT, key.Public) || holds(s.root, metadata.ROOT, key.Public)) {
		if err := errors.Join(sign(ctx, root, key), stage(r, metadata.ROOT, root)); err != nil {
			return done, err
		}
		done = append(done, metadata.ROOT)
	}
	if targets != nil && (holds(root, metadata.TARGETS, key.Public) || holds(s.root, metadata.TARGETS, key.Public)) {
		if err := errors.Join(sign(ctx, targets, key), stage(r, metadata.TARGETS, targets)); err != nil {
			return done, err
		}
		done = append(done, metadata.TARGETS)
	}
	if len(done) == 0 {
		return nil, fmt.Errorf("%w that is staged", ErrKey)
	}
	return done, nil
}

// Import takes the signatures of a holder's copy of a staged file, and returns its role. The copy must be of what is staged
// now, to the byte that is signed.
func (r *Repository) Import(data []byte) (string, error) {
	if len(data) > MaxMetadataBytes {
		return "", fmt.Errorf("got %d bytes, want at most %d", len(data), MaxMetadataBytes)
	}
	unlock, err := r.lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	var kind struct {
		Signed struct {
			Type string `json:"_type"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(data, &kind); err != nil {
		return "", err
	}
	switch kind.Signed.Type {
	case metadata.ROOT:
		return metadata.ROOT, importInto[metadata.RootType](r, metadata.ROOT, data)
	case metadata.TARGETS:
		return metadata.TARGETS, importInto[metadata.TargetsType](r, metadata.TARGETS, data)
	}
	return "", fmt.Errorf("got metadata of type %.40q, want root or targets", kind.Signed.Type)
}

func importInto[T metadata.Roles](r *Repository, role string, data []byte) error {
	copied, err := (&metadata.Metadata[T]{}).FromBytes(data)
	if err != nil {
		return err
	}
	staged, err := readStaged[T](r, role)
	if err != nil {
		return err
	}
	if staged == nil {
		return fmt.Errorf("%w for %s", ErrNothingStaged, role)
	}
	ours, err := digest(staged)
	if err != nil {
		return err
	}
	theirs, err := digest(copied)
	if err != nil {
		return err
	}
	if !bytes.Equal(ours[:], theirs[:]) {
		return fmt.Errorf("the copy of %s is of something else than what is staged; give the holder the current one", role)
	}
	valid, err := r.validSigners(role, func(root *metadata.Metadata[metadata.RootType]) []string { return signers(root, role, copied) })
	if err != nil {
		return err
	}
	if len(valid) == 0 {
		return fmt.Errorf("%w: the copy of %s has no signature by one of its keys", ErrKey, role)
	}
	for _, s := range copied.Signatures {
		if slices.Contains(valid, s.KeyID) {
			staged.Signatures = slices.DeleteFunc(staged.Signatures, func(o metadata.Signature) bool { return o.KeyID == s.KeyID })
			staged.Signatures = append(staged.Signatures, s)
		}
	}
	return stage(r, role, staged)
}

// validSigners asks the published and the staged root.
func (r *Repository) validSigners(role string, ask func(*metadata.Metadata[metadata.RootType]) []string) ([]string, error) {
	s, err := r.published()
	if err != nil {
		return nil, err
	}
	staged, err := readStaged[metadata.RootType](r, metadata.ROOT)
	if err != nil {
		return nil, err
	}
	var valid []string
	for _, root := range []*metadata.Metadata[metadata.RootType]{s.root, staged} {
		if root != nil {
			valid = append(valid, ask(root)...)
		}
	}
	return valid, nil
}

// unstage removes a staged file.
func (r *Repository) unstage(name string) error {
	err := os.Remove(r.staged(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
