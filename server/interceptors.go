package server

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

const (
	connectionTimeout = 10 * time.Second
	maxHeaderBytes    = 16 << 10
	pingAfter         = 2 * time.Minute
	pingTimeout       = 20 * time.Second
	minPingInterval   = 20 * time.Second
)

// identifyFunc finds out who makes a call, from its transport.
type identifyFunc func(context.Context) (caller, error)

// unaryChain is what every call passes, the outermost first. Recovery is the innermost, so that a panic of a handler is
// counted, logged and answered like any other error.
func (s *Server) unaryChain(identify identifyFunc) []grpc.UnaryServerInterceptor {
	return []grpc.UnaryServerInterceptor{
		s.metrics.calls.UnaryServerInterceptor(),
		s.answer,
		s.deadline,
		s.admitCaller(identify),
		s.admitMessage,
		s.recover,
	}
}

// callInfo is filled by the inner interceptors for the log line of the outer one.
type callInfo struct{ caller caller }

type callInfoKey struct{}

// answer turns the error into a google.rpc.Status, counts it, and logs the call.
func (s *Server) answer(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if rules[info.FullMethod].access == accessProbe {
		return next(ctx, req) // the health service makes its own statuses
	}
	start := s.cfg.Clock()
	call := new(callInfo)
	resp, err := next(context.WithValue(ctx, callInfoKey{}, call), req)
	var r *refusal
	if err != nil {
		r = toRefusal(err)
	}
	s.logCall(ctx, info.FullMethod, call, s.cfg.Clock().Sub(start), r)
	if r != nil {
		return nil, toStatus(r).Err()
	}
	return resp, nil
}

// logCall writes one line about a call: no message, no metadata, so no secret. What is issued has a line of its own.
func (s *Server) logCall(ctx context.Context, method string, call *callInfo, took time.Duration, r *refusal) {
	if r == nil && !s.cfg.Logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", method), slog.Duration("duration", took), slog.String("caller", call.caller.limitKey()),
	}
	if r == nil {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelDebug, "call", attrs...)
		return
	}
	s.metrics.refusals.WithLabelValues(reasonName(r.reason)).Inc()
	level := slog.LevelInfo
	switch r.reason {
	case reasonInternal, reasonSelfCheckFailed,
		reasonLogHalted, reasonStorageFull:
		level = slog.LevelError
	case reasonRateLimited, reasonOverloaded:
		level = slog.LevelDebug // a flood must not become a flood of lines
	default:
	}
	s.cfg.Logger.LogAttrs(ctx, level, "call", append(attrs, slog.Any("refused", r))...)
}

// deadline gives every call a deadline that is not beyond the longest permitted one.
func (s *Server) deadline(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	longest := s.cfg.Limits.DefaultDeadline
	if _, ok := ctx.Deadline(); ok {
		longest = s.cfg.Limits.MaxDeadline
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	return next(ctx, req)
}

// admitCaller asks who is calling, whether the method is open to them and whether they have not used up their rate.
func (s *Server) admitCaller(identify identifyFunc) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		ctx, err := s.admit(ctx, identify, info.FullMethod)
		if err != nil {
			return nil, err
		}
		return next(ctx, req)
	}
}

// admit is admitCaller's decision. The method is the resolved handler's name.
func (s *Server) admit(ctx context.Context, identify identifyFunc, method string) (context.Context, error) {
	r := rules[method]
	switch r.access {
	case accessProbe:
		return ctx, nil
	case accessAnyone:
	default:
		return ctx, refuse(reasonMethodNotPermitted, "the method is not open to callers")
	}
	if s.draining.Load() {
		return ctx, refuse(reasonShuttingDown, "the service is stopping; repeat the call")
	}
	c, err := identify(ctx)
	if call, ok := ctx.Value(callInfoKey{}).(*callInfo); ok {
		call.caller = c
	}
	// The rate is taken before bad credentials are answered: guessing tokens costs as well.
	if err := s.rates.take(c.limitKey(), r.cost, s.cfg.Clock()); err != nil {
		return ctx, err
	}
	if err != nil {
		return ctx, err
	}
	return context.WithValue(ctx, callerKey{}, c), nil
}

// charge takes what an admitted call costs beside its rule's cost. What is above the burst, which nobody could ever pay, is not
// asked for.
func (s *Server) charge(ctx context.Context, units int) error {
	return s.rates.take(callerOf(ctx).limitKey(), min(units, s.cfg.Limits.Burst), s.cfg.Clock())
}

// admitMessage refuses a call when there is too much in hand.
func (s *Server) admitMessage(
	ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler,
) (any, error) {
	if rules[info.FullMethod].access == accessProbe {
		return next(ctx, req)
	}
	size := 0
	if m, ok := req.(proto.Message); ok {
		size = proto.Size(m)
	}
	leave, err := s.load.enter(int64(size))
	if err != nil {
		return nil, err
	}
	defer leave()
	return next(ctx, req)
}

// recover turns a panic of a handler into an error.
func (s *Server) recover(
	ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler,
) (resp any, err error) {
	defer func() {
		if v := recover(); v != nil {
			resp, err = nil, s.panicked(ctx, info.FullMethod, v)
		}
	}()
	return next(ctx, req)
}

func (s *Server) panicked(ctx context.Context, where string, v any) error {
	s.metrics.panics.Inc()
	s.cfg.Logger.ErrorContext(ctx, "panic", slog.String("where", where), slog.String("panic", fmt.Sprint(v)),
		slog.String("stack", string(debug.Stack())))
	return &refusal{reason: reasonInternal, message: "internal error", cause: fmt.Errorf("panic: %v", v)}
}
