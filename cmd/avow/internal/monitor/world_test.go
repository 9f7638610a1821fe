package monitor

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	tilesnote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore/pkg/signature"
	formats "github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/internal/testworld"
)

// world is a real service with a vendor.
type world struct {
	t      *testing.T
	real   *testworld.World
	vendor *attest.KeyFile
	logs   *follow.Logs
	// statements and leaves are what was issued, in the order of the log.
	statements, leaves [][]byte
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, vendor: must(attest.GenerateKey())(t)}
	now := time.Date(2026, 9, 1, 9, 5, 0, 0, time.UTC)
	w.real = must(testworld.Start(t.Context(), testworld.Config{Dir: t.TempDir(), Clock: func() time.Time { return now },
		VendorKeys: [][]byte{must(attest.MarshalPublicKey(w.vendor.PublicKey()))(t)}}))(t)
	t.Cleanup(func() {
		if err := w.real.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	w.logs = must(follow.ParseLogs(w.real.TrustedRoot))(t)
	return w
}

// issue issues n statements.
func (w *world) issue(n int) {
	w.t.Helper()
	example := must(os.ReadFile("../../../../testdata/vectors/v1/data-flows/valid/minimal-data-flows.json"))(w.t)
	conn := must(grpc.NewClient(w.real.Address, grpc.WithTransportCredentials(insecure.NewCredentials())))(w.t)
	defer conn.Close()
	for range n {
		digest := fmt.Sprintf("%064x", len(w.statements)+1)
		payload := bytes.ReplaceAll(example, []byte("13f3353567ce3b66c7435388c1650469488611255c0fddf6128ca3a0deda8fe9"), []byte(digest))
		envelope := must(must(attest.Prepare(payload, attest.PrepareOptions{}))(w.t).Sign(w.t.Context(), w.vendor))(w.t)
		must(avowv1.NewAttestationServiceClient(conn).Issue(w.t.Context(), &avowv1.IssueRequest{Content: &avowv1.IssueRequest_SignedEnvelope{
			SignedEnvelope: &avowv1.SignedEnvelope{Envelope: envelope.JSON(), KeyId: envelope.KeyID()}}}))(w.t)
		w.statements, w.leaves = append(w.statements, payload), append(w.leaves, must(envelope.Leaf())(w.t))
	}
}

// site is what a server hands out, by path.
type site map[string][]byte

func (s site) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, ok := s[r.URL.Path]
	if !ok {
		http.NotFound(rw, r)
		return
	}
	_, _ = rw.Write(body)
}

// copyOf reads the whole real log.
func (w *world) copyOf() site {
	w.t.Helper()
	handler := must(w.real.Handler(w.t.Context()))(w.t)
	s := site{}
	width := uint64(len(w.leaves))
	paths := []string{"/checkpoint", follow.TilePath(0, 0, width), follow.EntriesPath(0, width)}
	for i := range w.leaves {
		paths = append(paths, fmt.Sprintf("/statements/by-index/%d", i))
	}
	for _, path := range paths {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		if rec.Code != http.StatusOK {
			w.t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
		}
		s[path] = rec.Body.Bytes()
	}
	return s
}

// forge makes a log of the leaves, signed with the real log's key. Its statements are those of the real one.
func (w *world) forge(leaves [][]byte) site {
	w.t.Helper()
	s := forge(w.t, w.real.LogKey, leaves)
	for i, payload := range w.statements {
		s[fmt.Sprintf("/statements/by-index/%d", i)] = payload
	}
	return s
}

func forge(tb testing.TB, key ed25519.PrivateKey, leaves [][]byte) site {
	tb.Helper()
	s, whole := site{}, follow.NewRange()
	size := uint64(len(leaves))
	levels := map[uint64][][]byte{}
	for _, data := range leaves {
		hash := rfc6962.DefaultHasher.HashLeaf(data)
		levels[0] = append(levels[0], hash)
		err := whole.Append(hash, func(id compact.NodeID, hash []byte) {
			if level := uint64(id.Level); level > 0 && level%follow.TileHeight == 0 {
				levels[level/follow.TileHeight] = append(levels[level/follow.TileHeight], hash)
			}
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	for level, hashes := range levels {
		for index := uint64(0); index*follow.TileWidth < uint64(len(hashes)); index++ {
			width := follow.TileWidthAt(level, index, size)
			s[follow.TilePath(level, index, width)] = bytes.Join(hashes[index*follow.TileWidth:index*follow.TileWidth+width], nil)
		}
	}
	for index := uint64(0); index*follow.TileWidth < size; index++ {
		width := follow.TileWidthAt(0, index, size)
		var data []byte
		for _, l := range leaves[index*follow.TileWidth : index*follow.TileWidth+width] {
			data = append(binary.BigEndian.AppendUint16(data, uint16(len(l))), l...)
		}
		s[follow.EntriesPath(index, width)] = data
	}
	s["/checkpoint"] = signHead(tb, key, testworld.Origin, testworld.Origin, size, must(follow.RootOf(whole))(tb))
	return s
}

// signHead signs, as the log named signer, a checkpoint of the log named origin.
func signHead(tb testing.TB, key ed25519.PrivateKey, signer, origin string, size uint64, root []byte) []byte {
	tb.Helper()
	text := formats.Checkpoint{Origin: origin, Size: size, Hash: root}.Marshal()
	loaded := must(signature.LoadSigner(key, crypto.SHA256))(tb)
	noteSigner := must(tilesnote.NewNoteSigner(context.Background(), signer, loaded))(tb)
	return must(note.Sign(&note.Note{Text: string(text)}, noteSigner))(tb)
}

// with returns a copy with one path changed; nil removes it.
func (s site) with(path string, body []byte) site {
	changed := maps.Clone(s)
	changed[path] = body
	if body == nil {
		delete(changed, path)
	}
	return changed
}

// observer is a monitor with its state, for one log.
type observer struct {
	*Monitor
	t     *testing.T
	found []follow.Finding
	asked atomic.Int64
}

func (w *world) observer() *observer {
	o := &observer{t: w.t}
	o.Monitor = &Monitor{Logs: w.logs, Now: time.Now, Dir: w.t.TempDir(), Sleep: noSleep, Report: func(f follow.Finding) error {
		o.found = append(o.found, f)
		return nil
	}}
	return o
}

func hashOf(data []byte) []byte { return rfc6962.DefaultHasher.HashLeaf(data) }

func noSleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// look makes one round against a handler.
func (o *observer) look(h http.Handler) (Summary, error) {
	o.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.asked.Add(1)
		h.ServeHTTP(w, r)
	}))
	defer server.Close()
	o.Client = &follow.Client{Base: must(follow.ParseServerURL(server.URL))(o.t), Transport: http.DefaultTransport, Sleep: noSleep}
	o.found = nil
	return o.Round(o.t.Context())
}

// clean makes a round that must find nothing.
func (o *observer) clean(h http.Handler) {
	o.t.Helper()
	if _, err := o.look(h); err != nil || len(o.found) > 0 {
		o.t.Fatalf("found %+v, %v", o.found, err)
	}
}

// finds makes a round that must find the codes, in this order.
func (o *observer) finds(h http.Handler, codes ...follow.Code) {
	o.t.Helper()
	_, err := o.look(h)
	if err != nil {
		o.t.Fatal(err)
	}
	var got []follow.Code
	for _, f := range o.found {
		got = append(got, f.Code)
	}
	if fmt.Sprint(got) != fmt.Sprint(codes) {
		o.t.Fatalf("found %v, want %v: %+v", got, codes, o.found)
	}
}

// evidence reads the evidence of the last finding, as another machine would.
func (o *observer) evidence() *follow.Evidence {
	o.t.Helper()
	name := o.found[len(o.found)-1].Evidence
	if name == "" || strings.ContainsAny(name, "/\\") {
		o.t.Fatalf("evidence is named %q", name)
	}
	return must(follow.ParseEvidence(must(os.ReadFile(filepath.Join(o.Dir, name)))(o.t)))(o.t)
}

func verifierOf(tb testing.TB, key ed25519.PrivateKey, name string) note.Verifier {
	tb.Helper()
	v := must(signature.LoadVerifier(key.Public(), crypto.SHA256))(tb)
	return must(tilesnote.NewNoteVerifier(name, v))(tb)
}
