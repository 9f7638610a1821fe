package command

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/verify/policy"
)

func (a *app) policyShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Print the text of a ready-made policy",
		Long: `Print a ready-made policy as it is written: to read it, or to begin one of your own with it. A
policy that includes it keeps up with new versions, a copy does not.`,
		Example: `  avow policy show P01
  avow policy show baseline > policy.yaml`,
		Args: arguments(1, 1, "which policy? `avow policy list` names them"),
		RunE: func(_ *cobra.Command, args []string) error { return a.runPolicyShow(args[0]) },

		ValidArgsFunction: completeReadyMade,
	}
}

func (a *app) runPolicyShow(name string) error {
	data, ok := policy.Text(name)
	if ok {
		_, err := a.env.Stdout.Write(data)
		return err
	}
	names := policy.Names()
	return failed(meant(name, names, "ready-made are: "+strings.Join(names, ", ")), "there is no ready-made policy %q", name)
}
