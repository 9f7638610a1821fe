package standing

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/internal/newest"
)

// Options are the caller's: none of it is taken from a status bundle.
type Options struct {
	// Log and IndexLog are the keys of both logs. Required.
	Log, IndexLog *verify.LogKey
	// Witnesses say by whom the checkpoints of both logs must be cosigned. Nil asks for none: then the operator alone says
	// that everybody is shown the same, and AsOf says as of when.
	Witnesses *verify.WitnessPolicy
	// AsOf is when the caller itself got the bundle from the operator, not later than At; it counts where Witnesses is nil. Zero: it
	// is not known as of when the answer is, and nothing is in force.
	AsOf time.Time
	// At is the time asked for. Required.
	At time.Time
	// MaxStaleness is how long before At the answer's time may lie. Required.
	MaxStaleness time.Duration
	// Verifier verifies what was said about the target. Nil: whatever was said makes the standing unknown.
	Verifier *verify.Verifier
	// Withdrawers are signers whose withdrawals and successors count like those of the target's own signer: the caller
	// knows that they took its place. Names, types and windows of keys are not looked at.
	Withdrawers []verify.Signer
	// InPlace reports whether something that was said, and verified, by somebody else than the target's signer counts like that
	// signer's own, given all that was said and verified. It is for a caller who has a registry of successors and of keys that
	// withdraw together, as the service has; nil means that nobody's does but the Withdrawers'.
	InPlace func(all []Said, said *Said) bool
	// Arbiters are signers who may reject a dispute, such as an ombudsman. In one to which he is a party, by having signed the target
	// or opened it, an arbiter is none.
	Arbiters []verify.Signer
	// Seen returns the largest tree of a log that the caller was shown before, and nil where none is remembered; less than that is
	// refused. It must be safe for concurrent use. Nil: nothing is remembered.
	Seen func(log *verify.LogKey) (*verify.Checkpoint, error)
}

func (o *Options) check() error {
	switch {
	case o.Log == nil || o.IndexLog == nil:
		return fmt.Errorf("%w: the keys of both logs are needed", verify.ErrInput)
	case o.Log.Origin() == o.IndexLog.Origin():
		return fmt.Errorf("%w: both logs have the origin %s", verify.ErrInput, o.Log.Origin())
	case o.At.IsZero() || o.MaxStaleness <= 0:
		return fmt.Errorf("%w: no time to judge at, or no limit on the age: %s", verify.ErrInput, o.MaxStaleness)
	case len(o.Withdrawers) > MaxSigners || len(o.Arbiters) > MaxSigners:
		return fmt.Errorf("%w: %d withdrawers and %d arbiters, want at most %d", verify.ErrInput, len(o.Withdrawers), len(o.Arbiters), MaxSigners)
	case o.AsOf.After(o.At.Add(verify.DefaultTimestampSkew)):
		return fmt.Errorf("%w: an answer as of %s, after %s", verify.ErrInput, o.AsOf.UTC().Format(time.RFC3339), o.At.UTC().Format(time.RFC3339))
	}
	return nil
}

// Check verifies a status bundle about a statement whose own bundle was verified, and says how it stands. The error is an
// [*Error], wraps verify.ErrInput, or is the context's; there is no result beside an error.
func Check(ctx context.Context, b *statusv1.StatusBundle, target *verify.Evidence, o Options) (*Result, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := checkForm(b); err != nil {
		return nil, err
	}
	c := &checking{ctx: ctx, b: b, target: target, o: o, signer: SignerOf(target)}
	var err error
	if c.withdrawers, err = idsOf(o.Withdrawers); err != nil {
		return nil, err
	}
	if c.arbiters, err = idsOf(o.Arbiters); err != nil {
		return nil, err
	}
	if b.GetTarget() != target.StatementID || target.LogOrigin != o.Log.Origin() {
		return nil, refuse(CodeTarget, "about %.80q in the log %s, want %s in %s", b.GetTarget(), o.Log.Origin(), target.StatementID, target.LogOrigin)
	}
	if err := c.shown(); err != nil {
		return nil, err
	}
	if err := c.read(); err != nil {
		return nil, err
	}
	// A key that is no longer the log's says nothing, whoever holds it now.
	for _, k := range []*verify.LogKey{o.Log, o.IndexLog} {
		if at, _ := c.asOf(); !at.IsZero() && !k.ValidAt(at) {
			return nil, refuse(CodeCheckpoint, "as of %s, when the key of %s was not valid", at.Format(time.RFC3339), k.Origin())
		}
	}
	return c.conclude(), nil
}

// SignerOf is the id under which the index, and events of it, name the signer of what was verified.
func SignerOf(e *verify.Evidence) index.Signer {
	if id := e.Signer.Identity; id != nil {
		return index.IdentitySigner(id.Issuer, id.SAN)
	}
	return index.KeySigner(e.KeyID)
}

// idsOf are the ids of signers whom the caller accepts.
func idsOf(signers []verify.Signer) ([]string, error) {
	var ids []string
	for _, s := range signers {
		switch {
		case s.Key != nil && s.Identity == nil && s.Key.PublicKey != nil:
			der, err := x509.MarshalPKIXPublicKey(s.Key.PublicKey)
			if err != nil {
				return nil, fmt.Errorf("%w: a key of a withdrawer or arbiter: %w", verify.ErrInput, err)
			}
			ids = append(ids, fmt.Sprintf("sha256:%x", sha256.Sum256(der)))
		case s.Identity != nil && s.Key == nil:
			ids = append(ids, string(index.IdentitySigner(s.Identity.Issuer, s.Identity.SAN)))
		default:
			return nil, fmt.Errorf("%w: a withdrawer or arbiter needs a key or an identity", verify.ErrInput)
		}
	}
	return ids, nil
}

// checking is the check of one status bundle.
type checking struct {
	ctx    context.Context //nolint:containedctx // it lives for one call
	b      *statusv1.StatusBundle
	target *verify.Evidence
	o      Options
	signer index.Signer
	// ids of signers
	withdrawers, arbiters []string

	root    *index.Root
	roots   *verify.Checkpoint // of the index log
	said    []Said
	problem Reason // why said is not all that was said
	detail  string
}

// checkRoot verifies both checkpoints and that the root is the newest below one and about the other.
func (c *checking) checkRoot() (err error) {
	c.root, c.roots, err = newest.Open(c.b, newest.Trust{
		Log: c.o.Log, IndexLog: c.o.IndexLog, Witnesses: c.o.Witnesses, At: c.o.At, Seen: c.o.Seen,
	})
	var refused *newest.Error
	if errors.As(err, &refused) {
		return refuse("STATUS_"+string(refused.Kind), "%s", refused.Detail)
	}
	return err
}

// Shown is what a status bundle shows without its target.
type Shown struct {
	// AsOf, Witnessed and TreeSize are as in [Result].
	AsOf      time.Time
	Witnessed bool
	TreeSize  uint64
	// Said is the number of entries that are about the target: what they say is not looked at.
	Said int
}

// CheckLists verifies that a status bundle has the complete lists about its target and a signer, for whoever does not hold the
// target's own bundle. How the target stands is not known from that: see [Check]. The error is an [*Error] or wraps verify.ErrInput.
func CheckLists(b *statusv1.StatusBundle, signer index.Signer, o Options) (*Shown, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := checkForm(b); err != nil {
		return nil, err
	}
	c := &checking{b: b, o: o, signer: signer, target: &verify.Evidence{StatementID: b.GetTarget()}}
	if err := c.shown(); err != nil {
		return nil, err
	}
	s := &Shown{TreeSize: c.root.Size, Said: len(b.GetAbout().GetEntries())}
	s.AsOf, s.Witnessed = c.asOf()
	return s, nil
}

// shown verifies the index root, and both lists under it.
func (c *checking) shown() error {
	if err := c.checkRoot(); err != nil {
		return err
	}
	if err := c.checkList("about", c.b.GetAbout(), c.targetKey()); err != nil {
		return err
	}
	return c.checkList("unresolved", c.b.GetUnresolved(), index.UnresolvedKey(c.signer))
}

// checkList verifies that a list is all that the index has under a key.
func (c *checking) checkList(name string, l *statusv1.ListProof, key index.Key) error {
	p, err := index.ParseProof(l.GetProof())
	if err != nil {
		return refuse(CodeProof, "%s: %v", name, err)
	}
	if len(l.GetEntries()) == 0 {
		if err := p.Absence(c.root.Index, key); err != nil {
			return refuse(CodeProof, "%s: %v", name, err)
		}
		return nil
	}
	value, err := p.Presence(c.root.Index, key)
	if err != nil {
		return refuse(CodeProof, "%s: %v", name, err)
	}
	if got := index.ListValue(entries(l)); got != value {
		return refuse(CodeList, "%s: %d entries with root %x, the index has %d with root %x", name, got.Count, got.Root, value.Count, value.Root)
	}
	return nil
}

func entries(l *statusv1.ListProof) []index.Entry {
	var list []index.Entry
	for _, e := range l.GetEntries() {
		list = append(list, index.Entry{LogIndex: e.GetLogIndex(), Kind: index.Kind(e.GetKind())}) // #nosec G115 -- checkForm
	}
	return list
}

// asOf is the time that the answer is about.
func (c *checking) asOf() (at time.Time, witnessed bool) {
	if c.o.Witnesses != nil {
		return c.roots.WitnessedBy, true
	}
	return c.o.AsOf.UTC(), false
}

// targetKey is the key of what is said about the target.
func (c *checking) targetKey() index.Key { return index.TargetKey(c.target.StatementID) }
