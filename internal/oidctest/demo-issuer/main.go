// Demo-issuer is an OpenID Connect issuer for trying out certificates: what a CI system or a company's sign-in is to a
// real service. The documentation and its test run it.
//
//	demo-issuer EMAIL
//
// It listens on a free port of this machine, writes its address to issuer.url and an identity token for the address to
// token, both in the working directory, prints the address, and answers its discovery document and keys until it is
// interrupted. The token is signed with RSA, lasts as long as the tokens of CI systems, and has the audience sigstore.
//
// # Trust
//
// It gives a token for any address to whoever starts it, without asking anybody, and its key is new each time. No service
// that matters may be configured to believe it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-jose/go-jose/v4"

	"github.com/avow-dev/avow/internal/oidctest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo-issuer:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("got %d arguments, want an e-mail address", len(args))
	}
	issuer, err := oidctest.StartWith(ctx, jose.RS256)
	if err != nil {
		return err
	}
	token := issuer.Token(map[string]any{"sub": args[0], "email": args[0], "email_verified": true})
	for name, text := range map[string]string{"issuer.url": issuer.URL(), "token": token} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return err
		}
	}
	fmt.Println("issuer", issuer.URL())
	<-ctx.Done()
	return nil
}
