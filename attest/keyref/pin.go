package keyref

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

func (o *Options) lookup(name string) (string, bool) {
	if o.LookupEnv == nil {
		return "", false
	}
	return o.LookupEnv(name)
}

// pin finds the PIN: the file that the URI names, the environment, or somebody to ask.
func (u *tokenURI) pin(o Options) ([]byte, error) {
	var pin []byte
	value, set := o.lookup(PINVariable)
	switch {
	case u.pinSource != "":
		var err error
		if pin, err = readPIN(u.pinSource); err != nil {
			return nil, err
		}
	case set:
		pin = []byte(value)
	case o.PIN == nil:
		return nil, &Error{Code: CodePIN, Detail: "the token wants a PIN, and there is no terminal to ask for it",
			Hint: "set " + PINVariable + ", or add ?pin-source=file:/PATH to the reference"}
	default:
		var err error
		if pin, err = o.PIN("PIN of the token " + u.name() + ": "); err != nil {
			return nil, &Error{Code: CodePIN, Detail: "there is no PIN", Err: err, Hint: "set " + PINVariable}
		}
	}
	if len(pin) == 0 || len(pin) > MaxPINBytes || bytes.IndexByte(pin, 0) >= 0 {
		clear(pin)
		return nil, &Error{Code: CodePIN, Detail: fmt.Sprintf("the PIN is empty, has more than %d bytes, or a zero byte in it", MaxPINBytes),
			Hint: "it comes from pin-source, " + PINVariable + " or the terminal, in this order"}
	}
	return pin, nil
}

// readPIN reads the file with the PIN; a line break at its end does not belong to it.
func readPIN(path string) ([]byte, error) {
	bad := func(detail string, err error) ([]byte, error) {
		return nil, &Error{Code: CodePIN, Detail: detail, Err: err, Hint: "keep the PIN alone in a file that only you can read (mode 0600)"}
	}
	f, err := os.Open(path)
	if err != nil {
		return bad("the file with the PIN cannot be read", err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return bad("the file with the PIN cannot be read", err)
	case !info.Mode().IsRegular():
		return bad(path+" is not a regular file", nil)
	case readableByOthers(info):
		return bad(fmt.Sprintf("%s: mode %#o lets others read the PIN", path, info.Mode().Perm()), nil)
	}
	pin, err := io.ReadAll(io.LimitReader(f, MaxPINBytes+3))
	if err != nil {
		return bad("the file with the PIN cannot be read", err)
	}
	return bytes.TrimRight(pin, "\r\n"), nil
}

// name describes the token to the person who is asked for its PIN.
func (u *tokenURI) name() string {
	switch {
	case u.token != "":
		return u.token
	case u.serial != "":
		return "with serial number " + u.serial
	}
	return fmt.Sprintf("in slot %d", *u.slot)
}
