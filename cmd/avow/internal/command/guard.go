package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/cmd/avow/internal/manifest"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/remote"
	"github.com/avow-dev/avow/cmd/avow/internal/seen"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/standing"
)

// guard keeps the verdicts about a list up to date. What it hears tells it when to look, and never what to think: a verdict comes of
// bundles and statuses that were verified.
type guard struct {
	a          *app
	judge      *manifestJudge
	trust      *verify.Trust
	options    standing.Options // without its times
	connection *remote.Connection
	timeout    time.Duration // of the calls for statuses
	keys       *logKeys
	memory     *memory
	prove      seen.Prover
	proved     func() // nothing more is to be proved
	format     format
	program    string
	arguments  []string
	limit      time.Duration // of the program

	mu      sync.Mutex // one evaluation at a time, and what follows
	entries []*guarded
	named   map[string][]int // entries by the digests and ids that events name
	waiting map[int]bool     // those that an event is about, until all events that come together were heard
	running bool             // all entries were judged once
	// asOf is the index log's checkpoint of the last statuses, and whole that as of which all entries were judged; empty if there is
	// not one. They are the service's word, and save work alone.
	asOf, whole string
	filtered    bool // events are asked for by filters
}

// guarded is an entry of the list.
type guarded struct {
	number     int
	item       manifest.Item
	sha256     string
	statements []string // those that its bundles hold
	judged     bool
	verdict    guardVerdict
	reason     verify.CheckID
	detail     string
	standing   string    // in words, empty if it is not known
	due        time.Time // when to look again, whatever is heard
	until      time.Time // when it is not accepted any more, unless there is a newer status
}

// guardVerdict is what came of an entry.
type guardVerdict string

// The verdicts.
const (
	verdictAccepted guardVerdict = "accepted"
	verdictRejected guardVerdict = "rejected"
	verdictError    guardVerdict = "not evaluated"
)

// flip is a verdict that became another one.
type flip struct {
	*guarded
	before guardVerdict
	at     time.Time
}

// evaluate judges entries, and tells of those whose verdicts flipped. The error is nil, or ends the command.
func (g *guard) evaluate(ctx context.Context, entries []*guarded) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var flips []flip
	moments := map[string]bool{}
	for part := range slices.Chunk(entries, judgedTogether) {
		g.asOf = ""
		changed, err := g.evaluatePart(ctx, part)
		if err != nil {
			return err
		}
		flips = append(flips, changed...)
		moments[g.asOf] = true
	}
	if len(entries) == len(g.entries) {
		g.whole, g.running = "", true
		if len(moments) == 1 {
			g.whole = g.asOf
		}
	}
	return g.tell(ctx, flips)
}

// evaluatePart judges entries with statuses of one moment.
func (g *guard) evaluatePart(ctx context.Context, entries []*guarded) ([]flip, error) {
	now := g.a.env.Now()
	results, inputs := make([]*entryResult, len(entries)), make([]*verify.Input, len(entries))
	var ids []string
	for n, e := range entries {
		results[n], inputs[n] = g.judge.prepare(ctx, e.item)
		if inputs[n] == nil {
			continue
		}
		e.sha256, e.statements = inputs[n].ArtifactSHA256, statementsIn(inputs[n].Bundles)
		ids = append(ids, e.statements...)
		g.remember(e, e.statements...)
		g.remember(e, e.sha256)
	}
	ask, outage, err := g.statuses(ctx, ids, now)
	if err != nil {
		return nil, err
	}
	var flips []flip
	for n, e := range entries {
		if outage != nil && e.judged && e.verdict == verdictAccepted && now.Before(e.until) && inputs[n] != nil {
			e.due = earlier(e.until, now.Add(askAgainAfter)) // what is known still holds
			continue
		}
		if inputs[n] != nil {
			inputs[n].At, inputs[n].Standing = now, ask
			results[n].verdict, results[n].err = g.judge.verifier.Verify(ctx, *inputs[n])
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		before := e.verdict
		g.take(e, results[n], now)
		if outage != nil {
			e.due = now.Add(askAgainAfter)
		}
		if e.judged && before != e.verdict {
			flips = append(flips, flip{e, before, now})
		}
		e.judged = true
	}
	return flips, nil
}

// statuses fetches how statements stand. A service that does not answer is an outage: the function then says of every statement that
// nothing is known. At the start it is an error.
func (g *guard) statuses(ctx context.Context, ids []string, now time.Time) (ask verify.StandingFunc, outage, err error) {
	slices.Sort(ids)
	ids = slices.Compact(ids)
	requests := make([]*avowv1.GetStandingRequest, len(ids))
	for n, id := range ids {
		requests[n] = &avowv1.GetStandingRequest{Subject: &avowv1.GetStandingRequest_StatementId{StatementId: id}}
	}
	call, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	answers, err := g.a.askInParts(call, g.connection, requests)
	switch {
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case err != nil && !g.running:
		return nil, nil, err
	case err != nil:
		g.a.note("the service could not be asked how statements stand: %s", text.Safe(firstLine(err.Error())))
		return notKnown(fmt.Sprintf("the service could not be asked: %s", err)), err, nil
	}
	entries := statusEntries(answers)
	if len(entries) == 0 {
		return notKnown("the service knows none of the statements"), nil, nil
	}
	g.asOf = noteText(entries[0].GetStatus().GetIndexCheckpoint())
	data, err := standing.MarshalSet(&statusv1.StatusSet{Entries: entries})
	if err != nil {
		return nil, nil, err
	}
	set, err := standing.ParseSet(data)
	if err != nil {
		return notKnown(fmt.Sprintf("what the service answered is no status: %s", err)), nil, nil
	}
	switch err := g.compare(ctx, entries); {
	case errors.Is(err, errMisbehaviour):
		return nil, nil, err
	case err != nil && !g.running:
		return nil, nil, err
	case err != nil:
		g.a.note("what the logs show could not be compared: %s", text.Safe(firstLine(err.Error())))
		return notKnown(fmt.Sprintf("what the logs show could not be compared: %s", err)), err, nil
	}
	o := g.options
	o.At = now
	if o.Witnesses == nil {
		o.AsOf = now // no witness says it, and it came just now
	}
	return set.Func(o, g.trust), nil, nil
}

// compare compares what both logs show with what they showed before.
func (g *guard) compare(ctx context.Context, entries []*statusv1.StatusEntry) error {
	var heads []signedHead
	known := map[string]bool{}
	for _, e := range entries {
		for _, h := range g.keys.heads(e.GetStatus()) {
			if !known[h.checkpoint] {
				known[h.checkpoint] = true
				heads = append(heads, h)
			}
		}
	}
	return g.memory.compare(ctx, g.prove, heads...)
}

// notKnown says of every statement that it is not known how it stands.
func notKnown(detail string) verify.StandingFunc {
	return func(context.Context, *verify.Evidence) (*verify.StandingResult, error) {
		return &verify.StandingResult{Reason: standing.CodeAbsent, Detail: detail}, nil
	}
}

// take takes over what came of an entry.
func (g *guard) take(e *guarded, r *entryResult, now time.Time) {
	e.reason, e.detail, e.standing = "", "", ""
	e.due, e.until = now.Add(g.options.MaxStaleness/2), now
	switch {
	case r.err != nil:
		e.verdict, e.detail = verdictError, firstLine(sentence(r.err))
		return
	case r.accepted():
		e.verdict, e.until = verdictAccepted, now.Add(g.options.MaxStaleness)
	default:
		reason := r.reason()
		e.verdict, e.reason, e.detail = verdictRejected, reason.ID, reason.Detail
		if reason.Bundle != "" {
			e.detail += " (" + reason.Bundle + ")"
		}
	}
	worst := verify.StandingInForce
	for i := range r.verdict.Evidence {
		v := &r.verdict.Evidence[i]
		g.remember(e, string(standing.SignerOf(v)))
		e.due = nextTurn(v, now, e.due)
		s := v.Standing
		if s == nil {
			continue
		}
		if !s.AsOf.IsZero() {
			e.until = earlier(e.until, s.NotAfter)
			// Half of what is left, so that there is time to ask again if nobody answers; and when nothing is left.
			e.due = earlier(e.due, now.Add(max(s.NotAfter.Sub(now)/2, askAgainAfter)))
			if s.NotAfter.After(now) {
				e.due = earlier(e.due, s.NotAfter.Add(time.Nanosecond))
			}
		}
		if s.Standing != verify.StandingInForce || worst == verify.StandingInForce {
			worst, e.standing = s.Standing, fmt.Sprintf("%s (%s)", s.Standing, s.Reason)
		}
	}
}

// nextTurn is when a statement begins or ends to be in force, or a withdrawal of it to hold, if that is before a time.
func nextTurn(v *verify.Evidence, now, due time.Time) time.Time {
	from, to := v.Statement.Period()
	turns := []time.Time{from, to}
	if v.Standing != nil {
		for _, s := range v.Standing.Said {
			if s.Statement.Withdrawal != nil {
				at, _ := s.Statement.Period()
				turns = append(turns, at)
			}
		}
	}
	for _, at := range turns {
		if at.After(now) {
			due = earlier(due, at)
		}
	}
	return due
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// remember lets an entry be found by what events name.
func (g *guard) remember(e *guarded, names ...string) {
	for _, name := range names {
		if !slices.Contains(g.named[name], e.number) {
			g.named[name] = append(g.named[name], e.number)
		}
	}
}

// statementsIn are the ids of the statements in bundles. Nothing of them is verified: they say what to ask for.
func statementsIn(bundles []verify.NamedBundle) []string {
	var ids []string
	for _, b := range bundles {
		var bundle struct {
			Envelope struct {
				Payload []byte `json:"payload"`
			} `json:"dsseEnvelope"`
		}
		if len(b.Data) > verify.MaxBundleBytes || json.Unmarshal(b.Data, &bundle) != nil || len(bundle.Envelope.Payload) == 0 {
			continue // its verdict says what it is
		}
		sum := sha256.Sum256(bundle.Envelope.Payload)
		if id := "sha256:" + hex.EncodeToString(sum[:]); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// statusEntries are the status bundles of answers, each once.
func statusEntries(answers []*avowv1.GetStandingResponse) []*statusv1.StatusEntry {
	var entries []*statusv1.StatusEntry
	known := map[[2]string]bool{}
	for _, r := range answers {
		for _, s := range r.GetStandings() {
			name := [2]string{s.GetKeyId(), s.GetStatus().GetTarget()}
			if !known[name] {
				known[name] = true
				entries = append(entries, &statusv1.StatusEntry{KeyId: s.GetKeyId(), Status: s.GetStatus()})
			}
		}
	}
	return entries
}

// subscription asks for what concerns the list: its artifacts and statements, or everything if these are too many.
func (g *guard) subscription() *avowv1.WatchRequest {
	req := &avowv1.WatchRequest{}
	artifacts, statements := map[string]bool{}, map[string]bool{}
	for _, e := range g.entries {
		if e.sha256 != "" && !artifacts[e.sha256] {
			artifacts[e.sha256] = true
			req.ArtifactSha256S = append(req.ArtifactSha256S, e.sha256)
		}
		for _, id := range e.statements {
			if !statements[id] {
				statements[id] = true
				req.StatementIds = append(req.StatementIds, id)
			}
		}
	}
	g.filtered = len(req.GetArtifactSha256S())+len(req.GetStatementIds()) <= maxFilters
	if !g.filtered {
		return &avowv1.WatchRequest{}
	}
	return req
}

// heard notes whom an event is about. An event that is about nobody, of those that were asked for, is about everybody: it is not for the
// service to say that nothing has to be looked at.
func (g *guard) heard(e *avowv1.StatementEvent) {
	g.mu.Lock()
	defer g.mu.Unlock()
	names := slices.Concat(e.GetTargets(), e.GetContradicts(), subjectsOf(e.GetBundle()).digests, []string{e.GetStatementId()})
	if e.GetUnresolved() {
		names = append(names, e.GetKeyId())
	}
	if g.waiting == nil {
		g.waiting = map[int]bool{}
	}
	found := false
	for _, name := range names {
		for _, n := range g.named[name] {
			g.waiting[n], found = true, true
		}
	}
	if !found && g.filtered {
		for n := range g.entries {
			g.waiting[n] = true
		}
	}
	g.a.note("entry %d: %s", e.GetLogIndex(), predicateName(e))
}

// predicateName says what kind of statement an event is about.
func predicateName(e *avowv1.StatementEvent) string {
	if e.GetUnresolved() {
		return "unresolved, by " + text.Safe(e.GetKeyId())
	}
	return text.Safe(plain.TypeName(e.GetPredicateType())) + " by " + text.Safe(e.GetVendor())
}

// caughtUp judges what the events that came are about; all entries if a stream begins, as nobody knows what was missed, unless nothing
// was logged since they were judged last.
func (g *guard) caughtUp(ctx context.Context, p *avowv1.WatchProgress, begins bool) error {
	signed := noteText(p.GetIndexCheckpoint())
	g.mu.Lock()
	var concerned []*guarded
	for n, e := range g.entries {
		if g.waiting[n] || begins && (signed == "" || signed != g.whole) {
			concerned = append(concerned, e)
		}
	}
	g.waiting = nil
	g.mu.Unlock()
	if len(concerned) == 0 {
		return nil
	}
	return g.evaluate(ctx, concerned)
}

// noteText is what is signed of a note.
func noteText(note string) string {
	signed, _, _ := strings.Cut(note, "\n\n")
	return signed
}

// due are the entries whose time has come.
func (g *guard) due() []*guarded {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.a.env.Now()
	var due []*guarded
	for _, e := range g.entries {
		if !now.Before(e.due) {
			due = append(due, e)
		}
	}
	return due
}

// doze is how long to sleep until the next entry is due.
func (g *guard) doze() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	now, wait := g.a.env.Now(), maxDoze
	for _, e := range g.entries {
		wait = min(wait, e.due.Sub(now))
	}
	return max(wait, time.Second)
}
