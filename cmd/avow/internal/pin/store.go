package pin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/avow-dev/avow/internal/filelock"
	"github.com/avow-dev/avow/internal/wholefile"
	"github.com/avow-dev/avow/verify"
)

// maxPinBytes is the largest pin.json that is read.
const maxPinBytes = 64 << 10

// The kinds of pins.
const (
	// KindTUF follows a TUF repository.
	KindTUF = "tuf"
	// KindServer follows nothing: the trusted root of a service changes by the buyer's word alone.
	KindServer = "server"
)

// File names in a generation.
const (
	trustedRootFile   = "trusted_root.json"
	signingConfigFile = "signing_config.json"
	indexLogFile      = "index_log.vkey"
)

// Store is the directory of all pins.
type Store struct {
	// Dir is made when the first pin is.
	Dir string
}

// Pin is what is pinned under a name: pin.json.
type Pin struct {
	// Format is 1.
	Format int `json:"format"`
	// Name is the pin's name and that of its directory.
	Name string `json:"name"`
	// Kind is KindTUF or KindServer.
	Kind string `json:"kind"`
	// Address is the URL of the repository, or host and port of the service.
	Address string `json:"address"`
	// Fingerprint is "sha256:" and the SHA-256 of the anchor: the first TUF root, or the trusted root that was pinned first.
	Fingerprint string `json:"fingerprint"`
	// RootVersion is the version of the newest TUF root; 0 for a service.
	RootVersion int64 `json:"rootVersion"`
	// Generation is the directory of the files in force.
	Generation string `json:"generation"`
	// TrustedRootSHA256 is the SHA-256 of the trusted root in force, hexadecimal.
	TrustedRootSHA256 string `json:"trustedRootSha256"`
	// IndexLogKey is the verifier key of the index log, NAME+HASH+BASE64; empty if none is pinned.
	IndexLogKey string `json:"indexLogKey,omitempty"`
	// PinnedAt and UpdatedAt are when it was pinned, and when it was last known to be current.
	PinnedAt  time.Time `json:"pinnedAt"`
	UpdatedAt time.Time `json:"updatedAt"`
	// Expires is when each kind of metadata expires; empty for a service.
	Expires map[string]time.Time `json:"expires"`

	dir string
}

var (
	pinName    = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	generation = regexp.MustCompile(`^g-[0-9A-Za-z]{1,32}$`)
	sha256Name = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	expiryName = regexp.MustCompile(`^(root|targets|snapshot|timestamp)$`)
)

// CheckName refuses what cannot be the name of a pin.
func CheckName(name string) error {
	if !pinName.MatchString(name) {
		return fmt.Errorf("%.80q is not a name of at most 64 lower-case letters, digits, dots, hyphens and underscores", name)
	}
	return nil
}

// CheckFingerprint refuses what is not "sha256:" and 64 hexadecimal digits.
func CheckFingerprint(s string) error {
	if !sha256Name.MatchString(s) {
		return fmt.Errorf("%.100q is not sha256: and 64 lower-case hexadecimal digits", s)
	}
	return nil
}

// ParsePin reads pin.json strictly: what a person or a crash left half is refused, not repaired.
func ParsePin(data []byte) (*Pin, error) {
	if len(data) > maxPinBytes {
		return nil, fmt.Errorf("got %d bytes, want at most %d", len(data), maxPinBytes)
	}
	p := &Pin{}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(p); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the pin")
	}
	return p, p.check()
}

func (p *Pin) check() error {
	if err := CheckName(p.Name); err != nil {
		return err
	}
	if err := CheckFingerprint(p.Fingerprint); err != nil {
		return err
	}
	switch {
	case p.Format != 1:
		return fmt.Errorf("format %d is not 1: written by another version of avow", p.Format)
	case p.Kind != KindTUF && p.Kind != KindServer:
		return fmt.Errorf("kind %.40q is unknown", p.Kind)
	case p.Address == "" || len(p.Address) > 2048:
		return errors.New("the address is empty or too long")
	case !generation.MatchString(p.Generation):
		return fmt.Errorf("generation %.40q is none", p.Generation)
	case !sha256Name.MatchString("sha256:" + p.TrustedRootSHA256):
		return errors.New("trustedRootSha256 is no SHA-256")
	case (p.Kind == KindTUF) != (p.RootVersion > 0) || p.RootVersion < 0:
		return fmt.Errorf("root version %d of a pin of kind %s", p.RootVersion, p.Kind)
	case p.PinnedAt.IsZero() || p.UpdatedAt.IsZero():
		return errors.New("a time is missing")
	}
	if p.IndexLogKey != "" {
		if _, err := verify.ParseLogKey(p.IndexLogKey); err != nil {
			return fmt.Errorf("indexLogKey: %w", err)
		}
	}
	for name := range p.Expires {
		if !expiryName.MatchString(name) {
			return fmt.Errorf("expires has %.40q", name)
		}
	}
	if p.Kind == KindTUF && len(p.Expires) != 4 {
		return errors.New("expires does not name all metadata")
	}
	return nil
}

// List returns the names of the pins, in order.
func (s Store) List() ([]string, error) {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(s.Dir, e.Name(), "pin.json")); err == nil && pinName.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// Load reads a pin.
func (s Store) Load(name string) (*Pin, error) {
	if err := CheckName(name); err != nil {
		return nil, &Error{Code: CodePin, Message: err.Error(), Hint: "`avow trust list` lists the pins"}
	}
	dir := filepath.Join(s.Dir, name)
	data, err := wholefile.Read(filepath.Join(dir, "pin.json"), maxPinBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{Code: CodePin, Message: fmt.Sprintf("nothing is pinned as %s in %s", name, s.Dir), Err: err,
			Hint: "`avow trust list` lists the pins; `avow trust pin` makes one"}
	}
	if err != nil {
		return nil, err
	}
	p, err := ParsePin(data)
	if err == nil && p.Name != name {
		err = fmt.Errorf("it is the pin of %s", p.Name)
	}
	if err != nil {
		return nil, damaged(name, err)
	}
	p.dir = dir
	return p, nil
}

func damaged(name string, err error) *Error {
	return &Error{Code: CodePin, Message: fmt.Sprintf("the pin %s is damaged: %v", name, err), Err: err,
		Hint: "restore its directory, or remove it with `avow trust unpin` and pin again with the fingerprint"}
}

// TrustedRootPath is the file of the trusted root in force.
func (p *Pin) TrustedRootPath() string { return filepath.Join(p.dir, p.Generation, trustedRootFile) }

// TrustedRoot reads the trusted root in force, and compares it with its digest in the pin.
func (p *Pin) TrustedRoot() ([]byte, error) {
	data, err := wholefile.Read(p.TrustedRootPath(), verify.MaxTrustBytes)
	if err != nil {
		return nil, damaged(p.Name, err)
	}
	if got := sum(data); got != p.TrustedRootSHA256 {
		return nil, damaged(p.Name, fmt.Errorf("its trusted root has digest sha256:%s, want sha256:%s", got, p.TrustedRootSHA256))
	}
	return data, nil
}

// SigningConfig reads the signing config; nil if there is none.
func (p *Pin) SigningConfig() ([]byte, error) {
	data, err := wholefile.Read(filepath.Join(p.dir, p.Generation, signingConfigFile), verify.MaxTrustBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Remove forgets a pin.
func (s Store) Remove(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	dir := filepath.Join(s.Dir, name)
	if _, err := os.Stat(filepath.Join(dir, "pin.json")); err != nil {
		return &Error{Code: CodePin, Message: fmt.Sprintf("nothing is pinned as %s in %s", name, s.Dir), Err: err, Hint: "`avow trust list` lists the pins"}
	}
	return os.RemoveAll(dir)
}

// lock keeps other processes from changing the pin until unlock is called.
func (s Store) lock(name string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Join(s.Dir, name), 0o700); err != nil {
		return nil, err
	}
	f, err := filelock.Lock(filepath.Join(s.Dir, name, ".lock"))
	if err != nil {
		return nil, &Error{Code: CodePin, Message: fmt.Sprintf("the pin %s is being changed: %v", name, err), Err: err, Hint: "try again when the other command is done"}
	}
	return func() { f.Close() }, nil
}

// begin makes a directory for the next generation of a pin.
func (s Store) begin(name string) (dir string, err error) {
	if err := os.MkdirAll(filepath.Join(s.Dir, name), 0o700); err != nil {
		return "", err
	}
	return os.MkdirTemp(filepath.Join(s.Dir, name), "g-")
}

// commit writes the trusted root into the generation and makes it the one in force, by one renaming.
func (s Store) commit(p *Pin, dir string, files map[string][]byte) error {
	for name, data := range files {
		if err := wholefile.Replace(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	p.Format, p.Generation, p.TrustedRootSHA256 = 1, filepath.Base(dir), sum(files[trustedRootFile])
	p.dir = filepath.Dir(dir)
	if err := p.check(); err != nil {
		return err
	}
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	if err := wholefile.Replace(filepath.Join(p.dir, "pin.json"), append(data, '\n'), 0o600); err != nil {
		return err
	}
	s.clean(p)
	return nil
}

// clean removes the generations that are not in force. What cannot be removed does no harm.
func (s Store) clean(p *Pin) {
	entries, _ := os.ReadDir(p.dir)
	for _, e := range entries {
		if generation.MatchString(e.Name()) && e.Name() != p.Generation {
			_ = os.RemoveAll(filepath.Join(p.dir, e.Name()))
		}
	}
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// Fingerprint is "sha256:" and the SHA-256 of an anchor.
func Fingerprint(data []byte) string { return "sha256:" + sum(data) }

// Expiry is metadata that has expired, or will.
type Expiry struct {
	Role string
	At   time.Time
}

// Expired lists the metadata that has expired at a time, root first.
func (p *Pin) Expired(at time.Time) []Expiry {
	var all []Expiry
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		if x, ok := p.Expires[role]; ok && at.After(x) {
			all = append(all, Expiry{role, x})
		}
	}
	return all
}
