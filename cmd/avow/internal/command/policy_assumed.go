package command

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/policy"
)

// exampleFiles are statements about two made-up releases, a directory each. They are test vectors of the project.
//
//go:embed examples
var exampleFiles embed.FS

// examplesAt is a time at which all examples are in force.
var examplesAt = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// exampleReleases are the directories of the examples.
func exampleReleases() []release {
	var all []release
	for _, name := range []string{"minimal", "router"} {
		files, err := fs.Sub(exampleFiles, "examples/"+name)
		if err != nil {
			continue // the name is valid
		}
		all = append(all, release{name: "example " + name, files: files, at: examplesAt})
	}
	return all
}

// release is a directory of statements about one release, of which nothing is verified.
type release struct {
	name  string
	files fs.FS
	at    time.Time
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
		data, err := readFrom(r.files, name, verify.MaxBundleBytes)
		if err != nil {
			return nil, about(path.Join(r.name, name), err)
		}
		st, err := unverifiedStatement(path.Join(r.name, name), data)
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

// facts are the statements as if they had been verified, each signed by somebody whom the policy names for its type.
func (r release) facts(p *policy.Policy) (verify.Facts, error) {
	statements, err := r.statements()
	if err != nil {
		return verify.Facts{}, err
	}
	f := verify.Facts{At: r.at}
	for i, st := range statements {
		e := verify.Evidence{Bundle: fmt.Sprintf("#%d", i+1), StatementID: st.ID(), Statement: st, LogOrigin: "log.example.test",
			LogIndex: uint64(i), TreeSize: uint64(len(statements)), SignedBy: r.at,
			Timestamps: []verify.Timestamp{{Time: r.at, Authority: "https://tsa.example.test"}},
			Signer:     verify.Signer{Name: declarant(st), Types: []string{st.Type}, Key: &verify.Key{}}}
		for _, s := range p.Requirements().Signers {
			if slices.Contains(s.Types, st.Type) {
				e.Signer = s
				break
			}
		}
		if k := e.Signer.Key; k != nil && k.PublicKey != nil {
			if e.KeyID, err = attest.KeyID(k.PublicKey); err != nil {
				return f, err
			}
		}
		if len(st.Subjects) > 0 && declares(st.Type) {
			f.ArtifactSHA256, e.SubjectName = st.Subjects[0].Digest["sha256"], st.Subjects[0].Name
		}
		f.Evidence = append(f.Evidence, e)
	}
	return f, nil
}

// declarant is who makes a declaration, by its own word.
func declarant(st *predicate.Statement) string {
	if c := st.Common(); c != nil {
		return c.Declarant.Party.Name
	}
	return plain.TypeName(st.Type)
}

// jsonFile reports whether a directory entry may be a statement.
func jsonFile(name string) bool { return strings.HasSuffix(name, ".json") }
