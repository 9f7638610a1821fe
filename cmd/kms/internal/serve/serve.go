// Package serve is what the programs sigstore-kms-* have in common: it makes a provider of Sigstore's KMS packages a program
// that speaks Sigstore's KMS plugin protocol (v1), so that avow, cosign and every other client of that protocol can sign with
// keys of that service without linking any of its code.
//
// A program is one call: it reads the call from its second argument, asks the service, answers on standard output, and ends.
// The message to sign comes as a digest in the call, or on standard input. The program's own name says the scheme, so that one
// program can serve two (hashivault and openbao) by a link.
//
// Credentials and addresses come from the environment and the files that the service's own SDK reads: VAULT_ADDR and
// VAULT_TOKEN, AWS_*, GOOGLE_APPLICATION_CREDENTIALS, AZURE_*. The program is trusted with them; its caller is not trusted
// with anything, and does not trust the answer either: the client verifies each signature.
//
// The protocol: https://github.com/sigstore/sigstore/tree/v1.10.8/pkg/signature/kms/cliplugin
package serve

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/sigstore/sigstore/pkg/signature/kms"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/handler"
)

const prefix = "sigstore-kms-"

// Run answers the call in args, which begin with the program's name; schemes are those that it may have in its name. The
// error is one that could not be answered, because standard output is gone or args hold no call.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer, schemes ...string) error {
	call, err := handler.GetPluginArgs(args)
	if err != nil {
		return fmt.Errorf("%w; this program is started by clients of Sigstore's KMS plugin protocol, such as avow and cosign", err)
	}
	if call.InitOptions == nil || call.MethodArgs == nil {
		return handler.WriteErrorResponse(stdout, fmt.Errorf("the call has no initOptions or no method"))
	}
	scheme := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(args[0]), prefix), ".exe")
	known := false
	for _, s := range schemes {
		known = known || s == scheme
	}
	if !known {
		return handler.WriteErrorResponse(stdout, fmt.Errorf("this program serves %s and is called %s%s", strings.Join(schemes, ", "), prefix, scheme))
	}
	if deadline := call.InitOptions.CtxDeadline; deadline != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, *deadline)
		defer cancel()
	}
	// Only the provider that the program links is registered, so a reference cannot lead anywhere else.
	key, err := kms.Get(ctx, scheme+"://"+call.InitOptions.KeyResourceID, call.InitOptions.HashFunc)
	if err != nil {
		return handler.WriteErrorResponse(stdout, err)
	}
	_, err = handler.Dispatch(stdout, stdin, call, key)
	return err
}
