package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/server/statements"
	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/rekor-tiles/v2/pkg/client/write"
	rekorpb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/sigstore-go/pkg/root"
)

// entryOf is what a Sigstore client sends for a signed statement.
func entryOf(t testing.TB, e *attest.Envelope) *rekorpb.HashedRekordRequestV002 {
	t.Helper()
	pae := e.PAEDigest()
	spki, err := x509.MarshalPKIXPublicKey(e.PublicKey())
	must(t, err)
	return &rekorpb.HashedRekordRequestV002{Digest: pae[:], Signature: &rekorpb.Signature{
		Content: e.Signature(), Verifier: &rekorpb.Verifier{KeyDetails: commonv1.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
			Verifier: &rekorpb.Verifier_PublicKey{PublicKey: &rekorpb.PublicKey{RawBytes: spki}}},
	}}
}

// TestRekorEntries: an entry of a Sigstore client survives a crash, is not written twice, and is counted by fsck until its
// statement is issued.
func TestRekorEntries(t *testing.T) {
	w := newWorld(t, t.TempDir(), func(c *Config) {
		c.Rekor.Enabled, c.PublicURL = true, "https://avow.example"
	})
	p := w.start()
	sent := w.envelope()
	written := func() int64 {
		t.Helper()
		client, err := write.NewWriter(p.addresses.REST)
		must(t, err)
		e, err := client.Add(t.Context(), entryOf(t, sent))
		must(t, err)
		return e.GetLogIndex()
	}
	check := func(want string) {
		t.Helper()
		var out strings.Builder
		must(t, fsck(t.Context(), w.config, &out))
		if strings.Contains(out.String(), "without a statement") != (want != "") || !strings.Contains(out.String(), want) {
			t.Errorf("fsck says %q, want %q", &out, want)
		}
	}
	if index := written(); index != 0 {
		t.Errorf("index %d", index)
	}
	signing, err := avowv1.NewTrustServiceClient(p.conn).GetSigningConfig(t.Context(), &avowv1.GetSigningConfigRequest{})
	must(t, err)
	sc, err := root.NewSigningConfigFromJSON(signing.GetSigningConfig())
	must(t, err)
	if logs, tsas := sc.RekorLogURLs(), sc.TimestampAuthorityURLs(); logs[0].URL != "https://avow.example" ||
		tsas[0].URL != "https://avow.example/api/v1/timestamp" || logs[0].ValidityPeriodStart.IsZero() {
		t.Errorf("signing config %s", signing.GetSigningConfig())
	}
	_, err = w.issue(t.Context(), p, w.envelope())
	must(t, err)
	p.kill9()
	check("note: 1 entries without a statement")
	must(t, reindex(t.Context(), w.config, &strings.Builder{}))
	check("note: 1 entries without a statement")
	p = w.start()
	if index := written(); index != 0 {
		t.Errorf("written again at %d", index)
	}
	r, err := w.issue(t.Context(), p, sent)
	must(t, err)
	if w.mustVerify(r.GetBundle()).LogIndex != 0 {
		t.Errorf("issued at %d", r.GetLogIndex())
	}
	p.kill9()
	check("")
}

// TestNewestCommitBehindEntries: the authority's clock is held by the newest statement, however many entries without one follow.
func TestNewestCommitBehindEntries(t *testing.T) {
	w := newWorld(t, t.TempDir())
	p := w.start()
	_, err := w.issue(t.Context(), p, w.envelope())
	must(t, err)
	p.kill9()
	logger := slog.New(slog.DiscardHandler)
	log, err := openLog(t.Context(), w.config, logger, nil)
	must(t, err)
	defer func() { must(t, log.Close(context.Background())) }()
	leaves := make([][]byte, newestAmong+1)
	for n := range leaves {
		leaves[n] = fmt.Append(nil, "entry ", n)
	}
	_, err = log.AppendAll(t.Context(), leaves)
	must(t, err)
	store, err := statements.Open(t.Context(), statements.Config{Path: w.config.path(w.config.Statements.Path), Logger: logger})
	must(t, err)
	defer func() { must(t, store.Close()) }()
	newest, err := newestCommit(t.Context(), log, store)
	must(t, err)
	if newest.IsZero() {
		t.Error("the statement is not found")
	}
}

// TestSigningConfigNeedsTheLog: a trusted root that does not name the log gives no signing config.
func TestSigningConfigNeedsTheLog(t *testing.T) {
	w := newWorld(t, t.TempDir())
	other := newWorld(t, filepath.Join(t.TempDir(), "other"))
	foreign, err := readLimited(other.config.path(other.config.TrustedRoot), maxTrustedRootBytes)
	must(t, err)
	if sc, err := w.config.signingConfig(foreign); sc != nil || err != nil {
		t.Errorf("without an address: %s, %v", sc, err)
	}
	w.config.Rekor.Enabled, w.config.PublicURL = true, "https://avow.example"
	if _, err := w.config.signingConfig(foreign); err == nil || !strings.Contains(err.Error(), "does not name this log") {
		t.Errorf("got %v", err)
	}
}
