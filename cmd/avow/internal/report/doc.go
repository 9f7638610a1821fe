// Package report writes verdicts for those who read them: a person at a terminal, a program, a code-scanning page, a
// build server, a pull request, a file in a cabinet.
//
// Write takes one verdict or a whole batch and one of Formats. Every format says the same: the outcome, the checks and
// the rules that failed with what was expected, what was there and what to do. A batch is read item by item; what is kept
// of it in memory is bounded by its summary (one line an item) and by maxDetailed items in full.
//
// # Trust
//
// Everything but the words of this program is foreign: names of files, what a check quotes from an unverified bundle,
// what a vendor declares, what a policy says. It goes through text.Safe where it enters (package plain has done so for
// what it says), and is then escaped for the format: html/template, encoding/xml and encoding/json do that, Markdown has
// markdown_text.go. An HTML report asks for nothing from outside, holds no script, and says so in its content security
// policy. No address out of a bundle becomes a link.
//
// # Contract
//
//   - What is not accepted never looks accepted: an error is an item of its own kind, JUnit has a test case for the verdict
//     itself, SARIF a result for a rejection that no check explains.
//   - What the vendor declares is shown only if the verdict is accepted, only of the statements that count, and under words
//     that say that it is declared and not verified.
//   - The same input gives the same bytes: the clock is the caller's.
//
// # Specifications
//
//   - SARIF 2.1.0: https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/sarif-v2.1.0-os.html
//   - JUnit XML as build servers read it: https://github.com/testmoapp/junitxml
//   - GitHub Flavored Markdown: https://github.github.com/gfm/
//   - Content Security Policy Level 3: https://www.w3.org/TR/CSP3/
package report
