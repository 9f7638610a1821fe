package vendors

import (
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
)

// Roles of a vendor: a closed list. A vendor without roles speaks about its own products and its own statements only.
const (
	// RoleDisputer may open disputes about other vendors' statements, and add evidence to them.
	RoleDisputer = "disputer"
	// RoleAssessor may assess other vendors' statements, and decide disputes to which it is no party.
	RoleAssessor = "assessor"
)

// Roles returns every role.
func Roles() []string { return []string{RoleDisputer, RoleAssessor} }

// HasRole reports whether the vendor has a role.
func (v *Vendor) HasRole(role string) bool { return slices.Contains(v.Roles, role) }

// Former is a signer whose place another one has taken: a key, or an identity. It need not be registered any more.
type Former struct {
	// KeyID is "sha256:" and the hex digest of the key's SubjectPublicKeyInfo; empty for an identity.
	KeyID string
	// Issuer and SAN are the identity, as in [Identity]; empty for a key.
	Issuer, SAN string
}

// Recovery are keys that are kept apart from those in daily use. They issue nothing but withdrawals of the vendor's
// statements, and a withdrawal has an effect only when Threshold of them have signed it.
type Recovery struct {
	// Threshold is how many keys it takes, from 1 to their number.
	Threshold int
	// Keys are at most MaxRecoveryKeys, none of them in use for anything else.
	Keys []Key
}

// ByRecoveryKey finds the vendor and the recovery key with that id. It does not look at the key's window.
func (r *Registry) ByRecoveryKey(keyID string) (*Vendor, *Key, bool) {
	if r == nil {
		return nil, nil, false
	}
	k, ok := r.recovery[keyID]
	return k.vendor, k.key, ok
}

// RecoveryKeysAt returns the ids of those recovery keys that may be used at a time.
func (v *Vendor) RecoveryKeysAt(t time.Time) []string {
	var ids []string
	if v.Recovery == nil {
		return nil
	}
	for i := range v.Recovery.Keys {
		if k := &v.Recovery.Keys[i]; k.ValidAt(t) {
			ids = append(ids, k.ID)
		}
	}
	return ids
}

// owner finds who has a key already, for whatever use.
func (r *Registry) owner(keyID string) (*Vendor, bool) {
	if k, ok := r.keys[keyID]; ok {
		return k.vendor, true
	}
	k, ok := r.recovery[keyID]
	return k.vendor, ok
}

// addRecovery refuses a recovery key that is any vendor's key already: one key would do the work of two.
func (r *Registry) addRecovery(v *Vendor, line int) error {
	if v.Recovery == nil {
		return nil
	}
	for i := range v.Recovery.Keys {
		k := &v.Recovery.Keys[i]
		if was, ok := r.owner(k.ID); ok {
			return bad(Duplicate, line, "recovery key %s belongs to vendor %q already", k.ID, was.Name)
		}
		r.recovery[k.ID] = keyOf{v, k}
	}
	return nil
}

// roles reads a list of roles.
func roles(to *[]string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		return items(n, len(Roles()), func(n *yaml.Node) error {
			var role string
			if err := text(&role, MaxTextBytes)(n); err != nil {
				return err
			}
			switch {
			case !slices.Contains(Roles(), role):
				return bad(Value, n.Line, "got role %q, want one of %q", clip(role), Roles())
			case slices.Contains(*to, role):
				return bad(Duplicate, n.Line, "role %q occurs twice", role)
			}
			*to = append(*to, role)
			return nil
		})
	}
}

// succeeds reads the former signers whose place a key or identity has taken.
func succeeds(to *[]Former) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		return items(n, MaxFormer, func(n *yaml.Node) error {
			var f Former
			seen, err := members(n, map[string]func(*yaml.Node) error{
				"key":    matching(&f.KeyID, digestForm, wantDigest),
				"issuer": identityText("issuer", &f.Issuer),
				"san":    identityText("san", &f.SAN),
			})
			switch {
			case err != nil:
				return err
			case seen["key"] == seen["issuer"] || seen["issuer"] != seen["san"]:
				return bad(Value, n.Line, "a former signer has either key, or issuer and san")
			case slices.Contains(*to, f):
				return bad(Duplicate, n.Line, "this former signer occurs twice")
			}
			*to = append(*to, f)
			return nil
		})
	}
}

// recovery reads the recovery keys of a vendor.
func (p *parser) recovery(n *yaml.Node) (*Recovery, error) {
	var r Recovery
	seen, err := members(n, map[string]func(*yaml.Node) error{
		"threshold": number(&r.Threshold, MaxRecoveryKeys),
		"keys": func(n *yaml.Node) error {
			return items(n, MaxRecoveryKeys, func(n *yaml.Node) error {
				k, err := p.key(n)
				if err == nil && len(k.Succeeds) > 0 {
					err = bad(Value, n.Line, "a recovery key succeeds nobody: it withdraws what the vendor issued")
				}
				r.Keys = append(r.Keys, k)
				return err
			})
		},
	})
	if err == nil {
		err = require(n, seen, "threshold", "keys")
	}
	if err != nil {
		return nil, err
	}
	if r.Threshold > len(r.Keys) {
		return nil, bad(Value, n.Line, "threshold %d of %d recovery keys", r.Threshold, len(r.Keys))
	}
	return &r, nil
}
