package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/server/vendors"
)

// signingKeys opens the keys that the registry says the service holds for a vendor, and remembers them: a key file is
// encrypted so that opening it takes long on purpose. A key file that is replaced is opened anew.
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
func (k *signingKeys) open(_ context.Context, ref *vendors.SigningKey) (attest.Signer, error) {
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
