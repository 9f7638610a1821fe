package main

import (
	"context"
	"net"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
)

// listLiar answers ListStatements as the real service does, and changes the answer.
type listLiar struct {
	avowv1.UnimplementedAttestationServiceServer
	real   avowv1.AttestationServiceClient
	change func(context.Context, *avowv1.ListStatementsResponse) error
}

func (l *listLiar) ListStatements(ctx context.Context, req *avowv1.ListStatementsRequest) (*avowv1.ListStatementsResponse, error) {
	answer, err := l.real.ListStatements(ctx, req)
	if err != nil {
		return nil, err
	}
	return answer, l.change(ctx, answer)
}

// whatIsProved asks the real service for the proved list of a vendor or product.
func (l *listLiar) whatIsProved(ctx context.Context, req *avowv1.ListStatementsRequest) (*avowv1.ListStatementsResponse, error) {
	req.Prove = true
	return l.real.ListStatements(ctx, req)
}

// oldAnswer is where a script keeps an answer for a later lie.
type oldAnswer struct {
	answer *avowv1.ListStatementsResponse
}

// listLies is `listlies LIE`: starts a service that tells one lie about lists, for the rest of the script, and sets AVOW_LIAR to its
// address. AVOW_SERVER is the truth. With `keep` nothing is told yet: the answer about the vendor acme is kept for the lies about the past.
func listLies(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: listlies LIE")
	}
	connection, err := grpc.NewClient(ts.Getenv("AVOW_SERVER"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	ts.Check(err)
	ts.Defer(func() { _ = connection.Close() })
	l := &listLiar{real: avowv1.NewAttestationServiceClient(connection)}
	kept := ts.Value(oldAnswer{}).(*oldAnswer)
	if args[0] == "keep" {
		kept.answer, err = l.whatIsProved(context.Background(), &avowv1.ListStatementsRequest{Vendor: "acme"})
		ts.Check(err)
		return
	}
	if l.change = l.lie(args[0], kept.answer); l.change == nil {
		ts.Fatalf("there is no lie %s", args[0])
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	server := grpc.NewServer()
	avowv1.RegisterAttestationServiceServer(server, l)
	go func() { _ = server.Serve(listener) }()
	ts.Defer(server.Stop)
	ts.Setenv("AVOW_LIAR", listener.Addr().String())
}

// lie is how an answer about the vendor acme, which has two statements or more, is changed.
func (l *listLiar) lie(name string, old *avowv1.ListStatementsResponse) func(context.Context, *avowv1.ListStatementsResponse) error {
	simple := func(change func(a *avowv1.ListStatementsResponse)) func(context.Context, *avowv1.ListStatementsResponse) error {
		return func(_ context.Context, a *avowv1.ListStatementsResponse) error { change(a); return nil }
	}
	const entryBytes = 9
	switch name {
	case "omit": // the proof shows it
		return simple(func(a *avowv1.ListStatementsResponse) { a.Statements = a.GetStatements()[1:] })
	case "add": // a statement of somebody else's
		return simple(func(a *avowv1.ListStatementsResponse) {
			more := proto.CloneOf(a.GetStatements()[0])
			more.LogIndex += 1000
			a.Statements = append(a.Statements, more)
		})
	case "omit-from-both":
		return simple(func(a *avowv1.ListStatementsResponse) {
			a.Statements = a.GetStatements()[1:]
			a.Proof.Lists[0].Entries = a.GetProof().GetLists()[0].GetEntries()[entryBytes:]
		})
	case "add-to-both": // the same entry once more: the list of the key is longer
		return simple(func(a *avowv1.ListStatementsResponse) {
			entries := a.GetProof().GetLists()[0].GetEntries()
			a.Proof.Lists[0].Entries = append(entries, entries[:entryBytes]...)
		})
	case "nothing": // as if there were nothing
		return simple(func(a *avowv1.ListStatementsResponse) {
			a.Statements, a.Proof.Lists[0].Entries = nil, nil
		})
	case "no-proof":
		return simple(func(a *avowv1.ListStatementsResponse) { a.Proof = nil })
	case "old-checkpoint": // a size that the index is not of
		return simple(func(a *avowv1.ListStatementsResponse) { a.Proof.Checkpoint = old.GetProof().GetCheckpoint() })
	case "old-root": // one that is not the newest
		return simple(func(a *avowv1.ListStatementsResponse) {
			a.Statements = old.GetStatements()
			a.Proof.IndexRoot, a.Proof.Lists = old.GetProof().GetIndexRoot(), old.GetProof().GetLists()
		})
	case "old": // all of it as it was
		return simple(func(a *avowv1.ListStatementsResponse) {
			a.Statements, a.Proof = old.GetStatements(), old.GetProof()
		})
	case "another-root":
		return simple(func(a *avowv1.ListStatementsResponse) { a.Proof.IndexRoot += "late 0\n" })
	case "wrong-key": // the checkpoint of one log under the other
		return simple(func(a *avowv1.ListStatementsResponse) { a.Proof.IndexCheckpoint = a.GetProof().GetCheckpoint() })
	case "another-list": // of something that was not asked for, with a true proof
		return func(ctx context.Context, a *avowv1.ListStatementsResponse) error {
			other, err := l.whatIsProved(ctx, &avowv1.ListStatementsRequest{Product: "pkg:generic/nobody-has-this"})
			a.Statements, a.Proof = other.GetStatements(), other.GetProof()
			return err
		}
	}
	return nil
}
