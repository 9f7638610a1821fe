package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// callTimeout bounds each of the quickstart's calls.
const callTimeout = 30 * time.Second

// statementNames is the declaration, in the order of reference: no-backdoor names data-flows by digest.
var statementNames = []string{"data-flows", "no-backdoor"}

// draft writes both statements. The no-backdoor statement refers to the digest of the other one's exact bytes.
func (s *story) draft(context.Context) error {
	s.heading("The vendor writes down what the release does, and has it checked",
		fmt.Sprintf("%s draft data-flows %s     # a statement to fill in; the filled-in ones are here already", program("avow"), s.path("artifact")),
		fmt.Sprintf("%s lint %s %s", program("avow"), s.path("data-flows.json"), s.path("no-backdoor.json")))
	v := statementValues{
		ArtifactSHA256: s.digest, Version: productVersion(), PURL: quickstartPackage + "@" + productVersion(),
		Declarant: quickstartDeclarant, Country: quickstartCountry, SignatoryFunction: quickstartFunction,
	}
	for _, name := range statementNames {
		payload, err := renderStatement(name, v, time.Now())
		if err != nil {
			return err
		}
		if err := writeNew(s.path(name+".json"), payload, 0o644); err != nil {
			return err
		}
		if name == "data-flows" {
			v.DataFlowsSHA256 = fmt.Sprintf("%x", sha256.Sum256(payload))
		}
	}
	return nil
}

// issue prepares, signs and sends both statements as one declaration: both are logged, or neither.
func (s *story) issue(ctx context.Context) error {
	prepared, err := s.prepare()
	if err != nil {
		return err
	}
	request := &avowv1.IssueBatchRequest{}
	for i, p := range prepared {
		s.say("  %s.json passes the issuance rules", statementNames[i])
		for _, w := range p.Warnings() {
			s.say("\n    warning %s: %s", w.Code, w.Message)
		}
		s.say("\n")
		envelope, err := p.Sign(ctx, s.key)
		if err != nil {
			return err
		}
		request.Requests = append(request.Requests, signedRequest(envelope))
	}
	s.heading("The vendor signs on its own side; the service checks, timestamps, logs and answers",
		fmt.Sprintf("AVOW_PASSWORD=%s %s attest %s %s --key %s --server %s --insecure -o %s", quickstartPassword, program("avow"),
			s.path("data-flows.json"), s.path("no-backdoor.json"), s.path("vendor.key"), s.server.GRPC, s.dir))
	response, err := s.send(ctx, request)
	if err != nil {
		return err
	}
	for i, r := range response.GetResponses() {
		name := statementNames[i] + ".sigstore.json"
		if err := writeNew(s.path(name), r.GetBundle(), 0o644); err != nil {
			return err
		}
		s.say("  %s\n    statement %s\n    entry %d of the log %s\n", name, r.GetStatementId(), r.GetLogIndex(), r.GetLogOrigin())
	}
	return nil
}

// prepare reads the files back, as a vendor would who wrote them by hand, and applies every rule that the service will.
func (s *story) prepare() ([]*attest.Prepared, error) {
	var related []*predicate.Statement
	var prepared []*attest.Prepared
	for _, name := range statementNames {
		payload, err := readLimited(s.path(name+".json"), predicate.MaxStatementBytes)
		if err != nil {
			return nil, err
		}
		p, err := attest.Prepare(payload, attest.PrepareOptions{Now: time.Now(), Related: related})
		if err != nil {
			return nil, fmt.Errorf("%s.json: %w", name, err)
		}
		related = append(related, p.Statement())
		prepared = append(prepared, p)
	}
	return prepared, nil
}

func signedRequest(e *attest.Envelope) *avowv1.IssueRequest {
	return &avowv1.IssueRequest{Content: &avowv1.IssueRequest_SignedEnvelope{
		SignedEnvelope: &avowv1.SignedEnvelope{Envelope: e.JSON(), KeyId: e.KeyID()}}}
}

func (s *story) send(ctx context.Context, request *avowv1.IssueBatchRequest) (response *avowv1.IssueBatchResponse, err error) {
	err = s.call(ctx, func(ctx context.Context, conn *grpc.ClientConn) error {
		response, err = avowv1.NewAttestationServiceClient(conn).IssueBatch(ctx, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	if got, want := len(response.GetResponses()), len(request.GetRequests()); got != want {
		return nil, fmt.Errorf("got %d bundles for %d statements", got, want)
	}
	return response, nil
}

// call calls the service once.
func (s *story) call(ctx context.Context, do func(context.Context, *grpc.ClientConn) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := grpc.NewClient(s.server.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	return do(ctx, conn)
}
