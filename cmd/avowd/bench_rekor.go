package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"time"

	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekor "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"google.golang.org/grpc"
)

// rekorServer is Rekor v2 on POSIX storage, with the shortest checkpoint interval that it takes.
type rekorServer struct {
	cmd     *exec.Cmd
	address string
}

// startRekor starts the program on free ports with its data below dir, and waits until it accepts.
func startRekor(ctx context.Context, program, dir string) (*rekorServer, error) {
	key := filepath.Join(dir, "rekor.key")
	_, text, err := newLogKey()
	if err != nil {
		return nil, err
	}
	if err := writeNew(key, text, 0o600); err != nil {
		return nil, err
	}
	var ports [3]string
	for i := range ports {
		if ports[i], err = freePort(); err != nil {
			return nil, err
		}
	}
	r := &rekorServer{address: "127.0.0.1:" + ports[0]}
	//nolint:gosec // the program is the operator's own argument
	r.cmd = exec.CommandContext(ctx, program, "serve", "--storage-dir", filepath.Join(dir, "rekor"), "--signer-filepath", key,
		"--hostname", "rekor.localhost", "--checkpoint-interval", "100ms", "--log-level", "error",
		"--grpc-port", ports[0], "--http-port", ports[1], "--http-metrics-port", ports[2])
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", r.address); err == nil {
			return r, conn.Close()
		}
	}
	r.stop()
	return nil, errors.New("the rekor server did not accept")
}

func (r *rekorServer) stop() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}

// signDigests makes n distinct requests for Rekor: a random digest and its P-256 signature.
func signDigests(_ context.Context, n int) ([]send, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	verifier := &rekor.Verifier{
		KeyDetails: common.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
		Verifier:   &rekor.Verifier_PublicKey{PublicKey: &rekor.PublicKey{RawBytes: spki}},
	}
	return prepareAll(n, func() (send, error) {
		digest := make([]byte, 32)
		if _, err := rand.Read(digest); err != nil {
			return nil, err
		}
		signature, err := ecdsa.SignASN1(rand.Reader, key, digest)
		if err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
		request := &rekor.CreateEntryRequest{Spec: &rekor.CreateEntryRequest_HashedRekordRequestV002{
			HashedRekordRequestV002: &rekor.HashedRekordRequestV002{
				Digest: digest, Signature: &rekor.Signature{Content: signature, Verifier: verifier},
			}}}
		return func(ctx context.Context, conn *grpc.ClientConn) error {
			_, err := rekor.NewRekorClient(conn).CreateEntry(ctx, request)
			return err
		}, nil
	})
}

// freePort is a port that nobody has now. That server takes its ports as arguments and refuses 0, so it may be lost again.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}
