package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/avow-dev/avow/cmd/avow/internal/manifest"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
)

const (
	// maxIndexedBundles is the largest number of bundles in a directory.
	maxIndexedBundles = 1 << 20
	// maxSkippedNotes is how many files that are no bundles are named.
	maxSkippedNotes = 5
)

// bundleIndex finds the bundles of an artifact by the digests that the bundles speak of. What a bundle says is not
// verified here: it only selects what is verified, and what is not selected speaks for nothing.
type bundleIndex struct {
	// root is the directory that paths of the list are relative to.
	root       *os.Root
	byArtifact map[string][]string // paths by SHA-256
}

// indexBundles reads the bundles of a directory, where one is given, and of single files.
func (a *app) indexBundles(ctx context.Context, dir string, files []string) (*bundleIndex, error) {
	root, err := os.OpenRoot(filepath.Clean(dir))
	if err != nil {
		return nil, err
	}
	x := &bundleIndex{root: root, byArtifact: map[string][]string{}}
	if dir != "" {
		err = x.addDirectory(ctx, a)
	}
	for _, path := range files {
		if err != nil {
			break
		}
		var data []byte
		if data, err = readBundle(nil, path); err == nil {
			err = x.add(path, subjectsOf(data))
		}
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	for _, paths := range x.byArtifact {
		slices.Sort(paths)
	}
	return x, nil
}

// subjects is what a bundle speaks of.
type subjects struct {
	path    string
	digests []string
	err     error
}

// addDirectory reads all bundles of the directory and those below it. Files that are named like bundles and are none
// are said to be left out.
func (x *bundleIndex) addDirectory(ctx context.Context, a *app) error {
	var paths []string
	err := fs.WalkDir(x.root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, bundleSuffix) {
			if paths = append(paths, path); len(paths) > maxIndexedBundles {
				err = fmt.Errorf("%s has more than %d bundles", x.root.Name(), maxIndexedBundles)
			}
		}
		return errors.Join(err, ctx.Err())
	})
	if err != nil {
		return err
	}
	skipped := 0
	for s := range verify.Batch(ctx, slices.Values(paths), func(_ context.Context, path string) subjects {
		data, err := x.read(path)
		if err != nil {
			return subjects{path: path, err: err}
		}
		s := subjectsOf(data)
		s.path = path
		return s
	}) {
		if err := x.add(filepath.Join(x.root.Name(), filepath.FromSlash(s.path)), s); err != nil {
			if skipped++; skipped <= maxSkippedNotes {
				a.note("left out: %s", text.Safe(err.Error()))
			}
		}
	}
	if skipped > maxSkippedNotes {
		a.note("left out: %d more files", skipped-maxSkippedNotes)
	}
	return nil
}

// add takes a bundle into the index.
func (x *bundleIndex) add(path string, s subjects) error {
	if s.err != nil {
		return fmt.Errorf("%s: %w", path, s.err)
	}
	for _, digest := range s.digests {
		if !slices.Contains(x.byArtifact[digest], path) {
			x.byArtifact[digest] = append(x.byArtifact[digest], path)
		}
	}
	return nil
}

// subjectsOf reads what a bundle says that it speaks of.
func subjectsOf(data []byte) (s subjects) {
	var bundle struct {
		Envelope struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	var statement struct {
		Subject []struct {
			Digest struct {
				SHA256 string `json:"sha256"`
			} `json:"digest"`
		} `json:"subject"`
	}
	if len(data) > verify.MaxBundleBytes {
		s.err = fmt.Errorf("no bundle: it has more than %d bytes", verify.MaxBundleBytes)
		return s
	}
	if err := json.Unmarshal(data, &bundle); err != nil {
		s.err = fmt.Errorf("no bundle: %w", err)
		return s
	}
	if err := json.Unmarshal(bundle.Envelope.Payload, &statement); err != nil {
		s.err = fmt.Errorf("no bundle with a statement: %w", err)
		return s
	}
	for _, subject := range statement.Subject {
		if subject.Digest.SHA256 != "" {
			s.digests = append(s.digests, subject.Digest.SHA256)
		}
	}
	return s
}

// of reads the bundles of an entry: those that the list names, else those that speak of its digest.
func (x *bundleIndex) of(item manifest.Item, digest string) ([]verify.NamedBundle, error) {
	var bundles []verify.NamedBundle
	for _, path := range item.Bundles {
		data, err := x.read(filepath.FromSlash(path))
		if err != nil {
			return nil, err
		}
		bundles = append(bundles, verify.NamedBundle{Name: path, Data: data})
	}
	if len(item.Bundles) > 0 {
		return bundles, nil
	}
	paths := x.byArtifact[digest]
	if len(paths) > verify.MaxBundles {
		return nil, fmt.Errorf("%d bundles speak of it, at most %d can be judged together", len(paths), verify.MaxBundles)
	}
	for _, path := range paths {
		data, err := readBundle(nil, path)
		if err != nil {
			return nil, err
		}
		bundles = append(bundles, verify.NamedBundle{Name: path, Data: data})
	}
	return bundles, nil
}

// read reads a bundle below the directory.
func (x *bundleIndex) read(path string) ([]byte, error) { return readBundle(x.root, path) }

// readBundle reads a bundle, one byte more than it may have at most: the verdict says that it is too large.
func readBundle(dir *os.Root, path string) ([]byte, error) {
	f, err := openRegular(dir, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, verify.MaxBundleBytes+1))
}

// openRegular opens a regular file below a directory, or anywhere if there is no directory. It asks first, because
// opening a pipe waits for a writer.
func openRegular(dir *os.Root, path string) (*os.File, error) {
	stat, open := os.Stat, os.Open
	if dir != nil {
		stat, open = dir.Stat, dir.Open
	}
	info, err := stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	return open(path)
}
