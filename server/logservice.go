package server

import (
	"context"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/server/tlog"
)

// logService is avow.v1.LogService.
type logService struct {
	avowv1.UnsafeLogServiceServer
	log   *tlog.Log
	roots *tlog.Log // the index log; nil without an index
}

// GetCheckpoint implements avow.v1.LogService.
func (l *logService) GetCheckpoint(context.Context, *avowv1.GetCheckpointRequest) (*avowv1.GetCheckpointResponse, error) {
	raw, size, root := l.log.Checkpoint()
	return &avowv1.GetCheckpointResponse{
		Checkpoint: string(raw), Origin: l.log.Origin(), TreeSize: size, RootHash: root,
	}, nil
}

// GetInclusionProof implements avow.v1.LogService.
func (l *logService) GetInclusionProof(
	ctx context.Context, req *avowv1.GetInclusionProofRequest,
) (*avowv1.GetInclusionProofResponse, error) {
	index := req.GetLogIndex()
	if _, size, _ := l.log.Checkpoint(); index >= size {
		return nil, refuse(reasonLogRange, "log index %d, the latest checkpoint covers %d entries", index, size)
	}
	leaf, err := l.log.Entry(ctx, index)
	if err != nil {
		return nil, err
	}
	entry, err := l.log.Prove(ctx, index)
	if err != nil {
		return nil, err
	}
	return &avowv1.GetInclusionProofResponse{
		LogIndex: entry.Index, TreeSize: entry.TreeSize, RootHash: entry.RootHash, Hashes: entry.Proof,
		Checkpoint: string(entry.Checkpoint), Leaf: leaf,
	}, nil
}

// GetConsistencyProof implements avow.v1.LogService.
func (l *logService) GetConsistencyProof(
	ctx context.Context, req *avowv1.GetConsistencyProofRequest,
) (*avowv1.GetConsistencyProofResponse, error) {
	log, err := l.named(req.GetOrigin())
	if err != nil {
		return nil, err
	}
	_, latest, _ := log.Checkpoint()
	first, second := req.GetFirstTreeSize(), orElse(req.GetSecondTreeSize(), latest)
	switch {
	case first == 0:
		return nil, invalidField("first_tree_size", "got 0, want at least 1: every tree continues the empty one")
	case first > second:
		return nil, invalidField("second_tree_size", "got %d, want at least first_tree_size, %d", second, first)
	case second > latest:
		return nil, refuse(reasonLogRange, "tree size %d, the latest checkpoint covers %d entries", second, latest)
	}
	hashes, err := log.ProveConsistency(ctx, first, second)
	if err != nil {
		return nil, err
	}
	return &avowv1.GetConsistencyProofResponse{FirstTreeSize: first, SecondTreeSize: second, Hashes: hashes, Origin: log.Origin()}, nil
}

// named is the log of an origin.
func (l *logService) named(origin string) (*tlog.Log, error) {
	switch {
	case origin == "", origin == l.log.Origin():
		return l.log, nil
	case l.roots != nil && origin == l.roots.Origin():
		return l.roots, nil
	}
	return nil, invalidField("origin", "got %q, which is no log of this service", clip(origin, 80))
}
