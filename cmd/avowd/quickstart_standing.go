package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/standing"
)

// indexKeyName is the file, beside the trusted root, in which avow looks for the key of the index log.
const indexKeyName = "index_log.vkey"

// quickstartStaleness is how old a status may be: what avow says if it is not told.
const quickstartStaleness = 24 * time.Hour

// stand fetches what was said about both statements since, has the vendor take one of them back, and fetches it again: the
// buyer's verdict follows.
func (s *story) stand(ctx context.Context) error {
	if err := os.MkdirAll(s.path("standing"), 0o755); err != nil {
		return err
	}
	key, err := s.config.indexVerifierKey()
	if err != nil {
		return err
	}
	if err := writeNew(s.path(indexKeyName), []byte(key+"\n"), 0o644); err != nil {
		return err
	}
	before, after := filepath.Join("standing", "before.json"), filepath.Join("standing", "after.json")
	asked := time.Now().Truncate(time.Second) // not later than the answer: the buyer is on the safe side
	s.heading("The buyer asks what was said about both since, keeps the proof, and verifies with it",
		fmt.Sprintf("%s index key --config %s > %s", program("avowd"), s.path(configName), s.path(indexKeyName)),
		s.statusCommand(before), s.standingCommand(before, asked))
	if err := s.judgeStanding(ctx, before, asked, verify.Accepted); err != nil {
		return err
	}
	id, err := s.takeBack(ctx)
	if err != nil {
		return err
	}
	asked = time.Now().Truncate(time.Second)
	s.heading("The vendor takes the no-backdoor statement back, and the next status proves it",
		fmt.Sprintf("AVOW_PASSWORD=%s %s withdraw %s --reason falseStatement --key %s --server %s --insecure -o %s", quickstartPassword,
			program("avow"), id, s.path("vendor.key"), s.server.GRPC, s.path("standing")),
		s.statusCommand(after), s.standingCommand(after, asked))
	return s.judgeStanding(ctx, after, asked, verify.Rejected)
}

func (s *story) statusCommand(to string) string {
	return fmt.Sprintf("%s status %s --server %s --insecure -o %s", program("avow"), s.path("artifact"), s.server.GRPC, s.path(to))
}

func (s *story) standingCommand(status string, asked time.Time) string {
	return fmt.Sprintf("%s --status %s --status-time %s", s.verifyCommand("artifact", "no-backdoor.sigstore.json"), s.path(status),
		asked.UTC().Format(time.RFC3339))
}

// judgeStanding fetches the status of both statements, writes it to a file, and judges by the file.
func (s *story) judgeStanding(ctx context.Context, status string, asked time.Time, want verify.Outcome) error {
	answer := &avowv1.GetStandingResponse{}
	err := s.call(ctx, func(ctx context.Context, conn *grpc.ClientConn) (err error) {
		answer, err = avowv1.NewStandingServiceClient(conn).GetStanding(ctx, &avowv1.GetStandingRequest{
			Subject: &avowv1.GetStandingRequest_ArtifactSha256{ArtifactSha256: s.digest}})
		return err
	})
	if err != nil {
		return err
	}
	set := &statusv1.StatusSet{}
	for _, one := range answer.GetStandings() {
		set.Entries = append(set.Entries, &statusv1.StatusEntry{KeyId: one.GetKeyId(), Status: one.GetStatus()})
	}
	data, err := standing.MarshalSetJSON(set)
	if err != nil {
		return err
	}
	if err := writeNew(s.path(status), data, 0o644); err != nil {
		return err
	}
	verdict, err := s.judge(ctx, question{artifact: "artifact", noBackdoor: "no-backdoor.sigstore.json", status: status, asked: asked})
	if err != nil {
		return err
	}
	return s.expect(verdict, want)
}

// takeBack withdraws the no-backdoor statement and returns its id.
func (s *story) takeBack(ctx context.Context) (id string, err error) {
	payload, err := readLimited(s.path("no-backdoor.json"), predicate.MaxStatementBytes)
	if err != nil {
		return "", err
	}
	target, err := predicate.Parse(payload, predicate.Consumption)
	if err != nil {
		return "", err
	}
	now := time.Now()
	composed, err := predicate.NewWithdrawalDraft(predicate.AboutOptions{Target: target, Now: now},
		predicate.Withdrawal{Reason: "falseStatement", Effect: "neverValid"})
	if err != nil {
		return "", err
	}
	prepared, err := attest.Prepare(composed, attest.PrepareOptions{Now: now, Related: []*predicate.Statement{target}})
	if err != nil {
		return "", err
	}
	envelope, err := prepared.Sign(ctx, s.key)
	if err != nil {
		return "", err
	}
	response, err := s.send(ctx, &avowv1.IssueBatchRequest{Requests: []*avowv1.IssueRequest{signedRequest(envelope)}})
	if err != nil {
		return "", err
	}
	name := filepath.Join("standing", "withdrawal-"+strings.TrimPrefix(prepared.Statement().ID(), "sha256:")[:8])
	if err := writeNew(s.path(name+".json"), composed, 0o644); err != nil {
		return "", err
	}
	return target.ID(), writeNew(s.path(name+".sigstore.json"), response.GetResponses()[0].GetBundle(), 0o644)
}

// standings reads a status file as the buyer's side takes it.
func (s *story) standings(status string, asked, now time.Time, trust *verify.Trust, verifier *verify.Verifier) (verify.StandingFunc, error) {
	data, err := readLimited(s.path(status), standing.MaxSetBytes)
	if err != nil {
		return nil, err
	}
	set, err := standing.ParseSet(data)
	if err != nil {
		return nil, err
	}
	key, err := readLimited(s.path(indexKeyName), maxIndexKeyBytes)
	if err != nil {
		return nil, err
	}
	indexLog, err := verify.ParseLogKey(strings.TrimSuffix(string(key), "\n"))
	if err != nil {
		return nil, err
	}
	return set.Func(standing.Options{IndexLog: indexLog, AsOf: asked, At: now, MaxStaleness: quickstartStaleness, Verifier: verifier}, trust), nil
}

// maxIndexKeyBytes is the largest file with a verifier key that is read.
const maxIndexKeyBytes = 4 << 10
