package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	fulciopb "github.com/sigstore/fulcio/pkg/generated/protobuf"
	rekorpb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	grpchealth "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/test/bufconn"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
)

// Server is the service. Make it with [New]; it is safe for concurrent use.
//
// The order of its life: New, [Server.Reconcile], then listeners for [Server.GRPCServer] and [Server.Handler] and one
// [Server.Run]; at the end [Server.Drain], and only then the closing of log and store.
type Server struct {
	cfg          Config
	auth         *authenticator
	rates        *rateLimiter
	load         *admission
	metrics      *metrics
	health       *health.Server
	issuer       *issuer
	streams      *streamSlots // of BatchVerify
	watchers     *streamSlots // of Watch
	rekor        *rekorService
	certificates *certificateService
	standing     *standingService
	own          trustedVerifier
	window       *logWindow
	rootHash     string

	draining atomic.Bool
	closed   atomic.Bool // by the log's window, when last looked at
	mu       sync.Mutex
	servers  []*grpc.Server
	closers  []func() error
}

// New checks the configuration and makes a server. It starts nothing.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	own, err := newTrustedVerifier(cfg, cfg.TrustedRoot)
	if err != nil {
		return nil, fmt.Errorf("server config: %w", err)
	}
	window, err := newLogWindow(cfg)
	if err != nil {
		return nil, fmt.Errorf("server config: %w", err)
	}
	hash := sha256.Sum256(cfg.TrustedRoot)
	s := &Server{
		cfg:      cfg,
		auth:     &authenticator{registry: cfg.Vendors.Registry, proxies: cfg.TrustedProxies},
		rates:    newRateLimiter(cfg.Limits),
		load:     &admission{maxBytes: cfg.Limits.BytesInFlight, maxCalls: cfg.Limits.CallsInFlight},
		health:   health.NewServer(),
		streams:  newStreamSlots(maxStreams, maxCallerStreams),
		watchers: newStreamSlots(maxWatchers, maxCallerWatchers),
		own:      own,
		window:   window,
		rootHash: hex.EncodeToString(hash[:]),
	}
	if s.metrics, err = newMetrics(cfg.Registerer, s.load); err != nil {
		return nil, fmt.Errorf("server metrics: %w", err)
	}
	s.issuer = newIssuer(cfg, own.verifier, window, s.metrics)
	if s.rekor, err = newRekorService(s); err != nil {
		return nil, fmt.Errorf("server rekor: %w", err)
	}
	s.certificates = newCertificateService(s)
	if s.standing, err = newStandingService(s); err != nil {
		return nil, fmt.Errorf("server standing: %w", err)
	}
	s.setHealth(errNotStarted)
	return s, nil
}

// GRPCServer makes a gRPC server with all services, interceptors and limits. The options are added; transport
// credentials belong there. The caller serves it; Drain stops it.
func (s *Server) GRPCServer(opts ...grpc.ServerOption) *grpc.Server {
	return s.newGRPCServer(s.auth.fromNetwork, opts...)
}

func (s *Server) newGRPCServer(identify identifyFunc, opts ...grpc.ServerOption) *grpc.Server {
	limits := s.cfg.Limits
	all := append([]grpc.ServerOption{
		grpc.MaxRecvMsgSize(MaxMessageBytes),
		grpc.MaxConcurrentStreams(limits.ConcurrentStreams),
		grpc.ConnectionTimeout(connectionTimeout),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: limits.IdleTimeout, MaxConnectionAge: limits.MaxConnectionAge,
			MaxConnectionAgeGrace: limits.MaxDeadline, Time: pingAfter, Timeout: pingTimeout,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPingInterval, PermitWithoutStream: true}),
		grpc.ChainUnaryInterceptor(s.unaryChain(identify)...),
		grpc.ChainStreamInterceptor(s.streamChain(identify)...),
	}, opts...)
	gs := grpc.NewServer(all...)
	avowv1.RegisterAttestationServiceServer(gs, &attestationService{issuer: s.issuer, server: s})
	avowv1.RegisterVerificationServiceServer(gs, newVerificationService(s))
	avowv1.RegisterStandingServiceServer(gs, s.standing)
	logs := &logService{log: s.cfg.Log}
	if s.cfg.Standing != nil {
		logs.roots = s.cfg.Standing.Roots
	}
	avowv1.RegisterLogServiceServer(gs, logs)
	avowv1.RegisterTrustServiceServer(gs, &trustService{
		verdictKey: s.cfg.VerdictKey,
		root:       s.cfg.TrustedRoot, rootHash: s.rootHash, registry: s.cfg.Vendors.Registry,
		signingConfig: s.cfg.SigningConfig, standing: s.cfg.Standing,
	})
	rekorpb.RegisterRekorServer(gs, s.rekor)
	fulciopb.RegisterCAServer(gs, s.certificates)
	grpchealth.RegisterHealthServer(gs, s.health)
	reflection.Register(gs)
	s.metrics.calls.InitializeMetrics(gs)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers = append(s.servers, gs)
	return gs
}

// inProcess serves the services on a connection inside this process, for the REST gateway.
func (s *Server) inProcess(ctx context.Context) *bufconn.Listener {
	lis := bufconn.Listen(MaxMessageBytes)
	gs := s.newGRPCServer(s.auth.fromGateway)
	go func() {
		if err := gs.Serve(lis); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			s.cfg.Logger.ErrorContext(ctx, "the in-process gRPC server stopped", slog.Any("error", err))
		}
	}()
	return lis
}

// Drain stops the service: health turns red, new calls are answered SHUTTING_DOWN, calls in hand are answered, and a
// stream ends with SHUTTING_DOWN once what was read of it is answered. It returns when everything is answered; if the
// context ends before, connections are cut. What a cut call was issuing is completed by the next start's Reconcile.
// The log and the store may be closed afterwards.
func (s *Server) Drain(ctx context.Context) error {
	s.draining.Store(true)
	s.streams.stop.Do(func() { close(s.streams.stopping) })
	s.health.Shutdown()
	s.mu.Lock()
	servers, closers := s.servers, s.closers
	s.servers, s.closers = nil, nil
	s.mu.Unlock()

	done := make(chan struct{})
	go func() {
		defer close(done)
		var wg sync.WaitGroup
		for _, gs := range servers {
			wg.Go(gs.GracefulStop)
		}
		wg.Wait()
		for _, c := range closers {
			if err := c(); err != nil {
				s.cfg.Logger.WarnContext(ctx, "closing the gateway's connection", slog.Any("error", err))
			}
		}
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("drain: calls were cut: %w", ctx.Err())
		for _, gs := range servers {
			gs.Stop()
		}
		<-done
	}
	return errors.Join(err, s.issuer.flights.drain(ctx))
}
