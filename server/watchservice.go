package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/watch"
	vindex "github.com/avow-dev/avow/verify/index"
)

// newHub makes the hub of the service's watchers.
func newHub(s *Server) (*watch.Hub, error) {
	c := s.cfg.Standing
	return watch.New(watch.Config{
		Index: c.Index, Statements: s.cfg.Log, Roots: c.Roots, Statement: statementSource{s.cfg.Store}.statement, Find: s.find,
		Logger: s.cfg.Logger, Registerer: s.cfg.Registerer,
	})
}

// find returns what is stored under a statement's id, pending rows included: one of them may be logged already.
func (s *Server) find(ctx context.Context, id string) ([]watch.Known, error) {
	records, err := s.cfg.Store.Get(ctx, id)
	if errors.Is(err, statements.ErrNotFound) || !isDigestID(id) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var known []watch.Known
	for n := range records {
		env, err := reopen(&records[n])
		if err != nil {
			return nil, err
		}
		known = append(known, watch.Known{Signer: vindex.Signer(records[n].KeyID), Statement: env.Statement()})
	}
	return known, nil
}

// Watch implements avow.v1.StandingService.
func (s *standingService) Watch(req *avowv1.WatchRequest, stream grpc.ServerStreamingServer[avowv1.WatchResponse]) error {
	ctx := stream.Context()
	leave, err := s.server.watchers.enter(callerOf(ctx).limitKey())
	if err != nil {
		return err
	}
	defer leave()
	return s.server.Watch(ctx, req, func(m *avowv1.WatchResponse) error {
		if m.GetStatement() != nil {
			if err := s.server.pace(ctx); err != nil {
				return err
			}
		}
		return stream.Send(m)
	})
}

// pace takes what one event costs, as much as a read. Who is told more than the rate allows is told it slower.
func (s *Server) pace(ctx context.Context) error {
	for {
		err := s.charge(ctx, 1)
		var r *refusal
		if err == nil || !errors.As(err, &r) || r.retry == 0 {
			return err
		}
		pause := time.NewTimer(r.retry)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		case <-s.streams.stopping:
			pause.Stop()
			return errWatchStopped()
		}
	}
}

func errWatchStopped() error {
	return refuse(reasonShuttingDown, "the service is stopping; begin again at the last next_log_index")
}

// Watch tells send of what a subscription asks for, as the call of that name does, until the context ends, the service
// stops or send returns an error. It is what webhooks are told by.
func (s *Server) Watch(ctx context.Context, req *avowv1.WatchRequest, send func(*avowv1.WatchResponse) error) error {
	filter, err := s.filterOf(req)
	if err != nil {
		return err
	}
	c := s.cfg.Standing
	if c == nil {
		return c.health()
	}
	if err := c.Index.Health(); err != nil {
		return err
	}
	if _, size, _ := s.cfg.Log.Checkpoint(); req.GetFromLogIndex() > size {
		return refuse(reasonLogRange, "from_log_index: got %d, the log has %d entries", req.GetFromLogIndex(), size)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.streams.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	err = s.tell(ctx, filter, req.FromLogIndex, send)
	if s.draining.Load() {
		return errWatchStopped()
	}
	return err
}

// tell is Watch for a request that was checked.
func (s *Server) tell(ctx context.Context, filter watch.Filter, from *uint64, send func(*avowv1.WatchResponse) error) error {
	w, err := s.standing.hub.Watch(ctx, filter, from)
	if err != nil {
		return watchRefusal(err)
	}
	defer w.Close()
	_, logged, _ := s.cfg.Log.Checkpoint()
	for b, hurry := w.Now(), maxCatchUps; ; {
		for _, e := range b.Events {
			m, err := s.standing.rendered.get(ctx, e)
			if err != nil {
				return watchRefusal(err)
			}
			if err := send(m); err != nil {
				return err
			}
		}
		if err := send(s.progress(b)); err != nil {
			return err
		}
		if err := s.cfg.Standing.Index.Health(); halted(err) {
			return err
		}
		patience := watchHeartbeat
		if b.Next < logged && hurry > 0 { // what was logged when the call came is not told a heartbeat later than the index has it
			patience, hurry = watchCatchUp, hurry-1
		}
		if b, err = w.Next(ctx, patience); err != nil {
			return watchRefusal(err)
		}
	}
}

// watchRefusal is the refusal for an error of the hub. What is not anybody's in particular is a statement that was there and
// is not now: events wait for it, and a stream does not go on without.
func watchRefusal(err error) error {
	switch {
	case errors.Is(err, watch.ErrNoIndex):
		return &refusal{reason: reasonIndexUnavailable, message: "the complete index has not answered yet; repeat the call", cause: err}
	case errors.Is(err, watch.ErrFull):
		return refuse(reasonOverloaded, "the service watches as much as it can; watch less, or try again later")
	case errors.Is(err, watch.ErrMissing):
		return &refusal{reason: reasonIndexUnavailable, cause: err,
			message: "a statement that was indexed cannot be had now; begin again at the last next_log_index"}
	}
	return err
}

// progress says how far a watcher is.
func (s *Server) progress(b watch.Batch) *avowv1.WatchResponse {
	return &avowv1.WatchResponse{Event: &avowv1.WatchResponse_Progress{Progress: &avowv1.WatchProgress{
		NextLogIndex: b.Next, Checkpoint: string(b.Set.Checkpoint), IndexCheckpoint: string(b.Set.RootsCheckpoint),
		Time: timestamppb.New(s.cfg.Clock()),
	}}}
}

// filterOf checks a subscription.
func (s *Server) filterOf(req *avowv1.WatchRequest) (watch.Filter, error) {
	var f watch.Filter
	n := len(req.GetStatementIds()) + len(req.GetArtifactSha256S()) + len(req.GetKeyIds()) + len(req.GetVendors()) + len(req.GetProducts())
	if n > MaxWatched {
		return f, invalidField("statement_ids", "got %d filters in all, want at most %d", n, MaxWatched)
	}
	for n, id := range req.GetStatementIds() {
		if !isDigestID(id) {
			return f, invalidField(fmt.Sprintf("statement_ids[%d]", n), wantDigestID, clip(id, 80))
		}
	}
	for n, d := range req.GetArtifactSha256S() {
		if len(d) != 64 || !isHex(d) {
			return f, invalidField(fmt.Sprintf("artifact_sha256s[%d]", n), "got %q, want 64 lower-case hexadecimal digits", clip(d, 80))
		}
	}
	for n, id := range req.GetKeyIds() {
		if !isDigestID(id) {
			return f, invalidField(fmt.Sprintf("key_ids[%d]", n), wantDigestID, clip(id, 80))
		}
		f.Signers = append(f.Signers, vindex.Signer(id))
	}
	for n, name := range req.GetVendors() {
		signers, err := s.signersOf(name)
		if err != nil {
			return f, invalidField(fmt.Sprintf("vendors[%d]", n), "%s", err)
		}
		f.Signers = append(f.Signers, signers...)
	}
	for n, id := range req.GetProducts() {
		if id == "" || len(id) > MaxFilterBytes {
			return f, invalidField(fmt.Sprintf("products[%d]", n), "got %d bytes, want 1 to %d", len(id), MaxFilterBytes)
		}
	}
	f.Statements, f.Artifacts, f.Products = req.GetStatementIds(), req.GetArtifactSha256S(), req.GetProducts()
	return f, nil
}

// signersOf are the ids of who signs for a vendor now.
func (s *Server) signersOf(name string) ([]vindex.Signer, error) {
	vendor, ok := s.cfg.Vendors.Registry().ByName(name)
	if !ok {
		return nil, fmt.Errorf("no vendor %q is registered", clip(name, 80))
	}
	var signers []vindex.Signer
	for _, k := range vendor.Keys {
		signers = append(signers, vindex.KeySigner(k.ID))
	}
	for _, i := range vendor.Identities {
		signers = append(signers, vindex.IdentitySigner(i.Issuer, i.SAN))
	}
	return signers, nil
}
