// Package tufrepo makes and keeps a TUF repository: static files by which buyers get the current trusted root and notice
// when somebody hands them an old, a foreign or a changed one.
//
// The keys of root and targets are held offline by several people; m of n of them must sign. A change is staged as a
// file without signatures ([Repository.StageRoot], [Repository.StageTargets]), each holder signs it with a command of
// its own on a machine of its own ([Repository.Sign], [Repository.Import]), and only a file with enough signatures is
// published ([Repository.Publish]). Snapshot and timestamp are signed by one online key, which can renew them and do
// nothing else: it cannot change what is trusted.
//
// Layout: below the directory lie public/ (what [Handler] serves) and staged/ (what waits for signatures). Snapshots are
// consistent: every file but timestamp.json has its version or hash in its name and never changes, and timestamp.json is
// written after what it names. A crash after any step leaves a repository that clients accept, the old or the new state;
// the tests stop it after each.
//
// Trusted are the key holders. The online key and whoever serves the files can hold updates back until the timestamp
// expires, and no more. Nothing here fetches anything.
//
// Specification: https://theupdateframework.github.io/specification/latest/ (1.0), by go-tuf v2, which sigstore-go's and
// avow's clients use too. The periods of validity are kept in the signed root as tuf-on-ci does.
package tufrepo
