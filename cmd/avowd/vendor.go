package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/wholefile"
	"github.com/avow-dev/avow/server/vendors"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// maxRegistryBytes is the largest registry that the commands rewrite.
const maxRegistryBytes = 16 << 20

func newVendorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "vendor",
		Short: "Edit the registry of vendors: who may issue statements",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{errors.New("which command?"), "avowd vendor add, list or token"}
		},
	}
	cmd.AddCommand(newVendorAddCommand(), newVendorListCommand(), newVendorTokenCommand())
	return cmd
}

// vendorFlags is what `vendor add` is told.
type vendorFlags struct {
	config              string
	vendor              vendors.Vendor
	keys                []string
	identities          []string
	issuer              string
	notBefore, notAfter string
	life                vendorLife
}

func newVendorAddCommand() *cobra.Command {
	var v vendorFlags
	cmd := &cobra.Command{
		Use: "add --name N --declarant LEGAL-NAME --country CC (--key PUB... | --identity SAN... --issuer URL) " +
			"[--product PREFIX...] [--role ROLE...]",
		Short: "Register a vendor with its keys or identities and the products that it may speak about",
		Long: `Register a vendor. --declarant is the exact name that its statements carry, --product a prefix of product identifiers:
pkg:generic/acme permits pkg:generic/acme/fw@1 and not pkg:generic/acme-evil@1.

--identity is who signs with a certificate instead of a key, exactly as certificates name it: the URI of a CI workflow with its
ref, or an e-mail address. --issuer is the OpenID Connect issuer that vouches for it. Identities of several issuers are added
with an editor.

--role disputer and --role assessor let it dispute and assess what other vendors say; it needs no products for that. --succeeds
names a former key whose statements its keys may withdraw, supersede and answer for. --recovery-key registers keys that do
nothing but withdraw, as many of them together as --recovery-threshold says, for the day on which the others are lost or stolen:
keep them apart, and register them before they are needed.

The whole registry is checked before the file is replaced; a running service reads it within a second.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(v.config)
			if err != nil {
				return err
			}
			if err := addVendor(c, v); err != nil {
				return err
			}
			return printRegistered(cmd.OutOrStdout(), c.path(c.Vendors), v.vendor.Name)
		},
	}
	addConfigFlag(cmd, &v.config)
	f := cmd.Flags()
	f.StringVar(&v.vendor.Name, "name", "", "short name: lower-case letters, digits, '.', '_', '-'")
	f.StringVar(&v.vendor.Declarant, "declarant", "", "exact name of the declaring party in the vendor's statements")
	f.StringVar(&v.vendor.Country, "country", "", "ISO 3166-1 code of its seat, two letters")
	f.StringVar(&v.vendor.Contact, "contact", "", "e-mail address or URL for people")
	f.StringSliceVar(&v.keys, "key", nil, "PEM file with a public key; repeatable")
	f.StringArrayVar(&v.identities, "identity", nil, "subject alternative name of certificates, exactly; repeatable")
	f.StringVar(&v.issuer, "issuer", "", "URL of the identities' issuer, exactly")
	f.StringSliceVar(&v.vendor.Products, "product", nil, "prefix of product identifiers; repeatable")
	v.life.register(cmd)
	f.StringVar(&v.notBefore, "not-before", "", "start of the window of keys and identities, RFC 3339")
	f.StringVar(&v.notAfter, "not-after", "", "end of the window of keys and identities, RFC 3339")
	return cmd
}

// printRegistered says what the registry now holds of a vendor. The key id is for comparing it with the vendor, whose
// avow keygen printed it, on another channel than the one on which the key came.
func printRegistered(w io.Writer, path, name string) error {
	registry, err := vendors.Load(path)
	if err != nil {
		return err
	}
	v, ok := registry.ByName(name)
	if !ok {
		return fmt.Errorf("%s does not hold %q, which was just added", path, name)
	}
	fmt.Fprintf(w, "registered %s in %s\n", v.Name, path)
	for _, k := range v.Keys {
		fmt.Fprintf(w, "  key id  %s\n", k.ID)
	}
	for _, i := range v.Identities {
		fmt.Fprintf(w, "  identity %s, issuer %s\n", i.SAN, i.Issuer)
	}
	for _, p := range v.Products {
		fmt.Fprintf(w, "  product %s\n", p)
	}
	printLife(w, v)
	return nil
}

// addVendor appends a vendor to the registry. What the registry cannot hold is wrong usage, and leaves it as it was.
func addVendor(c *Config, v vendorFlags) error {
	if len(v.keys) == 0 && len(v.identities) == 0 && v.issuer == "" {
		return usageError{errors.New("--key is missing, or --identity with --issuer"), "avow keygen makes a key pair; the service needs the .pub file"}
	}
	for _, path := range v.keys {
		key, err := readVendorKey(path, v.notBefore, v.notAfter)
		if err != nil {
			return usageError{err, ""}
		}
		v.vendor.Keys = append(v.vendor.Keys, key)
	}
	var err error
	if v.vendor.Identities, err = v.readIdentities(); err != nil {
		return usageError{err, "the registry was left as it was"}
	}
	if err := v.life.apply(&v.vendor); err != nil {
		return usageError{err, "the registry was left as it was"}
	}
	path := c.path(c.Vendors)
	text, err := readLimited(path, maxRegistryBytes)
	if err != nil {
		return err
	}
	text, err = vendors.Append(text, &v.vendor, filepath.Dir(path))
	if err != nil {
		return usageError{err, "the registry was left as it was"}
	}
	return replaceFile(path, text)
}

// readIdentities makes the entries of the identities. Their form is the registry's affair.
func (v *vendorFlags) readIdentities() ([]vendors.Identity, error) {
	if (len(v.identities) == 0) != (v.issuer == "") {
		return nil, errors.New("give --identity together with --issuer")
	}
	var list []vendors.Identity
	for _, san := range v.identities {
		i := vendors.Identity{Issuer: v.issuer, SAN: san}
		var err error
		if i.NotBefore, err = optionalTime("--not-before", v.notBefore); err != nil {
			return nil, err
		}
		if i.NotAfter, err = optionalTime("--not-after", v.notAfter); err != nil {
			return nil, err
		}
		list = append(list, i)
	}
	return list, nil
}

func readVendorKey(path, notBefore, notAfter string) (vendors.Key, error) {
	text, err := readLimited(path, attest.MaxKeyFileBytes)
	if err != nil {
		return vendors.Key{}, err
	}
	public, err := attest.ParsePublicKey(text)
	if err != nil {
		return vendors.Key{}, fmt.Errorf("%s: %w", path, err)
	}
	key := vendors.Key{PublicKey: public, PEM: text}
	if key.ID, err = attest.KeyID(public); err != nil {
		return vendors.Key{}, err
	}
	if key.NotBefore, err = optionalTime("--not-before", notBefore); err != nil {
		return vendors.Key{}, err
	}
	key.NotAfter, err = optionalTime("--not-after", notAfter)
	return key, err
}

func optionalTime(flag, value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return t, fmt.Errorf("%s: got %q, want a time such as 2026-01-31T00:00:00Z", flag, value)
	}
	return t, nil
}

func newVendorListCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the registered vendors with their keys, products and roles",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(config)
			if err != nil {
				return err
			}
			registry, err := vendors.Load(c.path(c.Vendors))
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tCOUNTRY\tDECLARANT\tKEYS\tIDENTITIES\tPRODUCTS\tROLES\tTOKENS")
			for _, v := range registry.All() {
				ids := make([]string, len(v.Keys))
				for i, k := range v.Keys {
					ids[i] = k.ID
				}
				names := make([]string, len(v.Identities))
				for i, id := range v.Identities {
					names[i] = id.SAN
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\n", v.Name, v.Country, v.Declarant, strings.Join(ids, ","),
					strings.Join(names, ","), strings.Join(v.Products, ","), strings.Join(v.Roles, ","), len(v.TokenHashes))
			}
			return w.Flush()
		},
	}
	addConfigFlag(cmd, &config)
	return cmd
}

func newVendorTokenCommand() *cobra.Command {
	var config, name string
	cmd := &cobra.Command{
		Use:   "token --name N",
		Short: "Make an API token for a vendor; it is printed once and stored as a digest",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(config)
			if err != nil {
				return err
			}
			token, hash, err := vendors.NewToken()
			if err != nil {
				return err
			}
			if err := addToken(c.path(c.Vendors), name, hash); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), token)
			return nil
		},
	}
	addConfigFlag(cmd, &config)
	cmd.Flags().StringVar(&name, "name", "", "the vendor's short name")
	return cmd
}

// addToken adds a digest to the tokens of a vendor, keeping the comments of the file.
func addToken(path, name, hash string) error {
	text, err := readLimited(path, maxRegistryBytes)
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return err
	}
	entry := findVendor(&doc, name)
	if entry == nil {
		return usageError{fmt.Errorf("no vendor %q in the registry", name), "avowd vendor list shows the names"}
	}
	tokens := member(entry, "tokens")
	if tokens == nil {
		tokens = &yaml.Node{Kind: yaml.SequenceNode}
		entry.Content = append(entry.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "tokens"}, tokens)
	}
	tokens.Content = append(tokens.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: hash})
	if text, err = yaml.Marshal(&doc); err != nil {
		return err
	}
	if _, err := vendors.Parse(text, filepath.Dir(path)); err != nil {
		return err
	}
	return replaceFile(path, text)
}

func findVendor(doc *yaml.Node, name string) *yaml.Node {
	if len(doc.Content) == 0 {
		return nil
	}
	list := member(doc.Content[0], "vendors")
	if list == nil {
		return nil
	}
	for _, entry := range list.Content {
		if n := member(entry, "name"); n != nil && n.Value == name {
			return entry
		}
	}
	return nil
}

func member(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// replaceFile replaces a file as a whole and durably: a service that reads it sees the old or the new one.
func replaceFile(path string, data []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return wholefile.Replace(path, data, info.Mode().Perm())
}
