package command

import (
	"context"
	"crypto/ecdsa"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/keyref"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// keyHelp says what --key takes where something is signed.
const keyHelp = `

KEY is the file of an encrypted key, whose password comes from AVOW_PASSWORD or is asked for at
the terminal; or the reference of a key that is no file: hashivault://, openbao://, awskms://,
gcpkms://, azurekms:// and others by a Sigstore KMS plugin (a program sigstore-kms-SCHEME on the
PATH), or pkcs11: and a PKCS #11 URI (RFC 7512), with the PIN from its pin-source,
AVOW_PKCS11_PIN or the terminal. docs/keys.md shows each of them.`

// openSigner opens a key file, or the key that a reference leads to. done ends its use.
func (a *app) openSigner(ctx context.Context, reference string) (signer attest.Signer, done func(), err error) {
	if !keyref.Is(reference) {
		key, err := a.loadKey(reference)
		if err != nil {
			return nil, nil, err
		}
		return key, func() {}, nil
	}
	key, err := keyref.Open(ctx, reference, a.keyOptions())
	if err != nil {
		return nil, nil, err
	}
	return key, func() { a.closeKey(key) }, nil
}

func (a *app) keyOptions() keyref.Options {
	return keyref.Options{LookupEnv: a.env.LookupEnv, Environ: a.env.Environ, PIN: a.env.ReadPassword}
}

// closeKey only notes what goes wrong: what was signed is signed.
func (a *app) closeKey(key *keyref.Key) {
	if err := key.Close(); err != nil {
		a.note("%s: %s", text.Safe(key.String()), text.Safe(err.Error()))
	}
}

// createKey is keygen --kms.
func (a *app) createKey(ctx context.Context, reference, name string) error {
	path := name + ".pub"
	if err := refuseExisting(path); err != nil {
		return err
	}
	key, err := keyref.Create(ctx, reference, a.keyOptions())
	if err != nil {
		return err
	}
	defer a.closeKey(key)
	public, id, err := describeKey(key.PublicKey())
	if err != nil {
		return err
	}
	if err := createFile(path, public, 0o644); err != nil {
		return &failure{code: exitError, err: err,
			hint: "the key is made; `avow public-key --key " + reference + "` prints its public half"}
	}
	w := a.writer()
	w.Line("made the key %s, wrote %s", text.Safe(reference), text.Safe(path))
	w.Line("key id %s", id)
	return w.Err()
}

func describeKey(key *ecdsa.PublicKey) (public []byte, id string, err error) {
	if public, err = attest.MarshalPublicKey(key); err != nil {
		return nil, "", err
	}
	id, err = attest.KeyID(key)
	return public, id, err
}

func (a *app) publicKey() *cobra.Command {
	var reference, output string
	c := &cobra.Command{
		Use:   "public-key --key KEY [-o FILE]",
		Short: "Print the public half of a signing key",
		Long: `Print the public half of a key in PEM form: what the operator of the service registers, and what
customers verify with. Its id goes to standard error.` + keyHelp,
		Example: `  avow public-key --key hashivault://vendor -o vendor.pub
  avow public-key --key vendor.key`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if reference == "" {
				return failed("give --key", "which key?")
			}
			return a.runPublicKey(c.Context(), reference, output)
		},
	}
	c.Flags().StringVar(&reference, "key", "", "`KEY`: the file of an encrypted key, or a key reference")
	c.Flags().StringVarP(&output, "output", "o", "", "`FILE` for the public key instead of standard output")
	return c
}

func (a *app) runPublicKey(ctx context.Context, reference, output string) error {
	key, done, err := a.openSigner(ctx, reference)
	if err != nil {
		return err
	}
	defer done()
	public, id, err := describeKey(key.PublicKey())
	if err != nil {
		return err
	}
	a.note("key id %s", id)
	return a.output(output, public)
}
