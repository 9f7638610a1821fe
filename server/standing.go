package server

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/server/index"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/watch"
	"github.com/avow-dev/avow/verify"
	vindex "github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/standing"
)

// standingService is avow.v1.StandingService.
type standingService struct {
	avowv1.UnsafeStandingServiceServer
	server *Server
	// log and roots are the keys of both logs; nil without an index.
	log, roots *verify.LogKey
	evidence   *digestCache[*verify.Evidence]
	// hub tells watchers, and rendered makes their messages; nil without an index.
	hub      *watch.Hub
	rendered *rendered
}

func newStandingService(s *Server) (*standingService, error) {
	x := &standingService{server: s, evidence: newDigestCache[*verify.Evidence](maxCachedEvidence)}
	if s.cfg.Standing == nil {
		return x, nil
	}
	var err error
	if x.log, err = logKey(s.cfg.Log); err != nil {
		return nil, err
	}
	if x.roots, err = logKey(s.cfg.Standing.Roots); err != nil {
		return nil, err
	}
	x.rendered = newRendered(x.event)
	x.hub, err = newHub(s)
	return x, err
}

// GetStanding implements avow.v1.StandingService.
func (s *standingService) GetStanding(ctx context.Context, req *avowv1.GetStandingRequest) (*avowv1.GetStandingResponse, error) {
	if err := checkStandingRequest("", req); err != nil {
		return nil, err
	}
	until, cancel := context.WithTimeout(ctx, maxIndexWait)
	defer cancel()
	a, err := s.answering(ctx, until)
	if err != nil {
		return nil, err
	}
	return a.answer(ctx, req)
}

// BatchGetStanding implements avow.v1.StandingService. Every answer is of one set.
func (s *standingService) BatchGetStanding(
	ctx context.Context, req *avowv1.BatchGetStandingRequest,
) (*avowv1.BatchGetStandingResponse, error) {
	requests := req.GetRequests()
	if len(requests) == 0 || len(requests) > MaxStandings {
		return nil, invalidField("requests", "got %d, want 1 to %d", len(requests), MaxStandings)
	}
	for n, r := range requests {
		if err := checkStandingRequest(member(n), r); err != nil {
			return nil, err
		}
	}
	// The call itself paid for the first.
	if err := s.server.charge(ctx, len(requests)-1); err != nil {
		return nil, err
	}
	until, cancel := context.WithTimeout(ctx, maxIndexWait)
	defer cancel()
	a, err := s.answering(ctx, until)
	if err != nil {
		return nil, err
	}
	resp := &avowv1.BatchGetStandingResponse{}
	for _, r := range requests {
		one, err := a.answer(ctx, r)
		var refused *refusal
		if errors.As(err, &refused) && refused.reason == reasonStatementNotFound {
			one, err = &avowv1.GetStandingResponse{}, nil
		}
		if err != nil {
			return nil, err
		}
		resp.Responses = append(resp.Responses, one)
	}
	return resp, nil
}

// checkStandingRequest refuses what is no question. at is the place of the fields in the request.
func checkStandingRequest(at string, req *avowv1.GetStandingRequest) error {
	switch subject := req.GetSubject().(type) {
	case *avowv1.GetStandingRequest_StatementId:
		if !isDigestID(subject.StatementId) {
			return invalidField(at+"statement_id", wantDigestID, clip(subject.StatementId, 80))
		}
	case *avowv1.GetStandingRequest_ArtifactSha256:
		if d := subject.ArtifactSha256; len(d) != 64 || !isHex(d) {
			return invalidField(at+"artifact_sha256", "got %q, want 64 lower-case hexadecimal digits", clip(d, 80))
		}
	default:
		return invalidField(at+"statement_id", "neither it nor artifact_sha256 is given")
	}
	if k := req.GetKeyId(); k != "" && !isDigestID(k) {
		return invalidField(at+"key_id", wantDigestID, clip(k, 80))
	}
	return nil
}

// answering is one call: everything in its answer is of one set, and fits into one message.
type answering struct {
	service *standingService
	set     *index.Set
	until   context.Context //nolint:containedctx // ends the wait for what is logged and not committed yet; lives for one call
	size    int             // of the answers so far, in bytes
	count   int             // of standings so far
	shared  bool            // by many callers, none of whom is charged
}

// answering takes the set to answer from.
func (s *standingService) answering(ctx, until context.Context) (*answering, error) {
	a := &answering{service: s, until: until}
	var err error
	a.set, err = s.server.currentSet(ctx, a.until)
	return a, err
}

// currentSet returns what the index answers from. It covers everything that was published when the call came, so that who issued
// something sees it: an index that keeps up is a moment behind, and that moment is waited for, until that context ends. What it does
// not cover then, it says of itself: every answer names the size that it is about. One that does not keep up is not waited for.
func (s *Server) currentSet(ctx, until context.Context) (*index.Set, error) {
	c := s.cfg.Standing
	if c == nil {
		return nil, refuse(reasonIndexNotConfigured, "the operator has not set up a complete index")
	}
	_, size, _ := s.cfg.Log.Checkpoint()
	covers := func() bool {
		set := c.Index.Current()
		return set != nil && (set.Root.Size >= size || c.Index.Health() != nil) || halted(c.Index.Health())
	}
	if err := poll(ctx, until, covers); err != nil {
		return nil, err
	}
	if err := c.Index.Health(); err != nil {
		return nil, err
	}
	return c.Index.Current(), nil
}

func halted(err error) bool {
	var e *index.Error
	return errors.As(err, &e) && e.Halts()
}

// poll returns when something is so, when until ends, or with the error of ctx, from which until comes.
func poll(ctx, until context.Context, so func() bool) error {
	if so() {
		return nil
	}
	tick := time.NewTicker(indexPoll)
	defer tick.Stop()
	for {
		select {
		case <-until.Done():
			return ctx.Err()
		case <-tick.C:
			if so() {
				return nil
			}
		}
	}
}

// indexRefusal is the refusal for an error of the index.
func indexRefusal(err *index.Error) *refusal {
	if err.Halts() {
		return &refusal{reason: reasonIndexHalted, message: "the complete index has stopped; an operator must act", cause: err}
	}
	return &refusal{reason: reasonIndexUnavailable, message: "the complete index is behind the log; repeat the call", cause: err}
}

// answer answers one question.
func (a *answering) answer(ctx context.Context, req *avowv1.GetStandingRequest) (*avowv1.GetStandingResponse, error) {
	records, err := a.records(ctx, req)
	if err != nil {
		return nil, err
	}
	resp := &avowv1.GetStandingResponse{}
	for n := range records {
		if a.count++; a.count > MaxStandings {
			return nil, refuse(reasonListingTooLarge, "more than %d statements are asked for; name a signer with key_id, or ask for fewer at a time", MaxStandings)
		}
		one, err := a.standing(ctx, &records[n])
		if err != nil {
			return nil, err
		}
		if a.size += proto.Size(one); a.size > maxAnswerBytes {
			return nil, a.tooLarge()
		}
		resp.Standings = append(resp.Standings, one)
	}
	return resp, nil
}

func (a *answering) tooLarge() error {
	return refuse(reasonListingTooLarge, "the answer is larger than %d bytes; ask for fewer at a time", maxAnswerBytes)
}

// records finds the statements that are asked for, in the order of the log.
func (a *answering) records(ctx context.Context, req *avowv1.GetStandingRequest) ([]statements.Record, error) {
	var found []statements.Record
	var err error
	if id := req.GetStatementId(); id != "" {
		found, err = committedRecords(ctx, a.service.server.cfg.Store, id)
	} else {
		found, err = a.about(ctx, req.GetArtifactSha256())
	}
	if err != nil {
		return nil, err
	}
	if k := req.GetKeyId(); k != "" {
		found = slices.DeleteFunc(found, func(r statements.Record) bool { return r.KeyID != k })
	}
	if len(found) == 0 && req.GetStatementId() != "" {
		return nil, refuse(reasonStatementNotFound, "no statement %s by key %s", req.GetStatementId(), req.GetKeyId())
	}
	slices.SortFunc(found, func(x, y statements.Record) int { return cmp.Compare(x.LogIndex, y.LogIndex) })
	return found, nil
}

// declarations are the types of statements that have a standing of interest to who holds an artifact.
var declarations = []string{predicate.NoBackdoorType, predicate.DataFlowsType, predicate.UndertakingsType}

// about finds the declarations about an artifact: those in the index's list, which is complete.
func (a *answering) about(ctx context.Context, sha256 string) ([]statements.Record, error) {
	entries, _ := a.set.Version.Lookup(vindex.SubjectKey("sha256", sha256))
	indices := statedIndices(entries)
	if len(indices) > MaxArtifactEntries {
		return nil, refuse(reasonListingTooLarge, "the artifact is named in %d statements, want at most %d; ask for them by their ids",
			len(indices), MaxArtifactEntries)
	}
	var found []statements.Record
	for _, at := range indices {
		rec, err := a.record(ctx, at)
		if err != nil {
			return nil, err
		}
		if rec != nil && slices.Contains(declarations, rec.PredicateType) {
			found = append(found, *rec)
		}
	}
	return found, nil
}

// statedIndices are the log indices of the entries that have their statement, each once, in ascending order.
func statedIndices(entries []vindex.Entry) []uint64 {
	var indices []uint64
	for _, e := range entries {
		if e.Kind == vindex.Stated {
			indices = append(indices, e.LogIndex)
		}
	}
	slices.Sort(indices)
	return slices.Compact(indices)
}

// record returns the committed record of a log entry; nil if it does not come in time.
func (a *answering) record(ctx context.Context, at uint64) (*statements.Record, error) {
	return a.service.server.committedAt(ctx, a.until, at)
}

// committedAt returns the committed record of a log entry that the index has with its statement. The index can be a moment ahead of
// the commit, which is waited for; nil if it does not come before until ends.
func (s *Server) committedAt(ctx, until context.Context, at uint64) (*statements.Record, error) {
	var rec statements.Record
	var err error
	waited := poll(ctx, until, func() bool {
		rec, err = s.cfg.Store.At(ctx, at)
		return !errors.Is(err, statements.ErrNotFound)
	})
	switch {
	case waited != nil:
		return nil, waited
	case errors.Is(err, statements.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &rec, nil
}

// standing answers for one record.
func (a *answering) standing(ctx context.Context, rec *statements.Record) (*avowv1.StatementStanding, error) {
	signer := vindex.Signer(rec.KeyID)
	said, _ := a.set.Version.Lookup(vindex.TargetKey(rec.StatementID))
	unresolved, _ := a.set.Version.Lookup(vindex.UnresolvedKey(signer))
	if max(len(said), len(unresolved)) > standing.MaxEntries {
		return nil, refuse(reasonListingTooLarge, "about statement %s %d statements were made, and of its signer %d are unresolved; at most %d can be shown",
			rec.StatementID, len(said), len(unresolved), standing.MaxEntries)
	}
	// Each of them is loaded and verified.
	if !a.shared {
		if err := a.service.server.charge(ctx, len(said)); err != nil {
			return nil, err
		}
	}
	size := a.size
	status, err := a.set.Status(ctx, rec.StatementID, signer, func(ctx context.Context, at uint64) ([]byte, error) {
		bundle, err := a.bundle(ctx, at)
		if size += len(bundle); size > maxAnswerBytes {
			return nil, a.tooLarge()
		}
		return bundle, err
	})
	if err != nil {
		return nil, err
	}
	result, err := a.service.judge(ctx, rec, status)
	if err != nil {
		return nil, err
	}
	return &avowv1.StatementStanding{
		StatementId: rec.StatementID, KeyId: rec.KeyID, PredicateType: rec.PredicateType, Vendor: rec.Vendor, LogIndex: rec.LogIndex,
		Status: status, Result: result,
	}, nil
}

// bundle is the bundle of a log entry; nil if it is not committed, and then whoever reads the answer knows that it is missing.
func (a *answering) bundle(ctx context.Context, at uint64) ([]byte, error) {
	rec, err := a.record(ctx, at)
	if rec == nil || err != nil {
		return nil, err
	}
	env, err := reopen(rec)
	if err != nil {
		return nil, err
	}
	return bundleOf(rec, env)
}
