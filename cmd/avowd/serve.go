package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/avow-dev/avow/server"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
)

// closeTimeout bounds what comes after the drain: the log's last checkpoint, the store's last transaction.
const closeTimeout = time.Second

func newServeCommand() *cobra.Command {
	var config, readyFile string
	cmd := &cobra.Command{
		Use:   "serve --config F",
		Short: "Serve gRPC, REST and the static files of the log until SIGTERM",
		Long: `Serve gRPC, REST and the static files of the log until SIGTERM or SIGINT, then answer what was accepted and stop.
SIGHUP reads the registry of vendors and the TLS certificate again.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(config)
			if err != nil {
				return err
			}
			logger, err := newLogger(c.Logging, cmd.ErrOrStderr())
			if err != nil {
				return usageError{err, ""}
			}
			tuneCollector()
			return serve(cmd.Context(), c, logger, openListeners, func(a addresses) error {
				if err := a.writeReadyFile(readyFile); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "serving %s\n%s", c.Origin, a)
				return nil
			})
		},
	}
	addConfigFlag(cmd, &config)
	cmd.Flags().StringVar(&readyFile, "ready-file", "", "write the addresses to this file, as JSON, once every listener accepts")
	return cmd
}

// collectorPercent lets the heap grow to five times of what is in use between two collections. A service holds little (caches and
// the calls in hand) and allocates much, so that the default of 100 spends a tenth of its CPU on collecting.
const collectorPercent = 400

// tuneCollector leaves the choice to GOGC where the operator has set it.
func tuneCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectorPercent)
	}
}

func addConfigFlag(cmd *cobra.Command, config *string) {
	cmd.Flags().StringVarP(config, "config", "c", configName, "configuration file")
}

// serve runs the service until ctx ends, then drains it. listen is called once the data is open and in order, ready once every
// listener accepts.
func serve(ctx context.Context, c *Config, logger *slog.Logger, listen func(*Config) (*listeners, error),
	ready func(addresses) error) (err error) {
	// What is opened outlives ctx: a signal must not tear the log from under the calls that are being answered.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	began := time.Now()
	p, err := openParts(life, c, logger)
	if err != nil {
		return err
	}
	logger.LogAttrs(ctx, slog.LevelInfo, "opened", slog.Uint64("entries", p.log.Size()), slog.Duration("took", time.Since(began)))
	defer func() {
		closing, cancel := context.WithTimeout(life, closeTimeout)
		defer cancel()
		err = errors.Join(err, p.close(closing))
	}()
	if err := p.server.Reconcile(ctx); err != nil {
		if ctx.Err() != nil {
			return err
		}
		// A timestamp authority that is down must not keep the service from answering reads; it tries again by itself.
		logger.LogAttrs(ctx, slog.LevelWarn, "statements stay pending", slog.Any("error", err))
	}
	logger.LogAttrs(ctx, slog.LevelInfo, "pending statements reconciled with the log", slog.Duration("since_start", time.Since(began)))
	l, err := listen(c)
	if err != nil {
		return err
	}
	s, err := newService(life, c, p, logger)
	if err != nil {
		l.close()
		return err
	}
	return s.run(ctx, life, l, ready)
}

// service is everything that listens.
type service struct {
	config *Config
	parts  *parts
	logger *slog.Logger
	cert   *certificate // nil without TLS
	grpc   *grpc.Server
	rest   *http.Server
	admin  *http.Server
}

func newService(life context.Context, c *Config, p *parts, logger *slog.Logger) (*service, error) {
	cert, err := loadCertificate(c)
	if err != nil {
		return nil, err
	}
	rest, err := p.server.Handler(life)
	if err != nil {
		return nil, err
	}
	return &service{
		config: c, parts: p, logger: logger, cert: cert,
		grpc:  p.server.GRPCServer(cert.grpcOptions()...),
		rest:  server.HTTPServer(rest),
		admin: server.HTTPServer(adminHandler(c, p)),
	}, nil
}

// run serves until ctx ends or a listener breaks, then drains.
func (s *service) run(ctx, life context.Context, l *listeners, ready func(addresses) error) error {
	serving, stop := context.WithCancel(ctx)
	defer stop()
	g, serving := errgroup.WithContext(serving)
	g.Go(func() error { return s.grpc.Serve(l.grpc) })
	g.Go(func() error { return ignoreClosed(s.rest.Serve(s.cert.wrap(l.rest))) })
	g.Go(func() error { return ignoreClosed(s.admin.Serve(l.admin)) })
	g.Go(func() error { return ignoreClosed(s.parts.server.Run(serving)) })
	g.Go(func() error { s.reloadOnHangup(serving); return nil })
	g.Go(func() error { s.config.renewTUF(serving, s.logger); return nil })
	if s.parts.webhooks != nil {
		g.Go(func() error { s.parts.webhooks.Run(serving); return nil })
	}
	g.Go(func() error {
		<-serving.Done()
		return s.drain(life)
	})
	if err := ready(l.addresses(s.cert != nil)); err != nil {
		stop()
		return errors.Join(err, g.Wait())
	}
	return g.Wait()
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// drain answers what was accepted, REST first because its calls are gRPC calls inside, refuses what comes meanwhile, and cuts
// what is left when the time is over.
func (s *service) drain(ctx context.Context) error {
	s.logger.LogAttrs(ctx, slog.LevelInfo, "draining", slog.Duration("at_most", s.config.Drain))
	ctx, cancel := context.WithTimeout(ctx, s.config.Drain)
	defer cancel()
	rest, cancelRest := context.WithTimeout(ctx, s.config.Drain/2)
	defer cancelRest()
	if err := s.rest.Shutdown(rest); err != nil {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "REST calls were cut", slog.Any("error", err))
		_ = s.rest.Close() // its listener is closed already; this ends the connections
	}
	if err := s.parts.server.Drain(ctx); err != nil {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "calls were cut; their statements are completed by the next start", slog.Any("error", err))
	}
	return s.admin.Close()
}

// reloadOnHangup reads the registry and the certificate again on SIGHUP. A bad file keeps what is in force.
func (s *service) reloadOnHangup(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			if err := errors.Join(s.parts.registry.Reload(ctx), s.cert.reload()); err != nil {
				s.logger.LogAttrs(ctx, slog.LevelError, "reload refused, the old files stay in force", slog.Any("error", err))
				continue
			}
			s.logger.LogAttrs(ctx, slog.LevelInfo, "registry and certificate reloaded")
		}
	}
}

// listeners are the open sockets.
type listeners struct {
	grpc, rest, admin net.Listener
}

func openListeners(c *Config) (*listeners, error) {
	l := &listeners{}
	var err error
	for _, x := range []struct {
		to   *net.Listener
		name string
		addr string
	}{{&l.grpc, "grpc", c.GRPC.Listen}, {&l.rest, "rest", c.REST.Listen}, {&l.admin, "admin", c.Admin.Listen}} {
		if *x.to, err = net.Listen("tcp", x.addr); err != nil {
			l.close()
			return nil, hintedError{fmt.Errorf("%s.listen: %w", x.name, err), "is another service on that port? port 0 takes any free one"}
		}
	}
	return l, nil
}

func (l *listeners) close() {
	for _, x := range []net.Listener{l.grpc, l.rest, l.admin} {
		if x != nil {
			_ = x.Close()
		}
	}
}
