package tufrepo

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Status is what there is, what waits, and when it expires.
type Status struct {
	// Fingerprint is "sha256:" and the SHA-256 of 1.root.json, by which clients pin the repository; empty before the first
	// publication.
	Fingerprint string `json:"fingerprint"`
	// Published has one entry per role that is published.
	Published []RoleStatus `json:"published"`
	// Staged has one entry per staged file.
	Staged []StagedStatus `json:"staged"`
	// Targets are the names of the published targets.
	Targets []string `json:"targets"`
}

// RoleStatus is a published metadata file.
type RoleStatus struct {
	Role      string    `json:"role"`
	Version   int64     `json:"version"`
	Expires   time.Time `json:"expires"`
	Threshold int       `json:"threshold"`
	// Keys are all keys of the role, SignedBy those that signed, by the names that avow keygen gives them.
	Keys     []string `json:"keys"`
	SignedBy []string `json:"signedBy"`
}

// StagedStatus is a staged metadata file.
type StagedStatus struct {
	Role    string    `json:"role"`
	Version int64     `json:"version"`
	Expires time.Time `json:"expires"`
	// Demands are whose signatures are needed: one list for targets, two for a root that follows another.
	Demands []Demand `json:"demands"`
}

// Demand is a threshold and what it has so far.
type Demand struct {
	// By says who demands it.
	By        string   `json:"by"`
	Threshold int      `json:"threshold"`
	SignedBy  []string `json:"signedBy"`
	Missing   []string `json:"missing"`
}

// Met reports whether there are enough signatures.
func (d Demand) Met() bool { return len(d.SignedBy) >= d.Threshold }

// Status reads the directory.
func (r *Repository) Status() (*Status, error) {
	s, err := r.published()
	if err != nil {
		return nil, err
	}
	st := &Status{Published: []RoleStatus{}, Staged: []StagedStatus{}, Targets: []string{}}
	if s.root != nil {
		first, err := os.ReadFile(r.public(versioned(1, metadata.ROOT)))
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(first)
		st.Fingerprint = "sha256:" + hex.EncodeToString(sum[:])
		st.Published = append(st.Published, roleStatus(s.root, metadata.ROOT, s.root.Signed.Version, s.root.Signed.Expires, s.root))
	}
	if s.timestamp != nil {
		st.Targets = slices.Sorted(maps.Keys(s.targets.Signed.Targets))
		st.Published = append(st.Published,
			roleStatus(s.root, metadata.TARGETS, s.targets.Signed.Version, s.targets.Signed.Expires, s.targets),
			roleStatus(s.root, metadata.SNAPSHOT, s.snapshot.Signed.Version, s.snapshot.Signed.Expires, s.snapshot),
			roleStatus(s.root, metadata.TIMESTAMP, s.timestamp.Signed.Version, s.timestamp.Signed.Expires, s.timestamp))
	}
	return st, r.stagedStatus(s, st)
}

func (r *Repository) stagedStatus(s *state, st *Status) error {
	root, err := readStaged[metadata.RootType](r, metadata.ROOT)
	if err != nil {
		return err
	}
	targets, err := readStaged[metadata.TargetsType](r, metadata.TARGETS)
	if err != nil {
		return err
	}
	if root != nil {
		waits := StagedStatus{Role: metadata.ROOT, Version: root.Signed.Version, Expires: root.Signed.Expires}
		if s.root != nil {
			waits.Demands = append(waits.Demands, demand("the root before it", s.root, metadata.ROOT, root))
		}
		waits.Demands = append(waits.Demands, demand("the root itself", root, metadata.ROOT, root))
		st.Staged = append(st.Staged, waits)
	}
	if targets != nil {
		by, err := r.authority(s)
		if err != nil {
			return err
		}
		st.Staged = append(st.Staged, StagedStatus{Role: metadata.TARGETS, Version: targets.Signed.Version, Expires: targets.Signed.Expires,
			Demands: []Demand{demand("the root", by, metadata.TARGETS, targets)}})
	}
	return nil
}

func roleStatus[T metadata.Roles](root *metadata.Metadata[metadata.RootType], role string, version int64, expires time.Time,
	m *metadata.Metadata[T]) RoleStatus {
	return RoleStatus{Role: role, Version: version, Expires: expires.UTC(), Threshold: root.Signed.Roles[role].Threshold,
		Keys: names(root, root.Signed.Roles[role].KeyIDs), SignedBy: names(root, signers(root, role, m))}
}

func demand[T metadata.Roles](by string, root *metadata.Metadata[metadata.RootType], role string, m *metadata.Metadata[T]) Demand {
	signed := signers(root, role, m)
	var missing []string
	for _, id := range root.Signed.Roles[role].KeyIDs {
		if !slices.Contains(signed, id) {
			missing = append(missing, id)
		}
	}
	return Demand{By: by, Threshold: root.Signed.Roles[role].Threshold, SignedBy: names(root, signed), Missing: names(root, missing)}
}

func names(root *metadata.Metadata[metadata.RootType], ids []string) []string {
	out := make([]string, 0, len(ids))
	for _, id := range ids {
		out = append(out, keyName(root.Signed.Keys[id]))
	}
	return out
}

// Empty reports whether nothing was ever published or staged here.
func (r *Repository) Empty() (bool, error) {
	_, err := os.Stat(r.public(versioned(1, metadata.ROOT)))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return false, err
}
