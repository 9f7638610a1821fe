package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/avow-dev/avow/server/statements"
)

// stampEarly takes the timestamps of submissions that cannot wait: a certificate lives for minutes, and a row that a crash
// left pending may be completed days later. They are stored with the row. A submission that brought timestamps of its own
// (a bundle) gets those of the service besides, where a verifier takes them together.
func (i *issuer) stampEarly(ctx context.Context, subs []*submission) error {
	var early []*submission
	var signatures [][]byte
	for _, sub := range subs {
		if sub.envelope.Certificate() == nil && len(sub.tokens) == 0 {
			continue
		}
		row := sub.row()
		_, err := i.cfg.Store.GetBy(ctx, row.statementID, row.keyID)
		if err == nil {
			continue // it is there, with its timestamps
		}
		if !errors.Is(err, statements.ErrNotFound) {
			return err
		}
		early, signatures = append(early, sub), append(signatures, sub.envelope.Signature())
	}
	if len(early) == 0 {
		return nil
	}
	tokens, cause := i.askAuthorities(ctx, signatures)
	for n, sub := range early {
		sub.tokens = i.verifier.AddTimestamps(signatures[n], sub.tokens, tokens[n], i.withinCertificate(sub))
		if len(sub.tokens) < i.cfg.MinTimestamps {
			return i.tooFewTimestamps(len(sub.tokens), cause)
		}
		if err := i.window.checkTokens(sub.tokens); err != nil {
			return err // before it is stored: what is pending with such a time could never be completed
		}
	}
	i.warnOfSilence(ctx, cause)
	return nil
}

// withinCertificate tells the times at which a buyer will find the certificate of a submission valid; nil: all.
func (i *issuer) withinCertificate(sub *submission) func(time.Time) bool {
	c := sub.envelope.Certificate()
	if c == nil {
		return nil
	}
	der := c.DER()
	return func(t time.Time) bool { return i.verifier.VerifyCertificate(der, t) == nil }
}

// stampRest gives timestamps to pending statements: those that were stored with the row, or new ones.
func (i *issuer) stampRest(ctx context.Context, todo []*work) error {
	var rest []*work
	var signatures [][]byte
	for _, w := range todo {
		if w.tokens = w.record.ReceiptTokens; len(w.tokens) == 0 {
			rest, signatures = append(rest, w), append(signatures, w.envelope.Signature())
		}
	}
	if len(rest) > 0 {
		tokens, cause := i.askAuthorities(ctx, signatures)
		for n, w := range rest {
			if w.tokens = tokens[n]; len(w.tokens) < i.cfg.MinTimestamps {
				return i.tooFewTimestamps(len(w.tokens), cause)
			}
			if err := i.window.checkFresh(w.tokens); err != nil {
				return err
			}
		}
		i.warnOfSilence(ctx, cause)
	}
	return nil
}

// askAuthorities asks every authority for a token over every signature, and returns those that came for each; the error
// joins what kept the others.
func (i *issuer) askAuthorities(ctx context.Context, signatures [][]byte) ([][][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timestampTimeout)
	defer cancel()
	authorities := len(i.cfg.Timestampers)
	tokens := make([][]byte, len(signatures)*authorities)
	errs := make([]error, len(tokens))
	ask := func(n int) {
		tokens[n], errs[n] = i.cfg.Timestampers[n%authorities].Timestamp(ctx, signatures[n/authorities])
	}
	if len(tokens) == 1 {
		ask(0)
	} else {
		var group errgroup.Group
		for n := range tokens {
			group.Go(func() error { ask(n); return nil })
		}
		_ = group.Wait() // each answer has its own error
	}
	came := make([][][]byte, len(signatures))
	for n := range tokens {
		if errs[n] == nil {
			came[n/authorities] = append(came[n/authorities], tokens[n])
		}
	}
	return came, errors.Join(errs...)
}

func (i *issuer) tooFewTimestamps(got int, cause error) error {
	return &refusal{reason: reasonTimestampUnavailable, cause: cause,
		message: fmt.Sprintf("%d of %d timestamp authorities answered, %d are needed; repeat the call, "+
			"it continues where it stopped", got, len(i.cfg.Timestampers), i.cfg.MinTimestamps)}
}

// warnOfSilence reports authorities that did not answer where others did.
func (i *issuer) warnOfSilence(ctx context.Context, cause error) {
	if cause != nil {
		i.cfg.Logger.WarnContext(ctx, "a timestamp authority did not answer; others did", slog.Any("error", cause))
	}
}
