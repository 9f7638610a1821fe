package vendors

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

var (
	nameForm    = regexp.MustCompile(fmt.Sprintf(`^[a-z0-9][a-z0-9._-]{0,%d}$`, MaxNameBytes-1))
	countryForm = regexp.MustCompile(`^[A-Z]{2}$`)
	digestForm  = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	envForm     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// referenceForm is how every key reference begins; what follows is parsed where the key is opened.
	referenceForm = regexp.MustCompile(`^([a-z][a-z0-9-]*://|pkcs11:)[!-~]+$`)
)

const wantDigest = `"sha256:" and 64 lower-case hex digits`

// vendor reads one entry, and the lines of its keys and identities.
func (p *parser) vendor(n *yaml.Node) (v *Vendor, keyLines, identityLines []int, err error) {
	v = &Vendor{}
	digests := func(to *[]string) func(*yaml.Node) error {
		return func(n *yaml.Node) error {
			return items(n, MaxPerVendor, func(n *yaml.Node) error {
				*to = append(*to, "")
				return matching(&(*to)[len(*to)-1], digestForm, wantDigest)(n)
			})
		}
	}
	seen, err := members(n, map[string]func(*yaml.Node) error{
		"name":      matching(&v.Name, nameForm, "lower-case letters, digits, '.', '_', '-'"),
		"declarant": text(&v.Declarant, MaxTextBytes),
		"country":   matching(&v.Country, countryForm, "two capital letters (ISO 3166-1)"),
		"contact":   text(&v.Contact, MaxTextBytes),
		"keys": func(n *yaml.Node) error {
			return items(n, MaxPerVendor, func(n *yaml.Node) error {
				k, err := p.key(n)
				v.Keys, keyLines = append(v.Keys, k), append(keyLines, n.Line)
				return err
			})
		},
		"identities": func(n *yaml.Node) error {
			return items(n, MaxPerVendor, func(n *yaml.Node) error {
				i, err := p.identity(n)
				v.Identities, identityLines = append(v.Identities, i), append(identityLines, n.Line)
				return err
			})
		},
		"products": func(n *yaml.Node) error {
			return items(n, MaxPerVendor, func(n *yaml.Node) error {
				var s string
				if err := text(&s, MaxIdentifierBytes)(n); err != nil {
					return err
				}
				if err := checkPrefix(s); err != nil {
					return bad(Value, n.Line, "product prefix %q: %v", clip(s), err)
				}
				v.Products = append(v.Products, s)
				return nil
			})
		},
		"roles": roles(&v.Roles),
		"recovery": func(n *yaml.Node) (err error) {
			v.Recovery, err = p.recovery(n)
			return err
		},
		"tokens":      digests(&v.TokenHashes),
		"clientCerts": digests(&v.ClientCerts),
		"signingKey": func(n *yaml.Node) (err error) {
			v.SigningKey, err = p.signingKey(n)
			return err
		},
	})
	if err != nil {
		return nil, nil, nil, err
	}
	return v, keyLines, identityLines, require(n, seen, "name", "declarant", "country")
}

func (p *parser) key(n *yaml.Node) (k Key, err error) {
	var inline, file string
	seen, err := members(n, map[string]func(*yaml.Node) error{
		"pem":       literal(&inline),
		"file":      text(&file, MaxTextBytes),
		"notBefore": timestamp(&k.NotBefore),
		"notAfter":  timestamp(&k.NotAfter),
		"succeeds":  succeeds(&k.Succeeds),
	})
	if err != nil {
		return k, err
	}
	if seen["pem"] == seen["file"] {
		return k, bad(Value, n.Line, "a key has either pem or file")
	}
	if !k.NotBefore.IsZero() && !k.NotAfter.IsZero() && !k.NotBefore.Before(k.NotAfter) {
		return k, bad(Value, n.Line, "the key's window ends before it begins")
	}
	data := []byte(inline)
	if file != "" {
		if data, err = p.read(file); err != nil {
			return k, &Error{Code: Unreadable, Line: n.Line, Message: fmt.Sprintf("key file %q", file), Err: err}
		}
	}
	window := k
	if k, err = parseKey(data); err != nil {
		return k, &Error{Code: BadKey, Line: n.Line, Message: "not usable", Err: err}
	}
	k.NotBefore, k.NotAfter, k.Succeeds = window.NotBefore, window.NotAfter, window.Succeeds
	if slices.Contains(k.Succeeds, Former{KeyID: k.ID}) {
		return k, bad(Value, n.Line, "the key succeeds itself")
	}
	return k, nil
}

// literal reads text of several lines.
func literal(to *string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
			return bad(Syntax, n.Line, "want text, got %s", kind(n))
		}
		if n.Value == "" || len(n.Value) > MaxKeyBytes {
			return bad(Value, n.Line, "%d bytes of text, want 1 to %d", len(n.Value), MaxKeyBytes)
		}
		*to = n.Value
		return nil
	}
}

// parseKey reads one public key. Other kinds are refused because a statement
// signed by them is refused by clients in the field (P-384 by cosign --key,
// ed25519 by the log).
func parseKey(data []byte) (k Key, err error) {
	block, rest := pem.Decode(data)
	if block == nil {
		return k, errors.New("not in PEM form")
	}
	if block.Type != "PUBLIC KEY" {
		return k, fmt.Errorf("PEM block %q, want PUBLIC KEY", block.Type)
	}
	if len(bytes.TrimSpace(rest)) != 0 {
		return k, fmt.Errorf("%d bytes after the key, want one key alone", len(bytes.TrimSpace(rest)))
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return k, err
	}
	pub, ok := parsed.(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() {
		return k, fmt.Errorf("%T, want ECDSA on the curve P-256", parsed)
	}
	return newKey(pub)
}

// newKey encodes the key again: one key has one id, whatever its file looked like.
func newKey(pub *ecdsa.PublicKey) (k Key, err error) {
	if k.DER, err = x509.MarshalPKIXPublicKey(pub); err != nil {
		return k, err
	}
	sum := sha256.Sum256(k.DER)
	k.ID, k.PublicKey = "sha256:"+hex.EncodeToString(sum[:]), pub
	k.PEM = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.DER})
	return k, nil
}

func (p *parser) signingKey(n *yaml.Node) (*SigningKey, error) {
	var k SigningKey
	seen, err := members(n, map[string]func(*yaml.Node) error{
		"file":         text(&k.File, MaxTextBytes),
		"reference":    matching(&k.Reference, referenceForm, "a key reference (docs/keys.md)"),
		"passwordFile": text(&k.PasswordFile, MaxTextBytes),
		"passwordEnv":  matching(&k.PasswordEnv, envForm, "the name of an environment variable"),
	})
	if err != nil {
		return nil, err
	}
	switch token := strings.HasPrefix(k.Reference, "pkcs11:"); {
	case seen["file"] == seen["reference"]:
		return nil, bad(Value, n.Line, "a signing key has either file or reference")
	case seen["passwordFile"] && seen["passwordEnv"], seen["file"] && !seen["passwordFile"] && !seen["passwordEnv"]:
		return nil, bad(Value, n.Line, "a signing key has either passwordFile or passwordEnv")
	case (seen["passwordFile"] || seen["passwordEnv"]) && !seen["file"] && !token:
		return nil, bad(Value, n.Line, "only the file of a key and a pkcs11: reference have a password")
	}
	if k.File != "" {
		k.File = resolve(p.dir, k.File)
	}
	if k.PasswordFile != "" {
		k.PasswordFile = resolve(p.dir, k.PasswordFile)
	}
	return &k, nil
}
