package tlog

import (
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Limits and defaults of the log. They are all here.
const (
	// MaxLeafBytes is the largest leaf, in bytes.
	//
	// > "Each entry is a big-endian uint16 length-prefixed string" (https://c2sp.org/tlog-tiles, log entries)
	MaxLeafBytes = math.MaxUint16
	// MaxLeavesPerCall is the largest number of leaves of one [Log.AppendAll].
	MaxLeavesPerCall = 1024
	// MaxOriginBytes is the longest origin: the longest host name of DNS.
	MaxOriginBytes = 253
	// MaxAnchorBytes is the largest anchor file that is read.
	MaxAnchorBytes = 8 << 10
	// MaxCheckpointBytes is the largest checkpoint file that is read, cosignatures included.
	MaxCheckpointBytes = 64 << 10

	// DefaultBatchMaxSize is the number of entries that are written together at most: one full entry bundle, which
	// is written once instead of being rewritten.
	DefaultBatchMaxSize = 256
	// DefaultBatchMaxAge is how long the first entry of a batch waits for company.
	DefaultBatchMaxAge = 5 * time.Millisecond
	// DefaultCheckpointInterval is how long an integrated entry waits for its checkpoint at most, on a disk that keeps
	// up.
	DefaultCheckpointInterval = 100 * time.Millisecond
	// MinCheckpointInterval is the shortest interval that the POSIX driver permits.
	MinCheckpointInterval = 100 * time.Millisecond
	// DefaultProofWindow is the number of newest leaves whose proofs are built from memory, at 64 bytes per leaf.
	DefaultProofWindow = 1 << 16
	// MinProofWindow is the smallest window: one full entry bundle.
	MinProofWindow = 256
	// MaxLag is how long entries may be integrated but unpublished before [Log.Health] turns red and waiting
	// callers are answered with [CodeUnavailable].
	MaxLag = 10 * time.Second

	// DefaultWitnessTimeout is how long one round of asking the witnesses takes at most.
	DefaultWitnessTimeout = 3 * time.Second
	// MinWitnessTimeout and MaxWitnessTimeout bound that time; a round must end well before [MaxLag].
	MinWitnessTimeout = 100 * time.Millisecond
	// MaxWitnessTimeout is explained there.
	MaxWitnessTimeout = 8 * time.Second
	// MaxWitnesses is the largest number of witnesses in a policy: each adds a line to every checkpoint.
	MaxWitnesses = 32
	// MaxWitnessPolicyBytes is the largest policy.
	MaxWitnessPolicyBytes = 64 << 10

	// maxInFlight bounds the leaves that wait for their checkpoint; further callers wait outside, without a copy of
	// their leaf in the log's queue.
	maxInFlight = 16384
	// maxRecent bounds the leaf hashes by which a repeated leaf is recognised: between maxRecent and twice that.
	maxRecent = 1 << 16
	// maxCachedTiles bounds the tiles that are kept for proofs of old entries: between that many and twice that, 16 KiB
	// each.
	maxCachedTiles = 1024
)

// Config says where a log lives, who signs it and how it batches. The zero value of each optional field selects its
// default.
type Config struct {
	// Dir is the log's directory. Everything in it except .state and .lock is public.
	Dir string
	// AnchorPath is the file that remembers the last tree signed. It must be outside Dir and must never be restored
	// from the backup that Dir is restored from: it is what tells a restored log from the real one.
	AnchorPath string
	// Origin is the name of the log, the first line of its checkpoints: a bare host name in lower case, equal to
	// the host of the log's baseUrl in trusted_root.json. No scheme, port or path: sigstore-go and cosign derive the
	// origin from the host only.
	Origin string
	// Signer is the log's ed25519 key. Witnesses need that type (https://c2sp.org/tlog-cosignature).
	Signer ed25519.PrivateKey

	// BatchMaxSize is the largest number of entries written together. Default [DefaultBatchMaxSize].
	BatchMaxSize int
	// BatchMaxAge is how long the first entry of a batch waits. Default [DefaultBatchMaxAge].
	BatchMaxAge time.Duration
	// CheckpointInterval is how long an integrated entry waits for its checkpoint at most, on a disk that keeps up.
	// Default [DefaultCheckpointInterval], at least [MinCheckpointInterval].
	CheckpointInterval time.Duration
	// PaceCheckpoints leaves at least a CheckpointInterval between two checkpoints. Without it a batch that is
	// integrated while no other checkpoint is being published gets its own at once, which costs two more durable writes
	// per batch and answers an append about ten times sooner. Set it where a checkpoint is dear. With witnesses it is
	// always set.
	PaceCheckpoints bool
	// ProofWindow is the number of newest leaves whose proofs need no disk. Default [DefaultProofWindow].
	ProofWindow int

	// WitnessPolicy is a policy text (https://c2sp.org/tlog-policy) that names the witnesses, with their URLs, and the
	// quorum that must cosign a checkpoint before it is published; empty means no witnesses. See [NewWitnesses].
	WitnessPolicy []byte
	// WitnessTimeout is how long one round of asking the witnesses may take. Default [DefaultWitnessTimeout].
	WitnessTimeout time.Duration

	// Logger receives the log's few lines. Required. Tessera's own lines go there too, see package posix.
	Logger *slog.Logger
	// Clock is used for the watchdog and the latency metric. Default time.Now.
	Clock func() time.Time
	// Registerer receives the metrics, labelled with the origin; nil means no metrics.
	Registerer prometheus.Registerer
}

// WithDefaults returns the configuration with every absent optional field set.
func (c Config) WithDefaults() Config {
	if c.BatchMaxSize == 0 {
		c.BatchMaxSize = DefaultBatchMaxSize
	}
	if c.BatchMaxAge == 0 {
		c.BatchMaxAge = DefaultBatchMaxAge
	}
	if c.CheckpointInterval == 0 {
		c.CheckpointInterval = DefaultCheckpointInterval
	}
	if c.ProofWindow == 0 {
		c.ProofWindow = DefaultProofWindow
	}
	if c.WitnessTimeout == 0 {
		c.WitnessTimeout = DefaultWitnessTimeout
	}
	if len(c.WitnessPolicy) > 0 {
		c.PaceCheckpoints = true
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return c
}

// Validate reports the first field without a usable value, as an [*Error] with [CodeInvalidConfig]. Absent optional
// fields are fine.
func (c Config) Validate() error {
	c = c.WithDefaults()
	bad := func(format string, args ...any) error {
		return &Error{Code: CodeInvalidConfig, Message: fmt.Sprintf(format, args...)}
	}
	if err := ValidateOrigin(c.Origin); err != nil {
		return err
	}
	switch {
	case c.Dir == "":
		return bad("the log's directory is not set")
	case c.AnchorPath == "":
		return bad("the anchor's path is not set")
	case len(c.Signer) != ed25519.PrivateKeySize:
		return bad("log key: got %d bytes, want an ed25519 private key of %d", len(c.Signer), ed25519.PrivateKeySize)
	case c.BatchMaxSize < 1:
		return bad("batch size: got %d, want at least 1", c.BatchMaxSize)
	case c.BatchMaxAge < 0:
		return bad("batch age: got %v, want at least 0", c.BatchMaxAge)
	case c.CheckpointInterval < MinCheckpointInterval:
		return bad("checkpoint interval: got %v, want at least %v", c.CheckpointInterval, MinCheckpointInterval)
	case c.ProofWindow < MinProofWindow:
		return bad("proof window: got %d leaves, want at least %d", c.ProofWindow, MinProofWindow)
	case c.WitnessTimeout < MinWitnessTimeout || c.WitnessTimeout > MaxWitnessTimeout:
		return bad("witness timeout: got %v, want %v to %v", c.WitnessTimeout, MinWitnessTimeout, MaxWitnessTimeout)
	case c.Logger == nil:
		return bad("the logger is not set")
	}
	if len(c.WitnessPolicy) > 0 {
		if _, err := parsePolicy(c.WitnessPolicy); err != nil {
			return bad("witness policy: %v", err)
		}
	}
	return c.validateAnchorPath()
}

// validateAnchorPath refuses an anchor inside the log's directory: a snapshot of the directory would restore both, and
// the rollback would go unnoticed.
func (c Config) validateAnchorPath() error {
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return &Error{Code: CodeInvalidConfig, Message: "the log's directory has no absolute path", Err: err}
	}
	anchor, err := filepath.Abs(c.AnchorPath)
	if err != nil {
		return &Error{Code: CodeInvalidConfig, Message: "the anchor has no absolute path", Err: err}
	}
	rel, err := filepath.Rel(dir, anchor)
	if err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return &Error{Code: CodeInvalidConfig, Message: "the anchor lies inside the log's directory",
			Hint: "keep it elsewhere, out of the backups of the log"}
	}
	return nil
}

var (
	// hostName is a DNS name in lower case: labels of letters, digits and inner hyphens.
	hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)
	// rekorV1Origin is the form that verifiers take for a tree head of Rekor v1 and then judge by other rules.
	rekorV1Origin = regexp.MustCompile(`.* - [0-9]+$`)
)

// ValidateOrigin reports, as an [*Error] with [CodeInvalidConfig], why origin is not a bare host name in lower case.
func ValidateOrigin(origin string) error {
	msg := ""
	switch {
	case origin == "":
		msg = "the origin is not set"
	case len(origin) > MaxOriginBytes:
		msg = fmt.Sprintf("origin: got %d bytes, want at most %d", len(origin), MaxOriginBytes)
	case rekorV1Origin.MatchString(origin):
		msg = fmt.Sprintf("origin %q would be taken for a tree head of Rekor v1", origin)
	case strings.Contains(origin, "/"):
		msg = fmt.Sprintf("origin %q has a scheme or a path: verifiers derive the origin from the host only", origin)
	case strings.Contains(origin, ":"):
		msg = fmt.Sprintf("origin %q has a port", origin)
	case origin != strings.ToLower(origin):
		msg = fmt.Sprintf("origin %q has upper-case letters", origin)
	case !hostName.MatchString(origin):
		msg = fmt.Sprintf("origin %q is not a host name", origin)
	default:
		return nil
	}
	return &Error{Code: CodeInvalidConfig, Message: msg, Hint: "use a bare host name such as 2026-1.log.example"}
}
