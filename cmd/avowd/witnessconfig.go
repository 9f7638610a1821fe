package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/avow-dev/avow/server/witness"
)

// WitnessConfig is witness.yaml: a witness of other logs, which is a service of its own. Relative paths are relative to the
// file's directory.
type WitnessConfig struct {
	// Name is the witness's name in policies.
	Name string `yaml:"name"`
	// Key is its ed25519 key, PKCS #8 PEM, mode 0600.
	Key string `yaml:"key"`
	// State is the directory that remembers what was cosigned.
	State string `yaml:"state"`
	// Listen is the address of the witness; beyond loopback only with TLS.
	Listen string `yaml:"listen"`
	// TLS is the listener's certificate.
	TLS TLSConfig `yaml:"tls"`
	// RatePerSecond limits the checkpoints of each log.
	RatePerSecond float64 `yaml:"ratePerSecond"`
	// Logs are the logs that are witnessed.
	Logs []WitnessedLog `yaml:"logs"`
	// Logging is the witness's own log lines.
	Logging LoggingConfig `yaml:"logging"`

	dir string
}

// WitnessedLog is one log.
type WitnessedLog struct {
	Origin string   `yaml:"origin"`
	VKeys  []string `yaml:"vkeys"`
}

func defaultWitnessConfig() WitnessConfig {
	return WitnessConfig{Key: "witness.key", State: "state", Listen: "127.0.0.1:8480", RatePerSecond: witness.DefaultRatePerSecond,
		Logging: LoggingConfig{Level: "info", Format: "text"}}
}

func loadWitnessConfig(path string) (*WitnessConfig, error) {
	data, err := readLimited(path, maxConfigBytes)
	if err != nil {
		return nil, usageError{err, "avowd witness init writes a configuration; name it with --config"}
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, usageError{err, ""}
	}
	c := defaultWitnessConfig()
	c.dir = filepath.Dir(abs)
	if err = decodeStrictly(data, &c); err == nil {
		err = c.validate()
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", path, err), "docs/operating.md, Being a witness, describes every member"}
	}
	return &c, nil
}

func (c *WitnessConfig) validate() error {
	var errs []error
	if err := witness.ValidateName(c.Name); err != nil {
		errs = append(errs, err)
	}
	if c.Key == "" || c.State == "" {
		errs = append(errs, errors.New("key and state are needed"))
	}
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		errs = append(errs, errors.New("tls: certificate and key go together"))
	}
	if loopback, err := isLoopback(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("listen: %w", err))
	} else if !loopback && c.TLS.Certificate == "" {
		errs = append(errs, fmt.Errorf("listen: %s is beyond loopback, which needs tls.certificate and tls.key", c.Listen))
	}
	if c.RatePerSecond <= 0 {
		errs = append(errs, fmt.Errorf("ratePerSecond: got %v, want more than 0", c.RatePerSecond))
	}
	if _, err := logLevel(c.Logging.Level); err != nil {
		errs = append(errs, err)
	}
	if c.Logging.Format != "text" && c.Logging.Format != "json" {
		errs = append(errs, fmt.Errorf("logging.format: got %q, want text or json", c.Logging.Format))
	}
	return errors.Join(errs...)
}

func (c *WitnessConfig) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.dir, p)
}

// open opens the witness; it takes the lock of the state.
func (c *WitnessConfig) open(logger *slog.Logger, clock func() time.Time) (*witness.Witness, error) {
	key, err := loadLogKey(c.path(c.Key))
	if err != nil {
		return nil, err
	}
	wc := witness.Config{Name: c.Name, Key: key, Dir: c.path(c.State), RatePerSecond: c.RatePerSecond, Logger: logger, Clock: clock}
	for _, l := range c.Logs {
		wc.Logs = append(wc.Logs, witness.Log{Origin: l.Origin, VerifierKeys: l.VKeys})
	}
	w, err := witness.Open(wc)
	switch {
	case errors.Is(err, witness.ErrNotEnrolled):
		return nil, hintedError{err, "avowd witness enrol, for a log that this witness has never seen; a lost state must not be made anew"}
	case errors.Is(err, witness.ErrLocked):
		return nil, hintedError{err, "one witness, one process"}
	}
	return w, err
}

// certificate loads the listener's certificate; nil without TLS.
func (c *WitnessConfig) certificate() (*certificate, error) {
	return loadCertificate(&Config{dir: c.dir, TLS: c.TLS})
}

// createWitness makes key, state directory and configuration of a witness; it overwrites nothing.
func createWitness(dir, name string) (*witness.Witness, error) {
	if err := witness.ValidateName(name); err != nil {
		return nil, usageError{err, "avowd witness init --dir /var/lib/witness --name witness.example.com/w1"}
	}
	c := defaultWitnessConfig()
	c.Name, c.dir = name, dir
	for _, p := range []string{witnessConfigName, c.Key, c.State} {
		if _, err := os.Lstat(c.path(p)); !errors.Is(err, os.ErrNotExist) {
			return nil, usageError{errors.Join(fmt.Errorf("%s exists", c.path(p)), err), "init overwrites nothing; choose an empty directory"}
		}
	}
	if err := os.MkdirAll(c.path(c.State), 0o700); err != nil {
		return nil, err
	}
	_, key, err := newLogKey()
	if err != nil {
		return nil, err
	}
	if err := writeNew(c.path(c.Key), key, 0o600); err != nil {
		return nil, err
	}
	if err := writeNew(c.path(witnessConfigName), fmt.Appendf(nil, witnessTemplate, name, c.Key, c.State, c.Listen, c.RatePerSecond), 0o644); err != nil {
		return nil, err
	}
	return c.open(slog.New(slog.DiscardHandler), time.Now)
}

const witnessConfigName = "witness.yaml"

// witnessTemplate is the configuration that init leaves.
const witnessTemplate = `# avowd witness: configuration. Read once at start, strictly. Relative paths are relative to this file.

# The witness's name in the policies of others, for ever.
name: %q

# Its ed25519 key (PKCS #8 in PEM form, mode 0600), used for nothing else.
key: %s

# What was cosigned last, one file per log. NEVER restore it from a backup: a witness that forgets signs forks.
state: %s

# POST /add-checkpoint. Beyond loopback only with TLS.
listen: %s
tls:
  certificate: ""
  key: ""

# Checkpoints of one log per second; twice as many at once.
ratePerSecond: %v

# The logs that are witnessed, with their verifier keys. After an addition: avowd witness enrol.
#   - origin: 2026-1.log.example.com
#     vkeys: ["2026-1.log.example.com+…"]     # of an avow log: avowd witness log-key
logs: []

logging:
  level: info
  format: text
`
