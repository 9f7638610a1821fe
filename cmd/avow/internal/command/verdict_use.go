package command

import (
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/oci"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/result"
)

// useFlags are the flags of verify that accept a signed verdict.
type useFlags struct {
	file string
	keys []string
}

func (f *useFlags) register(c *cobra.Command) {
	o := c.Flags()
	o.StringVar(&f.file, "with-verdict", "", "`FILE` with a signed verdict to accept instead of verifying again")
	o.StringArrayVar(&f.keys, "verdict-key", nil, "`FILE` with the public key of a verifier whose verdicts count; may be repeated")
}

func (f *useFlags) check(c *cobra.Command, verifierID string, signs bool, format, output string) error {
	switch {
	case f.file != "" && len(f.keys) == 0:
		return usageFailure(c.CommandPath(), errors.New("nobody was named whose verdict counts: give --verdict-key"))
	case f.file != "" && (output != "" || format != "text" && format != "json"):
		return usageFailure(c.CommandPath(),
			errors.New("--with-verdict answers on standard output, as text or json: a report shows checks, and none are made"))
	case f.file == "" && len(f.keys) > 0:
		return usageFailure(c.CommandPath(), errors.New("--verdict-key has no effect without --with-verdict"))
	case f.file == "" && verifierID != "" && !signs:
		return usageFailure(c.CommandPath(), errors.New("--verifier-id has no effect without --with-verdict or --attest-verdict"))
	}
	return nil
}

// useVerdict answers by a signed verdict. It reports false if the bundles have to be verified after all: the verdict
// is refused or not there, and there are bundles.
func (a *app) useVerdict(artifact string, f *verifyFlags, q *question) (bool, error) {
	in, now := q.input, q.input.At
	expect := result.Expect{ArtifactSHA256: in.ArtifactSHA256, TrustedRoot: q.trust.Digest(), RequiredTypes: in.RequiredTypes,
		Signers: in.Signers, MinTimestamps: in.MinTimestamps}
	var err error
	if expect.Policy, err = policyDigest(in.Policy); err != nil {
		return false, err
	}
	pinned, err := a.pinnedVerifiers(f)
	if err != nil {
		return false, err
	}
	elsewise := len(in.Bundles) > 0 || oci.IsImage(artifact)        // there is something to verify instead
	data, err := a.readUpTo(f.use.file, predicate.MaxBundleBytes+1) // one byte more: the refusal says that it is too large
	if errors.Is(err, fs.ErrNotExist) && elsewise {
		a.note("there is no signed verdict %s; verifying the bundles", text.Safe(f.use.file))
		return false, nil
	}
	if err != nil {
		return false, err
	}
	r, err := result.Open(data, pinned, now, expect)
	var refusal *result.Error
	switch {
	case err == nil:
		return true, a.printVerdictUse(f, newVerdictUse(expect, now).accepted(r), func(w *text.Writer) {
			plain.SignedVerdict(w, artifact, f.use.file, r)
		})
	case !errors.As(err, &refusal):
		return false, err
	case elsewise:
		a.note("the signed verdict %s is not accepted (%s: %s); verifying the bundles", text.Safe(f.use.file), refusal.Code,
			text.Safe(refusal.Detail))
		return false, nil
	}
	err = a.printVerdictUse(f, newVerdictUse(expect, now).refused(refusal), func(w *text.Writer) {
		plain.SignedVerdictRefused(w, artifact, f.use.file, refusal)
	})
	if err != nil {
		return false, err
	}
	return true, no()
}

// policyDigest is the digest of the policy that the bundles would be judged by, nil without one. A policy that does not
// tell its digest cannot be compared, which is not the same as having none.
func policyDigest(p verify.Policy) (*[32]byte, error) {
	if p == nil {
		return nil, nil
	}
	known, ok := p.(interface{ Digest() [32]byte })
	if !ok {
		return nil, failed("leave --with-verdict out", "the policy cannot be compared with that of a signed verdict")
	}
	digest := known.Digest()
	return &digest, nil
}

func (a *app) pinnedVerifiers(f *verifyFlags) ([]result.Pinned, error) {
	var pinned []result.Pinned
	for _, path := range f.use.keys {
		key, err := a.readPublicKey(path)
		if err != nil {
			return nil, err
		}
		pinned = append(pinned, result.Pinned{Key: key, ID: f.sign.verifierID})
	}
	return pinned, nil
}

// printVerdictUse prints the answer in the form that was asked for.
func (a *app) printVerdictUse(f *verifyFlags, answer verdictUse, words func(*text.Writer)) error {
	if f.format.json() {
		return a.printJSON(answer)
	}
	w := a.writer()
	words(w)
	return w.Err()
}
