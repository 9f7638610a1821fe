package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// TestMetricsAreDocumented: what is exported is in the manual, and no caller has put anything into a label.
func TestMetricsAreDocumented(t *testing.T) {
	w := newWorld(t, t.TempDir())
	p := w.start()
	issueSome(t, w, p, 1)
	text := get(t, http.DefaultClient, p.addresses.Admin+"/metrics", http.StatusOK)
	manual, err := os.ReadFile(filepath.Join("..", "..", "docs", "operating.md"))
	must(t, err)
	exported := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (avow_\w+|grpc_\w+) `).FindAllStringSubmatch(text, -1) {
		exported[m[1]] = true
		if !bytes.Contains(manual, []byte("`"+m[1]+"`")) {
			t.Errorf("docs/operating.md says nothing about %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile("`((?:avow|grpc_server)_\\w+)`").FindAllStringSubmatch(string(manual), -1) {
		// Those of witnesses and of webhooks are there where those are configured; the tests of server/tlog and server/webhook read them.
		if !exported[m[1]] && !strings.HasPrefix(m[1], "avow_log_witness_") && !strings.HasPrefix(m[1], "avow_webhook_") {
			t.Errorf("docs/operating.md promises %s, which is not exported", m[1])
		}
	}
	for _, secret := range []string{"acme", w.dir, "127.0.0.1"} {
		if strings.Contains(text, secret) {
			t.Errorf("the metrics name %q", secret)
		}
	}
	if body := get(t, http.DefaultClient, p.addresses.Admin+"/healthz", http.StatusOK); !strings.HasPrefix(body, "serving") {
		t.Errorf("/healthz: %q", body)
	}
	get(t, http.DefaultClient, p.addresses.Admin+"/debug/pprof/", http.StatusNotFound)
}

// TestProfilesAreAnOption: the only debug interface is off unless asked for.
func TestProfilesAreAnOption(t *testing.T) {
	w := newWorld(t, t.TempDir(), func(c *Config) { c.Admin.Pprof = true })
	get(t, http.DefaultClient, w.start().addresses.Admin+"/debug/pprof/", http.StatusOK)
}

// TestTLS serves both ports with a certificate, and takes a new one on SIGHUP without dropping anything.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	first := writeCertificate(t, dir, "first")
	w := newWorld(t, filepath.Join(dir, "service"), func(c *Config) {
		c.TLS = TLSConfig{Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	})
	p := w.start()
	issueOver(t, w, p, first)
	if body := get(t, httpsClient(first), p.addresses.REST+"/api/v1/trusted-root", http.StatusOK); !strings.Contains(body, "sha256") {
		t.Errorf("trusted root over REST: %s", body)
	}
	second := writeCertificate(t, dir, "second")
	must(t, p.cmd.Process.Signal(syscall.SIGHUP))
	wantWithin(t, "the new certificate is served", func() error {
		conn, err := tls.Dial("tcp", p.addresses.GRPC, &tls.Config{RootCAs: second, ServerName: "localhost", NextProtos: []string{"h2"}})
		if err != nil {
			return err
		}
		return conn.Close()
	})
	issueOver(t, w, p, second)

	// A broken file keeps the certificate that is in force.
	must(t, os.WriteFile(filepath.Join(dir, "cert.pem"), []byte("no certificate"), 0o644))
	must(t, p.cmd.Process.Signal(syscall.SIGHUP))
	wantWithin(t, "the refusal is logged", func() error {
		if !strings.Contains(p.stderr.String(), "reload refused") {
			return errors.New(p.stderr.String())
		}
		return nil
	})
	issueOver(t, w, p, second)
}

// TestSecretsThatOthersCanReadAreRefused: a key is a secret or it is nothing.
func TestSecretsThatOthersCanReadAreRefused(t *testing.T) {
	w := newWorld(t, t.TempDir())
	key := w.config.path(w.config.Log.Key)
	must(t, os.Chmod(key, 0o644))
	_, err := w.tryStart()
	if err == nil || !strings.Contains(err.Error(), "lets others use the key") || !strings.Contains(err.Error(), "hint: chmod 600") {
		t.Errorf("got %v, want a refusal with a hint", err)
	}
}

// TestBusyPort: the address and what to do are named, and the data is closed properly.
func TestBusyPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	w := newWorld(t, t.TempDir())
	w.config.REST.Listen = l.Addr().String()
	err = serve(t.Context(), w.config, slog.New(slog.DiscardHandler), openListeners, func(addresses) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "rest.listen") || hintOf(err) == "" {
		t.Errorf("got %v (hint %q), want rest.listen", err, hintOf(err))
	}
	must(t, fsck(t.Context(), w.config, io.Discard))
}

func issueOver(t *testing.T, w *world, p *process, roots *x509.CertPool) {
	t.Helper()
	creds := credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: "localhost"})
	conn, err := grpc.NewClient(p.addresses.GRPC, grpc.WithTransportCredentials(creds))
	must(t, err)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := avowv1.NewAttestationServiceClient(conn).Issue(ctx, issueRequest(w.envelope()))
	must(t, err)
	w.mustVerify(r.GetBundle())
}

// writeCertificate replaces the listeners' certificate by a new self-signed one.
func writeCertificate(t *testing.T, dir, name string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}

func httpsClient(roots *x509.CertPool) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
}

func get(t *testing.T, client *http.Client, url string, want int) string {
	t.Helper()
	r, err := client.Get(url)
	must(t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	must(t, err)
	if r.StatusCode != want {
		t.Errorf("%s: status %d, want %d: %s", url, r.StatusCode, want, body)
	}
	return string(body)
}

// wantWithin waits for something that another process does; how long it takes is not what is tested.
func wantWithin(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}
