package policy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
)

// vendor is somebody whom the policy pins: a vendor with its products, an
// assessor, or a service that signs standings.
type vendor struct {
	name     string
	products []string
	keys     []pinnedKey
	ids      []verify.Identity
}

type pinnedKey struct {
	public *ecdsa.PublicKey
	id     string // as verify.Evidence.KeyID
}

// keyReader reads a key file that a policy names.
type keyReader func(name string) ([]byte, error)

// readVendors reads a list of vendors into target.
func (d *document) readVendors(what string, target *[]*vendor, products bool, keys keyReader) func(*yaml.Node) {
	return func(n *yaml.Node) {
		d.items(n, what, MaxVendors, func(n *yaml.Node) {
			v := &vendor{}
			members := []member{
				{"name", true, d.words(&v.name, "name", MaxTextBytes)},
				{"keys", false, d.readKeys(v, keys)},
				{"identities", false, d.readIdentities(v)},
			}
			if products {
				members = append(members, member{"products", true, d.readProducts(v)})
			}
			d.mapping(n, "an entry of "+what, members...)
			if n.Kind == yaml.MappingNode && len(v.keys)+len(v.ids) == 0 && len(d.errors) == 0 {
				d.bad(n, CodeMissingField, "add keys or identities", "%q has neither a key nor an identity", clip(v.name))
			}
			if slices.ContainsFunc(*target, func(o *vendor) bool { return o.name == v.name }) {
				d.bad(n, CodeDuplicate, "put all keys into one entry", "%q twice in %s", clip(v.name), what)
			}
			*target = append(*target, v)
		})
	}
}

func (d *document) readProducts(v *vendor) func(*yaml.Node) {
	return func(n *yaml.Node) {
		d.items(n, "products", MaxProducts, func(n *yaml.Node) {
			var p string
			d.words(&p, "a product", MaxTextBytes)(n)
			prefix := strings.TrimSuffix(p, "*")
			switch {
			case p == "":
			case strings.Contains(prefix, "*"):
				d.bad(n, CodeValue, "one * at the end matches all that begins like it", "%q has a * before its end", clip(p))
			case p != "*" && !strings.HasPrefix(p, "pkg:"):
				d.bad(n, CodeValue, "a package URL as pkg:generic/example@1.2.3, or its beginning and *", "%q is not a package URL", clip(p))
			default:
				v.products = append(v.products, p)
			}
		})
		if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
			d.bad(n, CodeValue, `name the products; "*" is all of them`, "no product")
		}
	}
}

func (d *document) readKeys(v *vendor, read keyReader) func(*yaml.Node) {
	return func(n *yaml.Node) {
		d.items(n, "keys", MaxVendorKeys, func(n *yaml.Node) {
			var text string
			d.words(&text, "a key", MaxKeyBytes)(n)
			if text == "" {
				return
			}
			data := []byte(text)
			if !strings.Contains(text, "-----BEGIN") {
				var err error
				if data, err = read(text); err != nil {
					d.bad(n, CodeRead, "the path is relative to the policy", "key file %q: %v", clip(text), err)
					return
				}
				d.keyFiles = append(d.keyFiles, data)
			}
			key, err := parseKey(data)
			if err != nil {
				d.bad(n, CodeKey, "want an ECDSA P-256 public key in PEM", "%v", err)
				return
			}
			v.keys = append(v.keys, key)
		})
	}
}

func (d *document) readIdentities(v *vendor) func(*yaml.Node) {
	return func(n *yaml.Node) {
		d.items(n, "identities", MaxVendorKeys, func(n *yaml.Node) {
			var id verify.Identity
			d.mapping(n, "an identity",
				member{"san", true, d.words(&id.SAN, "san", MaxTextBytes)},
				member{"issuer", true, d.words(&id.Issuer, "issuer", MaxTextBytes)})
			if id.SAN != "" && id.Issuer != "" {
				v.ids = append(v.ids, id)
			}
		})
	}
}

// parseKey reads a public key.
func parseKey(data []byte) (pinnedKey, error) {
	block, rest := pem.Decode(data)
	if block == nil || block.Type != "PUBLIC KEY" {
		return pinnedKey{}, fmt.Errorf("no PEM block PUBLIC KEY")
	}
	if strings.TrimSpace(string(rest)) != "" {
		return pinnedKey{}, fmt.Errorf("something after the PEM block: one key is one entry")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return pinnedKey{}, err
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return pinnedKey{}, fmt.Errorf("the key is a %T, not ECDSA P-256", parsed)
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return pinnedKey{}, err
	}
	sum := sha256.Sum256(der)
	return pinnedKey{public: key, id: "sha256:" + hex.EncodeToString(sum[:])}, nil
}

// signers are the vendor's requirements for verification.
func (v *vendor) signers(types []string) []verify.Signer {
	var signers []verify.Signer
	for _, k := range v.keys {
		signers = append(signers, verify.Signer{Name: v.name, Key: &verify.Key{PublicKey: k.public}, Types: types})
	}
	for i := range v.ids {
		id := v.ids[i]
		signers = append(signers, verify.Signer{Name: v.name, Identity: &id, Types: types})
	}
	return signers
}

// signed reports whether the evidence was signed by the vendor.
func (v *vendor) signed(e verify.Evidence) bool {
	if id := e.Signer.Identity; id != nil {
		return slices.Contains(v.ids, *id)
	}
	return e.Signer.Key != nil && slices.ContainsFunc(v.keys, func(k pinnedKey) bool { return k.id == e.KeyID })
}

// makes reports whether all package URLs of a product are among the vendor's
// products, and there is one. A statement that names another product besides is
// not the vendor's to make.
func (v *vendor) makes(p predicate.Product) bool {
	found := false
	for _, id := range p.Identifiers {
		if id.Scheme != "purl" {
			continue
		}
		if !slices.ContainsFunc(v.products, func(pattern string) bool {
			prefix, open := strings.CutSuffix(pattern, "*")
			return id.Value == pattern || open && strings.HasPrefix(id.Value, prefix)
		}) {
			return false
		}
		found = true
	}
	return found
}

// declarationTypes are what vendors sign about a release.
func declarationTypes() []string {
	return []string{predicate.NoBackdoorType, predicate.DataFlowsType, predicate.UndertakingsType}
}

// vendorTypes are what a vendor may sign: never a standing, nor an assessment.
// Evidence is no rule's input, whoever signed it.
func vendorTypes() []string {
	return append(append(declarationTypes(), predicate.WithdrawalType, predicate.DisputeType), predicate.EvidenceTypes()...)
}

// assessorTypes are what an assessor may sign.
func assessorTypes() []string { return append([]string{assessmentType}, predicate.EvidenceTypes()...) }
