// Package result signs a buyer's verdict, and accepts a signed one instead of
// judging the same bundles again.
//
// # Purpose
//
// A verification is made once, where the bundles, the trusted root and the
// policy are. [Sign] turns its [verify.Verdict] into an in-toto statement that
// pins everything that the answer depends on: the artifact, the vendor's
// statements with signers and log positions, the policy, the trusted root, the
// time, and how long the answer may be relied on. What comes back is a Sigstore
// bundle that unmodified clients verify. Elsewhere, [Open] accepts it if all of
// that is what the caller would have judged by; otherwise it refuses with one
// of [Codes].
//
// Two predicate types are written, by the caller's choice: in-toto's Simple
// Verification Result ([SVR]) and SLSA's Verification Summary ([VSA]).
//
// # What is trusted
//
// The keys in the [Pinned] verifiers, for verdicts under the verifier id that
// goes with each, and the time that the caller gives. Nothing in a bundle is
// believed before its signature verified. A signed verdict is the verifier's
// word: whoever pins a key delegates the verification to its holder. RFC 3161
// timestamps may be put into a bundle for other clients; they are not evidence
// here, because a verdict lives shorter than a key.
//
// # Contract
//
//   - A rejection never reads as a pass. SVR has no way to say that something
//     failed, so it is refused for a rejected verdict; VSA says FAILED, and
//     Open refuses that with [CodeNotPassed].
//   - A verdict ends when the first of its statements expires, and after
//     [MaxLifetime] at the latest. The period is part of a property
//     (AVOW_ACCEPTED_86400: seconds from the time of verification), so that a
//     client which ignores avow's own member cannot take an old verdict for a
//     timeless one: the "monotonic principle" of in-toto.
//   - What is read is written again by the code that composes, and must be
//     byte for byte the same. So no member can be unknown, be repeated or
//     contradict another. Of the bundle around it white space, the order of
//     members and escapes may differ.
//   - Neither withdrawals nor disputes that were logged after the verification
//     are seen: choose the lifetime accordingly.
//   - The package opens no socket, reads no file and no clock.
//
// # Specifications
//
//   - SVR v0.2: https://github.com/in-toto/attestation/blob/main/spec/predicates/svr.md
//   - VSA v1: https://slsa.dev/spec/v1.1/verification_summary
//   - in-toto Statement v1, ResourceDescriptor, parsing rules: https://github.com/in-toto/attestation/tree/main/spec/v1
//   - DSSE v1.0.2, Sigstore bundle v0.3
//
// The upstream Go types are not used outside the tests: there is none for SVR
// v0.2, and that for VSA has no room for extension members.
package result
