// Package verify is the buyer's side of avow: it judges bundles offline.
//
// # Purpose
//
// A buyer holds a release file, the bundles that a vendor published for it, a
// trusted root and the vendor's key (or identity). [Verifier.Verify] answers
// with a [Verdict]: accepted or rejected, one [Check] per rule in a fixed
// order, and [Evidence] that holds nothing but verified facts. The same code
// serves the command line, the Verify RPC and the service's own check before
// it answers ([Verifier.VerifyBundle]). [VerifySigstore] verifies any Sigstore
// bundle, public-good ones included, by sigstore-go's rules.
//
// # What is trusted
//
// The [Trust] (log keys, timestamp authorities, certificate authorities), the
// [Signer] requirements and, where one is given, the quorum of a [WitnessPolicy],
// all given by the caller; the clock given in [Config]. Nothing in a bundle is
// trusted, and no option is ever chosen by what a bundle contains. The package
// opens no socket and reads no file.
//
// # Contract
//
//   - An error means that it could not be evaluated (a bad [Input], an ended
//     context). A verdict means that it was. The zero Verdict is rejected, and
//     acceptance is computed in one function from the set of checks that
//     passed: nothing that was not run can be accepted.
//   - The exact signed bytes are verified, then parsed once and strictly.
//   - What sigstore-go refuses is refused here: its verification is itself one of
//     the checks ([CheckSigstore]), from the bundle's bytes and with its own
//     parsers. Only what this package verified a moment before, by the same
//     functions and for the same bytes, is not computed twice, and the tree of the
//     predicate, which [CheckStatementFormat] reads more strictly, is not built.
//     What sigstore-go leaves open is closed by the checks before it; DESIGN's
//     tamper matrix is the list, the mutation tests of this package are the proof.
//   - A bundle is written in one way: canonical names, canonical base64, DER.
//     What may change in an accepted bundle without any signature is JSON's own
//     freedom (white space, order of members, escapes), the order and number of
//     surplus timestamps, and signature lines of unknown keys on the checkpoint,
//     where witnesses add theirs ([WitnessPolicy] says which must be there). A
//     bundle is therefore known by its statement id and its place in the log, never
//     by a hash of its bytes.
//   - Limits are checked before work is done; they are the constants of
//     limits.go.
//   - Check ids are a closed list ([CheckIDs]) and never change their meaning.
//
// # Specifications
//
//   - Sigstore bundle v0.3: https://github.com/sigstore/protobuf-specs
//   - Sigstore client specification: https://github.com/sigstore/architecture-docs
//   - Rekor v2 hashedrekord 0.0.2: https://github.com/sigstore/rekor-tiles
//   - C2SP tlog-checkpoint, signed-note, tlog-cosignature v1 (ed25519), tlog-policy: https://c2sp.org
//   - RFC 6962 (Merkle proofs), RFC 3161 (timestamps), DSSE v1.0.2, in-toto Statement v1
package verify
