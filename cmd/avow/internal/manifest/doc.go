// Package manifest reads lists of artifacts that are to be verified.
//
// # Purpose
//
// A buyer has a list: the checksum file of a release, an SBOM, or lines of JSON that a program wrote. [Open] finds out
// which, and [Manifest.Items] yields one [Item] per entry, in the list's order, with its place in the list.
//
// # Contract
//
//   - No entry is left out: one that cannot be read is an item with an error, one without a SHA-256 an item without
//     digest. Two entries with one name and different digests are both errors, because nobody can say which is meant.
//   - A list without entries is an error, and so is one that changes while it is read: it is read twice, the first time
//     to count its entries and compare their names.
//   - Lists of lines (checksums, JSON lines) are streamed: memory holds one line and 16 bytes for each name. SBOMs are
//     read whole and therefore bounded. All limits are constants of this package.
//   - Nothing but the list is opened. Paths in it are the caller's to judge.
//
// # What is trusted
//
// The list is the buyer's own and decides what is asked about, never what the answer is. It is read as strictly as
// anything else: an SBOM with one member twice is refused.
//
// # Specifications
//
//   - GNU coreutils, sha256sum; BSD's form of the same (--tag)
//   - CycloneDX 1.x, JSON: https://cyclonedx.org/specification/overview/
//   - SPDX 2.3, JSON: https://spdx.github.io/spdx-spec/v2.3/
package manifest
