package keyref

import (
	"context"
	"crypto"
	"time"

	"github.com/avow-dev/avow/attest"
)

// PINVariable is the environment variable with the PIN of a PKCS #11 token, ModuleVariable the one with the path of the
// library for references that name none.
const (
	PINVariable    = "AVOW_PKCS11_PIN"
	ModuleVariable = "AVOW_PKCS11_MODULE"
)

// Options is what opening a key may use of the process.
type Options struct {
	// LookupEnv reads the environment: PINVariable, ModuleVariable. Nil: neither is set.
	LookupEnv func(string) (string, bool)
	// Environ is the environment for plugins, in the form of os.Environ; variables that begin with AVOW_ are left out.
	Environ []string
	// PIN asks for the PIN of a token that is described by the prompt; nil where there is nobody to ask. It comes after
	// pin-source and PINVariable.
	PIN func(prompt string) ([]byte, error)
	// Timeout bounds each call; zero means DefaultTimeout.
	Timeout time.Duration
}

// store is where a key is: a plugin or a token. Its methods return *Error, and end with the context.
type store interface {
	publicKey(context.Context) (crypto.PublicKey, error)
	sign(context.Context, [32]byte) ([]byte, error)
	create(context.Context) error
	close() error
}

// Open reads the public key that the reference leads to, and returns a signer for it. Close it after use.
//
// The error is *Error, or *attest.Error with attest.CodeKeyUnsupported for a key that is not ECDSA P-256.
func Open(ctx context.Context, reference string, o Options) (*Key, error) {
	return open(ctx, reference, o, func(context.Context, store) error { return nil })
}

// Create makes an ECDSA P-256 key where the reference leads to, and opens it. A key that is there already is left alone
// (CodeExists). The private half never leaves the service or token.
func Create(ctx context.Context, reference string, o Options) (*Key, error) {
	return open(ctx, reference, o, func(ctx context.Context, s store) error {
		if _, err := s.publicKey(ctx); err == nil {
			return &Error{Code: CodeExists, Detail: "there is a key " + reference + " already",
				Hint: "`avow public-key --key` prints its public half; for a new key choose another name"}
		}
		return s.create(ctx)
	})
}

func open(ctx context.Context, reference string, o Options, before func(context.Context, store) error) (*Key, error) {
	r, err := Parse(reference)
	if err != nil {
		return nil, err
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	s, err := r.store(ctx, o)
	if err != nil {
		return nil, err
	}
	k := &Key{reference: r, store: s, timeout: o.Timeout}
	err = k.bounded(ctx, func(ctx context.Context) error { return before(ctx, s) })
	if err == nil {
		k.public, err = k.readPublic(ctx)
	}
	if err != nil {
		_ = k.Close() // the error that is returned is the one that matters
		return nil, err
	}
	return k, nil
}

func (r *Reference) store(ctx context.Context, o Options) (store, error) {
	if r.token != nil {
		return openToken(ctx, r.token, o)
	}
	return newPlugin(r, o)
}

var _ attest.Signer = (*Key)(nil)
