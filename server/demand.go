package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/verdictpb"
	"github.com/avow-dev/avow/verify"
)

// demand is what a caller asks of every artifact: an input without artifact and bundles, and under which trust it is
// judged. It is made once for a batch.
type demand struct {
	trusted trustedVerifier
	input   verify.Input
	// form is how the verdict is to be signed, if at all, and lifetime how long it may be relied on.
	form     avowv1.SignedVerdictForm
	lifetime time.Duration
}

// compiledPolicy is what Config.CompilePolicy answers.
type compiledPolicy struct {
	policy verify.Policy
	asks   PolicyRequirements
}

// demandsOf returns the part of a request that a batch has in its setup.
func demandsOf(req *avowv1.VerifyRequest) *avowv1.BatchVerifySetup {
	return &avowv1.BatchVerifySetup{
		Signers: req.GetSigners(), TrustedRoot: req.GetTrustedRoot(),
		RequiredPredicateTypes: req.GetRequiredPredicateTypes(), MinTimestamps: req.GetMinTimestamps(), At: req.GetAt(),
		Policy: req.GetPolicy(), SignedVerdictForm: req.GetSignedVerdictForm(),
		SignedVerdictLifetime: req.GetSignedVerdictLifetime(),
	}
}

// demand translates what is demanded. What it leaves to verify is judged there; here is only what a message cannot
// express as an Input. at is the place of the fields in the request, "" or "setup.".
func (s *verificationService) demand(ctx context.Context, at string, m *avowv1.BatchVerifySetup) (*demand, error) {
	d := &demand{form: m.GetSignedVerdictForm()}
	var err error
	if d.trusted, err = s.verifierFor(m.GetTrustedRoot()); err != nil {
		return nil, err
	}
	d.input.RequiredTypes = slices.Clone(m.GetRequiredPredicateTypes())
	d.input.MinTimestamps = int(min(m.GetMinTimestamps(), verify.MaxTimestamps+1)) // one too many is refused there
	if len(m.GetSigners()) > verify.MaxSigners {
		return nil, invalidField(at+"signers", "got %d, want at most %d", len(m.GetSigners()), verify.MaxSigners)
	}
	for n, r := range m.GetSigners() {
		signer, err := verifySigner(fmt.Sprintf("%ssigners[%d]", at, n), r)
		if err != nil {
			return nil, err
		}
		d.input.Signers = append(d.input.Signers, signer)
	}
	if d.input.At, err = timeField(at+"at", m.GetAt()); err != nil {
		return nil, err
	}
	if d.input.At.IsZero() {
		d.input.At = s.server.cfg.Clock()
	}
	if err := s.demandSignature(at, m, d); err != nil {
		return nil, err
	}
	return d, s.demandPolicy(ctx, at, m.GetPolicy(), d)
}

// demandSignature reads how the verdict is to be signed.
func (s *verificationService) demandSignature(at string, m *avowv1.BatchVerifySetup, d *demand) error {
	var err error
	if d.lifetime, err = lifetimeField(at+"signed_verdict_lifetime", m.GetSignedVerdictLifetime()); err != nil {
		return err
	}
	switch d.form {
	case avowv1.SignedVerdictForm_SIGNED_VERDICT_FORM_UNSPECIFIED:
		return nil
	case avowv1.SignedVerdictForm_SIGNED_VERDICT_FORM_SVR, avowv1.SignedVerdictForm_SIGNED_VERDICT_FORM_VSA:
		if s.server.cfg.SignVerdict == nil {
			return refuse(reasonVerdictSigningNotConfigured, "this service signs no verdicts")
		}
		if m.GetAt() != nil {
			return invalidField(at+"at", "is given together with signed_verdict_form: a signed verdict is about the present")
		}
		return nil
	default:
		return invalidField(at+"signed_verdict_form", "%d is not a form", int32(d.form))
	}
}

// demandPolicy compiles the policy and adds what it requires to the input.
func (s *verificationService) demandPolicy(ctx context.Context, at string, yaml []byte, d *demand) error {
	switch {
	case len(yaml) == 0:
		return nil
	case len(yaml) > MaxPolicyBytes:
		return invalidField(at+"policy", "got %d bytes, want at most %d", len(yaml), MaxPolicyBytes)
	case s.server.cfg.CompilePolicy == nil:
		return refuse(reasonPolicyInvalid, "this service evaluates no policies")
	}
	compiled, err := s.policies.get(yaml, func() (compiledPolicy, error) {
		policy, asks, err := s.server.cfg.CompilePolicy(ctx, yaml)
		if err == nil && policy == nil {
			err = errors.New("the policy was compiled to nothing")
		}
		return compiledPolicy{policy, asks}, err
	})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return refuse(reasonPolicyInvalid, "%v", err)
	}
	d.input.Policy = compiled.policy
	for _, t := range compiled.asks.RequiredTypes {
		if !slices.Contains(d.input.RequiredTypes, t) {
			d.input.RequiredTypes = append(d.input.RequiredTypes, t)
		}
	}
	d.input.MinTimestamps = max(d.input.MinTimestamps, compiled.asks.MinTimestamps)
	d.input.Signers = append(d.input.Signers, compiled.asks.Signers...)
	return nil
}

// judge answers a demand for one artifact and its bundles.
func (s *verificationService) judge(ctx context.Context, d *demand, artifact string, bundles []*avowv1.NamedBundle,
) (*avowv1.Verdict, []byte, error) {
	if len(bundles) > verify.MaxBundles {
		return nil, nil, invalidField("bundles", "got %d, want at most %d", len(bundles), verify.MaxBundles)
	}
	in := d.input
	in.ArtifactSHA256 = artifact
	for _, b := range bundles {
		in.Bundles = append(in.Bundles, verify.NamedBundle{Name: b.GetName(), Data: b.GetBundle()})
	}
	verdict, err := d.trusted.verifier.Verify(ctx, in)
	if err != nil {
		return nil, nil, err
	}
	question := verdictpb.Question{ArtifactSHA256: artifact, Trust: d.trusted.trust, At: in.At}
	if d.form == avowv1.SignedVerdictForm_SIGNED_VERDICT_FORM_UNSPECIFIED {
		return verdictpb.New(verdict, question), nil, nil
	}
	signed, err := s.server.cfg.SignVerdict(ctx, verdict, question, d.form, d.lifetime)
	if err != nil {
		return nil, nil, &refusal{reason: reasonSignerUnavailable, cause: err,
			message: "the key that the service signs its verdicts with does not answer; repeat the call"}
	}
	return verdictpb.New(verdict, question), signed, nil
}

// verifySigner translates one requirement.
func verifySigner(field string, r *avowv1.SignerRequirement) (verify.Signer, error) {
	out := verify.Signer{Name: r.GetName()}
	switch who := r.GetSigner().(type) {
	case *avowv1.SignerRequirement_Key:
		pub, err := attest.ParsePublicKey([]byte(who.Key.GetPublicKeyPem()))
		if err != nil {
			return out, &refusal{reason: reasonVerificationInput, cause: err,
				message: field + ".key.public_key_pem: want a PEM \"PUBLIC KEY\" with an ECDSA P-256 key"}
		}
		out.Key = &verify.Key{PublicKey: pub}
		if out.Key.NotBefore, err = timeField(field+".key.not_before", who.Key.GetNotBefore()); err != nil {
			return out, err
		}
		out.Key.NotAfter, err = timeField(field+".key.not_after", who.Key.GetNotAfter())
		return out, err
	case *avowv1.SignerRequirement_Identity:
		out.Identity = &verify.Identity{SAN: who.Identity.GetSubjectAlternativeName(), Issuer: who.Identity.GetIssuer()}
		return out, nil
	default:
		return out, invalidField(field, "neither key nor identity is given")
	}
}

// timeField translates an optional time; absent is the zero time.
func timeField(field string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if err := t.CheckValid(); err != nil {
		return time.Time{}, invalidField(field, "is not a time: %v", err)
	}
	if at := t.AsTime(); !at.IsZero() {
		return at, nil
	}
	return time.Time{}, invalidField(field, "the year 1 would read as absent")
}

// lifetimeField translates how long a signed verdict may be relied on.
func lifetimeField(field string, d *durationpb.Duration) (time.Duration, error) {
	if d == nil {
		return defaultVerdictLifetime, nil
	}
	if err := d.CheckValid(); err != nil {
		return 0, invalidField(field, "is not a duration: %v", err)
	}
	if lifetime := d.AsDuration(); lifetime > 0 && lifetime <= MaxVerdictLifetime {
		return lifetime, nil
	}
	return 0, invalidField(field, "got %v, want more than 0 and at most %v", d.AsDuration(), MaxVerdictLifetime)
}
