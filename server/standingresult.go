package server

import (
	"context"
	"fmt"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/internal/verdictpb"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/standing"
)

// judge is what the service itself makes of a status bundle now: by the code that buyers use, with its own keys and its own clock,
// and without witnesses.
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
