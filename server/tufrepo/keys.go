package tufrepo

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Key signs metadata. It is an ECDSA P-256 key, which every Sigstore client verifies.
type Key struct {
	// Public is the public half.
	Public *ecdsa.PublicKey
	// Sign signs a SHA-256 digest, ASN.1 DER.
	Sign func(ctx context.Context, digest [32]byte) ([]byte, error)
}

// tufKey is a public key as metadata names it.
func tufKey(public *ecdsa.PublicKey) (*metadata.Key, string, error) {
	if public == nil || public.Curve != elliptic.P256() {
		return nil, "", errors.New("want an ECDSA P-256 key")
	}
	k, err := metadata.KeyFromPublicKey(public)
	if err != nil {
		return nil, "", err
	}
	id, err := k.ID()
	return k, id, err
}

// keyName is the id by which avow keygen names a key: SHA-256 of its SubjectPublicKeyInfo.
func keyName(k *metadata.Key) string {
	public, err := k.ToPublicKey()
	if err != nil {
		return "unreadable"
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "unreadable"
	}
	sum := sha256.Sum256(der)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// addKeys gives a role keys. A key that it has already is no error.
func addKeys(root *metadata.RootType, role string, keys []*ecdsa.PublicKey) error {
	for _, public := range keys {
		k, _, err := tufKey(public)
		if err != nil {
			return fmt.Errorf("key of %s: %w", role, err)
		}
		if err := root.AddKey(k, role); err != nil {
			return fmt.Errorf("key of %s: %w", role, err)
		}
	}
	return nil
}

// removeKeys takes keys from a role.
func removeKeys(root *metadata.RootType, role string, keys []*ecdsa.PublicKey) error {
	for _, public := range keys {
		_, id, err := tufKey(public)
		if err != nil {
			return fmt.Errorf("key of %s: %w", role, err)
		}
		if !slices.Contains(root.Roles[role].KeyIDs, id) {
			return fmt.Errorf("%w: %s", ErrKey, role)
		}
		if err := root.RevokeKey(id, role); err != nil {
			return fmt.Errorf("key of %s: %w", role, err)
		}
	}
	return nil
}

// digest is what is signed.
func digest[T metadata.Roles](m *metadata.Metadata[T]) ([32]byte, error) {
	payload, err := cjson.EncodeCanonical(m.Signed)
	if err != nil {
		return [32]byte{}, err
	}
	return sha256.Sum256(payload), nil
}

// sign adds a key's signature in place of one that it made before.
func sign[T metadata.Roles](ctx context.Context, m *metadata.Metadata[T], key Key) error {
	_, id, err := tufKey(key.Public)
	if err != nil {
		return err
	}
	sum, err := digest(m)
	if err != nil {
		return err
	}
	sig, err := key.Sign(ctx, sum)
	if err != nil {
		return err
	}
	m.Signatures = slices.DeleteFunc(m.Signatures, func(s metadata.Signature) bool { return s.KeyID == id })
	m.Signatures = append(m.Signatures, metadata.Signature{KeyID: id, Signature: sig})
	return nil
}

// signers are the ids of the role's keys that validly signed, by a root.
func signers[T metadata.Roles](root *metadata.Metadata[metadata.RootType], role string, m *metadata.Metadata[T]) []string {
	sum, err := digest(m)
	if err != nil {
		return nil
	}
	var ids []string
	for _, id := range root.Signed.Roles[role].KeyIDs {
		public, err := root.Signed.Keys[id].ToPublicKey()
		key, ok := public.(*ecdsa.PublicKey)
		if err != nil || !ok {
			continue
		}
		for _, s := range m.Signatures {
			if s.KeyID == id && ecdsa.VerifyASN1(key, sum[:], s.Signature) {
				ids = append(ids, id)
				break
			}
		}
	}
	return ids
}

// holds reports whether a root lets a key sign for a role.
func holds(root *metadata.Metadata[metadata.RootType], role string, public *ecdsa.PublicKey) bool {
	_, id, err := tufKey(public)
	return err == nil && root != nil && slices.Contains(root.Signed.Roles[role].KeyIDs, id)
}
