// Package action holds the GitHub Action that verifies a file or an image, and the tests of its script.
//
// # Purpose
//
// action.yml is a composite action: it hands its inputs to verify.sh, which builds avow, runs `avow verify` and turns the
// exit code into that of the job. A directory at the top of the repository is what `uses: avow-dev/avow/action@COMMIT`
// wants. The script does not depend on GitHub: any build system that sets its variables can run it. docs/ci.md is the
// documentation for both. There is nothing to import here.
//
// # Trust
//
// Inputs of a workflow can come from pull requests of strangers. They reach the script as environment variables and are
// never part of a script's text; in the command line of avow each is the value of one flag, or follows "--". What avow
// prints of foreign statements cannot speak to the runner: its commands are switched off meanwhile, and in the summary it
// is a code block that nothing in it can end. Nothing is uploaded anywhere.
//
// # Contract
//
// The exit code is that of avow: 0 accepted, 1 rejected, 2 could not be evaluated; whatever else happens is 2. Where the
// report goes to a file, it is there completely or not at all.
//
// Specification: https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax
package action
