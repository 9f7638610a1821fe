package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// streamChain is what the streaming calls pass, the outermost first: BatchVerify, health watches and reflection. It
// does for each message what unaryChain does for each call, except for what needs the message's content: the deadline
// and the admission of an item are BatchVerify's own.
func (s *Server) streamChain(identify identifyFunc) []grpc.StreamServerInterceptor {
	return []grpc.StreamServerInterceptor{
		s.metrics.calls.StreamServerInterceptor(),
		s.answerStream,
		s.admitStream(identify),
		s.recoverStream,
	}
}

// answerStream turns the error that ends a stream into a google.rpc.Status, counts it, and logs the stream.
func (s *Server) answerStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	start, call := s.cfg.Clock(), new(callInfo)
	ctx := context.WithValue(ss.Context(), callInfoKey{}, call)
	err := next(srv, &streamIn{ServerStream: ss, ctx: ctx})
	var r *refusal
	if err != nil && !errors.As(err, &r) {
		if _, ok := status.FromError(err); ok {
			return err // made by gRPC or by a handler of another package, such as reflection
		}
		r = toRefusal(err)
	}
	if rules[info.FullMethod].access != accessProbe || r != nil {
		s.logCall(ctx, info.FullMethod, call, s.cfg.Clock().Sub(start), r)
	}
	if r != nil {
		return toStatus(r).Err()
	}
	return nil
}

// admitStream is admitCaller for a stream and for each of its messages.
func (s *Server) admitStream(identify identifyFunc) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		ctx, err := s.admit(ss.Context(), identify, info.FullMethod)
		if err != nil {
			return err
		}
		in := &streamIn{ServerStream: ss, ctx: ctx}
		if rules[info.FullMethod].access != accessProbe {
			in.before = func() error { return s.readmit(ctx, identify, info.FullMethod) }
		}
		return next(srv, in)
	}
}

// readmit is admit for a further message of a stream. A caller who sends faster than the rate allows is read slower:
// the message stays on the caller's side, where gRPC's flow control holds it, and costs no memory here.
func (s *Server) readmit(ctx context.Context, identify identifyFunc, method string) error {
	// The line in the log names who opened the stream, and may be written while this goroutine still receives.
	ctx = context.WithValue(ctx, callInfoKey{}, new(callInfo))
	for {
		_, err := s.admit(ctx, identify, method)
		var r *refusal
		if err == nil || !errors.As(err, &r) || r.reason != reasonRateLimited || r.retry == 0 {
			return err
		}
		pause := time.NewTimer(r.retry)
		select {
		case <-pause.C:
		case <-ctx.Done():
		case <-s.streams.stopping:
		}
		pause.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// recoverStream turns a panic of a handler into an error.
func (s *Server) recoverStream(
	srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler,
) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = s.panicked(ss.Context(), info.FullMethod, v)
		}
	}()
	return next(srv, ss)
}

// streamIn is a stream with a context of its own, and with something to do before each message but the first, which
// was admitted with the stream.
type streamIn struct {
	grpc.ServerStream
	ctx    context.Context
	before func() error
	begun  bool
}

// Context implements grpc.ServerStream.
func (i *streamIn) Context() context.Context { return i.ctx }

// RecvMsg implements grpc.ServerStream.
func (i *streamIn) RecvMsg(m any) error {
	if i.begun && i.before != nil {
		if err := i.before(); err != nil {
			return err
		}
	}
	i.begun = true
	return i.ServerStream.RecvMsg(m)
}

// streamSlots bounds the streams that hold something between two messages, in all and for each caller: an idle one
// costs its owner nothing. stopping is closed when the service stops.
type streamSlots struct {
	stopping chan struct{}
	stop     sync.Once
	// most and perCaller bound them in all and for each caller.
	most, perCaller int

	mu    sync.Mutex
	total int
	by    map[string]int
}

func newStreamSlots(most, perCaller int) *streamSlots {
	return &streamSlots{stopping: make(chan struct{}), by: make(map[string]int), most: most, perCaller: perCaller}
}

// enter takes a slot and returns what gives it back.
func (s *streamSlots) enter(caller string) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total >= s.most || s.by[caller] >= s.perCaller {
		return nil, refuse(reasonOverloaded, "%d streams are open, %d of them the caller's; at most %d and %d are admitted",
			s.total, s.by[caller], s.most, s.perCaller)
	}
	s.total++
	s.by[caller]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.total--
		if s.by[caller]--; s.by[caller] == 0 {
			delete(s.by, caller)
		}
	}, nil
}
