package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/cmd/avow/internal/seen"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/standing"
)

// statusChecker verifies what shows how statements stand, as far as that can be without their own bundles.
type statusChecker struct {
	a      *app
	flags  *askFlags
	keys   *logKeys
	memory *memory
}

// statusCheck reads the keys that the flags name; nil if they name none.
func (a *app) statusCheck(c *cobra.Command, f *askFlags) (*statusChecker, error) {
	if f.keys.trustedRoot == "" {
		if f.keys.indexKey != "" || f.keys.policy != "" || f.keys.state.path != "" {
			return nil, usageFailure(c.CommandPath(), errors.New("--index-key, --witness-policy and --state are about a proof: give --trusted-root"))
		}
		return nil, nil
	}
	keys, err := f.keys.read(a)
	if err != nil {
		return nil, err
	}
	m, err := a.memory(&f.keys.state)
	return &statusChecker{a: a, flags: f, keys: keys, memory: m}, err
}

// all verifies all answers, and compares what they are under with what is remembered.
func (k *statusChecker) all(ctx context.Context, answers []*avowv1.GetStandingResponse) error {
	var heads []signedHead
	known := map[string]bool{}
	for _, r := range answers {
		for _, s := range r.GetStandings() {
			log, err := k.keys.log(s.GetStatus().GetCheckpoint())
			if err != nil {
				return err
			}
			if err := k.one(s, log); err != nil {
				return err
			}
			for _, h := range k.keys.heads(s.GetStatus()) {
				if !known[h.checkpoint] {
					known[h.checkpoint] = true
					heads = append(heads, h)
				}
			}
		}
	}
	var prove seen.Prover
	if k.memory != nil && len(heads) > 0 {
		ask, done, err := k.a.prover(&k.flags.server)
		if err != nil {
			return err
		}
		defer done()
		prove = ask
	}
	return k.memory.compare(ctx, prove, heads...)
}

// one verifies one answer: its proofs, and that the service's word leaves nothing out that they show.
func (k *statusChecker) one(s *avowv1.StatementStanding, log *verify.LogKey) error {
	now := k.a.env.Now()
	o := standing.Options{Log: log, IndexLog: k.keys.index, Witnesses: k.keys.witnesses, At: now, AsOf: now, MaxStaleness: time.Hour}
	about := fmt.Sprintf("the status of %.80q", s.GetStatementId())
	shown, err := standing.CheckLists(s.GetStatus(), index.Signer(s.GetKeyId()), o)
	var refused *standing.Error
	switch {
	case errors.As(err, &refused):
		return notShown("%s: %s: %s", about, refused.Code, refused.Detail)
	case err != nil:
		return err
	case s.GetStatus().GetTarget() != s.GetStatementId():
		return notShown("%s: it is one of %.80q", about, s.GetStatus().GetTarget())
	case len(s.GetResult().GetSaid()) != shown.Said && s.GetResult().GetStanding() == avowv1.Standing_STANDING_IN_FORCE:
		return notShown("%s: %d statements about it are proved, and the service calls it in force after %d", about, shown.Said,
			len(s.GetResult().GetSaid()))
	}
	return nil
}

// notShown is the answer that a status is not what it should be.
func notShown(format string, args ...any) error {
	return &failure{code: exitNo, err: fmt.Errorf(format, args...),
		hint: "do not rely on it; keep the answer (--format json, without --trusted-root) and ask the operator of the service"}
}
