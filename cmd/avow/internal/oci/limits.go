package oci

// Limits of what is read from a registry. All are checked before the work that they bound.
const (
	// MaxManifestBytes is the largest manifest or page of a list, in bytes.
	MaxManifestBytes = 4 << 20
	// MaxBundleBytes is the largest bundle, in bytes: that of package verify.
	MaxBundleBytes = 512 << 10
	// MaxListed is the number of referrers that an image's list may have.
	MaxListed = 4096
	// MaxReferrers is the number of referrers that are read because they may be bundles of interest.
	MaxReferrers = 256
	// MaxTotalBytes bounds what one client reads in all, in bytes.
	MaxTotalBytes = 64 << 20

	// maxRedirects is the number of redirects that one request may lead through.
	maxRedirects = 5
	// maxOtherBytes is the largest answer that is neither manifest nor blob: a token, an error.
	maxOtherBytes = 128 << 10
	// maxPages is the number of pages of one list.
	maxPages = 128
	// readers is the number of referrers that are read at the same time.
	readers = 4
	// maxShown is the number of bytes that a message quotes of what a registry says.
	maxShown = 200
)
