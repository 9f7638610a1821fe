package command

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"crypto/sha256"
	"encoding/hex"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/internal/verdictpb"
	"github.com/avow-dev/avow/verify"
)

// verifyFlags are the flags of verify.
type verifyFlags struct {
	bundles       []string
	trustedRoot   string
	keys          []string
	identity      string
	issuer        string
	types         []string
	minTimestamps int
	at            string
	format        format
	manifest      manifestFlags
}

func (a *app) verify() *cobra.Command {
	f := &verifyFlags{}
	c := &cobra.Command{
		Use:   "verify (FILE|sha256:HEX --bundle BUNDLE... | --manifest LIST) --trusted-root ROOT (--key PUB... | --identity URI --issuer URI)",
		Short: "Verify a file, its bundles and what they declare, offline",
		Long: `Verify that the file is what the bundles speak of, that the vendor signed them, and that they
are time-stamped and logged; then show what the vendor declares. Nothing is fetched: only the
files that are named here are read.

Who may have signed and what is trusted is said here and never taken from the bundle. Every
bundle given must pass.

What a statement declares is the vendor's word. Verified is that the vendor said it, when, and
that it cannot take it back unseen.

Exit code 0: accepted; 1: rejected, with the reason; 2: could not be evaluated (a file is missing,
	the trusted root does not parse).
With --format json the answer is the API's Verdict message.` + manifestHelp,
		Example: `  avow verify app.tar.gz --bundle no-backdoor.sigstore.json --bundle data-flows.sigstore.json \
      --trusted-root trusted_root.json --key vendor.pub
  avow verify sha256:13f3...8fe9 --bundle data-flows.sigstore.json --require data-flows \
      --trusted-root trusted_root.json --key vendor.pub --format json
  avow verify app.tar.gz --bundle b.sigstore.json --trusted-root trusted_root.json \
      --identity https://github.com/example/app/.github/workflows/release.yml@refs/tags/v1 \
      --issuer https://token.actions.githubusercontent.com
  avow verify --manifest SHA256SUMS --bundles bundles/ --trusted-root trusted_root.json --key vendor.pub`,
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
	o := c.Flags()
	o.StringArrayVar(&f.bundles, "bundle", nil, "`FILE` with a Sigstore bundle; may be repeated")
	o.StringVar(&f.trustedRoot, "trusted-root", "", "`FILE` with the trusted root (trusted_root.json)")
	o.StringArrayVar(&f.keys, "key", nil, "`FILE` with a public key that may have signed; may be repeated")
	o.StringVar(&f.identity, "identity", "", "`URI` or e-mail address in the signer's certificate, exactly")
	o.StringVar(&f.issuer, "issuer", "", "`URI` of the issuer that vouched for the identity, exactly")
	o.StringSliceVar(&f.types, "require", nil,
		"`TYPE` that one of the bundles must declare, for example no-backdoor; may be repeated")
	o.IntVar(&f.minTimestamps, "min-timestamps", 1, "`NUMBER` of timestamp authorities that must have signed")
	o.StringVar(&f.at, "at", "", "`TIME` at which to judge validity, as 2026-11-23T12:00:00Z (default now)")
	f.format.register(c, formatJSONLines)
	f.manifest.register(c)
	completes(c, "require", typeNames()...)
	return c
}

func (a *app) runVerify(c *cobra.Command, artifact string, f *verifyFlags) error {
	if err := f.manifest.absent(c, f.format); err != nil {
		return err
	}
	input, err := a.verifyInput(c, f)
	if err != nil {
		return err
	}
	trust, err := a.readTrust(f.trustedRoot)
	if err != nil {
		return err
	}
	if input.ArtifactSHA256, err = a.artifactDigest(artifact); err != nil {
		return err
	}
	now := a.env.Now() // read once: what the verdict names is what was judged at
	verifier, err := verify.New(verify.Config{Trust: trust, Clock: func() time.Time { return now }})
	if err != nil {
		return err
	}
	verdict, err := verifier.Verify(c.Context(), *input)
	if err != nil {
		return err
	}
	if f.format.json() {
		question := verdictpb.Question{ArtifactSHA256: input.ArtifactSHA256, Trust: trust, At: input.At}
		if input.At.IsZero() {
			question.At = now
		}
		err = a.printMessage(verdictpb.New(verdict, question))
	} else {
		w := a.writer()
		plain.Verdict(w, artifact, verdict)
		err = w.Err()
	}
	if err != nil {
		return err // an answer that could not be written is not accepted
	}
	if verdict.Outcome != verify.Accepted {
		return no()
	}
	return nil
}

// verifyInput reads what the flags name.
func (a *app) verifyInput(c *cobra.Command, f *verifyFlags) (*verify.Input, error) {
	input, err := a.verifyDemands(c, f)
	if err != nil {
		return nil, err
	}
	if len(f.bundles) == 0 {
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
		input.RequiredTypes = append(input.RequiredTypes, uri)
	}
	input.Signers, err = a.signers(c, f)
	return input, err
}

// signers reads who may have signed.
func (a *app) signers(c *cobra.Command, f *verifyFlags) ([]verify.Signer, error) {
	var signers []verify.Signer
	for _, path := range f.keys {
		data, err := a.readLimited(path, attest.MaxKeyFileBytes)
		if err != nil {
			return nil, err
		}
		key, err := attest.ParsePublicKey(data)
		if err != nil {
			return nil, about(path, err)
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
	if len(signers) == 0 {
		return nil, usageFailure(c.CommandPath(),
			fmt.Errorf("nobody was named who may have signed: give --key, or --identity and --issuer"))
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

// artifactDigest returns the SHA-256 of the file, or of "sha256:HEX" where no file has that name.
func (a *app) artifactDigest(artifact string) (string, error) {
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
