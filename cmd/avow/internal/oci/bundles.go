package oci

import (
	"cmp"
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/errgroup"
)

// Bundle is a bundle that the registry keeps with the image. Nothing of it was verified but that it has its digest.
type Bundle struct {
	// Digest is that of its manifest, "sha256:" and 64 hexadecimal digits.
	Digest string
	// Data are its bytes.
	Data []byte

	blob string // hexadecimal SHA-256 of Data
}

// Bundles returns the bundles that the registry keeps with the image, sorted by digest, and what it lists besides. types
// says which predicate types are of interest; it leaves out what says of itself that it has another. A bundle that says
// nothing is returned, and so is one that says something wrong.
//
// The image's manifest is read and checked against its digest first: there is such an image.
func (c *Client) Bundles(ctx context.Context, types func(predicateType string) bool) ([]Bundle, []Ignored, error) {
	if _, err := c.content(ctx, manifestsPath, c.image.SHA256()); err != nil {
		return nil, nil, explain(c.image.String(), err)
	}
	listed, err := c.list(ctx)
	if err != nil {
		return nil, nil, explain("the bundles of "+c.image.String(), err)
	}
	var candidates []descriptor
	var ignored []Ignored
	for _, d := range listed {
		if left := d.wanted(types); left != nil {
			ignored = append(ignored, *left)
			continue
		}
		candidates = append(candidates, d)
	}
	if len(candidates) > MaxReferrers {
		return nil, nil, refuse(ReasonTooMany, "give the bundles as files with --bundle",
			"%s lists %d possible bundles, the limit is %d", c.image, len(candidates), MaxReferrers)
	}
	bundles, left, err := c.read(ctx, candidates, types)
	if err != nil {
		return nil, nil, err
	}
	return bundles, append(ignored, left...), nil
}

// read reads candidates side by side.
func (c *Client) read(ctx context.Context, candidates []descriptor, types func(string) bool) ([]Bundle, []Ignored, error) {
	read := make([]*Bundle, len(candidates))
	left := make([]*Ignored, len(candidates))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i, d := range candidates {
		group.Go(func() (err error) {
			read[i], left[i], err = c.readOne(ctx, d.Digest, types)
			return explain("bundle "+d.Digest, err)
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	var bundles []Bundle
	var ignored []Ignored
	seen := map[string]bool{}
	for i, b := range read {
		switch {
		case b == nil:
			ignored = append(ignored, *left[i])
		case seen[b.blob]:
			ignored = append(ignored, *ignore(b.Digest, ReasonDuplicate, "it is the same bundle as another one"))
		default:
			seen[b.blob] = true
			bundles = append(bundles, *b)
		}
	}
	return bundles, ignored, nil
}

// readOne reads a referrer's manifest and its blob. What is listed and not there is left out: a list can be older than
// what was deleted.
func (c *Client) readOne(ctx context.Context, digest string, types func(string) bool) (*Bundle, *Ignored, error) {
	m, err := c.content(ctx, manifestsPath, hexOf(digest))
	if isStatus(err, http.StatusNotFound) {
		return nil, ignore(digest, ReasonNotFound, "it is listed, and not there"), nil
	}
	if err != nil {
		return nil, nil, err
	}
	blob, left := bundleIn(m.body, digest, c.image, types)
	if left != nil {
		return nil, left, nil
	}
	b, err := c.content(ctx, blobsPath, blob)
	if isStatus(err, http.StatusNotFound) {
		return nil, ignore(digest, ReasonNotFound, "its bundle is not there"), nil
	}
	if err != nil {
		return nil, nil, err
	}
	return &Bundle{Digest: digest, Data: b.body, blob: blob}, nil, nil
}

// list reads the list of what refers to the image, all pages of it, without repetitions and sorted by digest.
func (c *Client) list(ctx context.Context) ([]descriptor, error) {
	first, err := c.get(ctx, referrersPath, c.image.digest.DigestStr(), indexType)
	// What registries without the referrers API answer: most say 404, some object to method or path.
	if isStatus(err, http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable) ||
		err == nil && !isIndex(first.header) {
		first, err = c.get(ctx, manifestsPath, strings.Replace(c.image.digest.DigestStr(), ":", "-", 1), indexType)
		if isStatus(err, http.StatusNotFound) {
			return nil, nil
		}
	}
	if err != nil {
		return nil, err
	}
	all, err := c.pages(ctx, first)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b descriptor) int { return cmp.Compare(a.Digest, b.Digest) })
	return slices.CompactFunc(all, func(a, b descriptor) bool { return a.Digest == b.Digest }), nil
}

// pages reads the rest of a list. A list that cannot be read to its end is an error: half of it would look like all of it.
func (c *Client) pages(ctx context.Context, page *answer) ([]descriptor, error) {
	const hint = "tell the operator of the registry, or give the bundles as files with --bundle"
	var all []descriptor
	for range maxPages {
		part, err := parseList(page.body)
		if err != nil {
			return nil, &Error{Reason: ReasonMalformed, Hint: hint, Err: err,
				Detail: "the list of what refers to " + c.image.String() + " is no image index: " + clip(err.Error())}
		}
		if all = append(all, part...); len(all) > MaxListed {
			return nil, refuse(ReasonTooMany, hint, "%s has more than %d referrers", c.image, MaxListed)
		}
		next, err := nextPage(page.header, page.url)
		if err != nil {
			return nil, &Error{Reason: ReasonMalformed, Hint: hint, Err: err, Detail: "the list of what refers to " +
				c.image.String() + " goes on at a strange place: " + clip(err.Error())}
		}
		if next == nil {
			return all, nil
		}
		if page, err = c.getURL(ctx, next, indexType); err != nil {
			return nil, err
		}
	}
	return nil, refuse(ReasonTooMany, hint, "the list of what refers to %s has more than %d pages", c.image, maxPages)
}

var (
	errNoIndex = errors.New("it is no index of schema version 2")
	nextLink   = regexp.MustCompile(`^\s*<([^>]*)>\s*;.*\brel="?next"?`)
)

// nextPage is where the list goes on (RFC 8288), or nil. It has to be in the same list.
func nextPage(header http.Header, page *url.URL) (*url.URL, error) {
	m := nextLink.FindStringSubmatch(header.Get("Link"))
	if m == nil {
		return nil, nil
	}
	next, err := page.Parse(m[1])
	if err != nil {
		return nil, err
	}
	if next.Scheme != page.Scheme || next.Host != page.Host || next.Path != page.Path || next.RawQuery == page.RawQuery {
		return nil, errors.New(next.Redacted())
	}
	return next, nil
}

func isIndex(header http.Header) bool {
	mediaType, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	return err == nil && mediaType == indexType
}

// isStatus reports whether the registry answered with one of the codes.
func isStatus(err error, codes ...int) bool {
	var status *transport.Error
	return errors.As(err, &status) && slices.Contains(codes, status.StatusCode)
}
