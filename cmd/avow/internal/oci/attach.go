package oci

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// attachTries is how often a bundle is entered into the list before the registry is said not to keep it: where there is
// no referrers API, clients replace the whole list, and one that writes at the same moment can lose our entry.
const attachTries = 3

// attachPause is the time before a bundle is entered again, for lists that are slow to show it.
const attachPause = time.Second

// Attached is the place of a bundle beside its image.
type Attached struct {
	// Digest is that of its manifest, "sha256:" and 64 hexadecimal digits.
	Digest string
	// Before is set if the bundle was there already.
	Before bool
}

// Attach puts a bundle beside the image: the bundle as a blob, and a manifest that refers to the image. predicateType is
// that of the statement inside. A bundle that is there already, whoever attached it, is not attached again; two that
// attach the same bundle at the same moment write the same manifest. The bundle is taken as it is.
func (c *Client) Attach(ctx context.Context, bundle []byte, predicateType string) (*Attached, error) {
	if len(bundle) == 0 || len(bundle) > MaxBundleBytes {
		return nil, refuse(ReasonTooLarge, "is this the right file?", "the bundle has %d bytes, want 1 to %d", len(bundle),
			MaxBundleBytes)
	}
	what := "attaching to " + c.image.String()
	subject, err := c.subject(ctx)
	if err != nil {
		return nil, explain(what, err)
	}
	m := referrer(subject, bundle, predicateType)
	digest := sha256Prefix + hexSum(m)
	for try := range attachTries + 1 {
		found, err := c.find(ctx, digest, hexSum(bundle), predicateType)
		if err != nil {
			return nil, explain(what, err)
		}
		if found != "" {
			return &Attached{Digest: found, Before: try == 0}, nil
		}
		if try == attachTries {
			break
		}
		if try > 0 {
			if err := c.sleep(ctx, attachPause); err != nil {
				return nil, explain(what, err)
			}
		}
		if err := c.push(ctx, m, digest, bundle); err != nil {
			return nil, explain(what, err)
		}
	}
	return nil, refuse(ReasonNotListed, "try again; if it stays, ask the operator of the registry",
		"%s took the bundle %d times and does not list it", c.repo.RegistryStr(), attachTries)
}

// subject is what the manifest of a bundle refers to.
func (c *Client) subject(ctx context.Context) (*v1.Descriptor, error) {
	a, err := c.content(ctx, manifestsPath, c.image.SHA256())
	if err != nil {
		return nil, err
	}
	var m manifest
	if err := json.Unmarshal(a.body, &m); err != nil {
		return nil, &Error{Reason: ReasonMalformed, Hint: "name an image or an index of images", Err: err,
			Detail: "the manifest does not parse: " + clip(err.Error())}
	}
	if m.MediaType == "" {
		m.MediaType = a.header.Get("Content-Type")
	}
	return &v1.Descriptor{MediaType: types.MediaType(m.MediaType), Size: int64(len(a.body)),
		Digest: v1.Hash{Algorithm: "sha256", Hex: c.image.SHA256()}}, nil
}

// empty is the configuration of an artifact that has none.
var empty = []byte("{}")

// referrer is the manifest of a bundle. It holds no time, so that the same bundle makes the same manifest.
func referrer(subject *v1.Descriptor, bundle []byte, predicateType string) []byte {
	blob := func(mediaType types.MediaType, data []byte) v1.Descriptor {
		return v1.Descriptor{MediaType: mediaType, Size: int64(len(data)), Digest: v1.Hash{Algorithm: "sha256", Hex: hexSum(data)}}
	}
	m, err := json.Marshal(v1.Manifest{SchemaVersion: 2, MediaType: manifestType, ArtifactType: BundleType,
		Config: blob(emptyType, empty), Layers: []v1.Descriptor{blob(BundleType, bundle)}, Subject: subject,
		Annotations: map[string]string{contentAnnotation: dsseContent, predicateAnnotation: predicateType}})
	if err != nil {
		panic(err) // plain strings and numbers
	}
	return m
}

// find returns the digest of a manifest of the bundle, or "". A manifest of others is recognised by its blob.
func (c *Client) find(ctx context.Context, digest, blob, predicateType string) (string, error) {
	listed, err := c.list(ctx)
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(listed, func(d descriptor) bool { return d.Digest == digest }) {
		return digest, nil
	}
	same := func(t string) bool { return t == predicateType }
	looked := 0
	for _, d := range listed {
		if d.wanted(same) != nil {
			continue
		}
		if looked++; looked > MaxReferrers {
			return "", nil // one more copy does no harm
		}
		m, err := c.content(ctx, manifestsPath, hexOf(d.Digest))
		if isStatus(err, http.StatusNotFound) {
			continue
		}
		if err != nil {
			return "", err
		}
		if got, left := bundleIn(m.body, d.Digest, c.image, same); left == nil && got == blob {
			return d.Digest, nil
		}
	}
	return "", nil
}

// written is a manifest as package remote takes it.
type written []byte

// RawManifest implements remote.Taggable.
func (w written) RawManifest() ([]byte, error) { return w, nil }

// MediaType says what it is.
func (w written) MediaType() (types.MediaType, error) { return manifestType, nil }

// push writes blobs and manifest, and the list where the registry does not keep it itself.
func (c *Client) push(ctx context.Context, m []byte, digest string, bundle []byte) error {
	options := []remote.Option{remote.WithContext(ctx), remote.WithTransport(c.transport)}
	for _, layer := range []v1.Layer{static.NewLayer(empty, emptyType), static.NewLayer(bundle, BundleType)} {
		if err := remote.WriteLayer(c.repo, layer, options...); err != nil {
			return err
		}
	}
	return remote.Put(c.repo.Digest(digest), written(m), options...)
}
