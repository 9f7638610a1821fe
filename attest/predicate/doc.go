// Package predicate defines the statements that avow signs, parses them
// strictly and applies the issuance rules.
//
// A statement is the exact bytes of an in-toto Statement v1 whose predicate is
// one of seven types: no-backdoor, data-flows and undertakings (what a vendor
// says about a release), withdrawal, dispute, assessment and standing (what
// happens to such a statement afterwards), or one of two of in-toto's
// ([EvidenceTypes]): a summary of network flows that were seen, and the result
// of comparing one with a declaration. Of these the form is checked as far as
// anything depends on it, and the rest is the text of its signer; they declare
// nothing, and no reader may take one for a declaration. The specification of the types, of
// their registries and of the rules R01 to R42 and W01 to W10 is
// docs/predicates.md; the shapes follow
// https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md.
//
// # Contract
//
// [Parse] reads the bytes once. It refuses whatever two readers could read
// differently (rule R01: duplicate keys, lone surrogates, null, numbers beyond
// 2^31-1 and so on) and whatever is not the shape of its type (R02). What it
// returns remembers the exact bytes, so the id of a statement never depends on
// an encoder. [Statement.Check] applies every rule that one statement can show,
// [Statement.CheckRelated] those that need other statements,
// [Statement.CheckReceipt] the one that needs a clock. All findings are
// collected; each names the rule, the place as a JSON pointer (RFC 6901), what
// was found and what to do about it.
//
// # Trust
//
// Input is foreign. Limits (limits.go) are checked before work is done, time
// and space are bounded by the size of the input, and nothing is fetched. Clock
// and tables (ISO 3166-1, public suffix list, registered definitions) are
// handed in. Absent, empty or unknown always reads as least favourable to the
// declarant. A statement that passes is well formed and consistent: whether it
// is true is for evidence, assessors and the buyer's policy.
//
// # Compatibility
//
// Type URIs, rule codes and registry ids never change their meaning and are
// never reused; registries only grow. This package imports the standard library
// and golang.org/x only, so that a buyer or a build tool can embed it.
package predicate
