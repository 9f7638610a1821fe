package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/result"
)

// verdictFile is where a signed verdict goes unless --verdict-out says otherwise.
const verdictFile = "verdict" + bundleSuffix

// signFlags are the flags of verify that sign its answer.
type signFlags struct {
	key      string
	out      string
	form     string
	lifetime time.Duration
	// verifierID is also who --with-verdict expects.
	verifierID string
}

func (f *signFlags) register(c *cobra.Command) {
	o := c.Flags()
	o.StringVar(&f.key, "attest-verdict", "", "`KEY` to sign the verdict with: the file of an encrypted key, or a key reference")
	o.StringVar(&f.out, "verdict-out", verdictFile, "`FILE` for the signed verdict; an older one is replaced")
	o.StringVar(&f.form, "verdict-form", string(result.SVR), "`FORM` of the signed verdict: svr or vsa")
	o.DurationVar(&f.lifetime, "verdict-lifetime", 24*time.Hour, "`DURATION` for which the signed verdict may be relied on")
	o.StringVar(&f.verifierID, "verifier-id", "", "`URI` of who verifies (default: made of the key's id)")
	completes(c, "verdict-form", string(result.SVR), string(result.VSA))
}

// check refuses flags that would have no effect, or none that was meant.
func (f *signFlags) check(c *cobra.Command, at string) error {
	if f.key == "" {
		for _, name := range []string{"verdict-out", "verdict-form", "verdict-lifetime"} {
			if c.Flags().Changed(name) {
				return usageFailure(c.CommandPath(), fmt.Errorf("--%s has no effect without --attest-verdict", name))
			}
		}
		return nil
	}
	switch {
	case result.Form(f.form).PredicateType() == "":
		return usageFailure(c.CommandPath(), fmt.Errorf("--verdict-form %q is neither svr nor vsa", f.form))
	case f.lifetime < time.Second || f.lifetime > result.MaxLifetime:
		return usageFailure(c.CommandPath(), fmt.Errorf("--verdict-lifetime %s is not 1s to %s", f.lifetime, result.MaxLifetime))
	case at != "":
		return usageFailure(c.CommandPath(), errors.New("--attest-verdict signs what holds now: it does not go with --at"))
	}
	return nil
}

// verdictSigner opens the key before the work begins; nil if nothing is to be signed. done ends its use.
func (a *app) verdictSigner(ctx context.Context, f *signFlags) (key attest.Signer, done func(), err error) {
	if f.key == "" {
		return nil, func() {}, nil
	}
	return a.openSigner(ctx, f.key)
}

// signVerdict signs the verdict and writes it. It comes before the verdict is printed: an answer that was to be signed
// and is not has not been given.
func (a *app) signVerdict(ctx context.Context, f *signFlags, key attest.Signer, v *verify.Verdict,
	inputs result.Inputs) error {
	if key == nil {
		return nil
	}
	inputs.Lifetime, inputs.VerifierID, inputs.VerifierVersion = f.lifetime, f.verifierID, buildVersion().Version
	bundle, err := result.Sign(ctx, v, inputs, result.Form(f.form), key)
	var refusal *result.Error
	if errors.As(err, &refusal) { // the verdict is a rejection, and is printed as one
		a.note("no signed verdict is written: %s", text.Safe(refusal.Detail))
		a.note("hint: --verdict-form vsa can say FAILED; %s, if it is there, is from before", text.Safe(f.out))
		return nil
	}
	if err != nil {
		return err
	}
	if err := writeFile(f.out, append(bundle, '\n'), 0o644); err != nil {
		return err
	}
	a.note("wrote %s", text.Safe(f.out))
	return nil
}
