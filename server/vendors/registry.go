package vendors

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"log/slog"
	"time"
)

// Vendor is one vendor. Its fields must not be changed.
type Vendor struct {
	// Name identifies the vendor: lower-case letters, digits, '.', '_' and '-', at most 64.
	Name string
	// Declarant is the legal name that the vendor's statements must carry (common.declarant.party.name), byte for
	// byte; mandatory, at most 200 bytes.
	Declarant string
	// Country is the ISO 3166-1 alpha-2 code of its seat.
	Country string
	// Contact is for people: an e-mail address or URL.
	Contact string
	// Keys are the keys that speak for the vendor.
	Keys []Key
	// Products are prefixes of product identifiers; see [Vendor.Permits].
	Products []string
	// SigningKey, if not nil, is where the service finds the key to sign for the vendor.
	SigningKey *SigningKey
	// TokenHashes are the digests ("sha256:hex") of the vendor's API tokens.
	TokenHashes []string
	// ClientCerts are the digests ("sha256:hex") of the vendor's client certificates in DER form.
	ClientCerts []string
}

// Key is a public key of a vendor and the time in which it may be used.
type Key struct {
	// ID is "sha256:" and the hex digest of the key's SubjectPublicKeyInfo in DER form.
	ID string
	// PublicKey is ECDSA P-256.
	PublicKey *ecdsa.PublicKey
	// PEM is the key in PEM form (SubjectPublicKeyInfo), DER the same in DER form.
	PEM, DER []byte
	// NotBefore and NotAfter bound its use; the zero value sets no bound.
	NotBefore, NotAfter time.Time
}

// ValidAt reports whether t lies within the key's window: NotBefore <= t <= NotAfter.
func (k *Key) ValidAt(t time.Time) bool { return false }

// SigningKey says where a private key is. The registry never reads it.
type SigningKey struct {
	// File is the path of the encrypted key.
	File string
	// PasswordFile is the path of a file with its password; empty if PasswordEnv is set.
	PasswordFile string
	// PasswordEnv names an environment variable with its password.
	PasswordEnv string
}

// Registry is an immutable set of vendors. The zero value and nil admit no one.
type Registry struct{}

var errUnfinished = errors.New("vendors: not finished")

// Load reads the registry file and the key files that it names.
func Load(path string) (*Registry, error) { return nil, errUnfinished }

// Parse reads a registry from YAML. Relative file names are taken relative to dir.
func Parse(data []byte, dir string) (*Registry, error) { return nil, errUnfinished }

// ByKey finds the vendor and the key with that id ("sha256:hex"). It does not look at the key's window.
func (r *Registry) ByKey(keyID string) (*Vendor, *Key, bool) { return nil, nil, false }

// ByToken finds the vendor whose API token this is.
func (r *Registry) ByToken(token string) (*Vendor, bool) { return nil, false }

// ByClientCert finds the vendor by the digest ("sha256:hex") of a client certificate in DER form.
func (r *Registry) ByClientCert(fingerprint string) (*Vendor, bool) { return nil, false }

// ByName finds a vendor by its name.
func (r *Registry) ByName(name string) (*Vendor, bool) { return nil, false }

// All returns the vendors in the order of their names.
func (r *Registry) All() []*Vendor { return nil }

// Permits reports whether the vendor may name this product identifier.
func (v *Vendor) Permits(identifier string) bool { return false }

// NewToken makes an API token (256 random bits) and the digest that belongs into the registry.
func NewToken() (token, hash string, err error) { return "", "", errUnfinished }

// HashToken gives the digest ("sha256:hex") of a token, as the registry stores it.
func HashToken(token string) string { return "" }

// WatcherConfig describes a [Watcher].
type WatcherConfig struct {
	// Path is the registry file.
	Path string
	// Interval between two looks at the file; one second if 0.
	Interval time.Duration
	// Ticks, if not nil, replaces the ticker (for tests).
	Ticks <-chan time.Time
	// OnReload, if not nil, is told of each reload: the new registry, or the error that kept the old one.
	OnReload func(*Registry, error)
	// Logger receives reloads and errors; required.
	Logger *slog.Logger
}

// Watcher holds the current registry and reloads it when its file changes.
type Watcher struct{}

// Watch loads the registry, which must succeed, and starts to watch it until ctx ends or Close is called.
func Watch(ctx context.Context, c WatcherConfig) (*Watcher, error) { return nil, errUnfinished }

// Registry returns the last good registry; never nil.
func (w *Watcher) Registry() *Registry { return nil }

// Reload reads the file now, for instance after SIGHUP. A bad file keeps the registry and is returned as the error.
func (w *Watcher) Reload(ctx context.Context) error { return errUnfinished }

// Health returns the error of the last reload while the file is bad, else nil.
func (w *Watcher) Health() error { return nil }

// Close stops watching.
func (w *Watcher) Close() {}

// Marshal renders one vendor as a registry entry, for `avowd vendor add`.
func Marshal(v *Vendor) ([]byte, error) { return nil, errUnfinished }

// Append adds a vendor to the text of a registry, keeping what is there, and
// checks that the result parses.
func Append(registry []byte, v *Vendor, dir string) ([]byte, error) { return nil, errUnfinished }
