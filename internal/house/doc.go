// Package house holds the rules of the house that no linter knows, as tests over the sources themselves.
//
//   - a file holds one concept and at most 500 lines;
//   - every package says in its documentation what it is for, whom it trusts and which specification it follows;
//   - the clock is injected: nobody but a command calls time.Now;
//   - an error says what went wrong with which thing, never that something failed;
//   - every direct dependency has its reason in docs/dependencies.md, and none is older than a version that closed a hole;
//   - a link inside the documentation leads somewhere.
//
// Generated code (api/) and copied code (third_party/) are exempt. There is nothing to import here: the package exists for
// its tests, which read the tree that they are part of and need neither network nor privileges.
package house
