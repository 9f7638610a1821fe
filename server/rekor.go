package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"

	rekorv1 "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	rekorpb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/transparency-dev/merkle/rfc6962"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/server/tlog"
)

// RekorConfig opens the log to Sigstore clients, by the Rekor v2 API.
type RekorConfig struct {
	// Open lets every key and every certificate write. False: keys of registered vendors, and certificates of their
	// identities that verify under the trusted root.
	Open bool
	// Credentials lets only callers write who show a registered vendor's credentials. Without it the API is no place for
	// strangers: an entry is a digest and a signature, and for a public key anybody can make such pairs of which the
	// digest is nobody's file. They mislead no verifier, but they are entries, and only the rate bounds them.
	Credentials bool
}

// rekorService is dev.sigstore.rekor.v2.Rekor. Its entries are in the log without a statement, unless Issue is given
// the statement later.
type rekorService struct {
	rekorpb.UnsafeRekorServer
	cfg        Config
	issuer     *issuer
	algorithms *signature.AlgorithmRegistryConfig
}

func newRekorService(s *Server) (*rekorService, error) {
	algorithms, err := signature.NewAlgorithmRegistryConfig(entryAlgorithms)
	return &rekorService{cfg: s.cfg, issuer: s.issuer, algorithms: algorithms}, err
}

// CreateEntry implements dev.sigstore.rekor.v2.Rekor. An entry that is in the log already is answered with a fresh
// proof, where Rekor itself refuses it: a client that lost the answer can ask again.
func (r *rekorService) CreateEntry(
	ctx context.Context, req *rekorpb.CreateEntryRequest,
) (*rekorv1.TransparencyLogEntry, error) {
	if r.cfg.Rekor == nil {
		return nil, refuse(reasonLogWritesNotConfigured, "the operator has not opened the log to the Rekor API")
	}
	hr, verifier, err := parseEntry(req)
	if err != nil {
		return nil, err
	}
	if err := r.admit(ctx, verifier); err != nil {
		return nil, err
	}
	leaf, err := entryLeaf(hr, r.algorithms)
	if err != nil {
		return nil, err
	}
	entry, err := r.log(ctx, leaf)
	if err != nil {
		return nil, err
	}
	return logEntry(r.cfg.Log, entry, leaf)
}

// admit decides who may write.
func (r *rekorService) admit(ctx context.Context, v *entryVerifier) error {
	if r.cfg.Rekor.Credentials && callerOf(ctx).vendor == nil {
		return refuse(reasonCredentialsRequired, "the log takes entries of registered vendors with their token or client certificate")
	}
	if r.cfg.Rekor.Open {
		return nil
	}
	if v.certificate != nil {
		cert, err := attest.ParseCertificate(v.certificate)
		if err == nil {
			_, err = r.issuer.identityFor(ctx, cert, r.cfg.Clock())
		}
		return err
	}
	sum := sha256.Sum256(v.spki)
	_, _, err := r.issuer.signerFor(ctx, "sha256:"+hex.EncodeToString(sum[:]), r.cfg.Clock())
	return err
}

// log brings the leaf into the log, once. The store remembers it before the log is given it, so that whoever comes
// again, after a crash or years later, knows from where on to look.
func (r *rekorService) log(ctx context.Context, leaf []byte) (tlog.Entry, error) {
	hash := leafHash(leaf)
	if closed := r.issuer.window.check(r.cfg.Clock()); closed != nil {
		return r.logged(ctx, leaf, closed)
	}
	known, existed, err := r.cfg.Store.PutLeaf(ctx, hash, r.cfg.Log.Size())
	if err != nil {
		return tlog.Entry{}, err
	}
	if existed {
		index, found, err := r.cfg.Log.Find(ctx, leaf, known.LogSize)
		if err != nil {
			return tlog.Entry{}, err
		}
		if found {
			r.issuer.metrics.entriesRepeated.Inc()
			return r.issuer.awaitProof(ctx, index)
		}
	}
	entry, err := r.cfg.Log.Append(ctx, leaf)
	if err != nil {
		return entry, err
	}
	r.issuer.metrics.entries.Inc()
	r.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "entry without a statement logged", slog.Uint64("log_index", entry.Index),
		slog.String("caller", callerOf(ctx).limitKey()))
	return entry, nil
}

// logged answers an entry that is in the log already, while the log takes no new one.
func (r *rekorService) logged(ctx context.Context, leaf []byte, closed error) (tlog.Entry, error) {
	known, found, err := r.cfg.Store.Leaf(ctx, leafHash(leaf))
	if err != nil {
		return tlog.Entry{}, err
	}
	if !found {
		return tlog.Entry{}, closed
	}
	index, found, err := r.cfg.Log.Find(ctx, leaf, known.LogSize)
	switch {
	case err != nil:
		return tlog.Entry{}, err
	case !found:
		return tlog.Entry{}, closed
	}
	r.issuer.metrics.entriesRepeated.Inc()
	return r.issuer.awaitProof(ctx, index)
}

// leafHash is the RFC 6962 hash of a leaf.
func leafHash(leaf []byte) [32]byte { return [32]byte(rfc6962.DefaultHasher.HashLeaf(leaf)) }

// The log is read over HTTP only, as static files: these methods exist because the published service has them.

// GetTile implements dev.sigstore.rekor.v2.Rekor.
func (r *rekorService) GetTile(context.Context, *rekorpb.TileRequest) (*httpbody.HttpBody, error) {
	return nil, errReadOverHTTP()
}

// GetEntryBundle implements dev.sigstore.rekor.v2.Rekor.
func (r *rekorService) GetEntryBundle(context.Context, *rekorpb.EntryBundleRequest) (*httpbody.HttpBody, error) {
	return nil, errReadOverHTTP()
}

// GetCheckpoint implements dev.sigstore.rekor.v2.Rekor.
func (r *rekorService) GetCheckpoint(context.Context, *emptypb.Empty) (*httpbody.HttpBody, error) {
	return nil, errReadOverHTTP()
}

func errReadOverHTTP() error {
	return refuse(reasonRouteUnknown, "checkpoint, tiles and entries are read over HTTP, below /api/v2/")
}

// created answers a logged entry with 201, which is what Rekor's clients wait for.
func created(_ context.Context, w http.ResponseWriter, m proto.Message) error {
	if _, ok := m.(*rekorv1.TransparencyLogEntry); ok {
		w.WriteHeader(http.StatusCreated)
	}
	return nil
}
