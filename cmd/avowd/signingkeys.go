package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/keyref"
	"github.com/avow-dev/avow/server/vendors"
)

// signingKeys opens the keys that the registry says the service holds for a vendor, and remembers them: a key file is
// encrypted so that opening it takes long on purpose, and a key management service is far away. A key file that is replaced is
// opened anew, and so is a reference after a signature that was not made.
type signingKeys struct {
	mu     sync.Mutex
	opened map[vendors.SigningKey]openedKey
}

type openedKey struct {
	text   []byte // encrypted, to see that the file is still the same
	signer attest.Signer
}

func newSigningKeys() *signingKeys {
	return &signingKeys{opened: map[vendors.SigningKey]openedKey{}}
}

// open is what server.Config.SigningKey wants.
func (k *signingKeys) open(ctx context.Context, ref *vendors.SigningKey) (attest.Signer, error) {
	if ref.Reference != "" {
		return k.openReference(ctx, ref)
	}
	text, err := readSecret(ref.File)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if was, ok := k.opened[*ref]; ok && bytes.Equal(was.text, text) {
		return was.signer, nil
	}
	password, err := signingPassword(ref)
	if err != nil {
		return nil, err
	}
	signer, err := attest.LoadKey(text, password)
	clear(password)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref.File, err)
	}
	k.opened[*ref] = openedKey{text, signer}
	return signer, nil
}

// openReference does not hold the lock while a service is asked: the others need not wait for it.
func (k *signingKeys) openReference(ctx context.Context, ref *vendors.SigningKey) (attest.Signer, error) {
	k.mu.Lock()
	was, ok := k.opened[*ref]
	k.mu.Unlock()
	if ok {
		return was.signer, nil
	}
	options := keyOptions()
	if ref.PasswordFile != "" || ref.PasswordEnv != "" {
		pin, err := signingPassword(ref)
		if err != nil {
			return nil, err
		}
		options.LookupEnv = func(name string) (string, bool) {
			if name == keyref.PINVariable {
				return string(pin), true
			}
			return os.LookupEnv(name)
		}
	}
	key, err := keyref.Open(ctx, ref.Reference, options)
	if err != nil {
		return nil, err
	}
	signer := &referencedSigner{Key: key, keys: k, ref: *ref}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.opened[*ref] = openedKey{signer: signer}
	return signer, nil
}

// forget makes the next call open the key anew. Of several failures of one signer only the first closes it, which waits for
// calls that are on their way; whoever still holds it gets an error, and repeats the call.
func (k *signingKeys) forget(s *referencedSigner) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.opened[s.ref].signer == s {
		delete(k.opened, s.ref)
		go func() { _ = s.Close() }() // what cannot be closed is gone already: that is why the signature failed
	}
}

// referencedSigner is a remembered key behind a reference.
type referencedSigner struct {
	*keyref.Key
	keys *signingKeys
	ref  vendors.SigningKey
}

// SignDigest implements attest.Signer.
func (s *referencedSigner) SignDigest(ctx context.Context, digest [32]byte) ([]byte, error) {
	signature, err := s.Key.SignDigest(ctx, digest)
	if err != nil {
		s.keys.forget(s)
	}
	return signature, err
}

// keyOptions is what opening a reference may use of this process. There is nobody to ask for a PIN.
func keyOptions() keyref.Options {
	return keyref.Options{LookupEnv: os.LookupEnv, Environ: os.Environ()}
}

func signingPassword(ref *vendors.SigningKey) ([]byte, error) {
	if ref.PasswordFile != "" {
		text, err := readSecret(ref.PasswordFile)
		return bytes.TrimRight(text, "\r\n"), err
	}
	if ref.PasswordEnv == "" {
		return nil, errors.New("the registry names neither a password file nor an environment variable for the key")
	}
	value, ok := os.LookupEnv(ref.PasswordEnv)
	if !ok {
		return nil, fmt.Errorf("environment variable %s is not set", ref.PasswordEnv)
	}
	return []byte(value), nil
}
