// Command vaultserver serves the core of HashiCorp Vault with the transit engine, in memory, on loopback: a peer for the tests
// of cmd/kms. It is Vault's own code (module github.com/hashicorp/vault: core, HTTP interface, transit) without the other
// engines, which are what makes the released program large and its build long.
//
// It is a program to test with and nothing else. It is initialised and unsealed when it starts, speaks without TLS, trusts
// whoever can read its output, and everything is gone when it ends, which is when it is killed.
//
// On standard output it prints its address and its root token, one a line, and then nothing. What Vault logs as errors goes to
// standard error. The transit engine is not mounted: POST sys/mounts/transit does that.
//
// It is a module of its own, because Vault brings hundreds of modules and a licence (BUSL-1.1) that nothing of avow is to be
// linked with. What it implements: https://developer.hashicorp.com/vault/api-docs/secret/transit
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/builtin/logical/transit"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "vaultserver:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx := context.Background()
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr})
	storage, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := "http://" + listener.Addr().String()
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical: storage, RedirectAddr: address, DisableMlock: true, DisableCache: true, Logger: logger,
		LogicalBackends: map[string]logical.Factory{"transit": transit.Factory}, BuiltinRegistry: builtins{},
	})
	if err != nil {
		return err
	}
	one := &vault.SealConfig{SecretShares: 1, SecretThreshold: 1}
	made, err := core.Initialize(ctx, &vault.InitParams{BarrierConfig: one, RecoveryConfig: &vault.SealConfig{}})
	if err != nil {
		return err
	}
	if open, err := core.Unseal(made.SecretShares[0]); err != nil || !open {
		return fmt.Errorf("unsealed %t: %w", open, err)
	}
	fmt.Printf("%s\n%s\n", address, made.RootToken)
	return http.Serve(listener, vaulthttp.Handler.Handler(&vault.HandlerProperties{
		Core: core, ListenerConfig: &configutil.Listener{Type: "tcp"},
	}))
}

// builtins says that there is no engine besides those that the core is given.
type builtins struct{}

// Contains implements vault.BuiltinRegistry.
func (builtins) Contains(name string, of consts.PluginType) bool {
	return name == "transit" && of == consts.PluginTypeSecrets
}

// Get implements vault.BuiltinRegistry.
func (builtins) Get(string, consts.PluginType) (func() (any, error), bool) { return nil, false }

// Keys implements vault.BuiltinRegistry.
func (builtins) Keys(consts.PluginType) []string { return nil }

// IsBuiltinEntPlugin implements vault.BuiltinRegistry.
func (builtins) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }

// DeprecationStatus implements vault.BuiltinRegistry.
func (builtins) DeprecationStatus(string, consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, true
}
