package keyref

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/common"
)

const pluginPrefix = "sigstore-kms-"

// ownPlugins are the schemes that a program of cmd/kms serves, and which one.
var ownPlugins = map[string]string{"hashivault": "hashivault", "openbao": "hashivault", "awskms": "awskms",
	"gcpkms": "gcpkms", "azurekms": "azurekms"}

// p256Names are the names of ECDSA P-256 with SHA-256 at the services that Sigstore has code for.
var p256Names = []string{"ecdsa-p256", "ecdsa-p256-sha256", "ECC_NIST_P256", "ES256"}

// plugin is a service behind a program that speaks Sigstore's KMS plugin protocol: one process for each call, the call as
// JSON in its second argument, the answer as JSON on its standard output. The types are Sigstore's.
//
// The client is not: Sigstore's trusts the plugin. With it an answer without the expected member is a nil pointer, a grandchild
// that keeps standard output open hangs the caller beyond its deadline, an answer may have any size, and what the plugin writes
// to standard error goes to the terminal as it is.
type plugin struct {
	reference *Reference
	program   string // absolute
	environ   []string
	redact    *strings.Replacer
}

func newPlugin(r *Reference, o Options) (*plugin, error) {
	name := pluginPrefix + r.scheme
	program, err := exec.LookPath(name)
	if err != nil {
		hint := "install the Sigstore KMS plugin " + name + " of that service in a directory of the PATH"
		if own := ownPlugins[r.scheme]; own != "" {
			hint = "go install github.com/avow-dev/avow/cmd/kms/" + pluginPrefix + own + "@latest"
			if own != r.scheme {
				hint += ", and link it as " + name
			}
		}
		return nil, &Error{Code: CodeUnavailable, Detail: fmt.Sprintf("keys of %s:// need the program %s", r.scheme, name), Err: err,
			Hint: hint}
	}
	return &plugin{reference: r, program: program, environ: withoutOwn(o.Environ), redact: redactor(o.Environ)}, nil
}

func (p *plugin) close() error { return nil }

func (p *plugin) publicKey(ctx context.Context) (crypto.PublicKey, error) {
	answer, err := p.call(ctx, &common.MethodArgs{MethodName: common.PublicKeyMethodName,
		PublicKey: &common.PublicKeyArgs{PublicKeyOptions: &common.PublicKeyOptions{RPCOptions: rpcOptions(ctx)}}})
	switch {
	case err != nil:
		return nil, err
	case answer.PublicKey == nil:
		return nil, p.protocol("no publicKey in it", nil)
	}
	key, err := cryptoutils.UnmarshalPEMToPublicKey(answer.PublicKey.PublicKeyPEM)
	if err != nil {
		return nil, p.protocol("a public key that does not parse", err)
	}
	return key, nil
}

func (p *plugin) sign(ctx context.Context, digest [32]byte) ([]byte, error) {
	sum, hash := digest[:], crypto.SHA256
	answer, err := p.call(ctx, &common.MethodArgs{MethodName: common.SignMessageMethodName,
		SignMessage: &common.SignMessageArgs{SignOptions: &common.SignOptions{RPCOptions: rpcOptions(ctx),
			MessageOptions: common.MessageOptions{Digest: &sum, HashFunc: &hash}}}})
	switch {
	case err != nil:
		return nil, err
	case answer.SignMessage == nil || len(answer.SignMessage.Signature) == 0:
		return nil, p.protocol("no signature in it", nil)
	}
	return answer.SignMessage.Signature, nil
}

// create asks which algorithms there are, because each service has its own name for the same one.
func (p *plugin) create(ctx context.Context) error {
	answer, err := p.call(ctx, &common.MethodArgs{MethodName: common.SupportedAlgorithmsMethodName,
		SupportedAlgorithms: &common.SupportedAlgorithmsArgs{}})
	switch {
	case err != nil:
		return err
	case answer.SupportedAlgorithms == nil:
		return p.protocol("no supportedAlgorithms in it", nil)
	}
	names := answer.SupportedAlgorithms.SupportedAlgorithms
	at := slices.IndexFunc(p256Names, func(name string) bool { return slices.Contains(names, name) })
	if at < 0 {
		return &Error{Code: CodeService, Detail: fmt.Sprintf("%s makes no ECDSA P-256 keys that are known here", p.reference),
			Hint: "make the key with the service's own tools"}
	}
	_, err = p.call(ctx, &common.MethodArgs{MethodName: common.CreateKeyMethodName,
		CreateKey: &common.CreateKeyArgs{Algorithm: p256Names[at], CtxDeadline: rpcOptions(ctx).CtxDeadline}})
	return err
}

func rpcOptions(ctx context.Context) common.RPCOptions {
	deadline, ok := ctx.Deadline()
	if !ok {
		return common.RPCOptions{}
	}
	return common.RPCOptions{CtxDeadline: &deadline}
}

// call starts the plugin once.
func (p *plugin) call(ctx context.Context, method *common.MethodArgs) (*common.PluginResp, error) {
	rpc := rpcOptions(ctx)
	arguments, err := json.Marshal(&common.PluginArgs{MethodArgs: method, InitOptions: &common.InitOptions{
		ProtocolVersion: common.ProtocolVersion, KeyResourceID: p.reference.resource, HashFunc: crypto.SHA256,
		CtxDeadline: rpc.CtxDeadline, RPCOptions: &rpc}})
	if err != nil {
		return nil, err
	}
	ctx, kill := context.WithCancel(ctx)
	defer kill()
	answer, complaint := &head{limit: maxAnswerBytes, full: kill}, &head{limit: maxAnswerBytes, full: func() {}}
	//nolint:gosec // G204: to start the program that the reference names is what a plugin is; its name holds no path
	cmd := exec.CommandContext(ctx, p.program, common.ProtocolVersion, string(arguments))
	cmd.Env, cmd.Stdout, cmd.Stderr = p.environ, answer, complaint
	cmd.WaitDelay = time.Second // for what the plugin started and left behind
	runErr := cmd.Run()
	var exit *exec.ExitError
	switch {
	case answer.overflow:
		return nil, p.protocol(fmt.Sprintf("more than %d bytes", maxAnswerBytes), nil)
	case runErr != nil && (!errors.As(runErr, &exit) || !exit.Exited()):
		// > we will respect any other error, and cases when exec.ExitError.ExitCode() is 0 or -1
		return nil, p.failed(complaint.String(), runErr)
	}
	var response common.PluginResp
	if err := json.Unmarshal(answer.Bytes(), &response); err != nil {
		// Nothing of the answer is quoted: the error of a decoder does that.
		return nil, p.protocol(fmt.Sprintf("%d bytes that are not the protocol's JSON%s", answer.Len(), p.quote(complaint.String())), nil)
	}
	if response.ErrorMessage != "" {
		return nil, p.failed(response.ErrorMessage, nil)
	}
	return &response, nil
}

func (p *plugin) failed(words string, err error) *Error {
	return &Error{Code: CodeService, Detail: fmt.Sprintf("%s: %s%s%s", p.reference, pluginPrefix, p.reference.scheme, p.quote(words)),
		Err: err, Hint: "check the address and the credentials of the service in the environment, and the name of the key"}
}

func (p *plugin) protocol(what string, err error) *Error {
	return &Error{Code: CodeProtocol, Detail: fmt.Sprintf("%s: %s%s answered %s", p.reference, pluginPrefix, p.reference.scheme, what),
		Err: err, Hint: "the plugin " + p.program + " is at fault; is it one for the protocol " + common.ProtocolVersion + "?"}
}

// quote makes the plugin's own words fit for an error: one short line without control characters and secrets. It is cut last: of
// a secret that was cut before, the rest would not be found.
func (p *plugin) quote(words string) string {
	words = userinfo.ReplaceAllLiteralString(p.redact.Replace(words), "://[...]@")
	line := strings.Join(strings.FieldsFunc(words, func(r rune) bool { return !unicode.IsPrint(r) }), " ")
	if len(line) > maxQuoteBytes {
		line = line[:maxQuoteBytes] + "..."
	}
	if line == "" {
		return ""
	}
	return ": " + strings.ToValidUTF8(line, "?")
}

// head keeps the first bytes of a stream, and tells when there are more.
type head struct {
	bytes.Buffer
	limit    int
	overflow bool
	full     func()
}

// Write never fails: a plugin that complains at length must not die of a closed pipe.
func (h *head) Write(b []byte) (int, error) {
	if keep := h.limit - h.Len(); len(b) > keep {
		h.Buffer.Write(b[:keep])
		h.overflow = true
		h.full()
	} else {
		h.Buffer.Write(b)
	}
	return len(b), nil
}

// ReadFrom hides the buffer's own, which io.Copy would prefer to Write and which knows no limit.
func (h *head) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{h}, r)
}
