package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/server/index"
	"github.com/avow-dev/avow/server/statements"
	vindex "github.com/avow-dev/avow/verify/index"
)

// covered waits until the index covers so many entries.
func (w *world) covered(size uint64) *index.Set {
	w.t.Helper()
	for range 2000 {
		if s := w.index.Current(); s != nil && s.Root.Size >= size {
			return s
		}
		time.Sleep(5 * time.Millisecond)
	}
	w.t.Fatalf("the index does not come to %d entries: %v", size, w.index.Health())
	return nil
}

// pend stores a statement as step 8 does, and returns its leaf.
func pend(t *testing.T, w *world, store *statements.Store, payload []byte) (leaf []byte) {
	t.Helper()
	env := must(attest.Open(envelope(t, payload, w.acme), w.acme.PublicKey(), attest.PrepareOptions{Now: w.clock.Now()}))(t)
	leaf = must(env.Leaf())(t)
	row := statements.Pending{StatementID: env.StatementID(), KeyID: env.SignerID(), Vendor: "acme", PredicateType: env.Statement().Type,
		Envelope: env.JSON(), Signer: env.Signer(), ReceivedAt: issuedAt, LogSize: 7, Leaf: leafHash(leaf)}
	if _, _, err := store.PutPending(t.Context(), []statements.Pending{row}); err != nil {
		t.Fatal(err)
	}
	return leaf
}

// TestStatementSource: each way in which a log entry's statement can be there, or not.
func TestStatementSource(t *testing.T) {
	w := newWorld(t)
	store := must(statements.Create(t.Context(), statements.Config{Path: filepath.Join(t.TempDir(), "s.db"), Logger: w.logger}))(t)
	defer func() { _ = store.Close() }()
	source := statementSource{store}
	want := func(what string, at uint64, leaf, payload []byte) {
		t.Helper()
		got, err := source.statement(t.Context(), at, leaf)
		if err != nil || !bytes.Equal(got, payload) || (got == nil) != (payload == nil) {
			t.Errorf("%s: got %d bytes, %v, want %d", what, len(got), err, len(payload))
		}
	}
	first, second, third := dataFlows(t), dataFlows(t), dataFlows(t)
	leaf := pend(t, w, store, first)
	want("pending", 9, leaf, first)
	want("unknown to the store", 9, []byte("{}"), nil)

	if _, _, err := store.PutLeaf(t.Context(), leafHash([]byte("bare")), 7); err != nil {
		t.Fatal(err)
	}
	want("bare, and others pending since the same size", 9, []byte("bare"), nil)

	rec := must(store.PendingRows(t.Context(), 0, 1))(t)[0]
	if err := store.Commit(t.Context(), []statements.Committed{{StatementID: rec.StatementID, KeyID: rec.KeyID, Entry: []byte("entry"),
		LogIndex: 9, Tokens: [][]byte{[]byte("token")}}}); err != nil {
		t.Fatal(err)
	}
	want("committed", 9, leaf, first)
	want("committed elsewhere", 10, leaf, nil)

	// Pages of pending rows: the one looked for is after a full page.
	for range statements.MaxPage {
		pend(t, w, store, dataFlows(t))
	}
	want("on the second page", 11, pend(t, w, store, second), second)

	store.Hold(leafHash([]byte("held")), third)
	want("held", 12, []byte("held"), third)

	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	var closed *statements.Error
	if got, err := source.statement(t.Context(), 9, leaf); got != nil || !errors.As(err, &closed) {
		t.Errorf("the store is closed: got %d bytes, %v", len(got), err)
	}
}

// TestIndexFollows: what is issued is in the index with its statement at once, also when the service is started again over it;
// what came without a statement is unresolved.
func TestIndexFollows(t *testing.T) {
	w := newWorld(t)
	var last *avowv1.IssueResponse
	for range 20 {
		last = w.issue(dataFlows(t), w.acme)
	}
	s := w.covered(last.GetLogIndex() + 1)
	signer := vindex.KeySigner(idOf(t, w.acme))
	entries, _ := s.Version.Lookup(vindex.SignerKey(signer))
	if len(entries) != 20 || !vindex.Resolved(entries) || len(s.Root.Unresolved) != 0 {
		t.Errorf("got %v, unresolved %v", entries, s.Root.Unresolved)
	}
	bare := must(must(attest.Open(envelope(t, dataFlows(t), w.acme), w.acme.PublicKey(), attest.PrepareOptions{Now: w.clock.Now()}))(t).Leaf())(t)
	if _, err := w.log.Append(t.Context(), bare); err != nil {
		t.Fatal(err)
	}
	before := w.covered(21)
	w.restart()
	if s := w.covered(21); s.Root.Index != before.Root.Index {
		t.Errorf("got the root %x after a start, %x before", s.Root.Index, before.Root.Index)
	}
	if entries, _ := w.index.Current().Version.Lookup(vindex.UnresolvedKey(signer)); len(entries) != 1 || entries[0].LogIndex != 20 {
		t.Errorf("unresolved: %v", entries)
	}
}

// TestStandingConfig: the index is complete or absent, and its key that of its log.
func TestStandingConfig(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*StandingConfig){
		"no index": func(c *StandingConfig) { c.Index = nil }, "no log": func(c *StandingConfig) { c.Roots = nil },
		"no key": func(c *StandingConfig) { c.Key = "" },
		"the statement log's key": func(c *StandingConfig) {
			c.Key = must(LogVerifierKey(origin, w.log.PublicKey()))(t)
		},
	} {
		cfg := w.config()
		change(cfg.Standing)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	var refused *index.Error
	if _, err := OpenIndex(t.Context(), IndexConfig{Log: w.log, Roots: w.roots, Logger: w.logger}); !errors.As(err, &refused) ||
		refused.Code != index.CodeConfig {
		t.Errorf("no store: %v", err)
	}
}

// TestIndexLogIsPublic: its key is answered, its checkpoint is served as the log's is, and its health has a name of its own.
func TestIndexLogIsPublic(t *testing.T) {
	w := newWorld(t)
	w.issue(dataFlows(t), w.acme)
	s := w.covered(1)
	root := must(w.trust().GetTrustedRoot(t.Context(), &avowv1.GetTrustedRootRequest{}))(t)
	if want := must(LogVerifierKey(indexOrigin, w.roots.PublicKey()))(t); root.GetIndexLogKey() != want {
		t.Errorf("key %q, want %q", root.GetIndexLogKey(), want)
	}
	srv := w.rest()
	get := func(path string) *http.Response {
		t.Helper()
		resp := must(http.Get(srv.URL + path))(t) //nolint:noctx // a test's
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	for _, path := range []string{"/checkpoint", "/tile/entries/000.p/1"} {
		own, log := get("/index"+path), get(path)
		if own.StatusCode != http.StatusOK || own.Header.Get("Cache-Control") != log.Header.Get("Cache-Control") ||
			own.Header.Get("Content-Type") != log.Header.Get("Content-Type") {
			t.Errorf("%s: %d with %v, the log's has %v", path, own.StatusCode, own.Header, log.Header)
		}
	}
	if body := must(io.ReadAll(get("/index/checkpoint").Body))(t); !bytes.HasPrefix(body, []byte(indexOrigin+"\n")) || s == nil {
		t.Errorf("checkpoint %q", body)
	}
}

// TestIndexHealth: an index that cannot go on takes nothing else away.
func TestIndexHealth(t *testing.T) {
	const green, red = grpc_health_v1.HealthCheckResponse_SERVING, grpc_health_v1.HealthCheckResponse_NOT_SERVING
	for name, c := range map[string]struct {
		opts []option
		stop bool
		want grpc_health_v1.HealthCheckResponse_ServingStatus
	}{
		"works": {want: green}, "none": {opts: []option{withoutIndex}, want: red}, "stopped": {stop: true, want: red},
	} {
		w := newWorld(t, c.opts...)
		if c.stop {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := w.roots.Close(ctx); err != nil {
				t.Fatal(err)
			}
		}
		wantOK(t, w.server.Reconcile(t.Context()))
		w.server.checkHealth(t.Context())
		health := grpc_health_v1.NewHealthClient(w.conn)
		for service, want := range map[string]grpc_health_v1.HealthCheckResponse_ServingStatus{
			"": green, "avow.v1.AttestationService": green, "avow.v1.StandingService": c.want, HealthIndex: c.want,
		} {
			got := must(health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service}))(t)
			if got.GetStatus() != want {
				t.Errorf("%s: %q is %v, want %v", name, service, got.GetStatus(), want)
			}
		}
	}
}
