package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/verdictpb"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/vendors"
	"github.com/avow-dev/avow/verify"
)

// Timestamper gives an RFC 3161 token over a signature: the service's own authority or a client of a foreign one,
// both in package authority.
type Timestamper interface {
	// Timestamp returns the TimeStampResp, DER, over SHA-256 of the signature's bytes.
	Timestamp(ctx context.Context, signature []byte) (token []byte, err error)
}

// VerdictKey is how buyers know the service's own verdicts.
type VerdictKey struct {
	// PublicKeyPEM is the key, PEM "PUBLIC KEY", ECDSA P-256.
	PublicKeyPEM []byte
	// VerifierID is the URI that its verdicts carry.
	VerifierID string
}

// PolicyRequirements is what a policy asks of an input besides its rules. It is added to what the caller asks.
type PolicyRequirements struct {
	// RequiredTypes are predicate types of which there must be an accepted bundle.
	RequiredTypes []string
	// MinTimestamps is the least number of timestamp authorities; 0 asks for nothing.
	MinTimestamps int
	// Signers are the signers that the policy pins. They join those of the caller: that a statement which a signer of
	// the caller made is none that the policy wants is for the policy's rules to say.
	Signers []verify.Signer
}

// Config is everything that a Server works with. What it is given stays the caller's: the server closes neither the log
// nor the store.
type Config struct {
	// Log is the transparency log. Required.
	Log *tlog.Log
	// Store is the statement store. Required.
	Store *statements.Store
	// Vendors is the registry of who may issue. Required.
	Vendors *vendors.Watcher
	// Timestampers are the timestamp authorities, 1 to MaxTimestampers. Each is asked for each statement. Required.
	Timestampers []Timestamper
	// MinTimestamps is how many of them must answer; the others may be down. 0 means 1.
	MinTimestamps int
	// TrustedRoot is the trusted_root.json that the service hands out and checks its own bundles against: it must
	// name the log and at least MinTimestamps of the authorities. See [TrustedRoot]. Required.
	TrustedRoot []byte

	// SigningKey opens the key that the service holds for a vendor. It is called for each statement to sign, so it
	// should remember what it opened. Nil: the service signs for nobody.
	SigningKey func(context.Context, *vendors.SigningKey) (attest.Signer, error)
	// CompilePolicy makes a buyer's policy out of its YAML, and says what it asks of an input besides its rules. The
	// error is sent to the caller as POLICY_INVALID: it names the place in the policy and nothing of the service. The
	// policy is used by several calls at once, and kept for later ones. Nil: the service evaluates no policies.
	CompilePolicy func(ctx context.Context, yaml []byte) (verify.Policy, PolicyRequirements, error)
	// SignVerdict signs a verdict, accepted or rejected, as the service's own: a Sigstore bundle v0.3, JSON. The
	// verdict may be relied on for the lifetime from the question's time on. Nil: the service signs no verdicts.
	SignVerdict func(ctx context.Context, v *verify.Verdict, q verdictpb.Question, form avowv1.SignedVerdictForm,
		lifetime time.Duration) ([]byte, error)
	// VerdictKey is what TrustService tells of the key behind SignVerdict; nil where that is nil.
	VerdictKey *VerdictKey
	// TimestampHandler, if not nil, answers RFC 3161 requests at POST /api/v1/timestamp.
	TimestampHandler http.Handler
	// TUFHandler, if not nil, answers GET /tuf/...: the files of a TUF repository, of which it knows the names below /.
	TUFHandler http.Handler
	// Rekor opens the log to Sigstore clients; nil: only statements are logged.
	Rekor *RekorConfig
	// Certificates is the certificate authority; nil: the service certifies nobody.
	Certificates *CertificatesConfig
	// Standing is the complete index over the log; nil: the service proves no standing and no list.
	Standing *StandingConfig
	// SigningConfig is the signing_config.json that TrustService answers; see [SigningConfig]. Nil: there is none.
	SigningConfig []byte
	// Tables are the dated tables of the issuance rules; nil means predicate.EmbeddedTables().
	Tables *predicate.Tables
	// StrictRules turns the warnings W01 to W05 into rejections.
	StrictRules bool

	// Limits are the operator's limits; absent ones take their default.
	Limits Limits
	// TrustedProxies are the networks of reverse proxies whose X-Forwarded-For is believed. Empty: none.
	TrustedProxies []netip.Prefix
	// Logger receives one line per statement that is issued, one per call that is refused, and the alarms; at debug
	// level one per call. Required.
	Logger *slog.Logger
	// Clock tells the time; nil means time.Now.
	Clock func() time.Time
	// Registerer receives the metrics; nil means that there are none.
	Registerer prometheus.Registerer
}

// Validate reports the first field without a usable value.
func (c Config) Validate() error {
	switch {
	case c.Log == nil:
		return errors.New("server config: the log is not set")
	case c.Store == nil:
		return errors.New("server config: the statement store is not set")
	case c.Vendors == nil:
		return errors.New("server config: the vendor registry is not set")
	case len(c.Timestampers) == 0 || len(c.Timestampers) > MaxTimestampers:
		return fmt.Errorf("server config: got %d timestamp authorities, want 1 to %d",
			len(c.Timestampers), MaxTimestampers)
	case c.MinTimestamps < 0 || c.MinTimestamps > len(c.Timestampers):
		return fmt.Errorf("server config: got a minimum of %d timestamps, want 0 to %d, the number of authorities",
			c.MinTimestamps, len(c.Timestampers))
	case len(c.TrustedRoot) == 0:
		return errors.New("server config: the trusted root is not set")
	case c.Logger == nil:
		return errors.New("server config: the logger is not set")
	}
	if err := c.Standing.validate(); err != nil {
		return err
	}
	return c.Limits.Validate()
}

// withDefaults sets every absent optional field.
func (c Config) withDefaults() Config {
	c.Limits = c.Limits.WithDefaults()
	c.MinTimestamps = orElse(c.MinTimestamps, 1)
	if c.Tables == nil {
		c.Tables = predicate.EmbeddedTables()
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return c
}
