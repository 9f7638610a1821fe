package result

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
)

// Form is the predicate type that a verdict is signed as. The zero value is none.
type Form string

// The forms.
const (
	// SVR is in-toto's Simple Verification Result v0.2. It can only say what passed.
	SVR Form = "svr"
	// VSA is SLSA's Verification Summary Attestation v1.
	VSA Form = "vsa"
)

// The predicate types of the forms.
const (
	// SVRType is the predicate type of [SVR].
	SVRType = "https://in-toto.io/attestation/svr/v0.2"
	// VSAType is the predicate type of [VSA].
	VSAType = "https://slsa.dev/verification_summary/v1"
)

// PredicateType returns the form's predicate type, "" for no form.
func (f Form) PredicateType() string {
	switch f {
	case SVR:
		return SVRType
	case VSA:
		return VSAType
	}
	return ""
}

// MaxLifetime is the longest that a signed verdict may be relied on.
const MaxLifetime = 30 * 24 * time.Hour

// Names that a verdict gives to what has no URI of its own. They identify and
// need not resolve.
const (
	keyURI      = "https://w3id.org/avow/key/sha256:"
	artifactURI = "https://w3id.org/avow/artifact/sha256:"
	policyURI   = "https://w3id.org/avow/policy/sha256:"
	// checksURI is what VSA calls the policy where the buyer gave none: the checks
	// that avow makes of itself.
	checksURI = "https://w3id.org/avow/checks/v1"
)

// Result is what a signed verdict says.
type Result struct {
	// Form is the predicate type.
	Form Form
	// Accepted is the outcome. Open returns no other.
	Accepted bool
	// ArtifactName is the vendor's name for the artifact, for people; empty where
	// no statement counts.
	ArtifactName string
	// ArtifactSHA256 is the artifact's SHA-256, 64 lower-case hex digits.
	ArtifactSHA256 string
	// VerifierID is the URI of who verified; VerifierVersion its version of avow.
	VerifierID, VerifierVersion string
	// VerifiedAt is the time of verification. The verdict may be relied on from
	// then until before ValidUntil. Both are in UTC, to the second.
	VerifiedAt, ValidUntil time.Time
	// Policy is the buyer's policy; nil where there was none, or where it was not
	// asked because a check before it failed.
	Policy *Policy
	// TrustedRoot is the SHA-256 of the trusted root.
	TrustedRoot [sha256.Size]byte
	// Statements are those that the verdict builds on.
	Statements []StatementPin
	// FailedChecks are the ids of the checks that failed, FailedRules those of the
	// policy's rules; both empty if accepted.
	FailedChecks []verify.CheckID
	FailedRules  []string

	// ID is "sha256:" and the SHA-256 of the signed bytes; KeyID is "sha256:" and
	// the SHA-256 of the signing key's SubjectPublicKeyInfo DER. Both are set by
	// [Open] alone.
	ID, KeyID string
}

// Policy is a policy that a verdict was reached by.
type Policy struct {
	// Name and Version are the policy's own.
	Name, Version string
	// Digest is that of [verify.PolicyResult].
	Digest [sha256.Size]byte
}

// StatementPin is one statement of a vendor that a verdict builds on, as
// [verify.Evidence] had it.
type StatementPin struct {
	// ID is "sha256:" and the SHA-256 of the statement's bytes.
	ID string
	// Type is its predicate type.
	Type string
	// KeyID is that of the key that signed it; Identity is set where a
	// certificate vouched for that key.
	KeyID    string
	Identity *verify.Identity
	// Timestamps are the times that the timestamp authorities gave, one each.
	Timestamps []time.Time
	// LogOrigin, LogIndex, TreeSize and RootHash are its place in the log and the
	// checkpoint that covers it.
	LogOrigin          string
	LogIndex, TreeSize uint64
	RootHash           [sha256.Size]byte
}

// check refuses content that cannot be written and read again the same, or that
// says less than a verdict has to.
func (r *Result) check() error {
	life := r.ValidUntil.Sub(r.VerifiedAt)
	switch {
	case r.Form.PredicateType() == "":
		return fmt.Errorf("there is no form %q", clip(string(r.Form)))
	case !isHexDigest(r.ArtifactSHA256):
		return fmt.Errorf("artifact digest %q is not a SHA-256 in 64 lower-case hex digits", clip(r.ArtifactSHA256))
	case r.TrustedRoot == [sha256.Size]byte{}:
		return errors.New("no trusted root is named")
	case r.VerifiedAt.Before(time.Unix(0, 0)) || r.ValidUntil.Year() > 9999:
		return errors.New("times outside 1970 to 9999")
	case life < time.Second || life > MaxLifetime:
		return fmt.Errorf("lifetime %s, want 1s to %s", life, MaxLifetime)
	case r.Policy != nil && r.Policy.Digest == [sha256.Size]byte{}:
		return errors.New("the policy has no digest")
	case len(r.Statements) > verify.MaxBundles:
		return fmt.Errorf("%d statements, want at most %d", len(r.Statements), verify.MaxBundles)
	case r.Accepted && len(r.Statements) == 0:
		return errors.New("accepted without a statement to build on")
	case r.Accepted && len(r.FailedChecks)+len(r.FailedRules) > 0:
		return errors.New("accepted although checks failed")
	case !r.Accepted && r.Form == SVR:
		return errors.New("a simple verification result of a rejection")
	}
	if err := CheckVerifierID(r.VerifierID); err != nil {
		return err
	}
	return r.checkTexts()
}

// checkTexts bounds the strings, and sees to it that JSON keeps them as they are.
func (r *Result) checkTexts() error {
	texts := []string{r.ArtifactName, r.VerifierVersion}
	if r.Policy != nil {
		texts = append(texts, r.Policy.Name, r.Policy.Version)
	}
	for _, s := range r.Statements {
		if !isDigestID(s.ID) || !isDigestID(s.KeyID) {
			return fmt.Errorf("statement %q by key %q: both are sha256: and 64 lower-case hex digits", clip(s.ID), clip(s.KeyID))
		}
		if n := len(s.Timestamps); n == 0 || n > verify.MaxTimestamps {
			return fmt.Errorf("statement %s has %d timestamps, want 1 to %d", s.ID, n, verify.MaxTimestamps)
		}
		texts = append(texts, s.Type, s.LogOrigin)
		if s.Identity != nil {
			texts = append(texts, s.Identity.SAN, s.Identity.Issuer)
		}
	}
	for _, id := range r.FailedChecks {
		texts = append(texts, string(id))
	}
	for _, s := range append(texts, r.FailedRules...) {
		if !utf8.ValidString(s) || len(s) > predicate.MaxStringBytes {
			return fmt.Errorf("text %q is not UTF-8 of at most %d bytes", clip(s), predicate.MaxStringBytes)
		}
	}
	return nil
}

// CheckVerifierID takes what in-toto calls a TypeURI: an absolute URI with
// scheme and host in lower case, in ASCII and of at most predicate.MaxStringBytes.
func CheckVerifierID(id string) error {
	u, err := url.Parse(id)
	if err != nil || u.Scheme == "" || u.Host+u.Opaque+u.Path == "" || !strings.HasPrefix(id, u.Scheme+":") || u.Host != strings.ToLower(u.Host) ||
		len(id) > predicate.MaxStringBytes || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return fmt.Errorf("verifier id %q is not an absolute URI in ASCII, scheme and host in lower case", clip(id))
	}
	return nil
}

func isHexDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && hex.EncodeToString(b) == s
}

func isDigestID(s string) bool {
	digest, ok := strings.CutPrefix(s, "sha256:")
	return ok && isHexDigest(digest)
}

// clip bounds a foreign string that is quoted in an error.
func clip(s string) string {
	const limit = 120
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}
