package server

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"net/http"
	neturl "net/url"
	"strings"
	"sync"
	"testing"

	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorv1 "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/rekor-tiles/v2/pkg/client/write"
	rekorpb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor-tiles/v2/pkg/note"
	rekorverify "github.com/sigstore/rekor-tiles/v2/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/protobuf/encoding/protojson"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/verify"
)

// withRekor opens the world's log.
func withRekor(open bool) option {
	return func(w *world) { w.change = func(c *Config) { c.Rekor = &RekorConfig{Open: open} } }
}

func (w *world) rekor() rekorpb.RekorClient { return rekorpb.NewRekorClient(w.conn) }

// entry is a request over the digest of a text.
func (w *world) entry(key *attest.KeyFile, text string) *rekorpb.CreateEntryRequest {
	w.t.Helper()
	digest := sha256.Sum256([]byte(text))
	sig := must(key.SignDigest(w.t.Context(), digest))(w.t)
	return entryOf(w.t, key.PublicKey(), digest[:], sig, commonv1.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256)
}

func entryOf(
	t testing.TB, key crypto.PublicKey, digest, sig []byte, details commonv1.PublicKeyDetails,
) *rekorpb.CreateEntryRequest {
	t.Helper()
	spki := must(x509.MarshalPKIXPublicKey(key))(t)
	return &rekorpb.CreateEntryRequest{Spec: &rekorpb.CreateEntryRequest_HashedRekordRequestV002{
		HashedRekordRequestV002: &rekorpb.HashedRekordRequestV002{Digest: digest, Signature: &rekorpb.Signature{
			Content: sig, Verifier: &rekorpb.Verifier{KeyDetails: details,
				Verifier: &rekorpb.Verifier_PublicKey{PublicKey: &rekorpb.PublicKey{RawBytes: spki}}},
		}},
	}}
}

// entryOfEnvelope is what cosign sends for a signed statement.
func entryOfEnvelope(t testing.TB, env []byte, key *attest.KeyFile) *rekorpb.CreateEntryRequest {
	t.Helper()
	opened := must(attest.Reopen(env, key.PublicKey()))(t)
	pae := opened.PAEDigest()
	return entryOf(t, key.PublicKey(), pae[:], opened.Signature(), commonv1.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256)
}

// checkProof verifies an entry by Rekor's own code.
func (w *world) checkProof(e *rekorv1.TransparencyLogEntry) {
	w.t.Helper()
	verifier := must(signature.LoadVerifier(w.log.PublicKey(), crypto.SHA256))(w.t)
	notes := must(note.NewNoteVerifier(origin, verifier))(w.t)
	if err := rekorverify.VerifyLogEntry(e, notes); err != nil {
		w.t.Errorf("the entry at %d does not verify: %v", e.GetLogIndex(), err)
	}
}

// TestRekorWrites: an entry is logged once, however and however often it comes, and each answer has a proof.
func TestRekorWrites(t *testing.T) {
	w := newWorld(t, withRekor(false))
	w.issue(dataFlows(t), w.acme)
	req := w.entry(w.acme, "a file")
	first := must(w.rekor().CreateEntry(t.Context(), req))(t)
	w.checkProof(first)
	if first.GetLogIndex() != 1 || first.GetIntegratedTime() != 0 || first.GetInclusionPromise() != nil {
		t.Errorf("got %v", first)
	}
	w.issue(dataFlows(t), w.acme)
	writer := must(write.NewWriter(w.rest().URL))(t)
	again := must(writer.Add(t.Context(), req.GetHashedRekordRequestV002()))(t) // the published client, which wants 201
	w.checkProof(again)
	w.restart()
	after := must(w.rekor().CreateEntry(t.Context(), req))(t)
	w.checkProof(after)
	for _, e := range []*rekorv1.TransparencyLogEntry{again, after} {
		if e.GetLogIndex() != 1 || !bytes.Equal(e.GetCanonicalizedBody(), first.GetCanonicalizedBody()) || e.GetInclusionProof().GetTreeSize() != 3 {
			t.Errorf("a repeated entry is answered with %v", e)
		}
	}
	if w.log.Size() != 3 {
		t.Errorf("the log has %d leaves, want 3", w.log.Size())
	}
	if got := metricValue(t, w, "avow_rekor_entries_repeated_total"); got != 1 {
		t.Errorf("%v repeated entries since the restart, want 1", got)
	}
}

// TestRekorConcurrently: equal entries at the same moment are one leaf.
func TestRekorConcurrently(t *testing.T) {
	w := newWorld(t, withRekor(false))
	req := w.entry(w.acme, "a file")
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if e, err := w.rekor().CreateEntry(t.Context(), req); err != nil || e.GetLogIndex() != 0 {
				t.Errorf("got %v, %v", e, err)
			}
		})
	}
	wg.Wait()
	if w.log.Size() != 1 {
		t.Errorf("the log has %d leaves, want 1", w.log.Size())
	}
}

// TestRekorAfterACrash: a process that died before or after it appended left the leaf's row; the entry is logged once.
func TestRekorAfterACrash(t *testing.T) {
	for name, append := range map[string]bool{"before the append": false, "after the append": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, withRekor(false))
			w.issue(dataFlows(t), w.acme)
			req := w.entry(w.acme, "a file")
			leaf := must(entryLeaf(req.GetHashedRekordRequestV002(), w.server.rekor.algorithms))(t)
			if _, _, err := w.store.PutLeaf(t.Context(), leafHash(leaf), w.log.Size()); err != nil {
				t.Fatal(err)
			}
			if append {
				must(w.log.Append(t.Context(), leaf))(t)
			}
			w.restart()
			e := must(w.rekor().CreateEntry(t.Context(), req))(t)
			w.checkProof(e)
			if e.GetLogIndex() != 1 || w.log.Size() != 2 {
				t.Errorf("index %d in a log of %d", e.GetLogIndex(), w.log.Size())
			}
		})
	}
}

// TestIssueAfterRekor: a statement whose leaf is in the log becomes a full one at the same index, after a restart too,
// and the log does not take its leaf again.
func TestIssueAfterRekor(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld(t, withRekor(false))
		w.issue(dataFlows(t), w.acme)
		flows := dataFlows(t)
		env := envelope(t, flows, w.acme)
		req := entryOfEnvelope(t, env, w.acme)
		bare := must(w.rekor().CreateEntry(t.Context(), req))(t)
		w.issue(dataFlows(t), w.acme)
		if restart {
			w.restart()
		}
		full := must(w.attestation().Issue(t.Context(), rawRequest(env, idOf(t, w.acme))))(t)
		if full.GetLogIndex() != 1 || bare.GetLogIndex() != 1 || full.GetAlreadyIssued() || w.log.Size() != 3 {
			t.Errorf("restart %v: index %d, then %d, already issued %v, %d leaves",
				restart, bare.GetLogIndex(), full.GetLogIndex(), full.GetAlreadyIssued(), w.log.Size())
		}
		if v := w.buyer(flows, w.acme, full.GetBundle()); v.Outcome != verify.Accepted {
			t.Fatalf("a buyer rejects: %v", v.Failures())
		}
		if e := must(w.rekor().CreateEntry(t.Context(), req))(t); e.GetLogIndex() != 1 || w.log.Size() != 3 {
			t.Errorf("restart %v: written again at %d, %d leaves", restart, e.GetLogIndex(), w.log.Size())
		}
	}
}

// TestReconcileAfterRekor: an Issue that died after it stored the row finds the older leaf.
func TestReconcileAfterRekor(t *testing.T) {
	w := newWorld(t, withRekor(false))
	flows := dataFlows(t)
	env := envelope(t, flows, w.acme)
	must(w.rekor().CreateEntry(t.Context(), entryOfEnvelope(t, env, w.acme)))(t)
	w.issue(dataFlows(t), w.acme)
	real := w.server.issuer.cfg.Timestampers
	w.server.issuer.cfg.Timestampers = []Timestamper{downAuthority{}}
	_, err := w.attestation().Issue(t.Context(), rawRequest(env, idOf(t, w.acme)))
	wantReason(t, err, reasonTimestampUnavailable)
	w.server.issuer.cfg.Timestampers = real
	w.restart()
	wantOK(t, w.server.Reconcile(t.Context()))
	got := must(w.attestation().Issue(t.Context(), rawRequest(env, idOf(t, w.acme))))(t)
	if got.GetLogIndex() != 0 || !got.GetAlreadyIssued() || w.log.Size() != 2 {
		t.Errorf("index %d, already issued %v, %d leaves", got.GetLogIndex(), got.GetAlreadyIssued(), w.log.Size())
	}
}

// TestRekorAfterIssue: whoever replays the leaf of a statement gets its entry, and no second one: the leaves are public.
func TestRekorAfterIssue(t *testing.T) {
	w := newWorld(t, withRekor(false))
	env := envelope(t, dataFlows(t), w.acme)
	must(w.attestation().Issue(t.Context(), rawRequest(env, idOf(t, w.acme))))(t)
	w.issue(dataFlows(t), w.acme)
	w.restart()
	// A store from before leaves were kept gets them by reindexing; here they are there already.
	wantOK(t, w.store.Reindex(t.Context(), Facts, nil))
	e := must(w.rekor().CreateEntry(t.Context(), entryOfEnvelope(t, env, w.acme)))(t)
	if e.GetLogIndex() != 0 || w.log.Size() != 2 {
		t.Errorf("index %d, %d leaves", e.GetLogIndex(), w.log.Size())
	}
	leaf, found, err := w.store.Leaf(t.Context(), leafHash(e.GetCanonicalizedBody()))
	if err != nil || !found || leaf.Bare {
		t.Errorf("the statement's leaf is kept as %+v, %v, %v", leaf, found, err)
	}
}

// TestReindexAddsLeaves: a statement that was stored without its leaf is found by it after reindexing.
func TestReindexAddsLeaves(t *testing.T) {
	w := newWorld(t, withRekor(false))
	sub := w.crashed(dataFlows(t), func(*world, *submission, statements.Pending) {})
	hash := leafHash(must(sub.envelope.Leaf())(t))
	if _, found, err := w.store.Leaf(t.Context(), hash); found || err != nil {
		t.Fatalf("found %v, %v before", found, err)
	}
	wantOK(t, w.store.Reindex(t.Context(), Facts, nil))
	if leaf, found, err := w.store.Leaf(t.Context(), hash); !found || leaf.Bare || err != nil {
		t.Errorf("got %+v, %v, %v", leaf, found, err)
	}
}

// TestRekorWriters: who may write on a closed log and on an open one.
func TestRekorWriters(t *testing.T) {
	stranger := must(attest.GenerateKey())(t)
	private := must(rsa.GenerateKey(rand.Reader, 2048))(t)
	digest := sha256.Sum256([]byte("x"))
	byRSA := entryOf(t, private.Public(), digest[:], must(rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, digest[:]))(t),
		commonv1.PublicKeyDetails_PKIX_RSA_PKCS1V15_2048_SHA256)
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{SerialNumber: must(rand.Int(rand.Reader, key.Params().N))(t)}
	cert := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
	byCertificate := entryOf(t, key.Public(), digest[:], must(ecdsa.SignASN1(rand.Reader, key, digest[:]))(t),
		commonv1.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256)
	byCertificate.GetHashedRekordRequestV002().Signature.Verifier.Verifier = &rekorpb.Verifier_X509Certificate{
		X509Certificate: &commonv1.X509Certificate{RawBytes: cert}}
	for _, open := range []bool{false, true} {
		w := newWorld(t, withRekor(open))
		for name, c := range map[string]struct {
			ctx    context.Context
			req    *rekorpb.CreateEntryRequest
			closed avowv1.ErrorReason // 0: taken
		}{
			"registered":      {t.Context(), w.entry(w.acme, "1"), 0},
			"second key":      {t.Context(), w.entry(w.acmeSecond, "1"), 0},
			"expired":         {t.Context(), w.entry(w.expired, "1"), reasonKeyNotValid},
			"stranger":        {t.Context(), w.entry(stranger, "1"), reasonKeyUnknown},
			"RSA":             {t.Context(), byRSA, reasonKeyUnknown},
			"certificate":     {t.Context(), byCertificate, reasonCertificateInvalid},
			"another's token": {withToken(t.Context(), w.heldToken), w.entry(w.acme, "2"), reasonCredentialsInvalid},
		} {
			e, err := w.rekor().CreateEntry(c.ctx, c.req)
			if open || c.closed == 0 {
				if err != nil {
					t.Errorf("open %v, %s: %v", open, name, err)
					continue
				}
				w.checkProof(e)
				continue
			}
			wantReason(t, err, c.closed)
		}
		if want := map[bool]uint64{false: 2, true: 7}[open]; w.log.Size() != want {
			t.Errorf("open %v: %d leaves, want %d", open, w.log.Size(), want)
		}
	}
}

// TestRekorCredentials: where credentials are asked for, they and the key must be the same vendor's. Clients that have no
// flag for a token send it in the address.
func TestRekorCredentials(t *testing.T) {
	w := newWorld(t, func(w *world) { w.change = func(c *Config) { c.Rekor = &RekorConfig{Credentials: true} } })
	address := must(neturl.Parse(w.rest().URL))(t)
	for name, c := range map[string]struct {
		password string
		want     string // "": taken
	}{
		"none":            {"", "CREDENTIALS_REQUIRED"},
		"acme's":          {w.acmeToken, ""},
		"another's":       {w.heldToken, "CREDENTIALS_INVALID"},
		"nobody's":        {"nobody's", "CREDENTIALS_INVALID"},
		"longer than any": {strings.Repeat("x", MaxTokenBytes+1), "CREDENTIALS_INVALID"},
	} {
		address.User = nil
		if c.password != "" {
			address.User = neturl.UserPassword("vendor", c.password)
		}
		writer := must(write.NewWriter(address.String()))(t)
		_, err := writer.Add(t.Context(), w.entry(w.acme, name).GetHashedRekordRequestV002())
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	must(w.rekor().CreateEntry(withToken(t.Context(), w.acmeToken), w.entry(w.acme, "gRPC")))(t)
	if w.log.Size() != 2 {
		t.Errorf("%d leaves, want 2", w.log.Size())
	}
}

// TestRekorOverHTTP: status, reasons, limits and the log's files under the paths of Rekor.
func TestRekorOverHTTP(t *testing.T) {
	w := newWorld(t, withRekor(false))
	url := w.rest().URL
	const path = "/api/v2/log/entries"
	resp, body := call(t, "POST", url+path, must(protojson.Marshal(w.entry(w.acme, "1")))(t))
	var e rekorv1.TransparencyLogEntry
	if err := protojson.Unmarshal(body, &e); err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("%s %v: %s", resp.Status, err, body)
	}
	w.checkProof(&e)
	if resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", resp.Header)
	}
	stranger := must(protojson.Marshal(w.entry(must(attest.GenerateKey())(t), "1")))(t)
	for name, c := range map[string]struct {
		method, path string
		body         []byte
		status       int
		reason       string
	}{
		"unknown key":    {"POST", path, stranger, 403, "KEY_UNKNOWN"},
		"not JSON":       {"POST", path, []byte("{"), 400, "REQUEST_INVALID"},
		"unknown member": {"POST", path, []byte(`{"intotoRequest":{}}`), 400, "REQUEST_INVALID"},
		"dsse":           {"POST", path, []byte(`{"dsseRequestV002":{}}`), 400, "REQUEST_INVALID"},
		"too large":      {"POST", path, bytes.Repeat([]byte(" "), MaxMessageBytes+1), 413, "MESSAGE_TOO_LARGE"},
		"no listing":     {"GET", path, nil, 405, "ROUTE_UNKNOWN"},
	} {
		resp, body := call(t, c.method, url+c.path, c.body)
		if resp.StatusCode != c.status || restReason(t, body) != c.reason {
			t.Errorf("%s: got %s %s, want %d %s", name, resp.Status, body, c.status, c.reason)
		}
	}
	for read, same := range map[string]string{"/api/v2/checkpoint": "/checkpoint", "/api/v2/tile/0/000.p/1": "/tile/0/000.p/1",
		"/api/v2/tile/entries/000.p/1": "/tile/entries/000.p/1"} {
		resp, got := call(t, "GET", url+read, nil)
		_, want := call(t, "GET", url+same, nil)
		if resp.StatusCode != 200 || !bytes.Equal(got, want) {
			t.Errorf("%s: %s %q", read, resp.Status, got)
		}
	}
	if resp, _ := call(t, "GET", url+"/api/v2/tile/0/001", nil); resp.StatusCode != 404 {
		t.Errorf("a tile that is not there: %s", resp.Status)
	}
	_, err := w.rekor().GetTile(t.Context(), &rekorpb.TileRequest{})
	wantReason(t, err, reasonRouteUnknown)
}

// TestRekorRateLimit: entries cost what statements do.
func TestRekorRateLimit(t *testing.T) {
	w := newWorld(t, withRekor(false), func(w *world) { w.limits = Limits{RatePerSecond: 0.001, Burst: maxCost} })
	for n := range maxCost/2 + 1 {
		_, err := w.rekor().CreateEntry(t.Context(), w.entry(w.acme, strings.Repeat("x", n)))
		if n < maxCost/2 {
			wantOK(t, err)
			continue
		}
		wantReason(t, err, reasonRateLimited)
	}
}
