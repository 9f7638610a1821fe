package oci

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Scheme begins an argument that is an image and not a file.
const Scheme = "oci://"

// IsImage reports whether an argument means an image.
func IsImage(argument string) bool { return strings.HasPrefix(argument, Scheme) }

// Image is an image, or a multi-platform index of images, by its digest. [ParseImage] makes it.
type Image struct {
	digest name.Digest
}

// SHA256 is the digest of the image's manifest, 64 lower-case hexadecimal digits.
func (i Image) SHA256() string { return strings.TrimPrefix(i.digest.DigestStr(), sha256Prefix) }

// Name is registry and repository, as the subject of a statement names the image.
func (i Image) Name() string { return i.digest.Context().Name() }

// String is the full reference without scheme.
func (i Image) String() string { return i.Name() + "@" + i.digest.DigestStr() }

const (
	sha256Prefix  = "sha256:"
	referenceHint = "write REGISTRY/NAME@sha256:HEX, for example registry.example/team/app@sha256:13f3...8fe9"
)

// repositoryName is the distribution specification's form of a name. The library knows the characters only, and would take
// "https:" for a registry and ".." for a part of a name.
var repositoryName = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)

// ParseImage takes REGISTRY/NAME@sha256:HEX, with or without [Scheme] before and with or without a tag, which is
// ignored, before the "@". The registry has to be named: there is no default. Nothing is sent anywhere.
func ParseImage(argument string) (Image, error) {
	rest := strings.TrimPrefix(argument, Scheme)
	if !strings.Contains(rest, "@") {
		if _, err := parseTag(rest); err != nil {
			return Image{}, err
		}
		return Image{}, refuse(ReasonTag, "pin the image by its digest: "+referenceHint,
			"%s names no digest, and a tag can name another image tomorrow", argument)
	}
	digest, err := name.NewDigest(rest, name.StrictValidation)
	if err != nil {
		return Image{}, notAReference(argument, err)
	}
	if !repositoryName.MatchString(digest.RepositoryStr()) {
		return Image{}, notAReference(argument, errors.New("no name of a repository"))
	}
	if !strings.HasPrefix(digest.DigestStr(), sha256Prefix) {
		return Image{}, refuse(ReasonReference, referenceHint, "%s: statements name images by SHA-256 and by nothing else",
			argument)
	}
	return Image{digest: digest}, nil
}

func parseTag(reference string) (name.Tag, error) {
	tag, err := name.NewTag(reference, name.StrictValidation)
	if err != nil {
		tag, err = name.NewTag(reference+":latest", name.StrictValidation)
	}
	if err == nil && !repositoryName.MatchString(tag.RepositoryStr()) {
		err = errors.New("no name of a repository")
	}
	if err != nil {
		return name.Tag{}, notAReference(reference, err)
	}
	return tag, nil
}

func notAReference(argument string, err error) *Error {
	return &Error{Reason: ReasonReference, Hint: referenceHint, Err: err,
		Detail: clip(argument) + " is not an image by digest: " + clip(err.Error())}
}

// Resolve asks the registry what a tag names at this moment. The answer is for a person to look at and to pin; it is
// the hash of the manifest that was served. A reference without tag means the tag latest.
func Resolve(ctx context.Context, reference string, o Options) (Image, error) {
	tag, err := parseTag(strings.TrimPrefix(reference, Scheme))
	if err != nil {
		return Image{}, err
	}
	c, err := open(ctx, tag.Context(), o)
	if err != nil {
		return Image{}, err
	}
	a, err := c.get(ctx, manifestsPath, tag.TagStr(), imageTypes)
	if err != nil {
		return Image{}, explain(reference, err)
	}
	return Image{digest: tag.Context().Digest(sha256Prefix + hexSum(a.body))}, nil
}

// IsTag reports whether the error says that an image was named by its tag.
func IsTag(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Reason == ReasonTag
}

func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
