package identity

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	fulciopb "github.com/sigstore/fulcio/pkg/generated/protobuf"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/avow-dev/avow/attest"
)

// Authority is a certificate authority. Its error must not hold the token.
type Authority func(context.Context, Token, *fulciopb.PublicKeyRequest) (*fulciopb.SigningCertificate, error)

// OverGRPC is an authority behind a gRPC connection. Errors are those of the connection.
func OverGRPC(connection grpc.ClientConnInterface) Authority {
	client := fulciopb.NewCAClient(connection)
	return func(ctx context.Context, t Token, key *fulciopb.PublicKeyRequest) (*fulciopb.SigningCertificate, error) {
		return client.CreateSigningCertificate(ctx, &fulciopb.CreateSigningCertificateRequest{
			Credentials: &fulciopb.Credentials{Credentials: &fulciopb.Credentials_OidcIdentityToken{OidcIdentityToken: t.secret()}},
			Key:         &fulciopb.CreateSigningCertificateRequest_PublicKeyRequest{PublicKeyRequest: key},
		})
	}
}

// OverHTTP is a Fulcio instance at a base URL, such as https://fulcio.sigstore.dev.
func OverHTTP(base string) (Authority, error) {
	u, err := url.Parse(strings.TrimSuffix(base, "/"))
	if err != nil {
		return nil, fmt.Errorf("%q is not a URL", base)
	}
	if err := checkScheme(u); err != nil {
		return nil, fmt.Errorf("%q: %w", base, err)
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q: want a URL without query and fragment", base)
	}
	return func(ctx context.Context, t Token, key *fulciopb.PublicKeyRequest) (*fulciopb.SigningCertificate, error) {
		return post(ctx, u.JoinPath("api", "v2", "signingCert"), t, key)
	}, nil
}

// post calls POST /api/v2/signingCert.
func post(ctx context.Context, u *url.URL, t Token, key *fulciopb.PublicKeyRequest) (*fulciopb.SigningCertificate, error) {
	body, err := protojson.Marshal(&fulciopb.CreateSigningCertificateRequest{
		Key: &fulciopb.CreateSigningCertificateRequest_PublicKeyRequest{PublicKeyRequest: key}})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+t.secret())
	request.Header.Set("Content-Type", "application/json")
	status, answer, err := exchange(request)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK && status != http.StatusCreated {
		return nil, fmt.Errorf("%s answered %d: %s", u.Host, status, excerpt(answer, t))
	}
	certificate := new(fulciopb.SigningCertificate)
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(answer, certificate); err != nil {
		return nil, fmt.Errorf("%s answered no certificate: %w", u.Host, err)
	}
	return certificate, nil
}

// excerpt is the beginning of an answer, without the token, should the other side have repeated it.
func excerpt(answer []byte, t Token) string {
	const most = 300
	text := string(answer)
	if t.secret() != "" {
		text = strings.ReplaceAll(text, t.secret(), t.String())
	}
	text = strings.ToValidUTF8(text, "?")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return strings.TrimSpace(text)
}

// Obtain makes a key for this run and has it certified. The private key is in memory only.
func Obtain(ctx context.Context, t Token, authority Authority) (*attest.CertifiedSigner, error) {
	key, err := attest.GenerateKey()
	if err != nil {
		return nil, err
	}
	public, err := attest.MarshalPublicKey(key.PublicKey())
	if err != nil {
		return nil, err
	}
	// Whoever has the token alone cannot have another's key certified: the key signs what the token says.
	proof, err := key.SignDigest(ctx, sha256.Sum256([]byte(t.subject)))
	if err != nil {
		return nil, err
	}
	answer, err := authority(ctx, t, &fulciopb.PublicKeyRequest{
		PublicKey:         &fulciopb.PublicKey{Algorithm: fulciopb.PublicKeyAlgorithm_ECDSA, Content: string(public)},
		ProofOfPossession: proof,
	})
	if err != nil {
		return nil, err
	}
	der, err := leafOf(answer)
	if err != nil {
		return nil, err
	}
	certificate, err := attest.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("the certificate authority answered a certificate that cannot be used: %w", err)
	}
	return attest.Certify(key, certificate)
}

// leafOf takes the first certificate of the chain.
func leafOf(answer *fulciopb.SigningCertificate) ([]byte, error) {
	if answer.GetSignedCertificateDetachedSct() != nil {
		return nil, errors.New("the certificate authority answered a certificate whose timestamp is beside it; verifiers look for it inside")
	}
	chain := answer.GetSignedCertificateEmbeddedSct().GetChain().GetCertificates()
	if len(chain) == 0 {
		return nil, errors.New("the certificate authority answered no certificate")
	}
	if len(chain[0]) > maxAnswerBytes {
		return nil, fmt.Errorf("the certificate authority answered a certificate of %d bytes", len(chain[0]))
	}
	block, rest := pem.Decode([]byte(chain[0]))
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) != 0 {
		return nil, errors.New("the certificate authority answered something else than one PEM certificate")
	}
	return block.Bytes, nil
}
