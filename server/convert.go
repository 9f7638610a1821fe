package server

import (
	"fmt"
	"math"

	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorv1 "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"google.golang.org/protobuf/proto"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/tlog"
)

// logEntry translates the log's entry into the one that bundles carry. Rekor v2 entries have neither an integrated
// time nor an inclusion promise.
func logEntry(log *tlog.Log, e tlog.Entry, leaf []byte) (*rekorv1.TransparencyLogEntry, error) {
	index, size, err := indexAndSize(e.Index, e.TreeSize)
	if err != nil {
		return nil, err
	}
	return &rekorv1.TransparencyLogEntry{
		LogIndex:          index,
		LogId:             &commonv1.LogId{KeyId: log.LogID()},
		KindVersion:       &rekorv1.KindVersion{Kind: attest.LeafKind, Version: attest.LeafVersion},
		CanonicalizedBody: leaf,
		InclusionProof: &rekorv1.InclusionProof{
			LogIndex: index, TreeSize: size, RootHash: e.RootHash, Hashes: e.Proof,
			Checkpoint: &rekorv1.Checkpoint{Envelope: string(e.Checkpoint)},
		},
	}, nil
}

// indexAndSize brings the log's numbers into the bundle's signed ones.
func indexAndSize(index, size uint64) (int64, int64, error) {
	if size > math.MaxInt64 || index >= size {
		return 0, 0, refuse(reasonInternal, "log index %d in a tree of %d", index, size)
	}
	return int64(index), int64(size), nil
}

// storedEntry reads the entry of a committed record.
func storedEntry(raw []byte) (*rekorv1.TransparencyLogEntry, error) {
	entry := new(rekorv1.TransparencyLogEntry)
	if err := proto.Unmarshal(raw, entry); err != nil {
		return nil, err
	}
	return entry, nil
}

// factsOf is what the index keeps of a statement.
func factsOf(st *predicate.Statement) statements.Facts {
	f := statements.Facts{PredicateType: st.Type, Subjects: make([]string, len(st.Subjects))}
	for n, s := range st.Subjects {
		f.Subjects[n] = s.Digest["sha256"]
	}
	if common := st.Common(); common != nil {
		for _, id := range common.Product.Identifiers {
			f.Products = append(f.Products, id.Value)
		}
	}
	return f
}

// Reopen opens the envelope of a stored record again: its signature is checked, and that it is the statement and the signer
// that the record names.
func Reopen(rec statements.Record) (*attest.Envelope, error) {
	env, err := reopen(&rec)
	if err != nil {
		return nil, err
	}
	if env.StatementID() != rec.StatementID || env.SignerID() != rec.KeyID {
		return nil, damaged("envelope", &rec, fmt.Errorf("it holds statement %s by %s", env.StatementID(), env.SignerID()))
	}
	return env, nil
}

// Facts reads from a stored record what the index keeps of it: the function that [statements.Store.Reindex] needs.
func Facts(rec statements.Record) (statements.Facts, error) {
	env, err := reopen(&rec)
	if err != nil {
		return statements.Facts{}, err
	}
	leaf, err := env.Leaf()
	if err != nil {
		return statements.Facts{}, err
	}
	facts := factsOf(env.Statement())
	facts.Leaf = leafHash(leaf)
	return facts, nil
}
