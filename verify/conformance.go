package verify

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	sgverify "github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
)

// Limits of [VerifySigstore]: higher than for avow's own bundles, because others
// put whole SBOMs into theirs.
const (
	// MaxSigstoreBundleBytes is the largest bundle, in bytes.
	MaxSigstoreBundleBytes = 4 << 20
	// MaxSigstoreValues is the number of JSON values in the bundle, and in its statement.
	MaxSigstoreValues = 200_000
)

// SigstoreInput is one question of the sigstore-conformance protocol: is this
// artifact signed by that key or identity, under this trusted root?
type SigstoreInput struct {
	// Bundle is any Sigstore bundle: v0.1 to v0.3, a DSSE envelope or a message
	// signature, Rekor v1 or v2, a certificate or a managed key.
	Bundle []byte
	// Trust is the parsed trusted root.
	Trust *Trust
	// Key or Identity says who must have signed; exactly one is set. Every
	// algorithm that sigstore-go verifies is accepted here.
	Key      crypto.PublicKey
	Identity *Identity
	// Artifact, or its Digest under DigestAlgorithm ("sha256"), is what must have
	// been signed; exactly one is set. Artifact is read to its end.
	Artifact        io.Reader
	Digest          []byte
	DigestAlgorithm string
}

// VerifySigstore verifies any Sigstore bundle by sigstore-go's rules: the
// verify-bundle job of the sigstore-conformance client protocol. nil means
// accepted; an error that wraps [ErrInput] means that the question was wrong.
//
// What is demanded follows from the question alone, never from the bundle: an
// entry in a log of the trusted root always; for an identity also a certificate
// timestamp and a time vouched for by a log or a timestamp authority. Beyond
// that, every RFC 3161 timestamp that the bundle carries has to verify: evidence
// that was added and is false is no reason to trust the rest.
func VerifySigstore(ctx context.Context, in SigstoreInput) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := in.validate(); err != nil {
		return err
	}
	b, err := in.parse()
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	material, options, policy, err := in.demands()
	if err != nil {
		return err
	}
	if err := allTimestamps(b, material); err != nil {
		return err
	}
	v, err := sgverify.NewVerifier(material, options...)
	if err != nil {
		return err
	}
	artifact := sgverify.WithArtifactDigest(in.DigestAlgorithm, in.Digest)
	if in.Artifact != nil {
		artifact = sgverify.WithArtifact(in.Artifact)
	}
	_, err = v.Verify(b, sgverify.NewPolicy(artifact, policy))
	return err
}

func (in *SigstoreInput) validate() error {
	switch {
	case in.Trust == nil:
		return fmt.Errorf("%w: no trusted root", ErrInput)
	case (in.Key == nil) == (in.Identity == nil):
		return fmt.Errorf("%w: exactly one of key and identity is needed", ErrInput)
	case in.Identity != nil && (in.Identity.SAN == "" || in.Identity.Issuer == ""):
		return fmt.Errorf("%w: an identity needs both SAN and issuer", ErrInput)
	case (in.Artifact == nil) == (len(in.Digest) == 0):
		return fmt.Errorf("%w: exactly one of artifact and digest is needed", ErrInput)
	case in.Artifact == nil && in.DigestAlgorithm == "":
		return fmt.Errorf("%w: a digest needs its algorithm", ErrInput)
	}
	return nil
}

// parse parses the bundle by sigstore-go's rules, with a bound on what the JSON
// of the bundle, and of the statement inside, can cost sigstore-go to parse.
func (in *SigstoreInput) parse() (*bundle.Bundle, error) {
	if n := len(in.Bundle); n == 0 || n > MaxSigstoreBundleBytes {
		return nil, fmt.Errorf("got %d bytes, want 1 to %d", n, MaxSigstoreBundleBytes)
	}
	if err := boundJSON(in.Bundle); err != nil {
		return nil, err
	}
	var b bundle.Bundle
	if err := b.UnmarshalJSON(in.Bundle); err != nil {
		return nil, err
	}
	if err := boundJSON(b.GetDsseEnvelope().GetPayload()); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	return &b, nil
}

// boundJSON bounds nesting and the number of values by counting brackets and
// commas outside strings. It does not judge whether the text is JSON.
func boundJSON(data []byte) error {
	depth, values, quoted := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case quoted:
		case c == '{' || c == '[':
			depth++
			values++
		case c == '}' || c == ']':
			depth--
		case c == ',':
			values++
		}
		if depth > MaxBundleDepth || values > MaxSigstoreValues {
			return fmt.Errorf("more than %d levels or %d values at byte %d", MaxBundleDepth, MaxSigstoreValues, i)
		}
	}
	return nil
}

// demands translates the question into sigstore-go's trust, options and policy.
func (in *SigstoreInput) demands() (root.TrustedMaterial, []sgverify.VerifierOption, sgverify.PolicyOption, error) {
	options := []sgverify.VerifierOption{sgverify.WithTransparencyLog(1)}
	if in.Identity != nil {
		id, err := sgverify.NewShortCertificateIdentity(in.Identity.Issuer, "", in.Identity.SAN, "")
		if err != nil {
			return nil, nil, nil, fmt.Errorf("%w: %w", ErrInput, err)
		}
		options = append(options, sgverify.WithSignedCertificateTimestamps(1), sgverify.WithObserverTimestamps(1))
		return in.Trust.material, options, sgverify.WithCertificateIdentity(id), nil
	}
	v, err := signature.LoadDefaultVerifier(in.Key)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w: key: %w", ErrInput, err)
	}
	// The protocol hands the key over without a window and whatever the bundle's
	// hint says, so no time is needed to judge it.
	keys := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return &root.ExpiringKey{Verifier: v}, nil
	})
	options = append(options, sgverify.WithNoObserverTimestamps())
	return root.TrustedMaterialCollection{keys, in.Trust.material}, options, sgverify.WithKey(), nil
}

// allTimestamps refuses a bundle with a timestamp that does not verify.
func allTimestamps(b *bundle.Bundle, material root.TrustedMaterial) error {
	_, problems, err := sgverify.VerifySignedTimestamp(b, material)
	if err != nil {
		return fmt.Errorf("timestamps: %w", err)
	}
	if len(problems) > 0 {
		return fmt.Errorf("timestamps: %w", errors.Join(problems...))
	}
	return nil
}
