package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// addresses are where the service can be reached, after port 0 became a port.
type addresses struct {
	GRPC  string `json:"grpc"`
	REST  string `json:"rest"`
	Admin string `json:"admin"`
	PID   int    `json:"pid"`
}

func (l *listeners) addresses(secure bool) addresses {
	scheme := "http://"
	if secure {
		scheme = "https://"
	}
	return addresses{
		GRPC: l.grpc.Addr().String(), REST: scheme + l.rest.Addr().String(), Admin: "http://" + l.admin.Addr().String(), PID: os.Getpid(),
	}
}

// String is what serve prints.
func (a addresses) String() string {
	return fmt.Sprintf("  grpc  %s\n  rest  %s\n  admin %s/metrics\n", a.GRPC, a.REST, a.Admin)
}

// writeReadyFile tells a supervisor or a test that every listener accepts; the file appears complete or not at all.
func (a addresses) writeReadyFile(path string) error {
	if path == "" {
		return nil
	}
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp")
	if err := os.WriteFile(tmp, append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// certificate is the listeners' certificate, replaced as a whole by reload. A nil *certificate means plain text.
type certificate struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
}

func loadCertificate(c *Config) (*certificate, error) {
	if c.TLS.Certificate == "" {
		return nil, nil
	}
	k := &certificate{certFile: c.path(c.TLS.Certificate), keyFile: c.path(c.TLS.Key)}
	return k, k.reload()
}

func (k *certificate) reload() error {
	if k == nil {
		return nil
	}
	if _, err := readSecret(k.keyFile); err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(k.certFile, k.keyFile)
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	k.current.Store(&pair)
	return nil
}

func (k *certificate) config(clientAuth tls.ClientAuthType, protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		NextProtos:     protocols,
		ClientAuth:     clientAuth,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return k.current.Load(), nil },
	}
}

// grpcOptions asks callers for a certificate without demanding one. It is recognised by its digest in the registry, so no
// authority has to vouch for it; TLS proves that the caller has its key.
func (k *certificate) grpcOptions() []grpc.ServerOption {
	if k == nil {
		return nil
	}
	return []grpc.ServerOption{grpc.Creds(credentials.NewTLS(k.config(tls.RequestClientCert)))}
}

func (k *certificate) wrap(l net.Listener) net.Listener {
	if k == nil {
		return l
	}
	return tls.NewListener(l, k.config(tls.NoClientCert, "h2", "http/1.1"))
}

// adminHandler serves what only this machine may see.
func adminHandler(c *Config, p *parts) http.Handler {
	p.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if err := p.server.Health(); err != nil {
			http.Error(w, "not serving: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "serving")
		// The last good registry stays in force: that alarms somebody, and takes the service from nobody.
		if err := p.registry.Health(); err != nil {
			fmt.Fprintln(w, "registry of vendors:", err)
		}
	})
	if c.Admin.Pprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}
