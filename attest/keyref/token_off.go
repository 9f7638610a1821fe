//go:build !pkcs11

package keyref

import "context"

// openToken says how to get a binary that can: PKCS #11 modules are C libraries, and the released binaries are without cgo.
func openToken(context.Context, *tokenURI, Options) (store, error) {
	return nil, &Error{Code: CodeUnavailable, Detail: "this binary was built without PKCS #11",
		Hint: "build it with a C compiler: CGO_ENABLED=1 go install -tags pkcs11 github.com/avow-dev/avow/cmd/avow@latest"}
}
