package server

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"iter"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/verify"
)

// batchStream is the stream of BatchVerify.
type batchStream = grpc.BidiStreamingServer[avowv1.BatchVerifyRequest, avowv1.BatchVerifyResponse]

// batch is one stream of BatchVerify.
type batch struct {
	service *verificationService
	demand  *demand
	// ended says why no further item is read; nil at the end of what the caller sends. It is set by items and read
	// after all answers were sent.
	ended error
	// ids are the ids that came, as hashes: 2^17 ids of up to 256 bytes are too many to keep. Two that collide, once
	// in 2^30 full streams, look repeated, which refuses an item and accepts none.
	ids  map[uint64]struct{}
	seed maphash.Seed
}

// batchItem is an item with what is wrong with it as an item of this stream; nil if nothing is.
type batchItem struct {
	*avowv1.BatchVerifyItem
	wrong error
}

// BatchVerify implements avow.v1.VerificationService. At any time as many items are judged as there are cores, one is
// waiting and one is being received: everything else stays with the caller.
func (s *verificationService) BatchVerify(stream batchStream) error {
	leave, err := s.server.streams.enter(callerOf(stream.Context()).limitKey())
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	messages := receive(ctx, stream)
	demand, err := s.setup(ctx, messages)
	if err != nil {
		return err
	}
	b := &batch{service: s, demand: demand, ids: make(map[uint64]struct{}), seed: maphash.MakeSeed()}
	for answer := range verify.Batch(ctx, b.items(ctx, messages), b.answer) {
		if err := stream.Send(answer); err != nil {
			cancel() // the caller is gone: what is still judged is of no use
			return err
		}
	}
	return b.ended
}

// message is what stream.Recv answers.
type message struct {
	*avowv1.BatchVerifyRequest
	err error
}

// receive reads the stream on a goroutine of its own, because nothing but the end of the call interrupts Recv. The
// channel has no buffer; it is left open at the end, whose error is its last message.
func receive(ctx context.Context, stream batchStream) <-chan message {
	messages := make(chan message)
	go func() {
		for {
			m, err := stream.Recv()
			select {
			case messages <- message{m, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return messages
}

// next waits for a message. Nobody may keep a stream open without using it.
func (s *verificationService) next(ctx context.Context, messages <-chan message, patience time.Duration) (message, error) {
	if s.server.draining.Load() { // also if there is a message: nothing new is begun
		return message{}, errStreamStopped()
	}
	idle := time.NewTimer(patience)
	defer idle.Stop()
	select {
	case m := <-messages:
		return m, m.err
	case <-idle.C:
		return message{}, refuse(reasonDeadlineExceeded, "nothing was received for %v", patience)
	case <-s.server.streams.stopping:
		return message{}, errStreamStopped()
	case <-ctx.Done():
		return message{}, ctx.Err()
	}
}

func errStreamStopped() error {
	return refuse(reasonShuttingDown, "the service is stopping; send the items that have no answer again")
}

// setup receives the first message and finds out whether what it demands can be evaluated at all.
func (s *verificationService) setup(ctx context.Context, messages <-chan message) (*demand, error) {
	ctx, cancel := context.WithTimeout(ctx, s.server.cfg.Limits.DefaultDeadline)
	defer cancel()
	m, err := s.next(ctx, messages, s.server.cfg.Limits.DefaultDeadline)
	switch {
	case errors.Is(err, io.EOF):
		return nil, invalidField("setup", "the stream ended without one")
	case err != nil:
		return nil, err
	case m.GetSetup() == nil:
		return nil, invalidField("setup", "the first message is not the setup")
	}
	leave, err := s.server.load.enter(int64(proto.Size(m.BatchVerifyRequest)))
	if err != nil {
		return nil, err
	}
	defer leave()
	d, err := s.demand(ctx, "setup.", m.GetSetup())
	if err != nil {
		return nil, err
	}
	// Without bundles it is rejected; an error means that no item could be evaluated.
	probe := d.input
	probe.ArtifactSHA256, probe.Policy = strings.Repeat("0", 64), nil
	_, err = d.trusted.verifier.Verify(ctx, probe)
	return d, err
}

// items reads the stream to its end, and says in ended why it did not go on.
func (b *batch) items(ctx context.Context, messages <-chan message) iter.Seq[batchItem] {
	return func(yield func(batchItem) bool) {
		for count := 0; ; count++ {
			m, err := b.service.next(ctx, messages, b.service.server.cfg.Limits.MaxDeadline)
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				b.ended = err
				return
			case m.GetItem() == nil:
				b.ended = invalidField("item", "a message after the setup is not an item")
				return
			case count == MaxBatchItems:
				b.ended = invalidField("item", "more than %d items; send the others on another stream", MaxBatchItems)
				return
			}
			if !yield(batchItem{m.GetItem(), b.checkID(m.GetItem().GetId())}) {
				return
			}
		}
	}
}

// checkID refuses an id by which the caller could not find the answer.
func (b *batch) checkID(id string) error {
	if n := len(id); n == 0 || n > MaxItemIDBytes {
		return invalidField("item.id", "got %d bytes, want 1 to %d", n, MaxItemIDBytes)
	}
	hash := maphash.String(b.seed, id)
	if _, ok := b.ids[hash]; ok {
		return invalidField("item.id", "the id came before on this stream")
	}
	b.ids[hash] = struct{}{}
	return nil
}

// answer judges one item. Whatever happens to it is its answer.
func (b *batch) answer(ctx context.Context, item batchItem) *avowv1.BatchVerifyResponse {
	s := b.service.server
	start := s.cfg.Clock()
	out := &avowv1.BatchVerifyResponse{Id: clip(item.GetId(), MaxItemIDBytes)}
	verdict, signed, err := b.judge(ctx, item)
	if err != nil {
		r := toRefusal(err)
		s.logCall(ctx, avowv1.VerificationService_BatchVerify_FullMethodName, &callInfo{caller: callerOf(ctx)},
			s.cfg.Clock().Sub(start), r)
		out.Result = &avowv1.BatchVerifyResponse_Error{
			Error: &avowv1.BatchVerifyError{Reason: r.reason, Message: clip(r.message, maxViolationText)},
		}
		return out
	}
	out.Result, out.SignedVerdict = &avowv1.BatchVerifyResponse_Verdict{Verdict: verdict}, signed
	return out
}

// judge is what the interceptors and Verify are for a single call: recovery, deadline, admission, judgement.
func (b *batch) judge(ctx context.Context, item batchItem) (verdict *avowv1.Verdict, signed []byte, err error) {
	s := b.service.server
	defer func() {
		if v := recover(); v != nil {
			err = s.panicked(ctx, avowv1.VerificationService_BatchVerify_FullMethodName, v)
		}
	}()
	if item.wrong != nil {
		return nil, nil, item.wrong
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Limits.DefaultDeadline)
	defer cancel()
	leave, err := s.load.enter(int64(proto.Size(item.BatchVerifyItem)))
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	return b.service.judge(ctx, b.demand, item.GetArtifactSha256(), item.GetBundles())
}
