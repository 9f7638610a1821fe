package attest

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxReleaseFiles bounds the walk of a directory. It is larger than the number of subjects, because files with equal
// content become one subject.
const maxReleaseFiles = 1 << 16

// release is the list of regular files that paths name, with the directories they are read through.
type release struct {
	files []*releaseFile
	roots []*os.Root
}

// releaseFile is a regular file that was found, and the name its subject gets.
type releaseFile struct {
	name string
	path string   // as found, for messages
	root *os.Root // nil for a file that was named itself; else it is opened through the directory and cannot lead out of it
	rel  string   // path below root, with "/"
	size int64
}

func (r *release) close() {
	for _, root := range r.roots {
		root.Close()
	}
}

// open opens the file and checks once more that it is a regular file of the size that was found.
func (f *releaseFile) open() (*os.File, error) {
	var opened *os.File
	var err error
	if f.root != nil {
		opened, err = f.root.Open(filepath.FromSlash(f.rel))
	} else {
		opened, err = os.Open(f.path)
	}
	if err != nil {
		return nil, err
	}
	info, err := opened.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = subjectError(fmt.Sprintf("%q is no longer a regular file", f.path), "wait until the build has finished")
	}
	if err != nil {
		opened.Close()
		return nil, err
	}
	return opened, nil
}

// findRelease lists the files, sorted by name. The caller closes the result.
func findRelease(ctx context.Context, paths []string, policy SymlinkPolicy) (*release, error) {
	if len(paths) == 0 {
		return nil, subjectError("no file or directory was named", "name the files that the customer gets")
	}
	r := &release{}
	for _, p := range paths {
		if err := r.addPath(ctx, p, policy); err != nil {
			r.close()
			return nil, err
		}
	}
	slices.SortFunc(r.files, func(a, b *releaseFile) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(r.files); i++ {
		if a, b := r.files[i-1], r.files[i]; a.name == b.name {
			r.close()
			return nil, subjectError(fmt.Sprintf("%q and %q would both be named %q", a.path, b.path, a.name),
				"name the directory that holds both, so that their names differ")
		}
	}
	if len(r.files) == 0 {
		r.close()
		return nil, subjectError(fmt.Sprintf("there is no file in %q", paths), "name the files that the customer gets")
	}
	return r, nil
}

// addPath adds a file or what is below a directory.
func (r *release) addPath(ctx context.Context, p string, policy SymlinkPolicy) error {
	info, err := os.Stat(p)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return r.add(&releaseFile{name: filepath.Base(filepath.Clean(p)), path: p}, info)
	}
	root, err := os.OpenRoot(p)
	if err != nil {
		return err
	}
	r.roots = append(r.roots, root)
	return fs.WalkDir(root.FS(), ".", func(rel string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		return r.addEntry(root, p, rel, entry, policy)
	})
}

// addEntry adds what the walk of a directory found, following links as the policy says.
func (r *release) addEntry(root *os.Root, dir, rel string, entry fs.DirEntry, policy SymlinkPolicy) error {
	if entry.IsDir() {
		return nil
	}
	f := &releaseFile{name: path.Clean(rel), path: filepath.Join(dir, filepath.FromSlash(rel)), root: root, rel: rel}
	if entry.Type()&fs.ModeSymlink == 0 {
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return r.add(f, info)
	}
	switch policy {
	case SymlinkSkip:
		return nil
	case SymlinkFollowFiles:
		info, err := root.Stat(filepath.FromSlash(rel)) // refuses a link that leads out of the directory
		if err != nil {
			return &Error{Code: CodeSubject, Err: err,
				Detail: fmt.Sprintf("symbolic link %q cannot be followed inside %q", f.path, dir),
				Hint:   "copy the file to where the link is, or leave links out"}
		}
		return r.add(f, info)
	default:
		return subjectError(fmt.Sprintf("%q is a symbolic link", f.path), "ship a file, or choose to skip or to follow links")
	}
}

// add checks kind and name of a file.
func (r *release) add(f *releaseFile, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return subjectError(fmt.Sprintf("%q is not a regular file (%v)", f.path, info.Mode().Type()),
			"name files and directories only")
	}
	if err := checkName(f.name); err != nil {
		return err
	}
	if len(r.files) == maxReleaseFiles {
		return subjectError(fmt.Sprintf("more than %d files", maxReleaseFiles), "name the archives or images that you ship")
	}
	f.size = info.Size()
	r.files = append(r.files, f)
	return nil
}

// checkName refuses names that rule R04 refuses (control characters) and names that two readers could take for two
// different ones: not UTF-8, not NFC, with formatting characters such as bidirectional overrides, or with a
// backslash.
func checkName(name string) error {
	const hint = "rename the file"
	switch {
	case !utf8.ValidString(name):
		return subjectError(fmt.Sprintf("the file name %q is not UTF-8", name), hint)
	case !norm.NFC.IsNormalString(name):
		return subjectError(fmt.Sprintf("the file name %q (%+q) is not in Unicode normal form C", name, name), hint)
	case strings.Contains(name, `\`):
		return subjectError(fmt.Sprintf("the file name %q has a backslash", name), hint)
	}
	for _, c := range name {
		if unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return subjectError(fmt.Sprintf("the file name %+q has the character %U", name, c), hint)
		}
	}
	return nil
}

func subjectError(detail, hint string) *Error {
	return &Error{Code: CodeSubject, Detail: detail, Hint: hint}
}
