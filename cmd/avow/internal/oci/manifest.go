package oci

import (
	"encoding/json"
	"regexp"
	"strings"
)

// Annotations of a bundle's manifest, and of its entry in the list.
const (
	contentAnnotation   = "dev.sigstore.bundle.content"
	predicateAnnotation = "dev.sigstore.bundle.predicateType"

	dsseContent = "dsse-envelope"
)

// descriptor names content, as far as it is looked at here. Digests are plain text: one that is odd makes its entry
// odd and not the whole list.
type descriptor struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	Annotations  map[string]string `json:"annotations"`
}

// manifest is an image manifest, as far as it is looked at here.
type manifest struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType"`
	Config       descriptor        `json:"config"`
	Layers       []descriptor      `json:"layers"`
	Subject      *descriptor       `json:"subject"`
	Annotations  map[string]string `json:"annotations"`
}

// Ignored is something in an image's list that was left out.
type Ignored struct {
	// Digest is that of its manifest, as the registry lists it; shortened if it is none.
	Digest string
	// Reason is the stable word.
	Reason Reason
	// Detail says what it is instead. It may quote the registry.
	Detail string
}

func ignore(digest string, reason Reason, detail string) *Ignored {
	return &Ignored{Digest: clip(digest), Reason: reason, Detail: clip(detail)}
}

var sha256Digest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func hexOf(digest string) string { return strings.TrimPrefix(digest, sha256Prefix) }

// parseList reads a page of a list.
func parseList(page []byte) ([]descriptor, error) {
	var index struct {
		SchemaVersion int           `json:"schemaVersion"`
		Manifests     *[]descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(page, &index); err != nil {
		return nil, err
	}
	if index.SchemaVersion != 2 || index.Manifests == nil {
		return nil, errNoIndex
	}
	return *index.Manifests, nil
}

// wanted reports whether the entry of a list can be a bundle of interest, or why it is left out. What it says of
// itself is believed only so far as it leaves itself out: the manifest decides.
func (d descriptor) wanted(types func(string) bool) *Ignored {
	switch {
	case !sha256Digest.MatchString(d.Digest):
		return ignore(d.Digest, ReasonMalformed, "its digest is no SHA-256")
	case d.MediaType != manifestType && d.MediaType != "":
		return ignore(d.Digest, ReasonForeignArtifact, "it is "+d.MediaType)
	case d.Size > MaxManifestBytes:
		return ignore(d.Digest, ReasonTooLarge, "its manifest is too large")
	// Some registries list the configuration's type instead, which is empty.
	case d.ArtifactType != BundleType && d.ArtifactType != emptyType && d.ArtifactType != "":
		return ignore(d.Digest, ReasonForeignArtifact, "it is "+d.ArtifactType)
	}
	return unasked(d.Digest, d.Annotations, types)
}

// unasked leaves out by annotations. A bundle without annotations has to be looked at.
func unasked(digest string, annotations map[string]string, types func(string) bool) *Ignored {
	if content, ok := annotations[contentAnnotation]; ok && content != dsseContent {
		return ignore(digest, ReasonForeignStatement, "it holds no statement but a "+content)
	}
	if predicate, ok := annotations[predicateAnnotation]; ok && !types(predicate) {
		return ignore(digest, ReasonForeignStatement, "it states "+predicate)
	}
	return nil
}

// bundleIn returns the blob of a referrer's manifest, or why the referrer is left out.
func bundleIn(data []byte, digest string, subject Image, types func(string) bool) (blob string, left *Ignored) {
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return "", ignore(digest, ReasonMalformed, "its manifest does not parse: "+err.Error())
	}
	artifact := m.ArtifactType
	if artifact == "" {
		artifact = m.Config.MediaType
	}
	switch {
	case artifact != BundleType:
		return "", ignore(digest, ReasonForeignArtifact, "it is "+artifact)
	case m.Subject == nil || m.Subject.Digest != subject.digest.DigestStr():
		return "", ignore(digest, ReasonForeignSubject, "it does not refer to this image")
	case len(m.Layers) != 1 || m.Layers[0].MediaType != BundleType:
		return "", ignore(digest, ReasonMalformed, "it does not hold exactly one blob that is a bundle")
	case !sha256Digest.MatchString(m.Layers[0].Digest):
		return "", ignore(digest, ReasonMalformed, "the digest of its blob is no SHA-256")
	case m.Layers[0].Size < 1 || m.Layers[0].Size > MaxBundleBytes:
		return "", ignore(digest, ReasonTooLarge, "its bundle does not have 1 to 524288 bytes")
	}
	if left := unasked(digest, m.Annotations, types); left != nil {
		return "", left
	}
	return hexOf(m.Layers[0].Digest), nil
}
