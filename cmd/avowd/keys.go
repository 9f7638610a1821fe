package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// maxKeyFileBytes is the largest key or certificate file that is read.
const maxKeyFileBytes = 64 << 10

// newLogKey makes the log's ed25519 key in PKCS #8 PEM form.
func newLogKey() (ed25519.PrivateKey, []byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	text, err := marshalKey(key)
	return key, text, err
}

// createLogKey makes a log's key, and writes it and its public half beside it.
func createLogKey(path string) error {
	key, text, err := newLogKey()
	if err != nil {
		return err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	return errors.Join(writeNew(path, text, 0o600),
		writeNew(publicName(path), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}), 0o644))
}

// marshalKey writes a private key in PKCS #8 PEM form.
func marshalKey(key any) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// loadLogKey reads the log's key. A secret that others can read is refused: it is no secret.
func loadLogKey(path string) (ed25519.PrivateKey, error) {
	data, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) != 0 {
		return nil, fmt.Errorf("%s: want one PRIVATE KEY block (PKCS #8 in PEM form) and nothing else", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: not a PKCS #8 private key", path) // the parser's text could quote the key
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: got a key of type %T, want ed25519, which witnesses need", path, parsed)
	}
	return key, nil
}

// readSecret reads a file that nobody but its owner may read.
func readSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := checkSecretMode(path, info); err != nil {
		return nil, err
	}
	return readLimited(path, maxKeyFileBytes)
}

// readKey reads the signing key of an authority, which says itself what keys it takes.
func readKey(path string, parse func([]byte) (*ecdsa.PrivateKey, error)) (*ecdsa.PrivateKey, error) {
	text, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	key, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// readChain reads the certificate chain of an authority likewise.
func readChain(path string, parse func([]byte) ([]*x509.Certificate, error)) ([]*x509.Certificate, error) {
	text, err := readLimited(path, maxKeyFileBytes)
	if err != nil {
		return nil, err
	}
	chain, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return chain, nil
}

func readLimited(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s: %d bytes, at most %d", path, info.Size(), limit)
	}
	return os.ReadFile(path)
}

// writeNew writes a file that must not exist yet, durably.
func writeNew(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}
