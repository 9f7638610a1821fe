// Package deptest holds the import arrows of the module as tests.
//
// The arrows are the architecture: a buyer who verifies offline must not link a server, the log must not know what a leaf
// means, and attest and verify must not share code, so that a bug in one is not hidden by the same bug in the other. A guarded
// package says in its own deps_test.go what it must never reach, directly or through others:
//
//	func TestDependencies(t *testing.T) {
//		deptest.Forbid(t, map[string]string{
//			"github.com/avow-dev/avow/server": "the buyer's side holds no server code",
//		})
//	}
//
// The test belongs inside the guarded package. In a package of its own it would run `go list` over files that the test cache
// does not see, and would answer "ok (cached)" after a forbidden import was added.
//
// Only the imports of the package itself count: what its tests import is the tests' business. It trusts the go command that is
// on the path, needs no network when the modules are in the cache, and is imported by tests alone.
package deptest
