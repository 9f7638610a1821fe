package command

import (
	"cmp"
	"slices"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest/predicate"
)

// withdrawFlags are the flags of withdraw.
type withdrawFlags struct {
	say         sayFlags
	party       partyFlags
	withdrawal  predicate.Withdrawal
	replacement string
}

func (a *app) withdraw() *cobra.Command {
	f := &withdrawFlags{}
	c := &cobra.Command{
		Use:   "withdraw STATEMENT-ID --reason REASON (--key KEY | --identity) --server HOST:PORT",
		Short: "Take back a statement, or items of it",
		Long: `Take back a statement that you issued, or the items of it that --item names: ids of its claims,
mechanisms, flows or undertakings. From then on a buyer who asks for its standing is told so, with
a proof. A withdrawal cannot be taken back; if the statement holds after all, issue it again.

Only who signed the statement can withdraw it: the same key, the same identity with whatever
certificate, or a key or identity that the operator registered as its successor. If the key is
lost or stolen, the vendor's recovery keys do it together: run this with the first of them, and
` + "`avow attest withdrawal-HEX.json --key NEXT -o DIRECTORY`" + ` with the others, as many as the operator
registered as the threshold. Offline readers count withdrawals by the statement's own signer;
docs/lifecycle.md says what that means for the others.

The declarant is taken from the statement; name another one if you are its successor. Without
--effect a false statement, or one that was issued in error, was never valid; with any other
reason it no longer is from --effective-at on, which is now if it is not given.` + sayHelp + keyHelp + identityHelp + serverHelp,
		Example: `  avow withdraw sha256:ae33...860b --reason falseStatement --key vendor.key --server avow.example:8443
  avow withdraw sha256:ae33...860b --reason materialChange --item usage-statistics \
      --explanation "the service moved to another country" --key vendor.key --server avow.example:8443
  avow withdraw sha256:ae33...860b --reason endOfSupport --draft withdrawal.json --server avow.example:8443`,
		Args: arguments(1, 1, "which statement? give its id, sha256:HEX"),
		RunE: func(c *cobra.Command, args []string) error { return a.runWithdraw(c, args[0], f) },
	}
	w := &f.withdrawal
	choice(c, &w.Reason, "reason", "withdrawalReason", "`REASON`")
	choice(c, &w.Effect, "effect", "withdrawalEffect", "`EFFECT`")
	o := c.Flags()
	o.StringVar(&w.EffectiveAt, "effective-at", "", "`TIME` from which it has its effect, as 2026-01-31T00:00:00Z; now if not given")
	o.StringArrayVar(&w.Items, "item", nil, "`ID` of a claim, mechanism, flow or undertaking; may be repeated; none means all of it")
	o.StringVar(&w.Explanation, "explanation", "", "`TEXT` for people")
	o.StringVar(&f.replacement, "replacement", "", "`ID` of the statement that holds instead")
	f.party.register(c, "declarant", "the vendor")
	choice(c, &w.Declarant.Role, "role", "role", "`ROLE` of the vendor")
	o.StringVar(&w.Declarant.SignatoryFunction, "function", "", "`FUNCTION` of the person who answers for it")
	choice(c, &w.Declarant.Authority, "authority", "authority", "`AUTHORITY` of that person")
	choice(c, &w.Declarant.Responsibility, "responsibility", "responsibility", "`RESPONSIBILITY` of the vendor")
	f.say.register(c)
	return c
}

// withdrawMembers are the flags of the members that may be missing.
var withdrawMembers = map[string]string{
	"reason": "--reason", "effect": "--effect", "declarant/party/name": "--declarant", "declarant/party/country": "--country",
	"declarant/role": "--role", "declarant/signatoryFunction": "--function", "declarant/authority": "--authority",
	"declarant/responsibility": "--responsibility",
}

func (a *app) runWithdraw(c *cobra.Command, id string, f *withdrawFlags) error {
	w := f.withdrawal
	for _, err := range []error{
		oneOf(c, "reason", "withdrawalReason", w.Reason), oneOf(c, "effect", "withdrawalEffect", w.Effect),
		timeFlag(c, "effective-at", w.EffectiveAt),
	} {
		if err != nil {
			return err
		}
	}
	if w.Reason != "" {
		w.Effect = cmp.Or(w.Effect, usualEffect(w.Reason))
	}
	target, err := a.begin(c, &f.say, id)
	if err != nil {
		return err
	}
	if f.replacement != "" {
		if w.Replacement, err = a.reference(c.Context(), &f.say.attest.server, f.replacement); err != nil {
			return about("--replacement", err)
		}
	}
	w.Declarant.Party = f.party.party
	composed, err := predicate.NewWithdrawalDraft(target.options, w)
	if err != nil {
		return err
	}
	return a.say(c, &f.say, composed, withdrawMembers, target.statement)
}

// usualEffect is the effect of a withdrawal that names none.
func usualEffect(reason string) string {
	if slices.Contains([]string{"falseStatement", "issuedInError"}, reason) {
		return "neverValid"
	}
	return "fromEffectiveAt"
}
