package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/cmd/avow/internal/remote"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify/standing"
)

// maxQuestions is how many questions one call of BatchGetStanding takes.
const maxQuestions = 256

// askFlags are the flags of status.
type askFlags struct {
	server serverFlags
	keyID  string
	output string
	force  bool
	format format
}

func (a *app) status() *cobra.Command {
	f := &askFlags{}
	c := &cobra.Command{
		Use:   "status FILE|sha256:HEX|STATEMENT-ID... --server HOST:PORT",
		Short: "Ask a service how statements stand, and keep what shows it",
		Long: `Ask the service whether statements still stand: those about files, given as the files or as
their digests, and statements by their ids (sha256:HEX is tried as the digest of a file, and if nothing
is said about that as a statement's id). A whole fleet is asked for in few calls.

With -o what shows it is written to a status file: everything that was said about the statements since,
with the proof that it is everything. What is printed is the service's word; avow verify --status
checks the file offline, with your keys.

Exit code 0: all are in force; 1: one is not, or is not known to the service; 2: could not be asked.` + serverHelp,
		Example: `  avow status app.tar.gz --server avow.example:8443 -o app.status.json
  avow status sha256:ae33b2ff9a11b5d1a6b9a5f31d0f5e2f3c1b7a6d9e8f0a1b2c3d4e5f60718293 --server avow.example:8443`,
		Args: arguments(1, -1, "of what? name files, digests or statement ids"),
		RunE: func(c *cobra.Command, args []string) error { return a.runStatus(c.Context(), args, f) },
	}
	o := c.Flags()
	o.StringVar(&f.keyID, "key-id", "", "only statements by the key or identity of this `ID`")
	o.StringVarP(&f.output, "output", "o", "", "`FILE` for what shows it, as avow verify --status takes it")
	o.BoolVar(&f.force, "force", false, "replace a file with other content")
	f.format.register(c)
	f.server.register(c)
	return c
}

func (a *app) runStatus(ctx context.Context, args []string, f *askFlags) error {
	digests := make([]string, len(args))
	for n, arg := range args {
		var err error
		if digests[n], err = a.artifactDigest(arg); err != nil {
			return err
		}
	}
	answers, err := a.askStandings(ctx, digests, f)
	if err != nil {
		return err
	}
	if f.output != "" {
		set := &statusv1.StatusSet{}
		for _, r := range answers {
			for _, s := range r.GetStandings() {
				set.Entries = append(set.Entries, &statusv1.StatusEntry{KeyId: s.GetKeyId(), Status: s.GetStatus()})
			}
		}
		data, err := standing.MarshalSetJSON(set)
		if err != nil {
			return err
		}
		if _, err := standing.ParseSet(data); err != nil && len(set.GetEntries()) > 0 {
			return failed("tell the operator of the service", "what the service answered cannot be read as a status file: %w", err)
		}
		if err := replaceFile(f.output, append(data, '\n'), f.force); err != nil {
			return err
		}
	}
	if f.format.json() {
		err = a.printMessage(&avowv1.BatchGetStandingResponse{Responses: answers})
	} else {
		err = a.printStandings(args, answers)
	}
	if err == nil && !allInForce(answers) {
		return no()
	}
	return err
}

// askStandings asks for everything: about artifacts first, and what nothing is said about as statements.
func (a *app) askStandings(ctx context.Context, digests []string, f *askFlags) ([]*avowv1.GetStandingResponse, error) {
	ctx, connection, done, err := a.connect(ctx, &f.server)
	if err != nil {
		return nil, err
	}
	defer done()
	requests := make([]*avowv1.GetStandingRequest, len(digests))
	for n, d := range digests {
		requests[n] = &avowv1.GetStandingRequest{KeyId: f.keyID, Subject: &avowv1.GetStandingRequest_ArtifactSha256{ArtifactSha256: d}}
	}
	answers, err := a.askInParts(ctx, connection, requests)
	if err != nil {
		return nil, err
	}
	var again []*avowv1.GetStandingRequest
	var places []int
	for n, r := range answers {
		if len(r.GetStandings()) == 0 {
			places = append(places, n)
			again = append(again, &avowv1.GetStandingRequest{KeyId: f.keyID,
				Subject: &avowv1.GetStandingRequest_StatementId{StatementId: "sha256:" + digests[n]}})
		}
	}
	byID, err := a.askInParts(ctx, connection, again)
	for n, r := range byID {
		answers[places[n]] = r
	}
	return answers, err
}

// askInParts asks in as few calls as the service allows: an answer that is too large is asked for in halves.
func (a *app) askInParts(ctx context.Context, connection *remote.Connection, requests []*avowv1.GetStandingRequest) ([]*avowv1.GetStandingResponse, error) {
	if len(requests) == 0 {
		return nil, nil
	}
	half := min(len(requests), maxQuestions)
	if half == len(requests) {
		var answer *avowv1.BatchGetStandingResponse
		err := a.call(ctx, connection, func(ctx context.Context) (err error) {
			answer, err = avowv1.NewStandingServiceClient(connection).BatchGetStanding(ctx, &avowv1.BatchGetStandingRequest{Requests: requests})
			return err
		})
		var refused *remote.Error
		switch {
		case err == nil && len(answer.GetResponses()) != len(requests):
			return nil, failed("tell the operator of the service", "the service answered %d of %d questions", len(answer.GetResponses()), len(requests))
		case err == nil:
			return answer.GetResponses(), nil
		case !errors.As(err, &refused) || refused.Reason != "LISTING_TOO_LARGE" || len(requests) == 1:
			return nil, err
		}
		half = len(requests) / 2
	}
	first, err := a.askInParts(ctx, connection, requests[:half])
	if err != nil {
		return nil, err
	}
	rest, err := a.askInParts(ctx, connection, requests[half:])
	return append(first, rest...), err
}

// allInForce reports whether there is an answer to each question, and all of each are in force.
func allInForce(answers []*avowv1.GetStandingResponse) bool {
	for _, r := range answers {
		for _, s := range r.GetStandings() {
			if s.GetResult().GetStanding() != avowv1.Standing_STANDING_IN_FORCE {
				return false
			}
		}
		if len(r.GetStandings()) == 0 {
			return false
		}
	}
	return true
}

func (a *app) printStandings(asked []string, answers []*avowv1.GetStandingResponse) error {
	w := a.writer()
	for n, r := range answers {
		if len(r.GetStandings()) == 0 {
			w.Line("%s", text.Safe(asked[n]))
			w.Item("  ", 10, "standing", "no statement")
		}
		for _, s := range r.GetStandings() {
			result := s.GetResult()
			word := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(result.GetStanding().String(), "STANDING_"), "_", " "))
			w.Line("%s", text.Safe(s.GetStatementId()))
			w.Item("  ", 10, "about", text.Safe(asked[n]))
			w.Item("  ", 10, "standing", fmt.Sprintf("%s (%s)", word, text.Safe(result.GetReason())))
			w.Item("  ", 10, "as of", fmt.Sprintf("%s, tree size %d, by the service's word", result.GetAsOf().AsTime().UTC().Format(time.RFC3339),
				result.GetTreeSize()))
			w.Item("  ", 10, "key", text.Safe(s.GetKeyId()))
			for _, said := range result.GetSaid() {
				w.Item("  ", 10, "said", fmt.Sprintf("%s, entry %d, by %s", text.Safe(said.GetPredicateType()), said.GetLogIndex(), text.Safe(said.GetKeyId())))
			}
		}
	}
	return w.Err()
}
