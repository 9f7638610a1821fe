package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/cmd/avow/internal/manifest"
	"github.com/avow-dev/avow/cmd/avow/internal/report"
	"github.com/avow-dev/avow/verify"
)

// formatJSONLines is the format that only lists have.
const formatJSONLines = "jsonl"

// manifestFlags are the flags of verify that are about lists.
type manifestFlags struct {
	path        string
	format      string
	artifacts   string
	bundles     string
	digestsOnly bool
}

const manifestHelp = `

With --manifest a whole list is verified: a checksum file (sha256sum, or its BSD form), JSON lines,
or a CycloneDX or SPDX 2.3 SBOM in JSON. Each entry is judged by itself and has its row in the
report; what is demanded (keys, types, time) is the same for all. The bundles of an artifact are
those that the list names for it, else all files *.sigstore.json under --bundles, and all --bundle,
that speak of its digest. An entry whose file is under --artifacts is hashed and must have the
digest of the list; without the file it is rejected, unless --digests-only is given.

Exit code for a list: 0 if every entry was accepted, 2 if one could not be evaluated, else 1.`

func (m *manifestFlags) register(c *cobra.Command) {
	o := c.Flags()
	o.StringVar(&m.path, "manifest", "", "`LIST` of artifacts to verify, each by itself")
	o.StringVar(&m.format, "manifest-format", "", "`FORMAT` of the list: checksums, jsonl, cyclonedx or spdx (default: told by the content)")
	o.StringVar(&m.artifacts, "artifacts", "", "`DIR` with the files that the list names (default: the current directory)")
	o.StringVar(&m.bundles, "bundles", "", "`DIR` with bundles (*.sigstore.json), searched by the digests that they speak of")
	o.BoolVar(&m.digestsOnly, "digests-only", false, "judge by the digest of the list where there is no file")
	var formats []string
	for _, f := range manifest.Formats() {
		formats = append(formats, string(f))
	}
	completes(c, "manifest-format", formats...)
}

// absent refuses the flags that make no sense without a list.
func (m *manifestFlags) absent(c *cobra.Command, f format) error {
	for _, name := range []string{"manifest-format", "artifacts", "bundles", "digests-only"} {
		if c.Flags().Changed(name) {
			return usageFailure(c.CommandPath(), fmt.Errorf("--%s is about a list, and no --manifest was given", name))
		}
	}
	if f.String() == formatJSONLines {
		return usageFailure(c.CommandPath(), errors.New("--format jsonl is for lists, and no --manifest was given"))
	}
	return nil
}

// present refuses the flags that make no sense with a list.
func (m *manifestFlags) present(c *cobra.Command) error {
	for _, name := range []string{"attest-verdict", "with-verdict", "approved", "timeout"} {
		if c.Flags().Changed(name) {
			return usageFailure(c.CommandPath(), fmt.Errorf("--%s is about one artifact, and --manifest names a list", name))
		}
	}
	return nil
}

// collectorPercent lets the heap grow to five times of what is in use between two collections. A list is judged entry by
// entry, so little is in use and much is thrown away.
const collectorPercent = 400

// verifyManifest judges every entry of a list.
func (a *app) verifyManifest(c *cobra.Command, f *verifyFlags) (err error) {
	if _, chosen := a.env.LookupEnv("GOGC"); !chosen {
		debug.SetGCPercent(collectorPercent)
	}
	if err := f.manifest.present(c); err != nil {
		return err
	}
	demands, err := a.verifyDemands(c, f)
	if err == nil {
		err = someoneDeclares(c, demands.Signers)
	}
	if err != nil {
		return err
	}
	if err := a.pinnedTrust(f); err != nil {
		return err
	}
	trust, err := a.readTrust(f.trustedRoot)
	if err != nil {
		return err
	}
	list, err := manifest.Open(f.manifest.path, manifest.Format(f.manifest.format))
	if err != nil {
		return manifestFailure(err)
	}
	defer func() { err = errors.Join(err, list.Close()) }()
	if f.manifest.bundles == "" && len(f.bundles) == 0 && list.Format() != manifest.FormatJSONLines {
		return usageFailure(c.CommandPath(), errors.New("no bundles were given: give --bundles DIR, or --bundle FILE"))
	}
	if demands.At.IsZero() {
		demands.At = a.env.Now() // the same for every entry
	}
	if err := f.status.apply(c.Context(), a, demands, trust, f.trustedRoot); err != nil {
		return err
	}
	verifier, err := verify.New(verify.Config{Trust: trust, TrustDate: f.trustDate, Clock: func() time.Time { return demands.At }})
	if err != nil {
		return err
	}
	judge, err := a.newManifestJudge(c.Context(), f, manifestJudge{verifier: verifier, trust: trust, demands: *demands})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, judge.close()) }()
	out, err := a.newReportFile(f.output)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.discard()) }()
	sum, err := a.reportList(c.Context(), f, list, judge, out)
	if err != nil {
		return err // an answer that could not be written is not accepted
	}
	if err := out.commit(); err != nil {
		return err
	}
	return sum.exit()
}

// reportList judges the entries and writes the report.
func (a *app) reportList(ctx context.Context, f *verifyFlags, list *manifest.Manifest, judge *manifestJudge, out io.Writer,
) (*summary, error) {
	if rows := a.newManifestReport(f.format, out); rows != nil {
		sum, err := a.judgeList(ctx, list, judge, rows.row)
		if err != nil {
			return nil, err
		}
		return sum, rows.end(sum)
	}
	var sum *summary
	var err error
	items := func(yield func(report.Item) bool) {
		sum, err = a.judgeList(ctx, list, judge, func(r *entryResult) error {
			if !yield(r.reportItem()) {
				return errNotWritten
			}
			return nil
		})
	}
	q := question{input: &judge.demands, trust: judge.trust}
	written := report.Write(out, report.Format(f.format.String()), items, report.Meta{Version: buildVersion().Version, Batch: true,
		GeneratedAt: a.env.Now(), Keys: q.keyFiles(f.keys), TrustedRoot: f.trustedRoot, Command: askAgain(a.env.Args, judge.demands.At)})
	switch {
	case written != nil:
		return nil, written
	case err != nil:
		return nil, err
	case sum == nil: // not known to happen, and not accepted
		return nil, errNotWritten
	}
	return sum, nil
}

// errNotWritten ends the judging of a list whose report nobody takes.
var errNotWritten = errors.New("the report was not written")

// judgeList judges the entries and hands the results to the report, in the list's order.
func (a *app) judgeList(ctx context.Context, list *manifest.Manifest, judge *manifestJudge, row func(*entryResult) error,
) (*summary, error) {
	sum := newSummary(list)
	p := a.newProgress("verifying")
	defer p.done()
	p.count(0, list.Count())
	for r := range inOrder(ctx, list.Items(), judge.judge) {
		if ctx.Err() != nil {
			break // what ended with the context was not judged
		}
		sum.add(r)
		p.done()
		if err := row(r); err != nil {
			return nil, err
		}
		p.count(sum.entries, list.Count())
	}
	switch {
	case ctx.Err() != nil:
		return nil, failed("run the command again; what was not judged is not accepted",
			"interrupted after %d of %d entries", sum.entries, list.Count())
	case list.Err() != nil:
		return nil, manifestFailure(list.Err())
	case sum.entries != list.Count():
		return nil, failed("run the command again", "%d of %d entries were judged", sum.entries, list.Count())
	}
	return sum, nil
}

// manifestFailure is a list that cannot be read.
func manifestFailure(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return err
	case errors.Is(err, manifest.ErrEmpty):
		return &failure{code: exitError, err: err, hint: "nothing was verified: is this the right file?"}
	}
	return &failure{code: exitError, err: err, hint: "correct the list, or say what it is with --manifest-format"}
}
