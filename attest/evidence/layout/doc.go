// Package layout verifies in-toto layouts: that every step of a supply chain was done by those who may do it and that what one step
// made is what the next one took. The verified layout can be named as evidence.
//
// # Contract
//
//   - Nothing is executed. in-toto runs a layout's inspections as commands on the machine that verifies; a layout that has some is
//     refused with CodeInspections before anything else is looked at. The functions of in-toto-golang are called one by one, and the one
//     that runs inspections is not among them, so that no layout, whatever it holds, can reach it.
//   - Refused as well, each with its code: sublayouts (they would bring layouts of their own), parameters that nobody substitutes (a rule
//     about {name} matches nothing, and so forbids nothing), names of steps that are patterns or paths, thresholds below one,
//     and certificate constraints.
//   - Expiry is judged by the caller's clock.
//   - Files are copied once into a directory of our own, with limits, and checked there: what was checked is what is verified.
//
// # Trust
//
// The layout's owner is trusted as far as the given keys go: all of them must have signed. Functionaries are those that the layout
// names. Links and layout are foreign bytes until their signatures verify, and their structure is checked before.
//
// # Specification
//
// https://github.com/in-toto/specification (v1.0), as in-toto-golang implements it.
package layout
