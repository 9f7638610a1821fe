package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/cmd/avow/internal/manifest"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/remote"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify/standing"
)

// maxQuestions is how many questions one call of BatchGetStanding takes.
const maxQuestions = 256

// askFlags are the flags of status.
type askFlags struct {
	server    serverFlags
	keyID     string
	manifest  string
	listForm  string
	artifacts string
	keys      logKeyFlags
	output    string
	force     bool
	format    format
}

func (a *app) status() *cobra.Command {
	f := &askFlags{}
	c := &cobra.Command{
		Use:   "status FILE|sha256:HEX|STATEMENT-ID... --server HOST:PORT",
		Short: "Ask a service how statements stand, and keep what shows it",
		Long: `Ask the service whether statements still stand: those about files, given as the files or as
their digests, and statements by their ids (sha256:HEX is tried as the digest of a file, and if nothing
is said about that as a statement's id). With --manifest it is everything that a list names (a
checksum file, JSON lines or an SBOM): a whole fleet is asked for in few calls.

With -o what shows it is written to a status file: everything that was said about the statements since,
with the proof that it is everything. With --trusted-root and the key of the index log, which
` + "`avow trust`" + ` writes beside it, all proofs are verified before anything is written or printed. How a
statement stands is the service's word all the same, until ` + "`avow verify --status`" + ` has looked at the
file and at the statement's own bundle, offline, with your keys.

Exit code 0: all are in force; 1: one is not, is not known to the service, or is not proved; 2: could
not be asked; 3: a log does not continue what it showed before.` + stateHelp + serverHelp,
		Example: `  avow status app.tar.gz --server avow.example:8443 -o app.status.json
  avow status --manifest SHA256SUMS --trusted-root trusted_root.json --server avow.example:8443 -o fleet.status.json
  avow status sha256:ae33b2ff9a11b5d1a6b9a5f31d0f5e2f3c1b7a6d9e8f0a1b2c3d4e5f60718293 --server avow.example:8443`,
		Args: func(c *cobra.Command, args []string) error {
			if f.manifest != "" {
				return arguments(0, 0, "")(c, args)
			}
			return arguments(1, -1, "of what? name files, digests or statement ids, or a list with --manifest")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error { return a.runStatus(c, args, f) },
	}
	o := c.Flags()
	o.StringVar(&f.keyID, "key-id", "", "only statements by the key or identity of this `ID`")
	o.StringVar(&f.manifest, "manifest", "", "`LIST` of artifacts to ask about")
	o.StringVar(&f.listForm, "manifest-format", "", "`FORMAT` of the list: checksums, jsonl, cyclonedx or spdx (default: told by the content)")
	o.StringVar(&f.artifacts, "artifacts", "", "`DIR` with the files for which the list has no digest (default: the current directory)")
	f.keys.register(c)
	o.StringVarP(&f.output, "output", "o", "", "`FILE` for what shows it, as avow verify --status takes it")
	o.BoolVar(&f.force, "force", false, "replace a file with other content")
	f.format.register(c)
	f.server.register(c)
	return c
}

func (a *app) runStatus(c *cobra.Command, args []string, f *askFlags) error {
	ctx := c.Context()
	asked, err := a.askedAbout(c, args, f)
	if err != nil {
		return err
	}
	check, err := a.statusCheck(c, f)
	if err != nil {
		return err
	}
	digests := make([]string, len(asked))
	for n := range asked {
		digests[n] = asked[n].sha256
	}
	answers, err := a.askStandings(ctx, digests, f)
	if err != nil {
		return err
	}
	if check != nil {
		if err := check.all(ctx, answers); err != nil {
			return err
		}
	}
	if f.output != "" {
		if err := a.writeStatuses(answers, f); err != nil {
			return err
		}
	}
	if f.format.json() {
		err = a.printMessage(&avowv1.BatchGetStandingResponse{Responses: answers})
	} else {
		err = a.printStandings(asked, answers, check != nil)
	}
	if err == nil && !allInForce(answers) {
		return no()
	}
	return err
}

// askedFor is something that is asked about: its name and its SHA-256.
type askedFor struct{ name, sha256 string }

// askedAbout is what the arguments or the list name.
func (a *app) askedAbout(c *cobra.Command, args []string, f *askFlags) (asked []askedFor, err error) {
	for _, arg := range args {
		digest, err := a.artifactDigest(arg)
		if err != nil {
			return nil, err
		}
		asked = append(asked, askedFor{arg, digest})
	}
	if f.manifest == "" {
		for _, name := range []string{"manifest-format", "artifacts"} {
			if c.Flags().Changed(name) {
				return nil, usageFailure(c.CommandPath(), fmt.Errorf("--%s is about a list, and no --manifest was given", name))
			}
		}
		return asked, nil
	}
	list, err := manifest.Open(f.manifest, manifest.Format(f.listForm))
	if err != nil {
		return nil, manifestFailure(err)
	}
	defer func() { err = errors.Join(err, list.Close()) }()
	dir, err := os.OpenRoot(filepath.Clean(f.artifacts))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	for item := range list.Items() {
		digest := item.SHA256
		switch {
		case item.Err != nil:
			return nil, failed("correct the list", "%s: %s: %w", f.manifest, item.Position, item.Err)
		case digest == "" && item.Path == "":
			return nil, failed("have the list made with SHA-256 digests", "%s: %s has neither a SHA-256 nor a path", f.manifest, item.Position)
		case digest == "":
			if digest, err = hashIn(c.Context(), dir, filepath.FromSlash(item.Path)); err != nil {
				return nil, err
			}
		}
		asked = append(asked, askedFor{item.Name, digest})
	}
	if list.Err() != nil {
		return nil, manifestFailure(list.Err())
	}
	return asked, nil
}

// largeStatusFile is the size from which on it is said how large a status file is: a message to or from a service cannot hold it.
const largeStatusFile = 3 << 20

// writeStatuses writes the status file.
func (a *app) writeStatuses(answers []*avowv1.GetStandingResponse, f *askFlags) error {
	entries := statusEntries(answers)
	data, err := standing.MarshalSetJSON(&statusv1.StatusSet{Entries: entries})
	if err != nil {
		return err
	}
	if _, err := standing.ParseSet(data); err != nil && len(entries) > 0 {
		return failed("tell the operator of the service", "what the service answered cannot be read as a status file: %w", err)
	}
	if len(data) > largeStatusFile {
		a.note("%s has %.1f MiB, %d statuses: more than one message to a service can hold; avow verify --status reads up to %d MiB", f.output,
			float64(len(data))/(1<<20), len(entries), standing.MaxSetBytes>>20)
	}
	return replaceFile(f.output, append(data, '\n'), f.force)
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

// statusColumns are the columns of the table on a terminal.
var statusColumns = []text.Column{{Title: "file", Weight: 2}, {Title: "statement", Weight: 3}, {Title: "status", Weight: 3}, {Title: "as of", Weight: 2}}

// printStandings prints a table on a terminal that is wide enough, and paragraphs elsewhere.
func (a *app) printStandings(asked []askedFor, answers []*avowv1.GetStandingResponse, proved bool) error {
	w := a.writer()
	if !a.env.OutputIsTerminal { // for those who grep: a table breaks ids into lines
		for n, r := range answers {
			printStanding(w, asked[n].name, r, proved)
		}
		return w.Err()
	}
	var rows [][]text.Cell
	for n, r := range answers {
		name := text.Safe(asked[n].name)
		if len(r.GetStandings()) == 0 {
			rows = append(rows, []text.Cell{{name}, {"-"}, {"no statement"}, {"-"}})
		}
		for _, s := range r.GetStandings() {
			result := s.GetResult()
			status := text.Cell{fmt.Sprintf("%s (%s)", standingName(result.GetStanding()), text.Safe(result.GetReason()))}
			for _, said := range result.GetSaid() {
				status = append(status, fmt.Sprintf("%s, entry %d", text.Safe(plain.TypeName(said.GetPredicateType())), said.GetLogIndex()))
			}
			rows = append(rows, []text.Cell{{name}, {text.Safe(s.GetStatementId())}, status,
				{result.GetAsOf().AsTime().UTC().Format(time.RFC3339), fmt.Sprintf("tree size %d", result.GetTreeSize()), whoSays(proved)}})
		}
	}
	if w.Table("", statusColumns, rows) {
		return w.Err()
	}
	for n, r := range answers {
		printStanding(w, asked[n].name, r, proved)
	}
	return w.Err()
}

// whoSays says who is to be believed.
func whoSays(proved bool) string {
	if proved {
		return "lists proved"
	}
	return "by the service's word"
}

func printStanding(w *text.Writer, name string, r *avowv1.GetStandingResponse, proved bool) {
	if len(r.GetStandings()) == 0 {
		w.Line("%s", text.Safe(name))
		w.Item("  ", 10, "standing", "no statement")
	}
	for _, s := range r.GetStandings() {
		result := s.GetResult()
		w.Line("%s", text.Safe(s.GetStatementId()))
		w.Item("  ", 10, "about", text.Safe(name))
		w.Item("  ", 10, "standing", fmt.Sprintf("%s (%s)", standingName(result.GetStanding()), text.Safe(result.GetReason())))
		w.Item("  ", 10, "as of", fmt.Sprintf("%s, tree size %d, %s", result.GetAsOf().AsTime().UTC().Format(time.RFC3339),
			result.GetTreeSize(), whoSays(proved)))
		w.Item("  ", 10, "key", text.Safe(s.GetKeyId()))
		for _, said := range result.GetSaid() {
			w.Item("  ", 10, "said", fmt.Sprintf("%s, entry %d, by %s", text.Safe(said.GetPredicateType()), said.GetLogIndex(), text.Safe(said.GetKeyId())))
		}
	}
}
