package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/avow-dev/avow/server"
	"github.com/avow-dev/avow/server/certauthority"
	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/verify/result"
	"go.yaml.in/yaml/v3"
)

// maxConfigBytes is the largest configuration that is read.
const maxConfigBytes = 1 << 20

// Config is avowd.yaml. Every member has a default but the origin; relative paths are relative to the file's directory. The
// comments that teach an operator are in avowd.yaml.tmpl, which a test compares with this type.
type Config struct {
	// Origin is the log's name: a bare host name, the first line of every checkpoint. It can never change.
	Origin string `yaml:"origin"`
	// Log is the statement log.
	Log LogConfig `yaml:"log"`
	// Index is the complete index and the log of its roots.
	Index IndexConfig `yaml:"index"`
	// Statements is the store of envelopes and its indexes.
	Statements StatementsConfig `yaml:"statements"`
	// Timestamps are the RFC 3161 authorities.
	Timestamps TimestampsConfig `yaml:"timestamps"`
	// Vendors is the path of the registry of vendors.
	Vendors string `yaml:"vendors"`
	// StrictRules turns the warnings W01 to W05 of the issuance rules into rejections.
	StrictRules bool `yaml:"strictRules"`
	// TrustedRoot is the path of the trusted root that buyers are given, and that the service verifies its own answers with.
	TrustedRoot string `yaml:"trustedRoot"`
	// PublicURL is under which address others reach the REST listener; empty: no signing config is handed out.
	PublicURL string `yaml:"publicUrl"`
	// Operator names who runs this service and its other shards, in the signing config; empty: the origin.
	Operator string `yaml:"operator"`
	// Shards is the path of the list of the operator's other shards; a file that is not there lists none.
	Shards string `yaml:"shards"`
	// Webhooks is the path of the list of addresses that the service tells of events; empty: none.
	Webhooks string `yaml:"webhooks"`
	// TUF is the repository by which buyers follow changes of the trusted root.
	TUF TUFConfig `yaml:"tuf"`
	// Rekor opens the log to Sigstore clients.
	Rekor RekorConfig `yaml:"rekor"`
	// Certificates is the certificate authority, for identity tokens.
	Certificates CertificatesConfig `yaml:"certificates"`
	// Verdicts says how the service signs its own verdicts.
	Verdicts VerdictsConfig `yaml:"verdicts"`
	// GRPC, REST and Admin are the listeners.
	GRPC  GRPCConfig  `yaml:"grpc"`
	REST  RESTConfig  `yaml:"rest"`
	Admin AdminConfig `yaml:"admin"`
	// TLS is the certificate of the gRPC and REST listeners.
	TLS TLSConfig `yaml:"tls"`
	// Limits bound what callers can make the service do.
	Limits LimitsConfig `yaml:"limits"`
	// Logging is the service's own log lines, on standard error.
	Logging LoggingConfig `yaml:"logging"`
	// Drain is how long accepted calls may take after SIGTERM.
	Drain time.Duration `yaml:"drain"`

	dir string // of the file, for relative paths
}

// LogConfig places the statement log.
type LogConfig struct {
	Driver             string        `yaml:"driver"`
	Dir                string        `yaml:"dir"`
	Key                string        `yaml:"key"`
	Anchor             string        `yaml:"anchor"`
	BatchMaxSize       int           `yaml:"batchMaxSize"`
	BatchMaxAge        time.Duration `yaml:"batchMaxAge"`
	CheckpointInterval time.Duration `yaml:"checkpointInterval"`
	ProofWindow        int           `yaml:"proofWindow"`

	Witnesses LogWitnessesConfig `yaml:"witnesses"`
}

// LogWitnessesConfig names those who cosign checkpoints before they are published; an empty Policy: nobody.
type LogWitnessesConfig struct {
	Policy  string        `yaml:"policy"`
	Timeout time.Duration `yaml:"timeout"`
}

// StatementsConfig places the statement store.
type StatementsConfig struct {
	Path string `yaml:"path"`
}

// TimestampsConfig lists the authorities; each gives every statement a token.
type TimestampsConfig struct {
	Minimum  int                  `yaml:"minimum"`
	Embedded EmbeddedTimestamps   `yaml:"embedded"`
	External []ExternalTimestamps `yaml:"external"`
}

// EmbeddedTimestamps is the authority inside the service; both paths empty: none.
type EmbeddedTimestamps struct {
	Chain string `yaml:"chain"`
	Key   string `yaml:"key"`
}

// ExternalTimestamps is an authority that is asked over HTTP.
type ExternalTimestamps struct {
	URL     string        `yaml:"url"`
	Chain   string        `yaml:"chain"`
	Timeout time.Duration `yaml:"timeout"`
}

// VerdictsConfig names the key of the service's own verdicts; an empty Key: it signs none.
type VerdictsConfig struct {
	Key        string `yaml:"key"`
	VerifierID string `yaml:"verifierId"`
}

// RekorConfig opens the log to Sigstore clients, by the Rekor v2 API.
type RekorConfig struct {
	Enabled     bool `yaml:"enabled"`
	Credentials bool `yaml:"credentials"`
	Open        bool `yaml:"open"`
}

// GRPCConfig is the gRPC listener.
type GRPCConfig struct {
	Listen string `yaml:"listen"`
}

// RESTConfig is the listener of the REST gateway and of the static files.
type RESTConfig struct {
	Listen         string   `yaml:"listen"`
	TrustedProxies []string `yaml:"trustedProxies"`
}

// AdminConfig is the listener of /metrics and /healthz.
type AdminConfig struct {
	Listen string `yaml:"listen"`
	Pprof  bool   `yaml:"pprof"`
}

// TLSConfig is a certificate in PEM files; both empty: none, on loopback only.
type TLSConfig struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

// LoggingConfig says what is logged and how.
type LoggingConfig struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// defaultConfig is the configuration that `avowd init` writes out, without an origin.
func defaultConfig() Config {
	return Config{
		Log: LogConfig{
			Driver: "posix", Dir: "log", Key: "keys/log.key", Anchor: "anchor/log.anchor",
			BatchMaxSize: tlog.DefaultBatchMaxSize, BatchMaxAge: tlog.DefaultBatchMaxAge,
			CheckpointInterval: tlog.DefaultCheckpointInterval, ProofWindow: tlog.DefaultProofWindow,
			Witnesses: LogWitnessesConfig{Timeout: tlog.DefaultWitnessTimeout},
		},
		Index:        IndexConfig{Dir: "index", Key: "keys/index.key", Anchor: "anchor/index.anchor", Snapshot: "index.snapshot"},
		Statements:   StatementsConfig{Path: "statements.db"},
		Timestamps:   TimestampsConfig{Minimum: 1, Embedded: EmbeddedTimestamps{Chain: "keys/tsa.pem", Key: "keys/tsa.key"}},
		Certificates: CertificatesConfig{Lifetime: certauthority.DefaultLifetime},
		Vendors:      "vendors.yaml",
		TrustedRoot:  "trusted_root.json",
		Shards:       "shards.yaml",
		GRPC:         GRPCConfig{Listen: "127.0.0.1:8470"},
		REST:         RESTConfig{Listen: "127.0.0.1:8471"},
		Admin:        AdminConfig{Listen: "127.0.0.1:8472"},
		Limits:       defaultLimits(),
		Logging:      LoggingConfig{Level: "info", Format: "text"},
		Drain:        8 * time.Second,
	}
}

// loadConfig reads and validates a configuration file.
func loadConfig(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usageError{err, "avowd init writes a configuration; name it with --config"}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err != nil {
		return nil, usageError{err, ""}
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, usageError{err, ""}
	}
	c, err := parseConfig(data, filepath.Dir(abs))
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", path, err), "docs/operating.md describes every member"}
	}
	return c, nil
}

// parseConfig reads one YAML document over the defaults. Unknown and repeated members are refused.
func parseConfig(data []byte, dir string) (*Config, error) {
	c := defaultConfig()
	c.dir = dir
	if err := decodeStrictly(data, &c); err != nil {
		return nil, err
	}
	return &c, c.Validate()
}

// decodeStrictly reads one YAML document over what into holds.
func decodeStrictly(data []byte, into any) error {
	if len(data) > maxConfigBytes {
		return fmt.Errorf("more than %d bytes", maxConfigBytes)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("empty configuration")
		}
		return readable(err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("more than one YAML document")
	}
	return nil
}

// readable takes the names of Go types out of the decoder's complaints; the lines and members stay.
func readable(err error) error {
	var wrong *yaml.TypeError
	if !errors.As(err, &wrong) {
		return err
	}
	var errs []error
	for _, text := range wrong.Errors {
		before, _, _ := strings.Cut(text, " in type ")
		errs = append(errs, errors.New(strings.ReplaceAll(before, " into ", ", want ")))
	}
	return errors.Join(errs...)
}

// path makes a path of the configuration absolute.
func (c *Config) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.dir, p)
}

// Validate reports all that is wrong with the values, one line each. It opens nothing.
func (c *Config) Validate() error {
	return errors.Join(c.validateLog(), c.validateTime(), c.validateListeners(), c.validateRest(), c.validateVerdicts(), c.validateRekor(),
		c.validateTUF(), c.validateCertificates(), c.validateIndex(), c.Limits.validate())
}

func (c *Config) validateVerdicts() error {
	id := c.Verdicts.VerifierID
	if id == "" {
		return nil
	}
	if c.Verdicts.Key == "" {
		return errors.New("verdicts.verifierId has no effect without verdicts.key")
	}
	if err := result.CheckVerifierID(id); err != nil {
		return fmt.Errorf("verdicts.verifierId: %w", err)
	}
	return nil
}

func (c *Config) validateLog() error {
	var errs []error
	if err := tlog.ValidateOrigin(c.Origin); err != nil {
		errs = append(errs, fmt.Errorf("origin: %w", err))
	}
	if c.Log.Driver != "posix" {
		errs = append(errs, fmt.Errorf("log.driver: got %q, want posix", c.Log.Driver))
	}
	for name, value := range map[string]string{"log.dir": c.Log.Dir, "log.key": c.Log.Key, "log.anchor": c.Log.Anchor} {
		if value == "" {
			errs = append(errs, fmt.Errorf("%s is empty", name))
		}
	}
	if c.Log.BatchMaxSize < 1 || c.Log.BatchMaxSize > 4096 {
		errs = append(errs, fmt.Errorf("log.batchMaxSize: got %d, want 1 to 4096", c.Log.BatchMaxSize))
	}
	if c.Log.BatchMaxAge < time.Millisecond || c.Log.BatchMaxAge > 10*time.Second {
		errs = append(errs, fmt.Errorf("log.batchMaxAge: got %s, want 1ms to 10s", c.Log.BatchMaxAge))
	}
	if c.Log.CheckpointInterval < tlog.MinCheckpointInterval || c.Log.CheckpointInterval > time.Minute {
		errs = append(errs, fmt.Errorf("log.checkpointInterval: got %s, want %s to 1m", c.Log.CheckpointInterval, tlog.MinCheckpointInterval))
	}
	if c.Log.ProofWindow < tlog.MinProofWindow {
		errs = append(errs, fmt.Errorf("log.proofWindow: got %d, want at least %d", c.Log.ProofWindow, tlog.MinProofWindow))
	}
	if w := c.Log.Witnesses; w.Timeout < tlog.MinWitnessTimeout || w.Timeout > tlog.MaxWitnessTimeout {
		errs = append(errs, fmt.Errorf("log.witnesses.timeout: got %s, want %s to %s", w.Timeout, tlog.MinWitnessTimeout, tlog.MaxWitnessTimeout))
	}
	return errors.Join(errs...)
}

func (c *Config) validateTime() error {
	var errs []error
	e := c.Timestamps.Embedded
	if (e.Chain == "") != (e.Key == "") {
		errs = append(errs, errors.New("timestamps.embedded: chain and key go together"))
	}
	authorities := len(c.Timestamps.External)
	if e.Chain != "" {
		authorities++
	}
	if authorities == 0 {
		errs = append(errs, errors.New("timestamps: no authority; a bundle without a time is refused by every verifier"))
	}
	if authorities > server.MaxTimestampers {
		errs = append(errs, fmt.Errorf("timestamps: got %d authorities, at most %d", authorities, server.MaxTimestampers))
	}
	if c.Timestamps.Minimum < 1 || c.Timestamps.Minimum > max(authorities, 1) {
		errs = append(errs, fmt.Errorf("timestamps.minimum: got %d, want 1 to the number of authorities, %d", c.Timestamps.Minimum, authorities))
	}
	for i, x := range c.Timestamps.External {
		if x.URL == "" || x.Chain == "" {
			errs = append(errs, fmt.Errorf("timestamps.external[%d]: url and chain are both needed", i))
		}
		if x.Timeout < 0 || x.Timeout > time.Minute {
			errs = append(errs, fmt.Errorf("timestamps.external[%d].timeout: got %s, want 0s to 1m", i, x.Timeout))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) validateListeners() error {
	var errs []error
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		errs = append(errs, errors.New("tls: certificate and key go together"))
	}
	for _, l := range []struct {
		name, listen string
		plain        bool
	}{
		{"grpc.listen", c.GRPC.Listen, c.TLS.Certificate == ""},
		{"rest.listen", c.REST.Listen, c.TLS.Certificate == ""},
		{"admin.listen", c.Admin.Listen, true},
	} {
		loopback, err := isLoopback(l.listen)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", l.name, err))
		} else if !loopback && l.plain && l.name == "admin.listen" {
			errs = append(errs, fmt.Errorf("admin.listen: %s is beyond loopback; metrics and profiles are for this machine", l.listen))
		} else if !loopback && l.plain {
			errs = append(errs, fmt.Errorf("%s: %s is beyond loopback, which needs tls.certificate and tls.key", l.name, l.listen))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) validateRest() error {
	var errs []error
	if _, err := c.REST.proxies(); err != nil {
		errs = append(errs, err)
	}
	for name, value := range map[string]string{"statements.path": c.Statements.Path, "vendors": c.Vendors, "trustedRoot": c.TrustedRoot} {
		if value == "" {
			errs = append(errs, fmt.Errorf("%s is empty", name))
		}
	}
	if _, err := logLevel(c.Logging.Level); err != nil {
		errs = append(errs, err)
	}
	if c.Logging.Format != "text" && c.Logging.Format != "json" {
		errs = append(errs, fmt.Errorf("logging.format: got %q, want text or json", c.Logging.Format))
	}
	if c.Drain < time.Second || c.Drain > time.Minute {
		errs = append(errs, fmt.Errorf("drain: got %s, want 1s to 1m", c.Drain))
	}
	return errors.Join(errs...)
}

// isLoopback reports whether a listen address can be reached from this machine only. A name other than localhost is taken to
// be reachable from elsewhere, whatever it resolves to today.
func isLoopback(listen string) (bool, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return false, fmt.Errorf("got %q, want HOST:PORT", listen)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return false, fmt.Errorf("port %q, want 0 to 65535", port)
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback()), nil
}
