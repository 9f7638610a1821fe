package server

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/standing"
)

// standings translates the standings of package standing.
var standings = map[standing.Standing]avowv1.Standing{
	standing.Unknown: avowv1.Standing_STANDING_UNKNOWN, standing.InForce: avowv1.Standing_STANDING_IN_FORCE,
	standing.Withdrawn: avowv1.Standing_STANDING_WITHDRAWN, standing.PartlyWithdrawn: avowv1.Standing_STANDING_PARTLY_WITHDRAWN,
	standing.Superseded: avowv1.Standing_STANDING_SUPERSEDED, standing.Expired: avowv1.Standing_STANDING_EXPIRED,
	standing.Stale: avowv1.Standing_STANDING_STALE,
}

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
	return resultMessage(result), nil
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

// resultMessage translates a result.
func resultMessage(r *standing.Result) *avowv1.StandingResult {
	m := &avowv1.StandingResult{
		Standing: standings[r.Standing], Reason: string(r.Reason), Detail: r.Detail, AsOf: timeMessage(r.AsOf), Witnessed: r.Witnessed,
		TreeSize: r.TreeSize, WithdrawnItems: r.Items,
	}
	for _, said := range r.Said {
		m.Said = append(m.Said, &avowv1.SaidStatement{
			StatementId: said.StatementID, PredicateType: said.Statement.Type, LogIndex: said.LogIndex, KeyId: string(said.Signer),
			Own: said.Own, SignedBy: timestamppb.New(said.SignedBy), Statement: said.Statement.Payload(),
		})
	}
	return m
}
