package command

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/verify"
)

// witnessFlags are the flags of verify about who else must have seen the log.
type witnessFlags struct {
	policy string
	delay  time.Duration
	age    time.Duration
}

func (f *witnessFlags) register(c *cobra.Command) {
	o := c.Flags()
	o.StringVar(&f.policy, "witness-policy", "", "`FILE` that says which witnesses must have cosigned the log (C2SP tlog-policy)")
	o.DurationVar(&f.delay, "max-witness-delay", 0,
		"`DURATION` within which the witnesses must have seen a statement after its timestamp (default any)")
	o.DurationVar(&f.age, "max-checkpoint-age", 0, "`DURATION` since the witnesses saw the log, at most (default any)")
}

// apply adds to the input what it asks of the witnesses. usesVerdict says that a signed verdict is to be relied on.
func (f *witnessFlags) apply(c *cobra.Command, a *app, input *verify.Input, usesVerdict bool) error {
	delayed, aged := c.Flags().Changed("max-witness-delay"), c.Flags().Changed("max-checkpoint-age")
	refuse := ""
	switch {
	case f.policy == "" && (delayed || aged):
		refuse = "--max-witness-delay and --max-checkpoint-age are about witnesses: give --witness-policy"
	case f.policy == "" && c.Flags().Changed("witness-policy"):
		refuse = "--witness-policy names no file"
	case f.policy == "":
		return nil
	case usesVerdict:
		refuse = "--witness-policy needs the bundles: a signed verdict does not tell about witnesses; leave --with-verdict out"
	case delayed && f.delay <= 0, aged && f.age <= 0:
		refuse = "--max-witness-delay and --max-checkpoint-age must be more than 0"
	}
	if refuse != "" {
		return usageFailure(c.CommandPath(), errors.New(refuse))
	}
	data, err := a.readUpTo(f.policy, verify.MaxWitnessPolicyBytes+1)
	if err != nil {
		return err
	}
	input.MaxWitnessDelay, input.MaxCheckpointAge = f.delay, f.age
	input.Witnesses, err = verify.ParseWitnessPolicy(data)
	return about(f.policy, err)
}
