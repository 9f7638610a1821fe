// Package draft makes the flows of a data-flows statement from what is known of
// a product: observations of its traffic, CycloneDX documents, Threagile models
// and HAR files. It writes CycloneDX services from a statement too.
//
// # Purpose
//
// A machine knows endpoints, ports, TLS, triggers and intervals. It does not know
// purpose, kinds of data, recipients, places and switches. [Read] takes the
// first from a file, [Compose] groups it into flows, and
// [predicate.NewDataFlowsDraft] leaves a placeholder for each of the others,
// which lint refuses until it is replaced. [Questions] are the ten that matter
// most.
//
// # Contract
//
//   - Peers are grouped by registrable domain (public suffix list), protocol and
//     program. The id of a flow is made of these alone, so that the same peers
//     give the same ids in every release.
//   - Nothing is guessed. What was not seen is a placeholder. A TLS version is the
//     oldest that was seen; `avow compare` says so when an older one turns up.
//     An address without a name becomes a place to say what it is.
//   - Services that many products use are recognised from an embedded list with
//     a public source for each entry. They are suggestions inside placeholders,
//     never values.
//   - Answers leave what was not asked at the value that is worst for the
//     declarant: unspecified, anywhere, for the vendor's benefit.
//
// # Trust
//
// All files are foreign text: sizes and depths are bounded before they are
// parsed, names that could not be in a statement are left out with a note, and
// bodies, cookies and query strings of a HAR file are never copied. A draft is
// not a statement: a person answers for what is signed.
//
// # Specification
//
// Formats: docs/drafting.md. The mapping of CycloneDX services is there too.
package draft
