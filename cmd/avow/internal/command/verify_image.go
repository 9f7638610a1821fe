package command

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"time"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/oci"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
)

// maxIgnored is the number of lines about what a registry lists besides.
const maxIgnored = 16

// imageInput fills in what is asked about an image: its digest, and the bundles that its registry keeps with it, unless
// some were given. Only here does verify use the network, and what it gets only selects what is judged: every bundle
// that is taken has to pass like one from a file, and none at all is a rejection.
func (a *app) imageInput(ctx context.Context, argument string, input *verify.Input, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	image, err := a.image(ctx, argument)
	if err != nil {
		return err
	}
	input.ArtifactSHA256 = image.SHA256()
	if len(input.Bundles) > 0 {
		return nil // the digest is all that is asked about: nothing to fetch
	}
	if a.env.ErrorIsTerminal {
		a.note("reading the bundles of %s ...", text.Safe(image.String()))
	}
	types := []string{predicate.NoBackdoorType, predicate.DataFlowsType, predicate.UndertakingsType}
	types = append(types, input.RequiredTypes...)
	client, err := oci.Open(ctx, image, a.registryOptions())
	if err != nil {
		return err
	}
	found, ignored, err := client.Bundles(ctx, func(t string) bool { return slices.Contains(types, t) })
	if err != nil {
		return err
	}
	taken, left := selectBundles(found, types, input.Signers)
	if len(taken) > verify.MaxBundles {
		return failed("name those that you want to be judged with --bundle", "%s: %s has %d bundles of interest, the limit is %d",
			oci.ReasonTooMany, image, len(taken), verify.MaxBundles)
	}
	a.noteIgnored(append(ignored, left...))
	for _, b := range taken {
		input.Bundles = append(input.Bundles, verify.NamedBundle{Name: b.Digest, Data: b.Data})
	}
	return nil
}

// noteIgnored says what was left out and why.
func (a *app) noteIgnored(ignored []oci.Ignored) {
	for n, i := range ignored {
		if n == maxIgnored {
			a.note("ignored: %d more", len(ignored)-n)
			return
		}
		a.note("ignored: %s: %s: %s", text.Safe(i.Digest), i.Reason, text.Safe(i.Detail))
	}
}

// selectBundles takes the bundles that may be those of the vendor. Beside an image lie the signatures and attestations
// of other people and programs; a verdict that they could turn would be theirs. Selected is by what a bundle says of
// itself, unverified: that can only take away what would speak for the image.
func selectBundles(found []oci.Bundle, types []string, signers []verify.Signer) (taken []oci.Bundle, left []oci.Ignored) {
	var named, others []oci.Bundle
	for _, b := range found {
		u, err := readUnverified(b.Data)
		var s *peeked
		if err == nil {
			s, err = peek(u.payload)
		}
		switch {
		case err != nil:
			left = append(left, oci.Ignored{Digest: b.Digest, Reason: oci.ReasonMalformed, Detail: "it does not parse: " + err.Error()})
		case !slices.Contains(types, s.PredicateType):
			left = append(left, oci.Ignored{Digest: b.Digest, Reason: oci.ReasonForeignStatement, Detail: "it states " + plain.TypeName(s.PredicateType)})
		case slices.ContainsFunc(signers, u.names):
			named = append(named, b)
		default:
			others = append(others, b)
		}
	}
	if len(named) == 0 {
		return others, left // so that the verdict says whose signature is there instead
	}
	for _, b := range others {
		left = append(left, oci.Ignored{Digest: b.Digest, Reason: oci.ReasonForeignSigner, Detail: "it names another signer"})
	}
	return named, left
}

// names reports whether the bundle says that it is by this signer.
func (u *unverified) names(signer verify.Signer) bool {
	if signer.Key != nil {
		id, err := attest.KeyID(signer.Key.PublicKey)
		hint, decodeErr := base64.StdEncoding.DecodeString(u.keyHint)
		return err == nil && decodeErr == nil && id == "sha256:"+hex.EncodeToString(hint)
	}
	c, err := x509.ParseCertificate(u.certificate)
	if err != nil || signer.Identity == nil {
		return false
	}
	summary, err := certificate.SummarizeCertificate(c)
	return err == nil && summary.SubjectAlternativeName == signer.Identity.SAN && summary.Issuer == signer.Identity.Issuer
}
