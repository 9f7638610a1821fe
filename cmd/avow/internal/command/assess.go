package command

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest/evidence"
	"github.com/avow-dev/avow/attest/predicate"
)

// assessFlags are the flags of assess.
type assessFlags struct {
	say            sayFlags
	party          partyFlags
	assessment     predicate.Assessment
	findings       []string
	criteria       []string
	accreditations []string
	evidence       []string
	days           int
}

func (a *app) assess() *cobra.Command {
	f := &assessFlags{}
	c := &cobra.Command{
		Use:   "assess STATEMENT-ID --finding ITEM=RESULT... (--key KEY | --identity) --server HOST:PORT",
		Short: "Say what you found on examining somebody's statement",
		Long: `Issue an assessment of a statement: by which criteria it was examined and when, what was found
about which of its items (claims, flows, mechanisms, undertakings, or completeness), and what was
not looked at. Nothing here makes a claim verified: the words are confirmed, notContradicted,
contradicted and notExamined.

The operator has to give you the role assessor. Without --finding and with --draft the statement
has a place for a finding on each item.` + sayHelp + keyHelp + identityHelp + serverHelp,
		Example: `  avow assess sha256:ae33...860b --assessor "Example Test Laboratory" --country DE --independence thirdParty \
      --criteria https://w3id.org/avow/criteria/flow-capture/v1 --from 2026-09-02T00:00:00Z --to 2026-09-09T00:00:00Z \
      --finding completeness=notContradicted:flowCapture --finding update-check=confirmed:flowCapture \
      --overall noContradictionFound --limitations "one device, default configuration" --key lab.key --server avow.example:8443
  avow assess sha256:ae33...860b --draft assessment.json --server avow.example:8443`,
		Args: arguments(1, 1, "which statement? give its id, sha256:HEX"),
		RunE: func(c *cobra.Command, args []string) error { return a.runAssess(c, args[0], f) },
	}
	s := &f.assessment
	o := c.Flags()
	f.party.register(c, "assessor", "the assessor")
	choice(c, &s.Independence, "independence", "independence", "`INDEPENDENCE` of the assessor from the vendor")
	o.StringArrayVar(&f.accreditations, "accreditation", nil, "`SCHEME=VALUE` of an accreditation, as iso17025=D-PL-00000; may be repeated")
	o.StringArrayVar(&f.criteria, "criteria", nil, "`URL` of the criteria, or a file that is named by digest; may be repeated")
	o.StringVar(&s.PerformedFrom, "from", "", "`TIME` at which the examination began, as 2026-01-31T00:00:00Z")
	o.StringVar(&s.PerformedTo, "to", "", "`TIME` at which it ended")
	o.IntVar(&f.days, "days", 365, "validity in `DAYS`, at most 400")
	o.StringArrayVar(&f.findings, "finding", nil, "`ITEM=RESULT` or ITEM=RESULT:METHOD; RESULT is one of "+
		strings.Join(predicate.IDs("findingResult"), ", ")+", METHOD a kind of evidence; may be repeated")
	choice(c, &s.Overall, "overall", "overall", "`RESULT` of the whole")
	o.StringVar(&s.Limitations, "limitations", "", "`TEXT`: what was not looked at")
	o.StringArrayVar(&f.evidence, "evidence", nil, "`KIND=FILE` to name as evidence by digest; may be repeated")
	f.say.register(c)
	return c
}

// assessMembers are the flags of the members that may be missing.
var assessMembers = map[string]string{
	"assessor/name": "--assessor", "assessor/country": "--country", "independence": "--independence", "criteria": "--criteria",
	"performedFrom": "--from", "performedTo": "--to", "findings": "--finding", "overall": "--overall", "limitations": "--limitations",
}

func (a *app) runAssess(c *cobra.Command, id string, f *assessFlags) error {
	if err := f.read(c); err != nil {
		return err
	}
	target, err := a.begin(c, &f.say, id)
	if err != nil {
		return err
	}
	composed, err := predicate.NewAssessmentDraft(target.options, f.assessment, f.days)
	if err != nil {
		return err
	}
	return a.say(c, &f.say, composed, assessMembers, target.statement)
}

// read takes the flags that are lists, and refuses values that the rules would refuse.
func (f *assessFlags) read(c *cobra.Command) error {
	s := &f.assessment
	for _, err := range []error{
		oneOf(c, "independence", "independence", s.Independence), oneOf(c, "overall", "overall", s.Overall),
		timeFlag(c, "from", s.PerformedFrom), timeFlag(c, "to", s.PerformedTo),
	} {
		if err != nil {
			return err
		}
	}
	if f.days < 1 || f.days > 400 {
		return usageFailure(c.CommandPath(), fmt.Errorf("--days %d is none of 1 to 400", f.days))
	}
	s.Assessor = f.party.party
	for _, argument := range f.findings {
		finding, err := readFinding(argument)
		if err != nil {
			return err
		}
		s.Findings = append(s.Findings, finding)
	}
	for _, argument := range f.accreditations {
		scheme, value, ok := strings.Cut(argument, "=")
		if schemes := predicate.IDs("accreditationScheme"); !ok || !slices.Contains(schemes, scheme) {
			return failed("give --accreditation SCHEME=VALUE, SCHEME one of "+strings.Join(schemes, ", "), "%q names no scheme", argument)
		}
		s.Accreditations = append(s.Accreditations, predicate.Identifier{Scheme: scheme, Value: value})
	}
	for _, argument := range f.criteria {
		descriptor, err := readCriteria(argument)
		if err != nil {
			return err
		}
		s.Criteria = append(s.Criteria, descriptor)
	}
	var err error
	s.Evidence, err = namedEvidence(f.evidence)
	return err
}

// readFinding reads ITEM=RESULT[:METHOD].
func readFinding(argument string) (predicate.AssessmentFinding, error) {
	item, rest, ok := strings.Cut(argument, "=")
	result, method, hasMethod := strings.Cut(rest, ":")
	results, methods := predicate.IDs("findingResult"), predicate.IDs("evidenceKind")
	switch {
	case !ok || item == "" || !slices.Contains(results, result):
		return predicate.AssessmentFinding{}, failed("give --finding ITEM=RESULT, RESULT one of "+strings.Join(results, ", "),
			"%q is no finding", argument)
	case hasMethod && !slices.Contains(methods, method):
		return predicate.AssessmentFinding{}, failed("METHOD is one of "+strings.Join(methods, ", "), "%q is not a method", method)
	}
	return predicate.AssessmentFinding{Item: item, Result: result, Method: method}, nil
}

// readCriteria names a file by its digest, and anything else by its address, which is never fetched.
func readCriteria(argument string) (predicate.ResourceDescriptor, error) {
	if _, err := os.Stat(argument); err != nil {
		if !strings.Contains(argument, ":") {
			return predicate.ResourceDescriptor{}, err
		}
		return predicate.ResourceDescriptor{URI: argument}, nil
	}
	digest, err := evidence.FileDigest(argument)
	return predicate.ResourceDescriptor{Name: filepath.Base(argument), Digest: map[string]string{"sha256": digest}}, err
}
