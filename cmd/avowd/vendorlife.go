package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/server/vendors"
)

// vendorLife is what `vendor add` is told about statements that are said about others, or by others: docs/lifecycle.md.
type vendorLife struct {
	roles     []string
	succeeds  []string
	recovery  []string
	threshold int
}

func (l *vendorLife) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&l.roles, "role", nil, "what it may do besides speaking about its own products: "+strings.Join(vendors.Roles(), ", "))
	f.StringSliceVar(&l.succeeds, "succeeds", nil, "id of a former key (sha256:HEX) in whose place its signers are; repeatable")
	f.StringSliceVar(&l.recovery, "recovery-key", nil, "PEM file with the public half of a recovery key; repeatable")
	f.IntVar(&l.threshold, "recovery-threshold", 0, "how many recovery keys it takes to withdraw")
	if err := cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(vendors.Roles(), cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag does not exist: a defect of this program, found by any test
	}
}

// apply puts it into the vendor's entry. The form of the values is the registry's affair.
func (l *vendorLife) apply(v *vendors.Vendor) error {
	v.Roles = l.roles
	var former []vendors.Former
	for _, id := range l.succeeds {
		former = append(former, vendors.Former{KeyID: id})
	}
	for i := range v.Keys {
		v.Keys[i].Succeeds = former
	}
	for i := range v.Identities {
		v.Identities[i].Succeeds = former
	}
	if (len(l.recovery) == 0) != (l.threshold == 0) {
		return errors.New("give --recovery-key together with --recovery-threshold")
	}
	if l.threshold == 0 {
		return nil
	}
	v.Recovery = &vendors.Recovery{Threshold: l.threshold}
	for _, path := range l.recovery {
		key, err := readVendorKey(path, "", "")
		if err != nil {
			return err
		}
		v.Recovery.Keys = append(v.Recovery.Keys, key)
	}
	return nil
}

// printLife says what the registry holds of it.
func printLife(w io.Writer, v *vendors.Vendor) {
	for _, role := range v.Roles {
		fmt.Fprintf(w, "  role %s\n", role)
	}
	if v.Recovery == nil {
		return
	}
	for _, k := range v.Recovery.Keys {
		fmt.Fprintf(w, "  recovery key id  %s, %d of %d withdraw\n", k.ID, v.Recovery.Threshold, len(v.Recovery.Keys))
	}
}
