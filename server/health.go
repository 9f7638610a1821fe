package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	fulciopb "github.com/sigstore/fulcio/pkg/generated/protobuf"
	grpchealth "google.golang.org/grpc/health/grpc_health_v1"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
)

// The names under which the health service answers, besides "" (all that the service needs to work) and the names of
// the gRPC services.
const (
	// HealthLog is red while the log cannot publish.
	HealthLog = "avow.log"
	// HealthStore is red while the statement store cannot be written.
	HealthStore = "avow.store"
	// HealthRegistry is red while the vendor registry's file is bad. The last good registry stays in use meanwhile,
	// so "" stays green: a typing error must not take the service away from everybody.
	HealthRegistry = "avow.registry"
	// HealthCertificates is red while the certificate log cannot publish, and where there is no certificate authority.
	// Statements do not need it, so "" stays green.
	HealthCertificates = "avow.certificates"
	// HealthIndex is red while the complete index is not answered from or is behind, and where there is none. Everything but
	// the standing of statements does without it, so "" stays green.
	HealthIndex = "avow.index"
)

var (
	errNotStarted = errors.New("the service is starting")
	errDraining   = errors.New("the service is stopping")
)

// Health reports why the service cannot work now; nil if it can.
func (s *Server) Health() error {
	if s.draining.Load() {
		return errDraining
	}
	return errors.Join(s.faults(), s.window.check(s.cfg.Clock()))
}

// faults reports what is broken.
func (s *Server) faults() error {
	return errors.Join(s.cfg.Log.Health(), s.cfg.Store.Health())
}

// Run watches the health of log, store and registry for the health service, and completes statements that were left
// pending, for example because the timestamp authority was down. It returns when the context ends.
func (s *Server) Run(ctx context.Context) error {
	check, retry := time.NewTicker(healthInterval), time.NewTicker(retryInterval)
	defer check.Stop()
	defer retry.Stop()
	s.checkHealth(ctx)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-check.C:
			s.checkHealth(ctx)
		case <-retry.C:
			if s.Health() != nil {
				continue
			}
			if err := s.Reconcile(ctx); err != nil && ctx.Err() == nil {
				s.cfg.Logger.WarnContext(ctx, "pending statements could not be completed", slog.Any("error", err))
			}
		}
	}
}

// checkHealth brings the health service up to date.
func (s *Server) checkHealth(ctx context.Context) {
	s.health.SetServingStatus(HealthLog, servingStatus(s.cfg.Log.Health()))
	s.health.SetServingStatus(HealthStore, servingStatus(s.cfg.Store.Health()))
	registry := s.cfg.Vendors.Health()
	s.health.SetServingStatus(HealthRegistry, servingStatus(registry))
	s.health.SetServingStatus(HealthCertificates, servingStatus(s.certificates.health()))
	s.health.SetServingStatus(HealthIndex, servingStatus(s.cfg.Standing.health()))
	err := s.Health()
	s.setHealth(err)
	s.metrics.setHealthy(err == nil, registry == nil)
	closed := notInUse(s.window.check(s.cfg.Clock()))
	if closed != s.closed.Swap(closed) {
		s.cfg.Logger.InfoContext(ctx, "the log's window", slog.Bool("in_use", !closed), slog.Any("reason", err))
	}
	// That a log is announced or has ended is no fault: it is said once.
	if fault := s.faults(); fault != nil && ctx.Err() == nil && !s.draining.Load() {
		s.cfg.Logger.ErrorContext(ctx, "the service is not healthy", slog.Any("error", fault))
	}
}

// setHealth sets the status of the whole and of each service. Reading goes on while writing cannot: only the services
// that write follow the health of the log and the store.
func (s *Server) setHealth(err error) {
	reading := grpchealth.HealthCheckResponse_SERVING
	if errors.Is(err, errNotStarted) || errors.Is(err, errDraining) {
		reading = grpchealth.HealthCheckResponse_NOT_SERVING
	}
	s.health.SetServingStatus("", servingStatus(err))
	s.health.SetServingStatus(avowv1.AttestationService_ServiceDesc.ServiceName, servingStatus(err))
	s.health.SetServingStatus(fulciopb.CA_ServiceDesc.ServiceName, servingStatus(s.certificates.health()))
	s.health.SetServingStatus(avowv1.VerificationService_ServiceDesc.ServiceName, reading)
	standing := reading
	if s.cfg.Standing.health() != nil {
		standing = grpchealth.HealthCheckResponse_NOT_SERVING
	}
	s.health.SetServingStatus(avowv1.StandingService_ServiceDesc.ServiceName, standing)
	s.health.SetServingStatus(avowv1.LogService_ServiceDesc.ServiceName, reading)
	s.health.SetServingStatus(avowv1.TrustService_ServiceDesc.ServiceName, reading)
}

func servingStatus(err error) grpchealth.HealthCheckResponse_ServingStatus {
	if err != nil {
		return grpchealth.HealthCheckResponse_NOT_SERVING
	}
	return grpchealth.HealthCheckResponse_SERVING
}
