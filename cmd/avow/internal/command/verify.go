package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"crypto/sha256"
	"encoding/hex"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/oci"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/report"
	"github.com/avow-dev/avow/internal/verdictpb"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/result"
)

// verifyFlags are the flags of verify.
type verifyFlags struct {
	bundles       []string
	trustedRoot   string
	trust         string
	store         storeFlag
	trustDate     time.Time // when the pin was known to be current; zero for a file
	keys          []string
	identity      string
	issuer        string
	types         []string
	minTimestamps int
	at            string
	policy        policyFlags
	witnesses     witnessFlags
	status        standingFlags
	format        format
	output        string
	sign          signFlags
	use           useFlags
	timeout       time.Duration
	manifest      manifestFlags
}

const verifyExamples = `  avow verify app.tar.gz --bundle no-backdoor.sigstore.json --bundle data-flows.sigstore.json \
      --trusted-root trusted_root.json --key vendor.pub
  avow verify sha256:13f3...8fe9 --bundle data-flows.sigstore.json --require data-flows \
      --trusted-root trusted_root.json --key vendor.pub --format json
  avow verify app.tar.gz --bundle b.sigstore.json --trusted-root trusted_root.json --key vendor.pub \
      --format html -o report.html
  avow verify oci://registry.example/team/app@sha256:13f3...8fe9 --trusted-root trusted_root.json --key vendor.pub
  avow verify app.tar.gz --bundle b.sigstore.json --trusted-root trusted_root.json \
      --identity https://github.com/example/app/.github/workflows/release.yml@refs/tags/v1 \
      --issuer https://token.actions.githubusercontent.com
  avow verify app.tar.gz --bundle no-backdoor.sigstore.json --bundle data-flows.sigstore.json \
      --trusted-root trusted_root.json --key vendor.pub --policy baseline
  avow verify app-1.3.tar.gz --bundle app-1.3.sigstore.json --trusted-root trusted_root.json \
      --policy policy.yaml --policy-param CONTRACT_END=2028-12-31 --approved app-1.2.sigstore.json
  avow verify app.tar.gz --bundle b.sigstore.json --trusted-root trusted_root.json --key vendor.pub \
      --status app.status.json --witness-policy witnesses.txt --max-staleness 24h
  avow verify --manifest SHA256SUMS --bundles bundles/ --trusted-root trusted_root.json --key vendor.pub`

func (a *app) verify() *cobra.Command {
	f := &verifyFlags{}
	c := &cobra.Command{
		Use: "verify (FILE|sha256:HEX|oci://IMAGE@sha256:HEX --bundle BUNDLE... | --manifest LIST) --trusted-root ROOT " +
			"(--key PUB... | --identity URI --issuer URI | --policy FILE)",
		Short: "Verify a file, its bundles and what they declare, offline",
		Long: `Verify that the file is what the bundles speak of, that the vendor signed them, and that they
are time-stamped and logged; then show what the vendor declares. Nothing is fetched: only the
files that are named here are read.

An image is named by its digest, oci://REGISTRY/NAME@sha256:HEX. Without --bundle the bundles are
read from its registry, where ` + "`avow attach`" + ` or cosign put them; with --bundle nothing is fetched for
an image either. What the registry lists besides is left out, and said so on standard error.

Who may have signed and what is trusted is said here and never taken from the bundle. Every
bundle given must pass.

With --policy the rules of a policy must be met as well: a ready-made one (` + "`avow policy list`" + `), or a
file. A policy that names vendors says who may have signed; --key or --identity beside it leave
only those of them. What --approved names is what you use now, for rules that compare the two.

With --witness-policy so many witnesses as that file asks for must have cosigned the log's
checkpoint: then the log is the same that everybody is shown, and there is a time that does not
depend on the log's operator.` + statusHelp + `

What a statement declares is the vendor's word. Verified is that the vendor said it, when, and
that it cannot take it back unseen.

--attest-verdict signs the answer; --with-verdict relies on a signed one that still holds instead
of verifying again, and says so.

Exit code 0: accepted; 1: rejected, with the reason; 2: could not be evaluated (a file is missing,
	the trusted root does not parse, the registry does not answer).

Formats: text to read here; json for programs, the API's Verdict message; sarif for code
scanning; junit for build servers; markdown for a pull request or a ticket; html to read, print
and file: one file that needs nothing else. With --output the file is written whole or not at
all, and also if the question could not be evaluated, so that no older report is taken for the
answer.` + manifestHelp,
		Example: verifyExamples,
		Args: func(c *cobra.Command, args []string) error {
			if f.manifest.path != "" {
				return arguments(0, 0, "")(c, args)
			}
			return arguments(1, 1, "which file? give FILE or sha256:HEX")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if f.manifest.path != "" {
				return a.verifyManifest(c, f)
			}
			return a.runVerify(c, args[0], f)
		},
	}
	f.register(c)
	return c
}

func (f *verifyFlags) register(c *cobra.Command) {
	f.registerDemands(c)
	f.registerStatus(c)
	o := c.Flags()
	o.StringVar(&f.at, "at", "", "`TIME` at which to judge validity, as 2026-11-23T12:00:00Z (default now)")
	f.format.registerAs(c, "`FORMAT` of the answer: text, json, sarif, junit, markdown, html, or jsonl for a list",
		append(report.Formats(), formatJSONLines)...)
	o.StringVarP(&f.output, "output", "o", "", "`FILE` to write instead of standard output; replaced if it is there")
	f.sign.register(c)
	f.use.register(c)
}

// registerQuestion registers the flags that say what is verified, whom is trusted and what must be met.
func (f *verifyFlags) registerQuestion(c *cobra.Command) {
	o := c.Flags()
	o.StringArrayVar(&f.bundles, "bundle", nil, "`FILE` with a Sigstore bundle; may be repeated")
	o.StringVar(&f.trustedRoot, "trusted-root", "", "`FILE` with the trusted root (trusted_root.json)")
	o.StringVar(&f.trust, "trust", "", "`NAME` of the pin whose trusted root to use (default: the only pin)")
	f.store.register(c)
	o.StringArrayVar(&f.keys, "key", nil, "`FILE` with a public key that may have signed; may be repeated")
	o.StringVar(&f.identity, "identity", "", "`URI` or e-mail address in the signer's certificate, exactly")
	o.StringVar(&f.issuer, "issuer", "", "`URI` of the issuer that vouched for the identity, exactly")
	o.IntVar(&f.minTimestamps, "min-timestamps", 1, "`NUMBER` of timestamp authorities that must have signed")
	f.policy.register(c)
	f.witnesses.register(c)
}

// registerDemands registers what verify and watch ask besides: types that are required, and whole lists.
func (f *verifyFlags) registerDemands(c *cobra.Command) {
	f.registerQuestion(c)
	c.Flags().StringSliceVar(&f.types, "require", nil,
		"`TYPE` that one of the bundles must declare, for example no-backdoor; may be repeated")
	f.manifest.register(c)
	completes(c, "require", typeNames()...)
}

// registerStatus registers how the statements stand, for who reads that from a file, and how long a registry may take.
func (f *verifyFlags) registerStatus(c *cobra.Command) {
	f.status.register(c)
	c.Flags().DurationVar(&f.timeout, "timeout", registryTimeout, "`DURATION` after which to give up on a registry (oci:// only)")
}

func (a *app) runVerify(c *cobra.Command, artifact string, f *verifyFlags) error {
	if err := f.manifest.absent(c, f.format); err != nil {
		return err
	}
	if f.output == "-" {
		f.output = "" // as everywhere: standard output
	}
	if err := a.pinnedTrust(f); err != nil {
		return err
	}
	if err := notAnInput(f.output, slices.Concat([]string{artifact, f.trustedRoot, f.policy.name, f.witnesses.policy}, f.bundles, f.keys, f.policy.approved,
		f.status.files())); err != nil {
		return err
	}
	item := report.Item{Name: artifact}
	q, err := a.question(c, artifact, f)
	if err == nil && f.use.file != "" {
		if done, err := a.useVerdict(artifact, f, q); done || err != nil {
			return err
		}
		if oci.IsImage(artifact) {
			err = a.imageInput(c.Context(), artifact, q.input, f.timeout)
		}
	}
	if err == nil {
		item.Question = verdictpb.Question{ArtifactSHA256: q.input.ArtifactSHA256, Trust: q.trust, At: q.input.At}
		item.Verdict, err = a.answer(c.Context(), f, q)
	}
	if item.Err = err; err != nil && f.output == "" {
		return err
	}
	meta := report.Meta{Version: buildVersion().Version, GeneratedAt: a.env.Now(), Keys: q.keyFiles(f.keys), TrustedRoot: f.trustedRoot,
		Command: askAgain(a.env.Args, item.Question.At)}
	err = a.writeReport(f, slices.Values([]report.Item{item}), meta)
	if err = errors.Join(item.Err, err); err != nil {
		return err // an answer that could not be written is not accepted
	}
	if !item.Accepted() {
		return no()
	}
	return nil
}

// question is what verify is asked: everything that the flags name, read.
type question struct {
	// input has the time of verification filled in, so that what the answer names is what was judged at.
	input *verify.Input
	trust *verify.Trust
}

func (a *app) question(c *cobra.Command, artifact string, f *verifyFlags) (*question, error) {
	input, err := a.verifyInput(c, artifact, f)
	if err != nil {
		return nil, err
	}
	if input.At.IsZero() {
		input.At = a.env.Now()
	}
	trust, err := a.readTrust(f.trustedRoot)
	if err != nil {
		return nil, err
	}
	if err := f.status.apply(c.Context(), a, input, trust, f.trustedRoot); err != nil {
		return nil, err
	}
	q := &question{input: input, trust: trust}
	if oci.IsImage(artifact) && f.use.file == "" {
		return q, a.imageInput(c.Context(), artifact, input, f.timeout)
	}
	input.ArtifactSHA256, err = a.artifactDigest(artifact)
	return q, err
}

// answer verifies, and signs the verdict where that was asked for.
func (a *app) answer(ctx context.Context, f *verifyFlags, q *question) (*verify.Verdict, error) {
	key, done, err := a.verdictSigner(ctx, &f.sign) // before the work, which may be long
	if err != nil {
		return nil, err
	}
	defer done()
	verifier, err := verify.New(verify.Config{Trust: q.trust, TrustDate: f.trustDate, Clock: a.env.Now})
	if err != nil {
		return nil, err
	}
	verdict, err := verifier.Verify(ctx, *q.input)
	if err != nil {
		return nil, err
	}
	return verdict, a.signVerdict(ctx, &f.sign, key, verdict, result.Inputs{
		ArtifactSHA256: q.input.ArtifactSHA256, TrustedRoot: q.trust.Digest(), VerifiedAt: q.input.At})
}

// keyFiles are the files of the keys that were given, by their ids. What a policy pins has another name.
func (q *question) keyFiles(given []string) map[string]string {
	files := map[string]string{}
	if q == nil {
		return files
	}
	for _, s := range q.input.Signers {
		if s.Key == nil || !slices.Contains(given, s.Name) {
			continue
		}
		if id, err := attest.KeyID(s.Key.PublicKey); err == nil {
			files[id] = s.Name
		}
	}
	return files
}

// verifyInput reads what the flags name.
func (a *app) verifyInput(c *cobra.Command, artifact string, f *verifyFlags) (*verify.Input, error) {
	input, err := a.verifyDemands(c, f)
	if err != nil {
		return nil, err
	}
	if len(f.bundles) > 0 || f.use.file == "" {
		if err := someoneDeclares(c, input.Signers); err != nil {
			return nil, err
		}
	}
	if len(f.bundles) == 0 && f.use.file == "" && !oci.IsImage(artifact) {
		return nil, usageFailure(c.CommandPath(), fmt.Errorf("no --bundle was given"))
	}
	for _, path := range f.bundles {
		data, err := a.readUpTo(path, verify.MaxBundleBytes+1) // one byte more: the verdict says that it is too large
		if err != nil {
			return nil, err
		}
		input.Bundles = append(input.Bundles, verify.NamedBundle{Name: path, Data: data})
	}
	return input, nil
}

// verifyDemands reads what is demanded of every artifact: an input without artifact and bundles.
func (a *app) verifyDemands(c *cobra.Command, f *verifyFlags) (*verify.Input, error) {
	input := &verify.Input{MinTimestamps: f.minTimestamps}
	var err error
	if f.at != "" {
		if input.At, err = time.Parse(time.RFC3339, f.at); err != nil || input.At.IsZero() {
			return nil, failed("write --at as 2026-11-23T12:00:00Z", "--at %q is not a time", f.at)
		}
	}
	if f.minTimestamps < 1 {
		return nil, usageFailure(c.CommandPath(), fmt.Errorf("--min-timestamps %d is less than 1", f.minTimestamps))
	}
	for _, name := range f.types {
		uri := plain.TypeURI(name)
		if uri == "" {
			return nil, failed("run `avow schema` for the list", "--require %q is not a statement type", name)
		}
		if !slices.Contains(predicate.Types(), uri) {
			return nil, failed("require the declaration, and give the bundle of the evidence beside it",
				"--require %q: evidence declares nothing and cannot be required", name)
		}
		input.RequiredTypes = append(input.RequiredTypes, uri)
	}
	if err := f.sign.check(c, f.at); err != nil {
		return nil, err
	}
	if err := f.use.check(c, f.sign.verifierID, f.sign.key != "", f.format.String(), f.output); err != nil {
		return nil, err
	}
	if input.Signers, err = a.signers(c, f); err != nil {
		return nil, err
	}
	if err := f.witnesses.apply(c, a, input, f.use.file != ""); err != nil {
		return nil, err
	}
	if err := f.status.check(c, input.Witnesses != nil, f.use.file != ""); err != nil {
		return nil, err
	}
	err = f.policy.apply(c, a, input)
	return input, err
}

// signers reads who may have signed.
func (a *app) signers(c *cobra.Command, f *verifyFlags) ([]verify.Signer, error) {
	var signers []verify.Signer
	for _, path := range f.keys {
		key, err := a.readPublicKey(path)
		if err != nil {
			return nil, err
		}
		signers = append(signers, verify.Signer{Name: path, Key: &verify.Key{PublicKey: key}})
	}
	if (f.identity == "") != (f.issuer == "") {
		return nil, usageFailure(c.CommandPath(),
			fmt.Errorf("--identity and --issuer belong together: an identity is only what its issuer vouches for"))
	}
	if f.identity != "" {
		signers = append(signers, verify.Signer{Name: f.identity, Identity: &verify.Identity{SAN: f.identity, Issuer: f.issuer}})
	}
	return signers, nil
}

// readTrust reads a trusted root.
func (a *app) readTrust(path string) (*verify.Trust, error) {
	if path == "" {
		return nil, failed("give --trusted-root FILE; `avow trust` fetches a service's, to be compared with a copy from another channel",
			"no trusted root was given")
	}
	data, err := a.readUpTo(path, verify.MaxTrustBytes+1)
	if err != nil {
		return nil, err
	}
	trust, err := verify.ParseTrust(data)
	return trust, about(path, err)
}

var digestArgument = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// artifactDigest returns the SHA-256 of the file, or of "sha256:HEX" where no file has that name, or the digest in an
// image's reference.
func (a *app) artifactDigest(artifact string) (string, error) {
	if oci.IsImage(artifact) {
		image, err := oci.ParseImage(artifact)
		if err != nil {
			return "", err
		}
		return image.SHA256(), nil
	}
	if digestArgument.MatchString(artifact) {
		if _, err := os.Lstat(artifact); err != nil {
			return strings.TrimPrefix(artifact, "sha256:"), nil
		}
	}
	f, err := os.Open(artifact)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if info.IsDir() {
		return "", failed("name the file that you want to install", "%s is a directory", artifact)
	}
	p := a.newProgress("hashing")
	defer p.done()
	h := sha256.New()
	if _, err := io.Copy(h, &meteredReader{r: f, total: info.Size(), progress: p}); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// meteredReader reports what was read.
type meteredReader struct {
	r           io.Reader
	done, total int64
	progress    *progress
}

func (m *meteredReader) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.done += int64(n)
	m.progress.show(m.done, m.total)
	return n, err
}
