package command

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// sayFlags are the flags of every command that says something about a statement: withdraw, dispute, answer, assess.
type sayFlags struct {
	attest attestFlags
	draft  string
}

// sayHelp is the part of the help that these commands share.
const sayHelp = `

The statement is fetched from the service, its bytes are checked against the id, and its files
are copied. What will be signed is shown, signed on this machine, and issued; the statement is
kept as TYPE-HEX.json and its bundle as TYPE-HEX.sigstore.json (-o names another directory).
If that fails halfway, run ` + "`avow attest`" + ` on TYPE-HEX.json: the same bytes are never issued twice.
What is issued is public and cannot be removed.

With --draft FILE nothing is signed: the statement is written with places to fill in, and
` + "`avow attest FILE`" + ` issues it.

Exit code 0: issued; 1: refused by the rules or by the service; 2: could not be carried out.`

func (f *sayFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.draft, "draft", "", "write the statement to `FILE`, to fill in, and issue nothing")
	f.attest.register(c)
}

// said is the statement that something is said about, as the service has it.
type said struct {
	statement *predicate.Statement
	options   predicate.AboutOptions
}

// fetchTarget fetches a statement. Its bytes are those of the id; who signed it is not verified: the service decides who may
// say what about it, and readers verify both.
func (a *app) fetchTarget(ctx context.Context, server *serverFlags, id string) (*said, error) {
	if !digestArgument.MatchString(id) {
		return nil, failed("`avow list` prints ids", "%q is not a statement id (sha256: and 64 lower-case hexadecimal digits)", id)
	}
	answer, err := a.getStatement(ctx, server, id, "")
	if err != nil {
		return nil, err
	}
	st, err := predicate.Parse(answer.GetStatement(), predicate.Consumption)
	if err != nil {
		return nil, about(id, err)
	}
	s := &said{statement: st, options: predicate.AboutOptions{Target: st, Now: a.env.Now()}}
	s.options.LogOrigin, s.options.LogIndex = placeInLog(answer)
	return s, nil
}

// begin checks who signs, before anything is asked of the service, and fetches the statement.
func (a *app) begin(c *cobra.Command, f *sayFlags, id string) (*said, error) {
	if f.draft == "" {
		if err := a.chooseSigner(c, &f.attest); err != nil {
			return nil, err
		}
	}
	return a.fetchTarget(c.Context(), &f.attest.server, id)
}

// placeInLog is where the first bundle says that it was logged.
func placeInLog(answer *avowv1.GetStatementResponse) (origin, index string) {
	if len(answer.GetBundles()) == 0 {
		return "", ""
	}
	u, err := readUnverified(answer.GetBundles()[0].GetBundle())
	if err != nil {
		return "", ""
	}
	origin, _, _ = strings.Cut(u.checkpoint, "\n")
	return origin, u.logIndex
}

// reference fetches a statement that is named beside the target.
func (a *app) reference(ctx context.Context, server *serverFlags, id string) (*predicate.StatementRef, error) {
	other, err := a.fetchTarget(ctx, server, id)
	if err != nil {
		return nil, err
	}
	ref := predicate.Reference(other.statement)
	ref.LogOrigin, ref.LogIndex = other.options.LogOrigin, other.options.LogIndex
	return &ref, nil
}

// say writes what was composed as a draft, or shows, signs and issues it. flags names the flag of each member that may be
// missing.
func (a *app) say(c *cobra.Command, f *sayFlags, composed []byte, flags map[string]string, known ...*predicate.Statement) error {
	if f.draft != "" {
		if err := a.output(f.draft, composed); err != nil {
			return err
		}
		if n := strings.Count(string(composed), `"`+placeholder); n > 0 {
			a.note("%d places say \"FILL IN\"; fill them in, then run `avow attest %s`", n, f.draft)
		} else {
			a.note("nothing is left to fill in; `avow attest %s` issues it", f.draft)
		}
		return nil
	}
	if err := missingFlags(c, composed, flags); err != nil {
		return err
	}
	prepared, err := attest.Prepare(composed, attest.PrepareOptions{Now: a.env.Now(), Related: known})
	if err != nil {
		return err
	}
	st := prepared.Statement()
	path := filepath.Join(f.attest.directory, fmt.Sprintf("%s-%s.json", plain.TypeName(st.Type), st.ID()[len("sha256:"):][:8]))
	w := text.NewWriter(a.env.Stderr, false, a.env.Width)
	w.Line("to be signed: %s %s", plain.TypeName(st.Type), st.ID())
	plain.Statement(w, st)
	if err := w.Err(); err != nil {
		return err
	}
	return a.signAndIssue(c.Context(), []*issue{{path: path, output: bundlePath(path, ""), statement: st, prepared: prepared,
		composed: true}}, &f.attest)
}

// missingFlags says which flags would have said what is still to fill in.
func missingFlags(c *cobra.Command, composed []byte, flags map[string]string) error {
	var missing []string
	for _, finding := range predicate.Lint(composed, nil) {
		if strings.HasPrefix(finding.Found, placeholder) {
			missing = append(missing, flagOf(flags, strings.TrimPrefix(finding.Pointer, "/predicate/")))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return usageFailure(c.CommandPath(), fmt.Errorf("not given: %s; with --draft FILE you get a statement to fill in",
		strings.Join(slices.Compact(missing), ", ")))
}

// flagOf is the flag for a member, or for the nearest one around it; the member itself where it has none.
func flagOf(flags map[string]string, member string) string {
	for at := member; at != ""; {
		if flag, ok := flags[at]; ok {
			return flag
		}
		at = at[:max(0, strings.LastIndexByte(at, '/'))]
	}
	return member
}

// partyFlags are the flags about who says something.
type partyFlags struct{ party predicate.Party }

func (f *partyFlags) register(c *cobra.Command, name, who string) {
	o := c.Flags()
	o.StringVar(&f.party.Name, name, "", "legal `NAME` of "+who+", as the service registered it")
	o.StringVar(&f.party.Country, "country", "", "`CODE` of its country, ISO 3166-1")
	o.StringVar(&f.party.ControlledFrom, "controlled-from", "", "`CODE` of the country of its ultimate parent; not given it reads as anywhere")
}

// timeFlag checks a time as statements have it. Empty is fine.
func timeFlag(c *cobra.Command, flag, value string) error {
	if value == "" {
		return nil
	}
	if t, err := time.Parse(time.RFC3339, value); err != nil || t.UTC().Format("2006-01-02T15:04:05Z") != value {
		return usageFailure(c.CommandPath(), fmt.Errorf("--%s %q is not a time in whole seconds of UTC, as 2026-01-31T00:00:00Z", flag, value))
	}
	return nil
}

// oneOf checks a value against a registry. Empty is fine.
func oneOf(c *cobra.Command, flag, registry, value string) error {
	if value == "" || slices.Contains(predicate.IDs(registry), value) {
		return nil
	}
	return usageFailure(c.CommandPath(), fmt.Errorf("--%s %q is none of %s", flag, value, strings.Join(predicate.IDs(registry), ", ")))
}

// choice adds a flag whose values are a registry's, completes it, and describes it with them.
func choice(c *cobra.Command, to *string, flag, registry, usage string) {
	c.Flags().StringVar(to, flag, "", usage+": "+strings.Join(predicate.IDs(registry), ", "))
	completes(c, flag, predicate.IDs(registry)...)
}
