//go:build pkcs11

package keyref

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/ThalesGroup/crypto11"
	"github.com/miekg/pkcs11"
)

// moduleDirectories are where systems keep PKCS #11 modules, for references with a module-name.
var moduleDirectories = []string{"/usr/lib/softhsm", "/usr/lib/pkcs11", "/usr/lib64/pkcs11", "/usr/lib/*/pkcs11", "/usr/lib/*/softhsm",
	"/usr/lib", "/usr/lib64", "/usr/lib/*", "/usr/local/lib", "/usr/local/lib/softhsm", "/opt/homebrew/lib", "/opt/homebrew/lib/softhsm"}

// maxSessions is how many signatures a token makes at once; crypto11 keeps one more session open.
const maxSessions = 8

// closeLimit is how long the end of a command waits for a token that does not answer any more.
const closeLimit = 2 * time.Second

// token is a key on a PKCS #11 token. The module is a C library in this process: a call that hangs cannot be ended, only left.
type token struct {
	uri     *tokenURI
	context *crypto11.Context
}

func openToken(ctx context.Context, u *tokenURI, o Options) (store, error) {
	module, err := u.module(o)
	if err != nil {
		return nil, err
	}
	pin, err := u.pin(o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	// Strings cannot be cleared; the library wants one.
	c, err := wait(ctx, func() (*crypto11.Context, error) {
		return crypto11.Configure(&crypto11.Config{Path: module, TokenLabel: u.token, TokenSerial: u.serial, SlotNumber: u.slot,
			Pin: string(pin), MaxSessions: maxSessions, PoolWaitTimeout: o.Timeout})
	})
	clear(pin)
	var code pkcs11.Error
	switch {
	case err == nil:
		return &token{uri: u, context: c}, nil
	case errors.Is(err, context.Canceled):
		return nil, err
	case errors.Is(err, context.DeadlineExceeded):
		return nil, &Error{Code: CodeTimeout, Detail: fmt.Sprintf("the module %s did not answer within %s", module, o.Timeout),
			Hint: "is the token plugged in, and does its own tool see it?"}
	case errors.As(err, &code) && pinCodes[code] != "":
		return nil, &Error{Code: CodePIN, Detail: "the token refuses to log in: " + pinCodes[code],
			Hint: "avow tries a PIN once; most tokens lock after a few wrong ones"}
	}
	return nil, &Error{Code: CodeService, Detail: fmt.Sprintf("the token does not open with the module %s", module), Err: err,
		Hint: "list the tokens with the module's own tool, or with pkcs11-tool --module " + module + " -L"}
}

// pinCodes are the answers to a login that are about the PIN.
var pinCodes = map[pkcs11.Error]string{
	pkcs11.CKR_PIN_INCORRECT: "the PIN is wrong", pkcs11.CKR_PIN_LOCKED: "the PIN is locked",
	pkcs11.CKR_PIN_EXPIRED: "the PIN has expired", pkcs11.CKR_PIN_INVALID: "the PIN has characters that it does not take",
	pkcs11.CKR_PIN_LEN_RANGE: "the PIN is too short or too long", pkcs11.CKR_USER_PIN_NOT_INITIALIZED: "it has no user PIN yet",
}

// module finds the library.
func (u *tokenURI) module(o Options) (string, error) {
	if u.modulePath != "" {
		return u.modulePath, nil
	}
	if u.moduleName == "" {
		path, _ := o.lookup(ModuleVariable)
		if !filepath.IsAbs(path) {
			return "", malformed("the PKCS #11 URI names no module, and "+ModuleVariable+" is not an absolute path",
				"add ?module-path=/PATH/OF/MODULE.so to it")
		}
		return path, nil
	}
	for _, directory := range moduleDirectories {
		for _, name := range []string{u.moduleName, "lib" + u.moduleName} {
			for _, ending := range []string{".so", ".dylib"} {
				if found, _ := filepath.Glob(filepath.Join(directory, name+ending)); len(found) == 1 {
					return found[0], nil
				}
			}
		}
	}
	return "", &Error{Code: CodeUnavailable, Detail: fmt.Sprintf("there is no PKCS #11 module %.60q in %s", u.moduleName,
		strings.Join(moduleDirectories, ", ")), Hint: "give its file as module-path=/PATH/OF/MODULE.so"}
}

func (t *token) find() ([]crypto11.Signer, error) {
	var label []byte
	if t.uri.object != "" {
		label = []byte(t.uri.object)
	}
	return t.context.FindKeyPairs(t.uri.id, label)
}

// key finds the one key pair that the URI names.
func (t *token) key(ctx context.Context) (crypto11.Signer, error) {
	found, err := wait(ctx, t.find)
	switch {
	case err != nil:
		return nil, t.failed("looking for the key", err)
	case len(found) == 0:
		return nil, &Error{Code: CodeNotFound, Detail: "the token has no key pair of that object and id",
			Hint: "private and public half both have to be there, with the same id; pkcs11-tool -O lists them"}
	case len(found) > 1:
		return nil, &Error{Code: CodeNotFound, Detail: fmt.Sprintf("the token has %d key pairs of that object and id", len(found)),
			Hint: "name one of them by its id"}
	}
	return found[0], nil
}

func (t *token) publicKey(ctx context.Context) (crypto.PublicKey, error) {
	key, err := t.key(ctx)
	if err != nil {
		return nil, err
	}
	return key.Public(), nil
}

func (t *token) sign(ctx context.Context, digest [32]byte) ([]byte, error) {
	key, err := t.key(ctx)
	if err != nil {
		return nil, err
	}
	signature, err := wait(ctx, func() ([]byte, error) { return key.Sign(rand.Reader, digest[:], crypto.SHA256) })
	if err != nil {
		return nil, t.failed("signing", err)
	}
	return signature, nil
}

// create makes the key pair under the label of the URI, with a random id unless it has one.
func (t *token) create(ctx context.Context) error {
	if t.uri.object == "" {
		return malformed("a new key on a token needs an object in its PKCS #11 URI", "")
	}
	id := t.uri.id
	if len(id) == 0 {
		id = make([]byte, 16)
		if _, err := rand.Read(id); err != nil {
			return err
		}
	}
	_, err := wait(ctx, func() (crypto11.Signer, error) {
		return t.context.GenerateECDSAKeyPairWithLabel(id, []byte(t.uri.object), elliptic.P256())
	})
	if err != nil {
		return t.failed("making the key", err)
	}
	return nil
}

func (t *token) failed(doing string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	return &Error{Code: CodeService, Detail: "the token failed while " + doing, Err: err,
		Hint: "does its own tool still see the token and the key?"}
}

// close does not wait for calls that hang.
func (t *token) close() error {
	done := make(chan error, 1)
	go func() { done <- t.context.Close() }()
	select {
	case err := <-done:
		return err
	case <-time.After(closeLimit):
		return nil
	}
}

// wait runs a call that knows no context beside the caller, who does not wait longer than ctx. What such a call returns late
// is lost.
func wait[T any](ctx context.Context, call func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := call()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
