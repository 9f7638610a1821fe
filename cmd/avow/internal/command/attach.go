package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/oci"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// registryTimeout is the default of --timeout where a registry is spoken to.
const registryTimeout = time.Minute

// attachFlags are the flags of attach.
type attachFlags struct {
	bundles []string
	timeout time.Duration
	format  format
}

func (a *app) attach() *cobra.Command {
	f := &attachFlags{}
	c := &cobra.Command{
		Use:   "attach IMAGE@sha256:HEX --bundle BUNDLE...",
		Short: "Put bundles beside an image in its registry",
		Long: `Put Sigstore bundles beside an image, or beside a multi-platform index of images, in the
registry that holds it. ` + "`avow verify oci://IMAGE@sha256:HEX`" + ` finds them there, and so does cosign.

Every bundle must hold a statement with the image's digest among its subjects, and the image is
named by its digest: a tag can name another image tomorrow. A bundle that is there already is
not attached again. Signatures are not checked here: run verify on the bundles first.

Credentials are those of docker (` + "`docker login`" + `, credential helpers included) or podman. Plain
HTTP is spoken to a registry on this machine only.

Exit code 0: attached, or there already; 1: a bundle is about something else; 2: could not be
carried out.`,
		Example: `  avow draft data-flows oci://registry.example/team/app@sha256:13f3...8fe9 -o data-flows.json
  avow attach registry.example/team/app@sha256:13f3...8fe9 --bundle data-flows.sigstore.json \
      --bundle no-backdoor.sigstore.json`,
		Args: arguments(1, 1, "which image? give REGISTRY/NAME@sha256:HEX"),
		RunE: func(c *cobra.Command, args []string) error { return a.runAttach(c, args[0], f) },
	}
	o := c.Flags()
	o.StringArrayVar(&f.bundles, "bundle", nil, "`FILE` with a Sigstore bundle; may be repeated")
	o.DurationVar(&f.timeout, "timeout", registryTimeout, "`DURATION` after which to give up")
	f.format.register(c)
	return c
}

// attached is one line of attach's JSON.
type attached struct {
	Bundle          string `json:"bundle"`
	PredicateType   string `json:"predicateType"`
	Digest          string `json:"digest"`
	AlreadyAttached bool   `json:"alreadyAttached"`

	data []byte
}

func (a *app) runAttach(c *cobra.Command, argument string, f *attachFlags) error {
	if len(f.bundles) == 0 {
		return usageFailure(c.CommandPath(), errors.New("no --bundle was given"))
	}
	ctx, cancel := context.WithTimeout(c.Context(), f.timeout)
	defer cancel()
	image, err := a.image(ctx, argument)
	if err != nil {
		return err
	}
	list := make([]attached, len(f.bundles))
	for i, path := range f.bundles { // all of them are looked at before anything is written
		if list[i], err = a.attachable(path, image); err != nil {
			return err
		}
	}
	o := a.registryOptions()
	o.Push = true
	a.note("attaching %s to %s ...", count(len(list), "bundle"), text.Safe(image.String()))
	client, err := oci.Open(ctx, image, o)
	if err != nil {
		return err
	}
	for i := range list {
		place, err := client.Attach(ctx, list[i].data, list[i].PredicateType)
		if err != nil {
			return about(list[i].Bundle, err)
		}
		list[i].Digest, list[i].AlreadyAttached = place.Digest, place.Before
	}
	return a.printAttached(list, f.format)
}

// attachable reads a bundle and checks that it is one, and about the image.
func (a *app) attachable(path string, image oci.Image) (attached, error) {
	data, err := a.readLimited(path, oci.MaxBundleBytes)
	if err != nil {
		return attached{}, err
	}
	u, err := readUnverified(data)
	if err != nil {
		return attached{}, about(path, err)
	}
	if u.mediaType != oci.BundleType {
		return attached{}, failed("give a .sigstore.json file as `avow attest` writes it", "%s: media type %q, want %q", path,
			u.mediaType, oci.BundleType)
	}
	s, err := peek(u.payload)
	if err != nil {
		return attached{}, about(path, err)
	}
	if !s.isAbout(image.SHA256()) {
		return attached{}, &failure{code: exitNo, hint: "draft the statement about the image: `avow draft ... oci://" + image.String() + "`",
			err: fmt.Errorf("%s: no subject of the statement has the digest sha256:%s; it is about %s", path, image.SHA256(), s.named())}
	}
	return attached{Bundle: path, PredicateType: s.PredicateType, data: data}, nil
}

// peeked is what a statement of any type says of itself. Nothing of it was verified.
type peeked struct {
	PredicateType string `json:"predicateType"`
	Subject       []struct {
		Name   string            `json:"name"`
		Digest map[string]string `json:"digest"`
	} `json:"subject"`
}

// peek reads type and subjects of a statement.
func peek(payload []byte) (*peeked, error) {
	const hint = "give a bundle around an in-toto statement"
	// The limits are those of the bundle around it: the types of others may be larger and deeper than ours.
	if err := predicate.StrictJSON(payload, predicate.BundleJSONLimits()); err != nil {
		return nil, failed(hint, "the statement is not strict JSON: %w", err)
	}
	var s peeked
	if err := json.Unmarshal(payload, &s); err != nil || s.PredicateType == "" {
		return nil, failed(hint, "the payload is no in-toto statement")
	}
	return &s, nil
}

func (s *peeked) isAbout(sha256 string) bool {
	for _, subject := range s.Subject {
		if subject.Digest["sha256"] == sha256 {
			return true
		}
	}
	return false
}

// named names the first subject and the number of the others.
func (s *peeked) named() string {
	if len(s.Subject) == 0 {
		return "nothing"
	}
	first := s.Subject[0]
	name := fmt.Sprintf("%.80q (sha256:%.64s)", first.Name, first.Digest["sha256"])
	if more := len(s.Subject) - 1; more > 0 {
		name += fmt.Sprintf(" and %d more", more)
	}
	return name
}

func (a *app) printAttached(list []attached, f format) error {
	if f.json() {
		return a.printJSON(list)
	}
	w := a.writer()
	for _, i := range list {
		what := "attached"
		if i.AlreadyAttached {
			what = "attached before"
		}
		w.Line("%s: %s, %s", text.Safe(i.Bundle), text.Safe(plain.TypeName(i.PredicateType)), what)
		w.Line("  manifest %s", i.Digest)
	}
	return w.Err()
}

// registryOptions are how this program speaks to registries.
func (a *app) registryOptions() oci.Options {
	return oci.Options{Keychain: authn.DefaultKeychain, UserAgent: "avow/" + buildVersion().Version, Sleep: a.env.Sleep}
}

// image reads an image argument. For a tag the error's hint says which digest it has at this moment.
func (a *app) image(ctx context.Context, argument string) (oci.Image, error) {
	image, err := oci.ParseImage(argument)
	if !oci.IsTag(err) {
		return image, err
	}
	hint := "pin the image by its digest; at this moment "
	if now, asked := oci.Resolve(ctx, argument, a.registryOptions()); asked != nil {
		hint += "the registry does not tell it (" + asked.Error() + ")"
	} else {
		hint += "it is " + now.String()
	}
	return oci.Image{}, &failure{code: exitError, err: err, hint: hint}
}
