package server

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/server/statements"
)

// Bounds of what is said about one statement. A buyer gets all of it in one status bundle, of at most 4,096 entries and 8 MiB:
// what does not fit makes the standing unknown, which is what somebody who wants to harm a vendor would be after. Sizes are
// of the envelopes, in bytes; a bundle is about 5 KiB larger.
const (
	// MaxSaidByVendor is how many disputes and assessments one vendor may issue about one statement of another, and
	// MaxSaidBytesByVendor how large they may be together.
	MaxSaidByVendor, MaxSaidBytesByVendor = 16, 256 << 10
	// MaxSaidByOthers is the same for all others together.
	MaxSaidByOthers, MaxSaidBytesByOthers = 256, 3 << 20
	// MaxAnswers is the same for what the statement's own vendor says in disputes about it.
	MaxAnswers, MaxAnswersBytes = 128, 1 << 20
	// MaxWithdrawals is the same for what one successor or recovery key withdraws of it. Withdrawals by its own signer are
	// always taken, and no bound of another kind holds one up.
	MaxWithdrawals, MaxWithdrawalsBytes = 16, 256 << 10

	maxSaidPages = 64 // of the list of an artifact's statements that are looked through
)

// saidLimits bounds how much is said about one statement, and how fast one vendor says it. What is on its way counts too:
// a storm of calls at one time sees no more room than there is.
type saidLimits struct {
	origin string
	rates  *rateLimiter
	clock  func() time.Time

	mu      sync.Mutex
	pending map[rowKey]utterance
}

// utterance is one statement about another, as far as the bounds need it.
type utterance struct {
	row                    rowKey
	target, vendor, signer string
	bytes                  int
	// own tells that the target's vendor says it, withdrawal that it is one.
	own, withdrawal bool
}

func newSaidLimits(cfg Config) *saidLimits {
	perHour := cfg.Limits.OpinionsPerHour
	return &saidLimits{
		origin: cfg.Log.Origin(), clock: cfg.Clock, pending: make(map[rowKey]utterance),
		rates: newRateLimiter(Limits{RatePerSecond: perHour / 3600, Burst: max(1, int(min(perHour, 1<<30))), Callers: cfg.Limits.Callers}),
	}
}

// admit takes the disputes and assessments among submissions that passed every other check, or refuses all of them. release has
// to be called when they are committed, or have failed.
func (l *lifecycle) admit(ctx context.Context, subs []*submission) (release func(), err error) {
	var taken []rowKey
	release = sync.OnceFunc(func() {
		l.said.mu.Lock()
		defer l.said.mu.Unlock()
		for _, row := range taken {
			delete(l.said.pending, row)
		}
	})
	for _, sub := range subs {
		limited, err := l.admitOne(ctx, sub)
		if err != nil {
			release()
			return nil, err
		}
		if limited {
			taken = append(taken, sub.row())
		}
	}
	return release, nil
}

// admitOne takes one submission, and tells whether it counts.
func (l *lifecycle) admitOne(ctx context.Context, sub *submission) (bool, error) {
	st := sub.envelope.Statement()
	if sub.known != nil || st.Target() == nil {
		return false, nil
	}
	target, err := l.find(ctx, *st.Target())
	if err != nil {
		return false, err
	}
	who := l.relationTo(sub, target)
	if st.Withdrawal != nil && who == relationSigner {
		return false, nil
	}
	about := utterance{row: sub.row(), target: target.statement.ID(), vendor: sub.vendor.Name, signer: sub.envelope.SignerID(),
		bytes: len(sub.envelope.JSON()), own: partyTo(sub, target), withdrawal: st.Withdrawal != nil}
	// One at a time: the count must not change between the look and the decision.
	l.said.mu.Lock()
	defer l.said.mu.Unlock()
	if _, ok := l.said.pending[sub.row()]; ok {
		return false, nil // the same statement twice at one time becomes one
	}
	before, err := l.saidAbout(ctx, target, about.withdrawal)
	if err != nil {
		return false, err
	}
	if err := fits(before, about); err != nil {
		return false, err
	}
	if !about.own && !about.withdrawal {
		if err := l.said.take(sub.vendor.Name); err != nil {
			return false, err
		}
	}
	l.said.pending[sub.row()] = about
	return true, nil
}

// take uses one statement of the vendor's rate.
func (s *saidLimits) take(vendor string) error {
	err := s.rates.take(vendor, 1, s.clock())
	var refused *refusal
	if errors.As(err, &refused) {
		refused.message = "the vendor's rate of disputes and assessments (limits.opinionsPerHour) is used up"
	}
	return err
}

// fits refuses one more that is beyond a bound.
func fits(before []utterance, more utterance) error {
	sum := func(of func(utterance) bool) (n, bytes int) {
		for _, s := range append(before[:len(before):len(before)], more) {
			if of(s) {
				n, bytes = n+1, bytes+s.bytes
			}
		}
		return n, bytes
	}
	over := func(who string, n, bytes, maxN, maxBytes int) error {
		if n <= maxN && bytes <= maxBytes {
			return nil
		}
		return refuse(reasonTargetLimit, "with this, %s would have said %d things of %d bytes about the statement, at most %d of %d bytes are taken",
			who, n, bytes, maxN, maxBytes)
	}
	if more.withdrawal {
		n, bytes := sum(func(s utterance) bool { return s.signer == more.signer })
		return over(more.signer, n, bytes, MaxWithdrawals, MaxWithdrawalsBytes)
	}
	if more.own {
		n, bytes := sum(func(s utterance) bool { return s.own })
		return over("its own vendor", n, bytes, MaxAnswers, MaxAnswersBytes)
	}
	n, bytes := sum(func(s utterance) bool { return !s.own && s.vendor == more.vendor })
	if err := over(more.vendor, n, bytes, MaxSaidByVendor, MaxSaidBytesByVendor); err != nil {
		return err
	}
	n, bytes = sum(func(s utterance) bool { return !s.own })
	return over("others", n, bytes, MaxSaidByOthers, MaxSaidBytesByOthers)
}

// saidAbout lists what the bounds count about a statement, committed and on its way: withdrawals, or all the rest. The lock is
// held.
func (l *lifecycle) saidAbout(ctx context.Context, target *issuedBefore, withdrawals bool) ([]utterance, error) {
	var all []utterance
	committed := map[rowKey]bool{}
	types := []string{predicate.DisputeType, predicate.AssessmentType}
	if withdrawals {
		types = []string{predicate.WithdrawalType}
	}
	for _, t := range types {
		err := l.about(ctx, target, t, maxSaidPages, func(rec *statements.Record, _ *predicate.Statement) error {
			own := slices.ContainsFunc(target.records, func(r statements.Record) bool { return r.Vendor == rec.Vendor })
			row := rowKey{statementID: rec.StatementID, keyID: rec.KeyID}
			committed[row] = true
			all = append(all, utterance{row: row, target: target.statement.ID(), vendor: rec.Vendor, signer: rec.KeyID,
				bytes: len(rec.Envelope), own: own, withdrawal: withdrawals})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for row, s := range l.said.pending {
		if s.target == target.statement.ID() && s.withdrawal == withdrawals && !committed[row] {
			all = append(all, s)
		}
	}
	return all, nil
}

// about calls found for every committed statement of a type that has the target, until that returns an error. They are found by the
// target's first subject, because R40 gives them all of its subjects, and it is TARGET_LIMIT if these fill more than so many pages.
func (l *lifecycle) about(ctx context.Context, target *issuedBefore, predicateType string, pages int,
	found func(*statements.Record, *predicate.Statement) error,
) error {
	subjects := factsOf(target.statement).Subjects
	slices.Sort(subjects)
	q := statements.Query{SubjectSHA256: subjects[0], PredicateType: predicateType, Limit: MaxPageSize}
	for range pages {
		page, next, err := l.store.List(ctx, q)
		if err != nil {
			return err
		}
		for _, line := range page {
			slices.Sort(line.Subjects)
			if !slices.Equal(line.Subjects, subjects) { // of another release that has this file too
				continue
			}
			rec, err := l.store.GetBy(ctx, line.StatementID, line.KeyID)
			if err != nil {
				return err
			}
			st, err := l.related.load(ctx, line.StatementID)
			if err != nil {
				return err
			}
			if st == nil || st.Target() == nil || st.Target().ID() != target.statement.ID() {
				continue
			}
			if err := found(&rec, st); err != nil {
				return err
			}
		}
		if next == 0 {
			return nil
		}
		q.From = next
	}
	return refuse(reasonTargetLimit, "more statements have the artifact %s than are looked through", subjects[0])
}
