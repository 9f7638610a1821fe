package server

import (
	"context"
	"fmt"
	"slices"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/internal/verdictpb"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/vendors"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/standing"
)

// judge is what the service itself makes of a status bundle now: by the code that buyers use, with its own keys and its own clock,
// and without witnesses. It has what buyers have not, the registry: who speaks in the place of the signer counts by it, as at
// issuance. A buyer to whom no such withdrawer is named comes to unknown there.
func (s *standingService) judge(ctx context.Context, rec *statements.Record, b *statusv1.StatusBundle) (*avowv1.StandingResult, error) {
	target, err := s.target(ctx, rec)
	if err != nil {
		return nil, err
	}
	if target == nil {
		return &avowv1.StandingResult{Standing: avowv1.Standing_STANDING_UNKNOWN, Reason: string(standing.ReasonUnverified),
			Detail: "the statement's own bundle does not verify under the service's trusted root"}, nil
	}
	now := s.server.cfg.Clock()
	result, err := standing.Check(ctx, b, target, standing.Options{
		Log: s.log, IndexLog: s.roots, At: now, AsOf: now.Add(-s.server.cfg.Standing.Index.Lag()), MaxStaleness: maxIndexAge,
		Verifier: s.server.own.verifier,
		InPlace: func(all []standing.Said, said *standing.Said) bool {
			return inPlaceOf(s.server.cfg.Vendors.Registry(), rec, all, said)
		},
	})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, &refusal{reason: reasonSelfCheckFailed, cause: err,
			message: "the status bundle did not pass the service's own verification and was not handed out"}
	}
	return verdictpb.Standing(result), nil
}

// inPlaceOf reports whether something that was said about a record counts like its signer's own word: by the registry as it is now,
// a registered successor says it, or it is a withdrawal that enough recovery keys of the record's vendor have signed, all of them
// among what was said. It is what [lifecycle.withdraws] finds, from what the answer shows alone.
func inPlaceOf(registry *vendors.Registry, rec *statements.Record, all []standing.Said, said *standing.Said) bool {
	v, _, ok := registry.ByKey(said.Signer)
	if id := said.Identity; id != nil {
		v, _, ok = registry.ByIdentity(id.Issuer, id.SAN)
	}
	if ok {
		return slices.Contains(succeeded(v, said.Signer), rec.KeyID)
	}
	v, _, ok = registry.ByRecoveryKey(said.Signer)
	if !ok || v.Recovery == nil || said.Statement.Withdrawal == nil || !issuedBy(v, rec) {
		return false
	}
	var signed []string
	for i := range all {
		if all[i].StatementID == said.StatementID {
			signed = append(signed, all[i].Signer)
		}
	}
	return missingKeys(v.Recovery, signed) == 0
}

// target verifies the record's own bundle; nil if it does not pass. What passed once is not verified again: it cannot change.
func (s *standingService) target(ctx context.Context, rec *statements.Record) (*verify.Evidence, error) {
	check := func() (*verify.Evidence, error) {
		env, err := reopen(rec)
		if err != nil {
			return nil, err
		}
		bundle, err := bundleOf(rec, env)
		if err != nil {
			return nil, err
		}
		evidence, _, err := s.server.own.verifier.VerifyBundle(ctx, bundle, signerOf(env), env.Statement())
		return evidence, err
	}
	if len(rec.Envelope) > maxCachedBytes {
		return check()
	}
	return s.evidence.get(fmt.Appendf(nil, "%s %s %d", rec.StatementID, rec.KeyID, rec.LogIndex), check)
}
