package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/verify"
)

// issuer takes statements from the request to the committed bundle.
//
//	 5  who is calling, which vendor, which keys and product names      open.go (open)
//	 6  limits, strict parse, rules, signature                          attest.Open, related.go, lifecycle.go
//	 7  issued before by the same signer: answer with its bundle        issue
//	 8  store the envelope durably, marked pending                      issue
//	 9  RFC 3161 timestamps over the signature                          complete; before 8 where a certificate signed
//	10  leaf, append, checkpoint that covers it, inclusion proof        complete
//	11  assemble the bundle, verify it by the buyer's path              complete
//	12  commit, answer                                                  complete
//
// Steps 1 to 4 are the vendor's. A crash after 8, 9 or 10 leaves a pending row; a repeated call and Reconcile go on
// from it with the stored envelope, and look for its leaf in the log before they append one.
type issuer struct {
	cfg      Config
	verifier *verify.Verifier
	window   *logWindow
	metrics  *metrics
	related  *related
	life     *lifecycle
	flights  flights
}

func newIssuer(cfg Config, verifier *verify.Verifier, window *logWindow, m *metrics) *issuer {
	r := newRelated(cfg.Store)
	return &issuer{
		cfg: cfg, verifier: verifier, window: window, metrics: m, related: r,
		life:    &lifecycle{store: cfg.Store, related: r, vendors: cfg.Vendors, said: newSaidLimits(cfg), rivalPages: maxRivalPages},
		flights: flights{by: make(map[rowKey]*flight)},
	}
}

// issued is a statement that has its bundle.
type issued struct {
	bundle   []byte
	logIndex uint64
	// before tells that an earlier call issued it.
	before bool
}

// issue takes submissions, which are one declaration, through steps 7 to 12 and answers for each of them.
//
// The work goes on when the caller goes away: the statement may be in the log by then, and the repeated call should
// find it committed. It has a deadline of its own.
//
// release is called when the work is done, whoever waits for it.
func (i *issuer) issue(
	ctx context.Context, subs []*submission, declaration string, release func(),
) (map[rowKey]*issued, error) {
	keys := make([]rowKey, len(subs))
	for n, sub := range subs {
		keys[n] = sub.row()
	}
	for {
		mine, other := i.flights.start(keys)
		if mine != nil {
			go func() {
				defer release()
				i.fly(context.WithoutCancel(ctx), mine, subs, declaration)
			}()
			if err := mine.wait(ctx); err != nil {
				return nil, err
			}
			return mine.issued, mine.err
		}
		if err := other.wait(ctx); err != nil {
			release()
			return nil, err
		}
		if len(keys) > 1 {
			continue // the store knows more now; claim again
		}
		release()
		if other.err != nil {
			return nil, other.err
		}
		i.metrics.repeated.Inc()
		shared := *other.issued[keys[0]]
		shared.before = true
		return map[rowKey]*issued{keys[0]: &shared}, nil
	}
}

// fly is the work of one flight.
func (i *issuer) fly(ctx context.Context, fl *flight, subs []*submission, declaration string) {
	ctx, cancel := context.WithTimeout(ctx, i.cfg.Limits.MaxDeadline)
	defer cancel()
	var results map[rowKey]*issued
	err := errors.New("the issuance panicked")
	defer func() {
		if v := recover(); v != nil {
			i.metrics.panics.Inc()
			i.cfg.Logger.ErrorContext(ctx, "panic", slog.String("where", "issue"), slog.String("panic", fmt.Sprint(v)),
				slog.String("stack", string(debug.Stack())))
		}
		i.flights.finish(fl, results, err)
	}()
	results, err = i.storeAndComplete(ctx, subs, declaration)
}

// storeAndComplete is steps 7 and 8, and then the rest.
func (i *issuer) storeAndComplete(
	ctx context.Context, subs []*submission, declaration string,
) (map[rowKey]*issued, error) {
	// The leaf of a statement that is stored now lies at or after this index: where a later search has to begin.
	logSize, now := i.cfg.Log.Size(), i.cfg.Clock()
	rows := make([]statements.Pending, len(subs))
	bare := make([]bool, len(subs))
	if err := i.admitNew(ctx, subs, now); err != nil {
		return nil, err
	}
	if err := i.stampEarly(ctx, subs); err != nil {
		return nil, err
	}
	for n, sub := range subs {
		leaf, err := sub.envelope.Leaf()
		if err != nil {
			return nil, err
		}
		// The leaf may have come before, by the Rekor API.
		known, found, err := i.cfg.Store.Leaf(ctx, leafHash(leaf))
		if err != nil {
			return nil, err
		}
		bare[n] = found && known.Bare
		from := logSize
		if bare[n] {
			from = min(from, known.LogSize)
		}
		rows[n] = pendingRow(sub, from, now, declaration)
		rows[n].Leaf = known.Hash
	}
	// Step 7 and 8 in one transaction: a row that is there is returned as it is, whatever the new envelope looks
	// like. ECDSA is randomised, so the same statement signed again is another envelope and would be another leaf.
	records, existed, err := i.cfg.Store.PutPending(ctx, rows)
	if err != nil {
		return nil, err
	}
	// A crash from here on loses nothing: the rows are pending and will be completed.
	results := make(map[rowKey]*issued, len(subs))
	var todo []*work
	for n := range records {
		rec, row := &records[n], subs[n].row()
		if rec.State == statements.StateCommitted {
			if results[row], err = committedBundle(rec); err != nil {
				return nil, err
			}
			i.metrics.repeated.Inc()
			continue
		}
		w := &work{row: row, record: rec, envelope: subs[n].envelope, stored: existed[n] || bare[n]}
		if existed[n] {
			if w.envelope, err = reopen(rec); err != nil {
				return nil, err
			}
		}
		todo = append(todo, w)
	}
	if err := i.complete(ctx, todo); err != nil {
		return nil, err
	}
	for _, w := range todo {
		results[w.row] = &issued{bundle: w.bundle, logIndex: w.entry.Index}
	}
	return results, nil
}

// admitNew refuses statements that would have to be logged while the log is not in use. Those that are committed need no
// log, and are answered for ever.
func (i *issuer) admitNew(ctx context.Context, subs []*submission, now time.Time) error {
	closed := i.window.check(now)
	if closed == nil {
		return nil
	}
	for _, sub := range subs {
		row := sub.row()
		rec, err := i.cfg.Store.GetBy(ctx, row.statementID, row.keyID)
		switch {
		case errors.Is(err, statements.ErrNotFound):
			return closed
		case err != nil:
			return err
		case rec.State != statements.StateCommitted:
			return closed
		}
	}
	return nil
}

// pendingRow is what the store keeps of a submission.
func pendingRow(sub *submission, logSize uint64, now time.Time, declaration string) statements.Pending {
	facts := factsOf(sub.envelope.Statement())
	row := statements.Pending{
		StatementID: sub.envelope.StatementID(), KeyID: sub.envelope.SignerID(), Vendor: sub.vendor.Name,
		PredicateType: facts.PredicateType, Subjects: facts.Subjects, Products: facts.Products,
		Envelope: sub.envelope.JSON(), Signer: sub.envelope.Signer(), ReceiptTokens: sub.tokens,
		LogSize: logSize, ReceivedAt: now, Declaration: declaration,
	}
	if c := sub.envelope.Certificate(); c != nil {
		row.Certificate = c.DER()
	}
	return row
}

// work is one pending statement on its way from step 9 to step 12.
type work struct {
	row      rowKey
	record   *statements.Record
	envelope *attest.Envelope
	// stored tells that the row, or its leaf alone, was there before: the leaf may be in the log.
	stored bool
	tokens [][]byte
	leaf   []byte
	entry  tlog.Entry
	bundle []byte
	commit statements.Committed
}

// complete takes pending statements through steps 9 to 12, together or not at all. It serves requests, repeated
// requests and Reconcile alike.
func (i *issuer) complete(ctx context.Context, todo []*work) error {
	if len(todo) == 0 {
		return nil
	}
	if err := i.window.check(i.cfg.Clock()); err != nil {
		return err
	}
	// 9. A crash after it loses the tokens; the statement gets new, later ones. Where later ones would be too late, they
	// were stored in step 8.
	if err := i.stampRest(ctx, todo); err != nil {
		return err
	}
	// 10. A crash after it leaves a leaf whose row is pending; it is found again, not appended again.
	if err := i.appendLeaves(ctx, todo); err != nil {
		return err
	}
	// 11.
	for _, w := range todo {
		if err := i.assemble(ctx, w); err != nil {
			return err
		}
	}
	// 12. Whoever receives an error here repeats the call and finds the rows either pending or committed.
	commits := make([]statements.Committed, len(todo))
	for n, w := range todo {
		commits[n] = w.commit
	}
	if err := i.cfg.Store.Commit(ctx, commits); err != nil {
		return err
	}
	for _, w := range todo {
		i.metrics.issued.WithLabelValues(w.record.PredicateType).Inc()
		i.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "statement issued",
			slog.String("statement", w.row.statementID), slog.String("key", w.row.keyID),
			slog.String("vendor", w.record.Vendor), slog.Uint64("log_index", w.entry.Index))
	}
	return nil
}

// appendLeaves brings the leaves into the log, new ones under one checkpoint.
func (i *issuer) appendLeaves(ctx context.Context, todo []*work) error {
	var fresh []*work
	var leaves [][]byte
	for _, w := range todo {
		var err error
		if w.leaf, err = w.envelope.Leaf(); err != nil {
			return err
		}
		if i.cfg.Standing != nil { // the index asks as soon as the leaf is published, which is before step 12
			i.cfg.Store.Hold(leafHash(w.leaf), w.envelope.Statement().Payload())
		}
		if w.stored {
			index, found, err := i.cfg.Log.Find(ctx, w.leaf, w.record.LogSize)
			if err != nil {
				return err
			}
			if found {
				if w.entry, err = i.awaitProof(ctx, index); err != nil {
					return err
				}
				continue
			}
		}
		fresh, leaves = append(fresh, w), append(leaves, w.leaf)
	}
	if len(fresh) == 1 {
		entry, err := i.cfg.Log.Append(ctx, leaves[0])
		fresh[0].entry = entry
		return err
	}
	if len(fresh) == 0 {
		return nil
	}
	entries, err := i.cfg.Log.AppendAll(ctx, leaves)
	if err != nil {
		return err
	}
	for n, w := range fresh {
		w.entry = entries[n]
	}
	return nil
}

// awaitProof returns the proof of a leaf that is in the log. A leaf that was written a moment ago may not be integrated
// yet; the wait for its checkpoint is the log's, which also ends it when publication is late.
func (i *issuer) awaitProof(ctx context.Context, index uint64) (tlog.Entry, error) {
	poll := time.NewTicker(publicationPoll)
	defer poll.Stop()
	for {
		entry, err := i.cfg.Log.Prove(ctx, index)
		if tlog.CodeOf(err) != tlog.CodeOutOfRange {
			return entry, err
		}
		select {
		case <-ctx.Done():
			return tlog.Entry{}, ctx.Err()
		case <-poll.C:
		}
	}
}

// assemble makes the bundle and verifies it as a buyer would, with the trusted root that buyers have and the key or the
// identity that the vendor registered. A bundle that does not pass is never handed out, and its row stays pending.
func (i *issuer) assemble(ctx context.Context, w *work) error {
	entry, err := logEntry(i.cfg.Log, w.entry, w.leaf)
	if err != nil {
		return err
	}
	if w.bundle, err = attest.NewBundle(w.envelope, entry, w.tokens); err != nil {
		return i.alarm(ctx, w, err)
	}
	// The statement was parsed when its envelope was opened; the verifier takes it only for the same bytes.
	evidence, checks, err := i.verifier.VerifyBundle(ctx, w.bundle, signerOf(w.envelope), w.envelope.Statement())
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return i.alarm(ctx, w, err)
	case evidence == nil:
		return i.alarm(ctx, w, failedCheck(checks))
	case evidence.StatementID != w.row.statementID || w.envelope.SignerID() != w.row.keyID ||
		evidence.KeyID != w.envelope.KeyID() || evidence.LogIndex != w.entry.Index:
		return i.alarm(ctx, w, fmt.Errorf("the bundle is of statement %s by %s at index %d",
			evidence.StatementID, evidence.KeyID, evidence.LogIndex))
	}
	raw, err := proto.Marshal(entry)
	if err != nil {
		return err
	}
	w.commit = statements.Committed{
		StatementID: w.row.statementID, KeyID: w.row.keyID, Entry: raw, LogIndex: w.entry.Index, Tokens: w.tokens,
	}
	return nil
}

// alarm reports that the service would have handed out a bundle that does not verify.
func (i *issuer) alarm(ctx context.Context, w *work, err error) error {
	i.metrics.selfCheck.Inc()
	i.cfg.Logger.ErrorContext(ctx, "self check: the assembled bundle does not verify; it is not handed out",
		slog.String("statement", w.row.statementID), slog.String("key", w.row.keyID),
		slog.Uint64("log_index", w.entry.Index), slog.Any("error", err))
	return &refusal{reason: reasonSelfCheckFailed, cause: err,
		message: "the assembled bundle did not pass the service's own verification and was not handed out; " +
			"the operator is informed"}
}

// failedCheck names the first check that did not pass.
func failedCheck(checks []verify.Check) error {
	for _, c := range checks {
		if c.Status == verify.StatusFail {
			return errors.New(c.String())
		}
	}
	return errors.New("no evidence and no failed check")
}

// committedBundle rebuilds the bundle of a committed statement. The same record gives the same bytes.
func committedBundle(rec *statements.Record) (*issued, error) {
	env, err := reopen(rec)
	if err != nil {
		return nil, err
	}
	bundle, err := bundleOf(rec, env)
	if err != nil {
		return nil, err
	}
	return &issued{bundle: bundle, logIndex: rec.LogIndex, before: true}, nil
}

// bundleOf assembles the bundle of a committed record.
func bundleOf(rec *statements.Record, env *attest.Envelope) ([]byte, error) {
	entry, err := storedEntry(rec.Entry)
	if err != nil {
		return nil, damaged("entry", rec, err)
	}
	bundle, err := attest.NewBundle(env, entry, rec.Tokens)
	if err != nil {
		return nil, damaged("bundle", rec, err)
	}
	return bundle, nil
}
