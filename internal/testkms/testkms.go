// Package testkms is a key management service for tests: a Sigstore KMS plugin (protocol v1) that keeps its keys as files in a
// directory, and that lies when it is told to. It is made of Sigstore's own half of the protocol, so what works with it works
// with every other plugin.
//
// A test runs it as a process of its own: the test's binary is linked as sigstore-kms-testkms into a directory of the PATH, and
// its TestMain calls [Main] when it was started under that name. The environment variable [DirVariable] names the directory with
// the keys, NAME.pem each. If there is a file [LieFile] in it, it holds one of the lies below, which is told from then on.
//
// Only tests import it. It trusts everybody: its keys are not encrypted, and whoever starts it can sign. What its lies look
// like to a client is the contract: each of them is one that a real service, a wrong plugin or somebody between the two could
// tell, and the client must find it out by itself.
//
// The protocol: https://github.com/sigstore/sigstore/tree/v1.10.8/pkg/signature/kms/cliplugin
package testkms

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/handler"
)

// Program is the file name under which clients look for the plugin of testkms:// references.
const Program = "sigstore-kms-testkms"

// The environment of the plugin.
const (
	DirVariable = "TESTKMS_DIR"
	// TokenVariable is a credential, for the lies Echo and Noise.
	TokenVariable = "TESTKMS_TOKEN" //nolint:gosec // G101: the name of a variable
)

// LieFile is the name of the file with the lie.
const LieFile = "lie"

// The lies.
const (
	OtherKey    = "other-key"    // the signature is by another key
	OtherDigest = "other-digest" // the signature is over another digest
	HighS       = "high-s"       // no lie: the other valid form of the signature
	Garbage     = "garbage"      // the signature is no ASN.1
	Trailing    = "trailing"     // a byte follows the signature
	Rotated     = "rotated"      // the key is another one when it signs
	Hang        = "hang"         // the plugin does not end
	Orphan      = "orphan"       // it ends, but something that it started keeps its standard output open
	Huge        = "huge"         // the answer does not end
	Empty       = "empty"        // the answer has no member
	Noise       = "noise"        // the answer is no JSON
	Echo        = "echo"         // the error repeats the credential
	P384        = "p384"         // new keys are on P-384
	NoP256      = "no-p256"      // it makes no P-256 keys
)

// Main answers the call in args and returns the exit code.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if err := run(args, stdin, stdout); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	call, err := handler.GetPluginArgs(args)
	if err != nil {
		return err
	}
	//nolint:gosec // G703: the directory is the test's own
	told, err := os.ReadFile(filepath.Join(os.Getenv(DirVariable), LieFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	lie := strings.TrimSpace(string(told))
	switch lie {
	case Hang:
		time.Sleep(time.Hour)
	case Orphan:
		child := exec.Command("sleep", "60")
		child.Stdout = os.Stdout
		return child.Start()
	case Huge:
		for range 1 << 14 {
			if _, err := fmt.Fprintf(stdout, "%01024d", 0); err != nil {
				return err
			}
		}
		return nil
	case Empty:
		_, err := fmt.Fprint(stdout, "{}")
		return err
	case Noise:
		_, err := fmt.Fprint(stdout, "panic: \x1b[31mhorror\x1b[0m "+os.Getenv(TokenVariable))
		// The credential lies across the byte at which clients may cut what they quote.
		return errors.Join(err, fmt.Errorf("%0395d %s", 0, os.Getenv(TokenVariable)))
	case Echo:
		return handler.WriteErrorResponse(stdout, fmt.Errorf("\x1b[31mno\nentry\x1b[0m for %s at https://user:pw@kms.example/",
			os.Getenv(TokenVariable)))
	}
	if strings.ContainsAny(call.InitOptions.KeyResourceID, `/\.`) {
		return handler.WriteErrorResponse(stdout, errors.New("not the name of a key"))
	}
	k := &key{path: filepath.Join(os.Getenv(DirVariable), call.InitOptions.KeyResourceID+".pem"), lie: lie}
	_, err = handler.Dispatch(stdout, stdin, call, k)
	return err
}

// key implements Sigstore's kms.SignerVerifier.
type key struct{ path, lie string }

// create makes a key file; the curve is P-256 for everything but the lie P384.
func (k *key) create() (*ecdsa.PrivateKey, error) {
	curve := elliptic.P256()
	if k.lie == P384 {
		curve = elliptic.P384()
	}
	private, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	return private, os.WriteFile(k.path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

func (k *key) load() (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(k.path)
	if err != nil {
		return nil, errors.New("there is no such key")
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the key is broken")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("the key is not ECDSA")
	}
	return private, nil
}

// PublicKey implements kms.SignerVerifier.
func (k *key) PublicKey(...signature.PublicKeyOption) (crypto.PublicKey, error) {
	private, err := k.load()
	if err != nil {
		return nil, err
	}
	return private.Public(), nil
}

// SignMessage implements kms.SignerVerifier.
func (k *key) SignMessage(message io.Reader, options ...signature.SignOption) ([]byte, error) {
	digest, _, err := signature.ComputeDigestForSigning(message, crypto.SHA256, []crypto.Hash{crypto.SHA256}, options...)
	if err != nil {
		return nil, err
	}
	private, err := k.load()
	switch {
	case err != nil:
		return nil, err
	case k.lie == OtherKey:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case k.lie == Rotated:
		private, err = k.create()
	case k.lie == OtherDigest:
		other := sha256.Sum256([]byte("another statement"))
		digest = other[:]
	case k.lie == Garbage:
		return []byte("signed, the service"), nil
	}
	if err != nil {
		return nil, err
	}
	made, err := ecdsa.SignASN1(rand.Reader, private, digest)
	switch k.lie {
	case Trailing:
		made = append(made, 0)
	case HighS:
		return highS(made)
	}
	return made, err
}

// highS returns the form of the signature whose s is above half of the order.
func highS(made []byte) ([]byte, error) {
	var pair struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(made, &pair); err != nil {
		return nil, err
	}
	order := elliptic.P256().Params().N
	if other := new(big.Int).Sub(order, pair.S); other.Cmp(pair.S) > 0 {
		pair.S = other
	}
	return asn1.Marshal(pair)
}

// VerifySignature implements kms.SignerVerifier.
func (k *key) VerifySignature(io.Reader, io.Reader, ...signature.VerifyOption) error {
	return errors.New("clients verify by themselves")
}

// CreateKey implements kms.SignerVerifier.
func (k *key) CreateKey(_ context.Context, algorithm string) (crypto.PublicKey, error) {
	if algorithm != k.DefaultAlgorithm() {
		return nil, fmt.Errorf("no algorithm %q", algorithm)
	}
	private, err := k.create()
	if err != nil {
		return nil, err
	}
	return private.Public(), nil
}

// CryptoSigner implements kms.SignerVerifier.
func (k *key) CryptoSigner(context.Context, func(error)) (crypto.Signer, crypto.SignerOpts, error) {
	return nil, nil, errors.New("not in the protocol")
}

// SupportedAlgorithms implements kms.SignerVerifier.
func (k *key) SupportedAlgorithms() []string {
	if k.lie == NoP256 {
		return []string{"rsa-4096"}
	}
	return []string{"rsa-4096", k.DefaultAlgorithm()}
}

// DefaultAlgorithm implements kms.SignerVerifier.
func (k *key) DefaultAlgorithm() string { return "ecdsa-p256" }
