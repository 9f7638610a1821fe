package command

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest"
)

// passwordVariable is the environment variable with the password of key files.
const passwordVariable = "AVOW_PASSWORD"

func (a *app) keygen() *cobra.Command {
	var name, kms string
	c := &cobra.Command{
		Use:   "keygen [-o NAME] [--kms REFERENCE]",
		Short: "Make a signing key",
		Long: `Make an ECDSA P-256 key pair: NAME.key, encrypted with a password in cosign's format (cosign
reads it, and avow reads cosign's), and NAME.pub. No existing file is overwritten.

The password comes from the environment variable AVOW_PASSWORD, or is asked for at the terminal.

With --kms the key is made in a key management service or on a PKCS #11 token, which never gives
the private half away, and NAME.pub is all that is written. The reference of the key is then
what --key takes; docs/keys.md lists the forms.

The operator of the service registers the public key for you; until then it accepts nothing that
is signed with it. Give the public key to your customers on a channel of its own, for example
your web site.`,
		Example: `  avow keygen -o vendor
  AVOW_PASSWORD=$(pass show avow) avow keygen -o release-2026
  avow keygen --kms hashivault://vendor -o vendor`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if kms != "" {
				return a.createKey(c.Context(), kms, name)
			}
			return a.runKeygen(name)
		},
	}
	c.Flags().StringVar(&kms, "kms", "", "make the key where this `REFERENCE` leads, for example hashivault://NAME")
	completes(c, "kms")
	c.Flags().StringVarP(&name, "output", "o", "avow", "`NAME` of the files NAME.key and NAME.pub")
	return c
}

func (a *app) runKeygen(name string) error {
	private, public := name+".key", name+".pub"
	if err := refuseExisting(private, public); err != nil {
		return err
	}
	password, err := a.newPassword()
	if err != nil {
		return err
	}
	defer clear(password)
	key, err := attest.GenerateKey()
	if err != nil {
		return err
	}
	sealed, err := attest.MarshalEncryptedKey(key, password)
	if err != nil {
		return err
	}
	public64, err := attest.MarshalPublicKey(key.PublicKey())
	if err != nil {
		return err
	}
	if err := createFile(private, sealed, 0o600); err != nil {
		return err
	}
	if err := createFile(public, public64, 0o644); err != nil {
		return errors.Join(err, os.Remove(private))
	}
	id, err := attest.KeyID(key.PublicKey())
	if err != nil {
		return err
	}
	w := a.writer()
	w.Line("wrote %s (keep it secret) and %s", private, public)
	w.Line("key id %s", id)
	return w.Err()
}

// refuseExisting looks for what a new key would overwrite.
func refuseExisting(paths ...string) error {
	for _, path := range paths {
		if _, err := os.Lstat(path); err == nil {
			return failed("choose another name with -o; a key that is lost cannot be made again", "%s exists already", path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// password returns the password of an existing key file. It may be empty: cosign makes such files.
func (a *app) password(path string) ([]byte, error) {
	if password, ok := a.env.LookupEnv(passwordVariable); ok {
		return []byte(password), nil
	}
	if a.env.ReadPassword == nil {
		return nil, failed("set "+passwordVariable, "%s is encrypted, and there is no terminal to ask for its password", path)
	}
	password, err := a.env.ReadPassword(fmt.Sprintf("Password for %s: ", path))
	return password, about("read password", err)
}

// newPassword returns the password for a new key file. At a terminal it is asked for twice.
func (a *app) newPassword() ([]byte, error) {
	if password, ok := a.env.LookupEnv(passwordVariable); ok {
		return []byte(password), nil
	}
	if a.env.ReadPassword == nil {
		return nil, failed("set "+passwordVariable, "a new key needs a password, and there is no terminal to ask for it")
	}
	first, err := a.env.ReadPassword("Password for the new key: ")
	if err != nil {
		return nil, about("read password", err)
	}
	second, err := a.env.ReadPassword("The same password again: ")
	if err != nil {
		return nil, about("read password", err)
	}
	defer clear(second)
	if !bytes.Equal(first, second) {
		clear(first)
		return nil, failed("run the command again", "the two passwords differ")
	}
	return first, nil
}

// loadKey opens a key file.
func (a *app) loadKey(path string) (*attest.KeyFile, error) {
	data, err := a.readLimited(path, attest.MaxKeyFileBytes)
	if err != nil {
		return nil, err
	}
	password, err := a.password(path)
	if err != nil {
		return nil, err
	}
	defer clear(password)
	key, err := attest.LoadKey(data, password)
	return key, about(path, err)
}
