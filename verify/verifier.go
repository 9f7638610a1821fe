package verify

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
)

// Key pins a signer by a public key. The window, where given, is compared with
// the verified timestamps, both ends included; a zero time leaves that end open.
type Key struct {
	// PublicKey is an ECDSA P-256 key; no other algorithm is accepted.
	PublicKey *ecdsa.PublicKey
	// NotBefore and NotAfter bound the times at which the key may have signed.
	NotBefore, NotAfter time.Time
}

// Identity pins a signer by what a certificate authority of the trusted root
// certified. Both values are compared exactly, never as patterns.
type Identity struct {
	// SAN is the certificate's only subject alternative name (URI, email or other name).
	SAN string
	// Issuer is the OpenID Connect issuer in the certificate (OID 1.3.6.1.4.1.57264.1.8).
	Issuer string
}

// Signer is a requirement on who signed: exactly one of Key and Identity is set.
type Signer struct {
	// Name is a label for people; it decides nothing.
	Name string
	// Key pins a key.
	Key *Key
	// Identity pins a certified identity.
	Identity *Identity
	// Types are the predicate types that this signer may sign: a key of the
	// service signs standings, an assessor's assessments. Empty: any type.
	Types []string
}

// Config configures a [Verifier].
type Config struct {
	// Trust is the parsed trusted root; required.
	Trust *Trust
	// TrustDate is when Trust was last known to be current, for messages alone; zero means that nobody knows.
	TrustDate time.Time
	// Clock tells the time of verification where Input.At is zero; nil means time.Now.
	Clock func() time.Time
	// Tables are the dated tables of the issuance rules; nil means predicate.EmbeddedTables().
	Tables *predicate.Tables
	// TimestampSkew bounds how far the timestamps of one bundle may lie apart and
	// ahead of the time of verification; zero means DefaultTimestampSkew.
	TimestampSkew time.Duration
}

// NamedBundle is one bundle of an input.
type NamedBundle struct {
	// Name identifies the bundle in the verdict, for example its file name. An
	// empty or repeated name is replaced by "#" and its position, from 1.
	Name string
	// Data are the bundle's bytes: Sigstore bundle v0.3 JSON.
	Data []byte
}

// Input is one question: do these bundles, for this artifact, meet these requirements?
type Input struct {
	// ArtifactSHA256 is the SHA-256 of the artifact, 64 lower-case hex digits.
	ArtifactSHA256 string
	// Bundles are the bundles to judge, at most MaxBundles. Every one must pass.
	Bundles []NamedBundle
	// Signers are the acceptable signers, 1 to MaxSigners; a bundle must be by one of them.
	Signers []Signer
	// RequiredTypes are predicate types of which an accepted bundle must exist.
	// Empty: any declaration (no-backdoor, data-flows, undertakings) will do.
	RequiredTypes []string
	// MinTimestamps is how many distinct timestamp authorities must have signed,
	// at most MaxTimestamps; zero means 1, which is also the least.
	MinTimestamps int
	// At is the time of verification; zero means the verifier's clock.
	At time.Time
	// Witnesses says by whom the log's checkpoint in each bundle must be cosigned;
	// nil asks for no witness, and the checks of cosignatures are skipped.
	Witnesses *WitnessPolicy
	// MaxWitnessDelay is how long after a bundle's earliest timestamp the quorum of
	// Witnesses may have been complete; zero means any time. It bounds how far back
	// timestamp authorities can have dated: they are often the log operator's own.
	MaxWitnessDelay time.Duration
	// MaxCheckpointAge is how long before the time of verification the quorum of
	// Witnesses may have been complete; zero means any time.
	MaxCheckpointAge time.Duration
	// Standing says how the statements that count stand; nil asks for nothing, and the
	// check is skipped: whether a statement was withdrawn is not shown then.
	Standing StandingFunc
	// Policy are the buyer's rules over the evidence; nil asks for nothing more.
	Policy Policy
}

// ErrInput is wrapped by every error that says that an [Input] or [Config]
// cannot be evaluated as it stands: the caller's mistake, not the bundle's.
var ErrInput = errors.New("cannot evaluate")

// Verifier judges bundles under one trusted root. It is safe for concurrent use.
// It keeps what cannot change once verified: checkpoints and the chains of
// timestamp authorities, and the encoded form of keys, all bounded in number.
type Verifier struct {
	trust       *Trust
	trustDate   time.Time
	clock       func() time.Time
	tables      *predicate.Tables
	skew        time.Duration
	checkpoints *checkpointCache
	keys        keyCache
}

// New returns a Verifier. Errors wrap [ErrInput].
func New(c Config) (*Verifier, error) {
	if c.Trust == nil {
		return nil, fmt.Errorf("%w: no trusted root", ErrInput)
	}
	if c.TimestampSkew < 0 {
		return nil, fmt.Errorf("%w: timestamp skew %s is negative", ErrInput, c.TimestampSkew)
	}
	v := &Verifier{
		trust: c.Trust, trustDate: c.TrustDate, clock: c.Clock, tables: c.Tables, skew: c.TimestampSkew,
		checkpoints: newCheckpointCache(maxKnownCheckpoints),
	}
	if v.clock == nil {
		v.clock = time.Now
	}
	if v.tables == nil {
		v.tables = predicate.EmbeddedTables()
	}
	if v.skew == 0 {
		v.skew = DefaultTimestampSkew
	}
	return v, nil
}

// Verify judges an input. The error is non-nil only if the input could not be
// evaluated: it wraps [ErrInput], or is the context's. A bundle that is not even
// JSON is a verdict, not an error.
func (v *Verifier) Verify(ctx context.Context, in Input) (*Verdict, error) {
	req, err := v.request(in)
	if err != nil {
		return nil, err
	}
	verdict := &Verdict{}
	all := make([]*judged, len(req.bundles))
	for i, b := range req.bundles {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		all[i] = v.judgeBundle(req, b)
	}
	agree := settle(all)
	perBundle := make([][]Check, len(all))
	for i, j := range all {
		perBundle[i] = j.checks
		verdict.Bundles = append(verdict.Bundles, j.result)
		verdict.Checks = append(append(verdict.Checks, j.checks...), j.notAsked...)
		if j.result.Use == UseCounts {
			verdict.Evidence = append(verdict.Evidence, j.evidence)
		}
	}
	whole, required := append(checkInput(req, verdict.Evidence), agree), slices.Clone(inputChecks)
	outcome := func() Outcome { return conclude(perBundle, req.checks, whole, required) }
	verdict.Checks = append(verdict.Checks, whole...)
	ask := func(id CheckID, c Check, err error) error {
		whole, required, verdict.Checks = append(whole, c), append(required, id), append(verdict.Checks, c)
		return err
	}
	if in.Standing == nil {
		verdict.Checks = append(verdict.Checks, notAsked(CheckStanding, standingNotAsked))
	} else {
		c, err := askStanding(ctx, in.Standing, verdict, outcome())
		if err := ask(CheckStanding, c, err); err != nil {
			return nil, err
		}
	}
	if in.Policy == nil {
		verdict.Checks = append(verdict.Checks, notAsked(CheckPolicy, "no policy was given"))
	} else {
		c, err := v.judge(ctx, req, in.Policy, verdict, outcome())
		if err := ask(CheckPolicy, c, err); err != nil {
			return nil, err
		}
	}
	if verdict.Outcome = outcome(); verdict.Outcome == Accepted {
		verdict.established = &Facts{ArtifactSHA256: req.artifact, At: req.at, Evidence: slices.Clone(verdict.Evidence)}
	}
	return verdict, nil
}

// judge asks the policy, if all that it would build on was accepted.
func (v *Verifier) judge(ctx context.Context, req *request, p Policy, verdict *Verdict, before Outcome) (Check, error) {
	if before != Accepted {
		return notAsked(CheckPolicy, "the policy judges accepted bundles alone"), nil
	}
	result, err := p.Judge(ctx, Facts{ArtifactSHA256: req.artifact, At: req.at, Evidence: verdict.Evidence})
	if err != nil {
		return Check{}, err
	}
	if result == nil {
		result = &PolicyResult{}
	}
	verdict.Policy = result
	return checkPolicy(result), nil
}

// notAsked is the line of a check of the whole that was not run.
func notAsked(id CheckID, why string) Check {
	return Check{ID: id, Status: StatusSkipped, Detail: why}
}

// VerifyBundle is the service's check of its own output before it answers, and
// a client's of what it was answered: everything that a buyer checks except
// what depends on an artifact, on a buyer's policy (predicate types, the
// issuance rules, which the service applied when it opened the envelope) or on
// today's date, and without sigstore-go's second opinion. The evidence is nil
// unless every check passed; the error is as for [Verifier.Verify].
//
// known are statements that the caller has parsed already. One whose id is that
// of the bundle's payload is taken as its parse instead of parsing the same bytes
// again: only predicate.Parse makes a statement with an id.
func (v *Verifier) VerifyBundle(ctx context.Context, bundle []byte, signer Signer, known ...*predicate.Statement,
) (*Evidence, []Check, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	pinned, err := v.pin([]Signer{signer})
	if err != nil {
		return nil, nil, err
	}
	r := &run{v: v, req: &request{signers: pinned, minTimestamps: 1, at: v.clock()}, data: bundle, known: known}
	checks := r.walk("", issuerChecks)
	if !passedAll(checks, issuerChecks) {
		return nil, checks, nil
	}
	e := r.evidence("")
	return &e, checks, nil
}

// request is an Input that was found evaluable.
type request struct {
	artifact      string
	digest        []byte
	bundles       []NamedBundle
	signers       []pinnedSigner
	required      []string
	minTimestamps int
	at            time.Time
	atGiven       bool // at is the caller's, and not the clock's
	witnesses     *WitnessPolicy
	maxDelay      time.Duration // of the quorum after the earliest timestamp, 0 for any
	maxAge        time.Duration // of the quorum at the time of verification, 0 for any
	checks        []CheckID     // what each bundle must pass
}

// request validates an input and gives every bundle a name of its own.
func (v *Verifier) request(in Input) (*request, error) {
	req := &request{artifact: in.ArtifactSHA256, required: in.RequiredTypes, minTimestamps: max(in.MinTimestamps, 1),
		at: in.At, atGiven: !in.At.IsZero(), checks: buyerChecks}
	if err := req.askWitnesses(in); err != nil {
		return nil, err
	}
	if !req.atGiven {
		req.at = v.clock()
	}
	var err error
	if req.digest, err = hex.DecodeString(in.ArtifactSHA256); err != nil || len(req.digest) != sha256.Size ||
		hex.EncodeToString(req.digest) != in.ArtifactSHA256 {
		return nil, fmt.Errorf("%w: artifact digest %q is not a SHA-256 in 64 lower-case hex digits", ErrInput,
			clip(in.ArtifactSHA256))
	}
	if in.MinTimestamps < 0 || in.MinTimestamps > MaxTimestamps {
		return nil, fmt.Errorf("%w: %d timestamps required, want 0 to %d", ErrInput, in.MinTimestamps, MaxTimestamps)
	}
	if len(in.Bundles) > MaxBundles {
		return nil, fmt.Errorf("%w: %d bundles, want at most %d", ErrInput, len(in.Bundles), MaxBundles)
	}
	for _, t := range in.RequiredTypes {
		if !slices.Contains(predicate.Types(), t) {
			return nil, fmt.Errorf("%w: required predicate type %q is not a statement type of avow", ErrInput, clip(t))
		}
	}
	if req.signers, err = v.pin(in.Signers); err != nil {
		return nil, err
	}
	seen := make(map[string]bool, len(in.Bundles))
	for i, b := range in.Bundles {
		if b.Name == "" || seen[b.Name] {
			b.Name = "#" + strconv.Itoa(i+1)
		}
		if seen[b.Name] {
			return nil, fmt.Errorf("%w: bundle name %q is ambiguous", ErrInput, clip(b.Name))
		}
		seen[b.Name] = true
		req.bundles = append(req.bundles, b)
	}
	return req, nil
}
