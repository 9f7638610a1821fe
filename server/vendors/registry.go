package vendors

import (
	"crypto/ecdsa"
	"crypto/subtle"
	"slices"
	"strings"
	"time"
)

// Vendor is one vendor. Its fields must not be changed.
type Vendor struct {
	// Name identifies the vendor: lower-case letters, digits, '.', '_' and '-', at most MaxNameBytes.
	Name string
	// Declarant is the legal name that the vendor's statements must carry (common.declarant.party.name), byte for
	// byte; mandatory, at most MaxTextBytes.
	Declarant string
	// Country is the ISO 3166-1 alpha-2 code of its seat.
	Country string
	// Contact is for people: an e-mail address or URL; it may be empty.
	Contact string
	// Keys are the keys that speak for the vendor.
	Keys []Key
	// Identities are those that speak for the vendor with a certificate.
	Identities []Identity
	// Products are prefixes of product identifiers; see [Vendor.Permits].
	Products []string
	// Roles are what the vendor may do besides declaring its own products: [RoleDisputer], [RoleAssessor].
	Roles []string
	// Recovery, if not nil, are keys that can only withdraw, and only together.
	Recovery *Recovery
	// SigningKey, if not nil, is where the service finds the key to sign for the vendor.
	SigningKey *SigningKey
	// TokenHashes are the digests ("sha256:hex") of the vendor's API tokens.
	TokenHashes []string
	// ClientCerts are the digests ("sha256:hex") of the vendor's client certificates in DER form.
	ClientCerts []string
}

// Key is a public key of a vendor and the time in which it may be used.
type Key struct {
	// ID is "sha256:" and the hex digest of the key's SubjectPublicKeyInfo in DER form.
	ID string
	// PublicKey is ECDSA P-256.
	PublicKey *ecdsa.PublicKey
	// PEM is the key in PEM form (SubjectPublicKeyInfo), DER the same in DER form.
	PEM, DER []byte
	// NotBefore and NotAfter bound its use; the zero value sets no bound.
	NotBefore, NotAfter time.Time
	// Succeeds are the signers that it may withdraw, supersede and answer for.
	Succeeds []Former
}

// ValidAt reports whether t lies within the key's window: NotBefore <= t <= NotAfter.
func (k *Key) ValidAt(t time.Time) bool {
	return within(t, k.NotBefore, k.NotAfter)
}

// SigningKey says where a private key is. The registry never reads it. File
// names that are relative in the registry are relative to its directory, and
// joined with it here.
type SigningKey struct {
	// File is the path of the encrypted key; empty if Reference is set.
	File string
	// Reference leads to a key in a key management service or on a token (package keyref).
	Reference string
	// PasswordFile is the path of a file with the password of File, or the PIN of the token; empty if PasswordEnv is set, or
	// if Reference needs neither.
	PasswordFile string
	// PasswordEnv names an environment variable with it.
	PasswordEnv string
}

// Registry is an immutable set of vendors. The zero value and nil admit no one.
type Registry struct {
	vendors []*Vendor // by name
	keys    map[string]keyOf

	identities map[identityKey]identityOf
	recovery   map[string]keyOf
	tokens     map[string]*Vendor
	certs      map[string]*Vendor
}

type keyOf struct {
	vendor *Vendor
	key    *Key
}

// ByKey finds the vendor and the key with that id ("sha256:hex"). It does not look at the key's window.
func (r *Registry) ByKey(keyID string) (*Vendor, *Key, bool) {
	if r == nil {
		return nil, nil, false
	}
	k, ok := r.keys[keyID]
	return k.vendor, k.key, ok
}

// ByToken finds the vendor whose API token this is. Only the digests of tokens
// are compared, in constant time once one is found.
func (r *Registry) ByToken(token string) (*Vendor, bool) {
	if r == nil || !wellFormed(token) {
		return nil, false
	}
	hash := HashToken(token)
	v, ok := r.tokens[hash]
	if !ok {
		return nil, false
	}
	for _, h := range v.TokenHashes {
		if subtle.ConstantTimeCompare([]byte(h), []byte(hash)) == 1 {
			return v, true
		}
	}
	return nil, false
}

// ByClientCert finds the vendor by the digest ("sha256:hex") of a client certificate in DER form.
func (r *Registry) ByClientCert(fingerprint string) (*Vendor, bool) {
	if r == nil {
		return nil, false
	}
	v, ok := r.certs[fingerprint]
	return v, ok
}

// ByName finds a vendor by its name.
func (r *Registry) ByName(name string) (*Vendor, bool) {
	if r == nil {
		return nil, false
	}
	i, ok := slices.BinarySearchFunc(r.vendors, name, func(v *Vendor, name string) int { return strings.Compare(v.Name, name) })
	if !ok {
		return nil, false
	}
	return r.vendors[i], true
}

// All returns the vendors in the order of their names.
func (r *Registry) All() []*Vendor {
	if r == nil {
		return nil
	}
	return slices.Clone(r.vendors)
}

// add puts a vendor into the registry. What two vendors share would make one
// speak for the other, so everything that identifies one is unique.
func (r *Registry) add(v *Vendor, line int, keyLines, identityLines []int) error {
	for i := range v.Keys {
		k := &v.Keys[i]
		if was, ok := r.owner(k.ID); ok {
			return bad(Duplicate, keyLines[i], "key %s belongs to vendor %q already", k.ID, was.Name)
		}
		r.keys[k.ID] = keyOf{v, k}
	}
	if err := r.addIdentities(v, identityLines); err != nil {
		return err
	}
	if err := r.addRecovery(v, line); err != nil {
		return err
	}
	for what, list := range map[string]struct {
		ids []string
		in  map[string]*Vendor
	}{"token": {v.TokenHashes, r.tokens}, "client certificate": {v.ClientCerts, r.certs}} {
		for _, id := range list.ids {
			if was, ok := list.in[id]; ok {
				return bad(Duplicate, line, "%s %s belongs to vendor %q already", what, id, was.Name)
			}
			list.in[id] = v
		}
	}
	i, found := slices.BinarySearchFunc(r.vendors, v.Name, func(v *Vendor, name string) int { return strings.Compare(v.Name, name) })
	if found {
		return bad(Duplicate, line, "vendor %q occurs twice", v.Name)
	}
	r.vendors = slices.Insert(r.vendors, i, v)
	return nil
}
