package command

import (
	"embed"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/policy"
)

// exampleFiles are statements about two made-up releases, a directory each: test vectors of this project.
//
//go:embed examples
var exampleFiles embed.FS

// examplesAt is a time at which all examples are in force.
var examplesAt = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// release is a directory with statements about one release, of which nothing is verified.
type release struct {
	name  string
	files fs.FS
	at    time.Time // of judgement
}

// exampleReleases are the directories of the examples.
func exampleReleases() ([]release, error) {
	var all []release
	for _, name := range []string{"minimal", "router", "grafana"} {
		files, err := fs.Sub(exampleFiles, "examples/"+name)
		if err != nil {
			return nil, err
		}
		all = append(all, release{name: "example " + name, files: files, at: examplesAt})
	}
	return all, nil
}

// directoryRelease is a release in a directory of the user's.
func directoryRelease(dir string, at time.Time) (release, error) {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = failed("name the directory that the statements are in", "%s is not a directory", dir)
	}
	return release{name: dir, files: os.DirFS(dir), at: at}, err
}

// statements reads every *.json of the release: statements, or the statements in bundles.
func (r release) statements() ([]*predicate.Statement, error) {
	names, err := fs.Glob(r.files, "*.json")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, failed("statements and bundles end in .json", "there is no statement in %s", r.name)
	}
	var all []*predicate.Statement
	for _, name := range names {
		data, err := readFileOf(r.files, name, verify.MaxBundleBytes)
		if err != nil {
			return nil, about(filepath.Join(r.name, name), err)
		}
		st, err := unverifiedStatement(filepath.Join(r.name, name), data)
		if err != nil {
			return nil, err
		}
		if declares(st.Type) && slices.ContainsFunc(all, func(o *predicate.Statement) bool { return o.Type == st.Type }) {
			return nil, failed("put each release into a directory of its own",
				"%s is the second statement of type %s in %s", name, plain.TypeName(st.Type), r.name)
		}
		all = append(all, st)
	}
	return all, nil
}

// facts are the statements as if they had been verified for a policy. The release in use is this one.
func (r release) facts(p *policy.Policy) (verify.Facts, error) {
	statements, err := r.statements()
	if err != nil {
		return verify.Facts{}, err
	}
	facts := p.UnverifiedFacts(r.at, statements...)
	facts.Approved = slices.DeleteFunc(slices.Clone(statements), func(s *predicate.Statement) bool { return !declares(s.Type) })
	return facts, nil
}

// readFileOf reads a file and refuses more than limit bytes.
func readFileOf(files fs.FS, name string, limit int) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err == nil && len(data) > limit {
		return nil, failed("is this the right file?", "%s has more than %d bytes", name, limit)
	}
	return data, err
}

// unverifiedStatement reads a statement, or the statement in a bundle.
func unverifiedStatement(path string, data []byte) (*predicate.Statement, error) {
	if !isStatement(data) {
		u, err := readUnverified(data)
		if err != nil {
			return nil, about(path, err)
		}
		data = u.payload
	}
	st, err := predicate.Parse(data, predicate.Consumption)
	if err != nil { // not a finding, which is what broken rules are for lint: the question cannot be evaluated
		return nil, failed("give statements as they are signed; `avow lint` says what is wrong with one", "%s: %w", path, err)
	}
	return st, nil
}
