package result

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
)

// Pinned is a verifier whose verdicts are accepted: who may speak, and with
// which key.
//
//	> Consumers MUST accept only specific (signer, verifier) pairs.
//
// (VSA v1, "verifier".)
type Pinned struct {
	// Key is the verifier's ECDSA P-256 key.
	Key *ecdsa.PublicKey
	// ID is the verifier id that the key may speak for, compared exactly. Empty
	// means [KeyVerifierID].
	ID string
}

// Expect is what the caller would have judged by. Whatever a verdict was
// reached by otherwise is a reason to refuse it.
type Expect struct {
	// ArtifactSHA256 is the artifact's SHA-256, 64 lower-case hex digits. Required.
	ArtifactSHA256 string
	// TrustedRoot is [verify.Trust.Digest] of the caller's trusted root. Required.
	TrustedRoot [sha256.Size]byte
	// Policy is the digest of the caller's policy; nil means that the verdict must
	// be one without a policy.
	Policy *[sha256.Size]byte
	// RequiredTypes are as in [verify.Input]: empty means any declaration.
	RequiredTypes []string
	// Signers are as in [verify.Input], but may be empty, which leaves to the
	// verifier who may have signed the statements.
	Signers []verify.Signer
	// MinTimestamps is as in [verify.Input].
	MinTimestamps int
}

// Open reads a signed verdict and accepts it only if a pinned verifier signed
// it, it is a pass, now lies in its validity (made at most
// [verify.DefaultTimestampSkew] after now), and everything that the caller
// expects is what it was reached by.
//
// The error is *Error with one of [Codes], or wraps [verify.ErrInput] if the
// caller's side cannot be evaluated. There is no result beside an error.
func Open(bundle []byte, verifiers []Pinned, now time.Time, expect Expect) (*Result, error) {
	pinned, err := pin(verifiers)
	if err == nil {
		err = expect.check(now)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", verify.ErrInput, err)
	}
	r, err := read(bundle, pinned)
	if err != nil {
		return nil, err
	}
	if err := r.judge(now, expect); err != nil {
		return nil, err
	}
	return r, nil
}

func (e *Expect) check(now time.Time) error {
	switch {
	case !isHexDigest(e.ArtifactSHA256):
		return fmt.Errorf("artifact digest %q is not a SHA-256 in 64 lower-case hex digits", clip(e.ArtifactSHA256))
	case e.TrustedRoot == [sha256.Size]byte{}:
		return errors.New("no trusted root to compare with")
	case e.Policy != nil && *e.Policy == [sha256.Size]byte{}:
		return errors.New("the digest of the policy to compare with is empty")
	case e.MinTimestamps < 0 || e.MinTimestamps > verify.MaxTimestamps:
		return fmt.Errorf("%d timestamps required, want 0 to %d", e.MinTimestamps, verify.MaxTimestamps)
	case now.IsZero():
		return errors.New("no time to judge at")
	}
	return nil
}

// pin fills in the ids that were left open.
func pin(verifiers []Pinned) ([]Pinned, error) {
	if n := len(verifiers); n == 0 || n > verify.MaxSigners {
		return nil, fmt.Errorf("%d pinned verifiers, want 1 to %d", n, verify.MaxSigners)
	}
	pinned := slices.Clone(verifiers)
	for i := range pinned {
		id, err := KeyVerifierID(pinned[i].Key)
		if err != nil {
			return nil, err
		}
		if pinned[i].ID == "" {
			pinned[i].ID = id
		}
	}
	return pinned, nil
}

// read verifies a bundle's signature and then parses what was signed.
func read(data []byte, pinned []Pinned) (*Result, error) {
	b, err := parseBundle(data)
	if err != nil {
		return nil, refuse(CodeForm, hintOwn, "the bundle: %v", err)
	}
	if n := len(b.Envelope.Signatures); n != 1 {
		return nil, refuse(CodeSignature, hintOwn, "%d signatures, want 1", n)
	}
	key, keyID := findKey(b.Material.PublicKey.Hint, pinned)
	if key == nil {
		return nil, refuse(CodeForeign, "pin the key of who verified, if you trust its verdicts",
			"signed with the key of hint %q, which is none of the %d pinned", clip(b.Material.PublicKey.Hint), len(pinned))
	}
	digest := paeDigest(b.Envelope.Payload)
	if !ecdsa.VerifyASN1(key, digest[:], b.Envelope.Signatures[0].Sig) {
		return nil, refuse(CodeSignature, "the verdict was changed after it was signed; get it again",
			"the signature does not verify with key %s", keyID)
	}
	r, err := parse(b.Envelope.Payload)
	if err != nil {
		var kind *Error
		if errors.As(err, &kind) {
			return nil, kind
		}
		return nil, refuse(CodeForm, hintOwn, "the statement: %v", err)
	}
	sum := sha256.Sum256(b.Envelope.Payload)
	r.ID, r.KeyID = "sha256:"+hex.EncodeToString(sum[:]), keyID
	speaks := func(p Pinned) bool { return p.Key.Equal(key) && p.ID == r.VerifierID }
	if !slices.ContainsFunc(pinned, speaks) {
		return nil, refuse(CodeForeign, "pin the verifier id together with its key, if you trust its verdicts",
			"by verifier %q, for which key %s is not pinned", clip(r.VerifierID), keyID)
	}
	return r, nil
}

// findKey returns the pinned key that a hint names, and its id.
func findKey(name string, pinned []Pinned) (*ecdsa.PublicKey, string) {
	for _, p := range pinned {
		if sum, err := keyDigest(p.Key); err == nil && hint(sum) == name {
			return p.Key, "sha256:" + hex.EncodeToString(sum[:])
		}
	}
	return nil, ""
}

// judge compares what the verdict was reached by with what is expected.
func (r *Result) judge(now time.Time, e Expect) error {
	switch {
	case r.ArtifactSHA256 != e.ArtifactSHA256:
		return refuse(CodeArtifactDiffers, "the artifact was changed, or the verdict belongs to another",
			"about sha256:%s, not sha256:%s", r.ArtifactSHA256, e.ArtifactSHA256)
	case !r.Accepted:
		return refuse(CodeNotPassed, "verify the bundles again to see the reasons in full",
			"the verdict is a rejection%s", r.reasons())
	case r.VerifiedAt.After(now.Add(verify.DefaultTimestampSkew)):
		return refuse(CodeNotYetValid, "compare the clocks of the two machines",
			"verified at %s, which is after %s", r.VerifiedAt.Format(timeForm), now.UTC().Format(timeForm))
	case !now.Before(r.ValidUntil):
		return refuse(CodeExpired, hintVerify, "valid until %s, and it is %s", r.ValidUntil.Format(timeForm),
			now.UTC().Format(timeForm))
	case r.TrustedRoot != e.TrustedRoot:
		return refuse(CodeTrustDiffers, "if your trusted root was updated, verify the bundles again",
			"reached under trusted root sha256:%x, yours is sha256:%x", r.TrustedRoot, e.TrustedRoot)
	}
	if err := r.judgePolicy(e.Policy); err != nil {
		return err
	}
	return r.judgeStatements(e)
}

// reasons names what failed, for a person.
func (r *Result) reasons() string {
	var list []string
	for _, id := range r.FailedChecks {
		list = append(list, string(id))
	}
	list = append(list, r.FailedRules...)
	if len(list) == 0 {
		return ""
	}
	return ": " + clip(strings.Join(list, ", "))
}

func (r *Result) judgePolicy(expected *[sha256.Size]byte) error {
	got, want := "no policy", "no policy"
	if r.Policy != nil {
		got = fmt.Sprintf("policy sha256:%x", r.Policy.Digest)
	}
	if expected != nil {
		want = fmt.Sprintf("policy sha256:%x", *expected)
	}
	if got != want {
		return refuse(CodePolicyDiffers, "give the policy that the verdict was reached by, or verify the bundles again",
			"reached by %s, want %s", got, want)
	}
	return nil
}

func (r *Result) judgeStatements(e Expect) error {
	stated := func(types ...string) bool {
		return slices.ContainsFunc(r.Statements, func(s StatementPin) bool { return slices.Contains(types, s.Type) })
	}
	for _, t := range e.RequiredTypes {
		if !stated(t) {
			return refuse(CodeTypesDiffer, hintVerify, "builds on no statement of type %s", clip(t))
		}
	}
	if len(e.RequiredTypes) == 0 && !stated(predicate.NoBackdoorType, predicate.DataFlowsType, predicate.UndertakingsType) {
		return refuse(CodeTypesDiffer, hintVerify, "builds on no declaration")
	}
	for _, s := range r.Statements {
		if len(e.Signers) > 0 && !slices.ContainsFunc(e.Signers, s.by) {
			return refuse(CodeSignerDiffers, "give the key of who signed it, if you accept that signer, or verify the bundles again",
				"statement %s is signed with %s, by none of the accepted signers", s.ID, s.KeyID)
		}
		if n := len(s.Timestamps); n < e.MinTimestamps {
			return refuse(CodeTimestampsDiffer, hintVerify, "statement %s is time-stamped by %d, want %d", s.ID, n, e.MinTimestamps)
		}
	}
	return nil
}

// by reports whether the statement is by a signer who may sign its type, and
// had a valid key whenever it was stamped.
func (s StatementPin) by(signer verify.Signer) bool {
	if len(signer.Types) > 0 && !slices.Contains(signer.Types, s.Type) {
		return false
	}
	if signer.Identity != nil {
		return s.Identity != nil && *s.Identity == *signer.Identity
	}
	if signer.Key == nil || s.Identity != nil {
		return false
	}
	from, to := signer.Key.NotBefore, signer.Key.NotAfter
	retired := func(t time.Time) bool { return !from.IsZero() && t.Before(from) || !to.IsZero() && t.After(to) }
	sum, err := keyDigest(signer.Key.PublicKey)
	return err == nil && s.KeyID == "sha256:"+hex.EncodeToString(sum[:]) && !slices.ContainsFunc(s.Timestamps, retired)
}
