package command

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/evidence"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
)

// drafts are the statements that can be drafted, by their short names.
func drafts() map[string]func(predicate.DraftOptions) ([]byte, error) {
	return map[string]func(predicate.DraftOptions) ([]byte, error){
		"no-backdoor":  predicate.NewNoBackdoorDraft,
		"data-flows":   predicate.NewDataFlowsDraft,
		"undertakings": predicate.NewUndertakingsDraft,
	}
}

// draftFlags are the flags of draft.
type draftFlags struct {
	options  predicate.DraftOptions
	related  []string
	like     string
	evidence []string
	symlinks string
	sha512   bool
	gitBlob  bool
	output   string
	from     []string
	interact bool
}

func (a *app) draft() *cobra.Command {
	f := &draftFlags{}
	names := slices.Sorted(maps.Keys(drafts()))
	c := &cobra.Command{
		Use:   "draft no-backdoor|data-flows|undertakings [FILE|DIRECTORY|NAME=sha256:HEX|oci://IMAGE@sha256:HEX...]",
		Short: "Write a statement to fill in, with the files' digests",
		Long: `Write a statement about release files, with their digests and with places to fill in. Whatever
still says "FILL IN" is refused by lint and by attest, so nothing is signed by accident.

Name the files that your customers get. Of a directory every file becomes a subject, named by
its path in the directory. What is no file here is named by its digest, NAME=sha256:HEX, and an
image in a registry by its reference; nothing is fetched. Without any of them the draft has a
place for the subject.

Fill in the data-flows statement first: a no-backdoor statement that claims NB-COLLECT or
NB-UPDATE refers to it by the digest of its final bytes (--related).

Product, declarant and scope are taken from the statement that --like names, or else from the
first one of --related, where no flag says otherwise. Identifiers of another version are not.

Evidence is named by digest and never copied: --evidence KIND=FILE, where KIND is one of the
specification's kinds (sbom, provenance, staticAnalysis, ...), or in-toto for a link or layout
of in-toto.

With --from the flows of a data-flows statement are made of what is known: an observation of the
product's traffic, a CycloneDX document, a Threagile model or a HAR file. Endpoints, ports, TLS,
triggers and intervals are taken from there; purpose, data, recipients, places and switches are
left to fill in, with a suggestion where a service is well known. With --interactive the ten most
important questions are asked, and what was not asked is left at the value that is worst for you.`,
		Example: `  avow draft data-flows app.tar.gz --product "Example Gateway" --product-version 1.2.3 \
      --purl pkg:generic/example-gateway@1.2.3 --declarant "Example Devices GmbH" --country DE \
      --controlled-from DE -o data-flows.json
  avow draft no-backdoor app.tar.gz --related data-flows.json --evidence sbom=app.cdx.json -o no-backdoor.json
  avow draft data-flows oci://registry.example/team/app@sha256:13f3...8fe9 -o data-flows.json
  avow draft data-flows app-1.3.tar.gz --like data-flows.json --product-version 1.3.0 \
      --purl pkg:generic/example-gateway@1.3.0 -o data-flows-1.3.json
  avow draft data-flows --from observation.json --from app.cdx.json --interactive -o data-flows.json
  avow schema data-flows > data-flows.schema.json      # so that your editor completes the members`,
		Args:      arguments(1, -1, "which statement? give "+strings.Join(names, ", ")),
		ValidArgs: names,
		RunE: func(c *cobra.Command, args []string) error {
			return a.runDraft(c, args[0], args[1:], f)
		},
	}
	f.register(c)
	return c
}

func (f *draftFlags) register(c *cobra.Command) {
	o := c.Flags()
	o.StringVar(&f.options.ProductName, "product", "", "`NAME` of the product")
	o.StringVar(&f.options.ProductVersion, "product-version", "", "`VERSION` of the product, as tenders name it")
	o.StringVar(&f.options.ProductPURL, "purl", "", "package `URL` with the version: pkg:generic/NAME@VERSION")
	o.StringVar(&f.options.DeclarantName, "declarant", "", "legal `NAME` of the vendor, as the service registered it")
	o.StringVar(&f.options.DeclarantCountry, "country", "", "`CODE` of the vendor's country, ISO 3166-1")
	o.StringVar(&f.options.DeclarantControlledFrom, "controlled-from", "",
		"`CODE` of the country of the vendor's ultimate parent; not given it reads as anywhere")
	o.StringVar(&f.options.Role, "role", "", "`ROLE` of the vendor: "+strings.Join(predicate.IDs("role"), ", "))
	o.StringVar(&f.options.SignatoryFunction, "function", "", "`FUNCTION` of the person who answers for it")
	o.StringVar(&f.options.Authority, "authority", "",
		"`AUTHORITY` of that person: "+strings.Join(predicate.IDs("authority"), ", "))
	o.StringVar(&f.options.Responsibility, "responsibility", "",
		"`RESPONSIBILITY` of the vendor: "+strings.Join(predicate.IDs("responsibility"), ", "))
	o.IntVar(&f.options.ValidDays, "days", 365, "validity in `DAYS`, at most 400 (undertakings: 3653)")
	o.StringArrayVar(&f.related, "related", nil,
		"`FILE` with another statement of the declaration to refer to; may be repeated")
	o.StringVar(&f.like, "like", "", "finished statement `FILE` to take product, declarant and scope from")
	o.StringArrayVar(&f.evidence, "evidence", nil, "`KIND=FILE` to name as evidence by digest; may be repeated")
	o.StringVar(&f.symlinks, "symlinks", "refuse", "`POLICY` for symbolic links in directories: refuse, skip or follow")
	o.BoolVar(&f.sha512, "sha512", false, "add SHA-512 digests")
	o.BoolVar(&f.gitBlob, "git-blob", false, "add gitBlob digests (gitoid:blob:sha256)")
	o.StringArrayVar(&f.from, "from", nil, "`FILE` to make flows of: an observation, CycloneDX, Threagile or HAR; may be repeated")
	o.BoolVar(&f.interact, "interactive", false, "ask what no machine knows, at most ten questions")
	o.StringVarP(&f.output, "output", "o", "", "`FILE` to write instead of standard output")
	completes(c, "symlinks", "refuse", "skip", "follow")
	for _, flag := range []string{"role", "authority", "responsibility"} {
		completes(c, flag, predicate.IDs(flag)...)
	}
}

func (a *app) runDraft(c *cobra.Command, kind string, paths []string, f *draftFlags) error {
	compose, ok := drafts()[kind]
	if !ok {
		return usageFailure(c.CommandPath(), fmt.Errorf("%q is none of no-backdoor, data-flows, undertakings", kind))
	}
	f.options.Now = a.env.Now()
	if err := a.likeOthers(f); err != nil {
		return err
	}
	if err := f.check(kind); err != nil {
		return err
	}
	if len(paths) > 0 {
		subjects, err := a.subjects(c, paths, f)
		if err != nil {
			return err
		}
		f.options.Subjects = subjects
	}
	var err error
	if f.options.Evidence, err = namedEvidence(f.evidence); err != nil {
		return err
	}
	if err := a.draftFrom(c, kind, f); err != nil {
		return err
	}
	draft, err := compose(f.options)
	if err != nil {
		return err
	}
	if err := a.output(f.output, draft); err != nil {
		return err
	}
	if n := strings.Count(string(draft), `"`+placeholder); n > 0 {
		a.note("%d places say \"FILL IN\"; fill them in, then run `avow lint`", n)
	}
	return nil
}

// subjects hashes the release files, with progress at a terminal. What is named by digest follows the files.
func (a *app) subjects(c *cobra.Command, paths []string, f *draftFlags) ([]attest.Subject, error) {
	policies := map[string]attest.SymlinkPolicy{"refuse": attest.SymlinkRefuse, "skip": attest.SymlinkSkip,
		"follow": attest.SymlinkFollowFiles}
	policy, ok := policies[f.symlinks]
	if !ok {
		return nil, usageFailure(c.CommandPath(), fmt.Errorf("--symlinks %q is none of refuse, skip, follow", f.symlinks))
	}
	subjects, paths, err := digestSubjects(paths)
	if err != nil || len(paths) == 0 {
		return subjects, err
	}
	progress := a.newProgress("hashing")
	defer progress.done()
	files, err := attest.SubjectsFromPaths(c.Context(), paths, attest.SubjectOptions{
		SHA512: f.sha512, GitBlob: f.gitBlob, Symlinks: policy,
		Progress:  func(p attest.Progress) { progress.show(p.Done, p.Total) },
		Duplicate: func(name, sameAs string) { a.note("%q has the same content as %q and is left out", name, sameAs) },
	})
	return append(files, subjects...), err
}

// placeholder begins the texts of a draft that are to be replaced.
const placeholder = "FILL IN"

// likeOthers reads the statements to refer to, and takes from one of them what is the same in every statement about a
// release.
func (a *app) likeOthers(f *draftFlags) error {
	for n, path := range f.related {
		st, err := a.finished(path)
		if err != nil {
			return about(path+" cannot be referred to yet", err)
		}
		f.options.Related = append(f.options.Related, predicate.StatementRef{
			Digest: map[string]string{"sha256": strings.TrimPrefix(st.ID(), "sha256:")}, PredicateType: st.Type})
		if n == 0 && f.like == "" && st.Common() != nil {
			f.options.Like = st
		}
	}
	if f.like == "" {
		return nil
	}
	st, err := a.finished(f.like)
	if err != nil {
		return about("--like "+f.like, err)
	}
	if st.Common() == nil {
		return failed("name a no-backdoor, data-flows or undertakings statement", "%s says nothing of product and declarant", f.like)
	}
	f.options.Like = st
	return nil
}

// finished reads a statement in which nothing is left to fill in.
func (a *app) finished(path string) (*predicate.Statement, error) {
	data, err := a.readLimited(path, predicate.MaxStatementBytes)
	if err != nil {
		return nil, err
	}
	return predicate.Parse(data, predicate.Issuance)
}

// draftMembers are the flags of the members that DraftOptions.Check looks at.
var draftMembers = map[string]string{
	"declarant/party/country":        "--country",
	"declarant/party/controlledFrom": "--controlled-from",
	"declarant/role":                 "--role",
	"declarant/authority":            "--authority",
	"declarant/responsibility":       "--responsibility",
	"product/identifiers/0/value":    "--purl",
	"validity/notAfter":              "--days",
}

// check refuses at once what lint would refuse when everything is filled in.
func (f *draftFlags) check(kind string) error {
	findings, err := f.options.Check(plain.TypeURI(kind), nil)
	if err != nil || len(findings) == 0 {
		return err
	}
	first := findings[0]
	member := strings.TrimPrefix(first.Pointer, "/predicate/common/")
	if flag, ok := draftMembers[member]; ok {
		member = flag
	}
	return failed(first.Hint, "%s: %q %s (%s)", member, first.Found, first.Message, first.Code)
}

// namedEvidence reads KIND=FILE arguments.
func namedEvidence(arguments []string) ([]predicate.Evidence, error) {
	var list []predicate.Evidence
	used := map[string]bool{}
	for _, argument := range arguments {
		kind, path, ok := strings.Cut(argument, "=")
		if !ok {
			return nil, failed("give --evidence KIND=FILE", "%q does not name a kind of evidence", argument)
		}
		e, err := oneEvidence(kind, path)
		if err != nil {
			return nil, about(path, err)
		}
		e.ID = evidenceID(e.Resource.Name, used)
		list = append(list, e)
	}
	return list, nil
}

func oneEvidence(kind, path string) (predicate.Evidence, error) {
	if kind == "in-toto" {
		found, err := attest.ReadInToto(path)
		if err != nil {
			return predicate.Evidence{}, err
		}
		return predicate.Evidence{Kind: "document", Resource: found.Resource()}, nil
	}
	if !slices.Contains(predicate.IDs("evidenceKind"), kind) {
		return predicate.Evidence{}, failed("use in-toto, or one of "+strings.Join(predicate.IDs("evidenceKind"), ", "),
			"%q is not a kind of evidence", kind)
	}
	digest, err := evidence.FileDigest(path)
	if err != nil {
		return predicate.Evidence{}, err
	}
	return predicate.Evidence{Kind: kind, Resource: &predicate.ResourceDescriptor{Name: filepath.Base(path),
		Digest: map[string]string{"sha256": digest}}}, nil
}

// evidenceID makes an id of a file name: lower-case letters, digits and hyphens, beginning with a letter, used once.
func evidenceID(name string, used map[string]bool) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z', b.Len() > 0 && r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	base := strings.TrimRight(b.String()[:min(b.Len(), 56)], "-")
	if base == "" || base == "completeness" {
		base = "evidence"
	}
	id := base
	for n := 2; used[id]; n++ {
		id = fmt.Sprintf("%s-%d", base, n)
	}
	used[id] = true
	return id
}

// schema prints the JSON Schema of a statement type.
func (a *app) schema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [TYPE]",
		Short: "Print the JSON Schema of a statement type",
		Long: `Print the JSON Schema (2020-12) of a statement type, for editors. Without TYPE the types are
listed.

The schema knows members and values; the issuance rules that look at several members together
are checked by lint.`,
		Example: `  avow draft data-flows --from observation.json --from app.cdx.json --interactive -o data-flows.json
  avow schema data-flows > data-flows.schema.json`,
		Args: arguments(0, 1, ""), ValidArgs: typeNames(),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				w := a.writer()
				for _, uri := range predicate.Types() {
					w.Item("", 16, plain.TypeName(uri), uri)
				}
				return w.Err()
			}
			uri := plain.TypeURI(args[0])
			if uri == "" {
				return failed("run `avow schema` for the list", "%q is not a statement type", args[0])
			}
			schema, err := predicate.Schema(uri)
			if err != nil {
				return err
			}
			return a.output("", append(schema[:len(schema):len(schema)], '\n'))
		},
	}
}
