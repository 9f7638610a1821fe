package keyref

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/avow-dev/avow/attest"
)

// Key is a signing key behind a reference. It is an attest.Signer and safe for concurrent use; the zero value is not.
type Key struct {
	reference *Reference
	store     store
	public    *ecdsa.PublicKey
	timeout   time.Duration
}

// PublicKey returns the public key that Open read.
func (k *Key) PublicKey() *ecdsa.PublicKey { return k.public }

// String returns the reference.
func (k *Key) String() string { return k.reference.String() }

// Close ends the connection to the token, if there is one. The key must not be used afterwards.
func (k *Key) Close() error { return k.store.close() }

// SignDigest signs a SHA-256 digest within the timeout that Open was given. The signature, in ASN.1 DER, is verified before
// it is returned. The error is *Error, or ctx's.
func (k *Key) SignDigest(ctx context.Context, digest [32]byte) ([]byte, error) {
	var signature []byte
	err := k.bounded(ctx, func(ctx context.Context) (err error) {
		signature, err = k.store.sign(ctx, digest)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := checkDER(signature); err != nil {
		return nil, err
	}
	if !ecdsa.VerifyASN1(k.public, digest[:], signature) {
		return nil, k.whyInvalid(ctx)
	}
	return signature, nil
}

// whyInvalid tells a key that was rotated from a service that signs something else.
func (k *Key) whyInvalid(ctx context.Context) error {
	if now, err := k.readPublic(ctx); err == nil && !now.Equal(k.public) {
		return &Error{Code: CodeKeyChanged, Detail: fmt.Sprintf("%s leads to another key than when it was opened", k),
			Hint: "nothing was signed; if the key was rotated on purpose, have the new one registered (`avow public-key`) and repeat"}
	}
	return &Error{Code: CodeSignatureInvalid,
		Detail: fmt.Sprintf("%s answered a signature that is not by its key over the digest", k),
		Hint:   "nothing was signed; ask who runs the service, and whether another key or version signs"}
}

// readPublic reads the public key and takes P-256 alone.
func (k *Key) readPublic(ctx context.Context) (*ecdsa.PublicKey, error) {
	var public crypto.PublicKey
	err := k.bounded(ctx, func(ctx context.Context) (err error) {
		public, err = k.store.publicKey(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, &Error{Code: CodeProtocol, Detail: fmt.Sprintf("%s has a public key that cannot be encoded", k), Err: err,
			Hint: "make an ECDSA P-256 key; `avow keygen --kms` does"}
	}
	// The one place that says which keys can sign, and why others cannot, is attest.ParsePublicKey.
	parsed, err := attest.ParsePublicKey(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k, err)
	}
	return parsed, nil
}

// bounded runs a call, and returns when its time is over even if the call does not.
func (k *Key) bounded(ctx context.Context, call func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	err := call(limited)
	if err == nil || limited.Err() == nil {
		return err
	}
	if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ctx.Err()
	}
	return &Error{Code: CodeTimeout, Detail: fmt.Sprintf("%s did not answer within %s", k, k.timeout),
		Hint: "is the service reachable, and the token plugged in? nothing was signed; repeat the command"}
}

// checkDER takes the one encoding that X.690 calls DER: what is read must be what would be written.
func checkDER(signature []byte) error {
	// The decoder's own words are about Go's types.
	bad := func(detail string) error {
		return &Error{Code: CodeSignatureMalformed, Detail: detail, Hint: "nothing was signed; the service or its plugin is at fault"}
	}
	if len(signature) > maxSignatureBytes {
		return bad(fmt.Sprintf("the signature has %d bytes, a P-256 signature has at most %d", len(signature), maxSignatureBytes))
	}
	var parsed struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(signature, &parsed)
	if err != nil {
		return bad(fmt.Sprintf("the signature (%d bytes) is not ASN.1 of two integers", len(signature)))
	}
	again, err := asn1.Marshal(parsed)
	if err != nil || len(rest) != 0 || !bytes.Equal(again, signature) {
		return bad(fmt.Sprintf("the signature (%d bytes) is not in DER", len(signature)))
	}
	return nil
}
