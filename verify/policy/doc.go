// Package policy judges verified evidence by a buyer's rules, written in CEL.
//
// # Purpose
//
// A policy is a YAML file ([Load]) or one of the ready-made ones ([Builtin]): whom
// the buyer pins for which product, what must be stated, how old it may be, and
// rules over the statements. [Policy.Judge] implements [verify.Policy]: it answers
// rule by rule, names the flows, mechanisms or statements that made a rule fail,
// and gives the digest of the policy as it was evaluated. docs/policies.md is the
// manual.
//
// # What is trusted
//
// The policy and its parameters, which are the buyer's. The facts, as far as they
// were verified: a statement is judged for what it says, never taken as true.
// Nothing is fetched; files are read from the caller's [io/fs.FS] alone.
//
// # Contract
//
//   - Expressions are typed by the messages of avow.predicate.v1, under the names
//     of the JSON: a misspelt member is an error at load, with its place.
//   - They are evaluated over the exact JSON. A member that is absent has no value,
//     no default and no zero: reading it is an error, and an error denies. What a
//     vendor leaves out cannot look like good news.
//   - A policy that loads has at least one rule. A rule passes only if it was
//     evaluated to true within [CostLimit].
//   - Errors of a policy are [Errors] with codes of a closed list ([Codes]).
//   - Limits (limits.go) are checked before work is done.
//
// # Specifications
//
//   - CEL: https://github.com/google/cel-spec
//   - the predicates: docs/predicates.md
package policy
