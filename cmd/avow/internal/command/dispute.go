package command

import (
	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest/predicate"
)

// disputeFlags are the flags of dispute and answer.
type disputeFlags struct {
	say      sayFlags
	party    partyFlags
	dispute  predicate.Dispute
	evidence []string
}

func (a *app) openDispute() *cobra.Command {
	f := &disputeFlags{dispute: predicate.Dispute{Event: "opened"}}
	c := &cobra.Command{
		Use:   "dispute STATEMENT-ID --ground GROUND --summary TEXT --party NAME --country CODE (--key KEY | --identity) --server HOST:PORT",
		Short: "Dispute somebody's statement",
		Long: `Say that a statement is wrong, and how: with a ground, a summary, and evidence by digest. --item
names the claims, mechanisms or flows that are meant.

A dispute changes no verdict by itself; buyers see it with the statement's standing, and their
policies decide. The statement's vendor can answer it (` + "`avow answer`" + `), you can settle it. The
operator has to give you the role disputer; how many disputes are taken from one party in an hour,
and about one statement, is limited (docs/lifecycle.md).

No text of a dispute can be removed again: write no personal data into it.` + sayHelp + keyHelp + identityHelp + serverHelp,
		Example: `  avow dispute sha256:ae33...860b --ground undeclaredFlow --summary "connects to an undeclared host" \
      --evidence flowCapture=capture.json --party "Example Watch e.V." --country DE --key watch.key --server avow.example:8443
  avow dispute sha256:ae33...860b --ground falseClaim --item NB-COLLECT --draft dispute.json --server avow.example:8443`,
		Args: arguments(1, 1, "which statement? give its id, sha256:HEX"),
		RunE: func(c *cobra.Command, args []string) error { return a.runDispute(c, args[0], f) },
	}
	f.register(c)
	return c
}

func (a *app) answerDispute() *cobra.Command {
	f := &disputeFlags{}
	c := &cobra.Command{
		Use:   "answer DISPUTE-ID --summary TEXT (--key KEY | --identity) --server HOST:PORT",
		Short: "Answer a dispute, or take another step in it",
		Long: `Go on with a dispute. Who may take which step is decided by the service:

  answered        the signer of the disputed statement, or its registered successor
  evidenceAdded   the same, or who opened the dispute
  settled         who opened the dispute
  upheld          an assessor who is no party to it
  rejected        the same

DISPUTE-ID is the dispute, or any step of it. Ground and items are those of the dispute; the party
is that of the disputed statement for an answer, and that of the dispute for a settlement. With
other steps give --party and --country.` + sayHelp + keyHelp + identityHelp + serverHelp,
		Example: `  avow answer sha256:1d5c...77a0 --summary "the host is declared as flow update-check" --key vendor.key \
      --server avow.example:8443
  avow answer sha256:1d5c...77a0 --event settled --summary "fixed in 1.2.4" --key watch.key --server avow.example:8443`,
		Args: arguments(1, 1, "which dispute? give its id, sha256:HEX"),
		RunE: func(c *cobra.Command, args []string) error { return a.runAnswer(c, args[0], f) },
	}
	f.register(c)
	c.Flags().StringVar(&f.dispute.Event, "event", "answered", "`EVENT`: answered, evidenceAdded, settled, rejected, upheld")
	completes(c, "event", "answered", "evidenceAdded", "settled", "rejected", "upheld")
	return c
}

func (f *disputeFlags) register(c *cobra.Command) {
	d := &f.dispute
	choice(c, &d.Ground, "ground", "disputeGround", "`GROUND`")
	o := c.Flags()
	o.StringVar(&d.Summary, "summary", "", "`TEXT` of at most 2,000 characters")
	o.StringArrayVar(&d.Items, "item", nil, "`ID` of a claim, mechanism, flow or undertaking; may be repeated")
	o.StringArrayVar(&f.evidence, "evidence", nil, "`KIND=FILE` to name as evidence by digest; may be repeated")
	choice(c, &d.Confidentiality, "confidentiality", "confidentiality", "`WHAT` of it is public")
	o.StringVar(&d.OccurredAt, "occurred-at", "", "`TIME` of what is said, as 2026-01-31T00:00:00Z; now if not given")
	o.StringVar(&d.RespondBy, "respond-by", "", "`TIME` by which an answer is asked for")
	f.party.register(c, "party", "who says this")
	f.say.register(c)
}

// disputeMembers are the flags of the members that may be missing.
var disputeMembers = map[string]string{
	"event": "--event", "ground": "--ground", "summary": "--summary", "party/name": "--party", "party/country": "--country",
}

// check refuses values that the rules would refuse, before anything is fetched.
func (f *disputeFlags) check(c *cobra.Command) error {
	d := &f.dispute
	for _, err := range []error{
		oneOf(c, "ground", "disputeGround", d.Ground), oneOf(c, "event", "disputeEvent", d.Event),
		oneOf(c, "confidentiality", "confidentiality", d.Confidentiality),
		timeFlag(c, "occurred-at", d.OccurredAt), timeFlag(c, "respond-by", d.RespondBy),
	} {
		if err != nil {
			return err
		}
	}
	d.Party = f.party.party
	var err error
	d.Evidence, err = namedEvidence(f.evidence)
	return err
}

func (a *app) runDispute(c *cobra.Command, id string, f *disputeFlags) error {
	if err := f.check(c); err != nil {
		return err
	}
	target, err := a.begin(c, &f.say, id)
	if err != nil {
		return err
	}
	composed, err := predicate.NewDisputeDraft(target.options, f.dispute, nil)
	if err != nil {
		return err
	}
	return a.say(c, &f.say, composed, disputeMembers, target.statement)
}

func (a *app) runAnswer(c *cobra.Command, id string, f *disputeFlags) error {
	if err := f.check(c); err != nil {
		return err
	}
	if f.dispute.Event == "opened" {
		return failed("open another one with `avow dispute`", "a dispute that is there is not opened again")
	}
	step, err := a.begin(c, &f.say, id)
	if err != nil {
		return err
	}
	thread, target, err := a.threadOf(c, f, id, step)
	if err != nil {
		return err
	}
	composed, err := predicate.NewDisputeDraft(target.options, f.dispute, thread.statement)
	if err != nil {
		return err
	}
	return a.say(c, &f.say, composed, disputeMembers, target.statement, thread.statement)
}

// threadOf finds the beginning of a dispute, and what it is about.
func (a *app) threadOf(c *cobra.Command, f *disputeFlags, id string, step *said) (thread, target *said, err error) {
	if step.statement.Dispute == nil {
		return nil, nil, failed("give the id of a dispute; `avow dispute` opens one", "%s is a %s, want a dispute", id, step.statement.Type)
	}
	thread = step
	if ref := step.statement.Dispute.Thread; ref != nil {
		if thread, err = a.fetchTarget(c.Context(), &f.say.attest.server, ref.ID()); err != nil {
			return nil, nil, about("the beginning of the dispute", err)
		}
		if thread.statement.Dispute == nil {
			return nil, nil, failed("tell the operator of the service", "the dispute %s goes on with a %s", id, thread.statement.Type)
		}
	}
	target, err = a.fetchTarget(c.Context(), &f.say.attest.server, thread.statement.Dispute.Target.ID())
	return thread, target, about("the disputed statement", err)
}
