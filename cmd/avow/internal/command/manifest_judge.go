package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/avow-dev/avow/cmd/avow/internal/manifest"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/internal/verdictpb"
	"github.com/avow-dev/avow/verify"
)

// entryResult is what came of one entry: a verdict, or an error that says why there is none.
type entryResult struct {
	item     manifest.Item
	verdict  *verify.Verdict
	question verdictpb.Question
	err      error
}

// accepted reports whether the entry was accepted.
func (r *entryResult) accepted() bool { return r.err == nil && r.verdict.Outcome == verify.Accepted }

// reason is the first check that failed, of an entry that was rejected.
func (r *entryResult) reason() verify.Check {
	if failures := r.verdict.Failures(); len(failures) > 0 {
		return failures[0]
	}
	return verify.Check{} // rejected without a failure: not known to happen, and not accepted
}

// manifestJudge judges entries of a list. It is used by several goroutines at once.
type manifestJudge struct {
	verifier *verify.Verifier
	trust    *verify.Trust
	demands  verify.Input
	// artifacts is where the files of the list are; nil if there are none.
	artifacts   *os.Root
	digestsOnly bool
	bundles     *bundleIndex
}

func (a *app) newManifestJudge(ctx context.Context, f *verifyFlags, j manifestJudge) (_ *manifestJudge, err error) {
	j.digestsOnly = f.manifest.digestsOnly
	if dir := f.manifest.artifacts; dir != "" || !j.digestsOnly {
		if j.artifacts, err = os.OpenRoot(filepath.Clean(dir)); err != nil {
			return nil, err
		}
	}
	if j.bundles, err = a.indexBundles(ctx, f.manifest.bundles, f.bundles); err != nil {
		return nil, errors.Join(err, j.close())
	}
	return &j, nil
}

func (j *manifestJudge) close() error {
	var errs []error
	if j.artifacts != nil {
		errs = append(errs, j.artifacts.Close())
	}
	if j.bundles != nil {
		errs = append(errs, j.bundles.root.Close())
	}
	return errors.Join(errs...)
}

// judge answers one entry.
func (j *manifestJudge) judge(ctx context.Context, item manifest.Item) *entryResult {
	r, input := j.prepare(ctx, item)
	if input != nil {
		r.verdict, r.err = j.verifier.Verify(ctx, *input)
	}
	return r
}

// prepare reads what an entry names. Without an input the result is there: nothing is left to verify.
func (j *manifestJudge) prepare(ctx context.Context, item manifest.Item) (*entryResult, *verify.Input) {
	r := &entryResult{item: item, err: item.Err}
	if r.err != nil {
		return r, nil
	}
	input := j.demands
	r.question = verdictpb.Question{ArtifactSHA256: item.SHA256, Trust: j.trust, At: input.At}
	digest, refused, err := j.digestOf(ctx, item)
	if err != nil || refused != nil {
		r.err = err
		if refused != nil {
			refused.Status = verify.StatusFail
			r.verdict = &verify.Verdict{Checks: []verify.Check{*refused}}
		}
		return r, nil
	}
	input.ArtifactSHA256, r.question.ArtifactSHA256 = digest, digest
	if input.Bundles, r.err = j.bundles.of(item, digest); r.err != nil {
		return r, nil
	}
	return r, &input
}

// digestOf finds out what the entry is about: the digest of the list, which its file must have.
func (j *manifestJudge) digestOf(ctx context.Context, item manifest.Item) (digest string, refused *verify.Check, err error) {
	if item.SHA256 == "" && item.Path == "" {
		return "", &verify.Check{ID: plain.CheckManifestDigest, Expected: "a sha256", Got: "none",
			Detail: "no sha256: cannot be verified", Hint: "have the list made with SHA-256 digests"}, nil
	}
	byDigest := j.digestsOnly && item.SHA256 != ""
	if item.Path == "" || j.artifacts == nil {
		if byDigest {
			return item.SHA256, nil, nil
		}
		return "", &verify.Check{ID: plain.CheckArtifactFound, Expected: "the name of a file", Got: "none",
			Detail: "artifact not found: the list names no file for it",
			Hint:   "give --digests-only to judge by the digest of the list alone"}, nil
	}
	found, err := hashIn(ctx, j.artifacts, filepath.FromSlash(item.Path))
	switch {
	case errors.Is(err, fs.ErrNotExist) && byDigest:
		return item.SHA256, nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return "", &verify.Check{ID: plain.CheckArtifactFound, Expected: item.Path, Got: "no such file",
			Detail: "artifact not found in " + j.artifacts.Name(),
			Hint:   "say with --artifacts where the files are, or give --digests-only"}, nil
	case err != nil:
		return "", nil, err
	case item.SHA256 != "" && found != item.SHA256:
		return "", &verify.Check{ID: plain.CheckArtifactDigest, Expected: "sha256:" + item.SHA256, Got: "sha256:" + found,
			Detail: "the file is not the one that the list speaks of", Hint: "get the file and the list from their source again"}, nil
	}
	return found, nil, nil
}

// hashIn returns the SHA-256 of a regular file below a directory. A path that leads out of it, by ".." or by a symbolic
// link, is an error.
func hashIn(ctx context.Context, dir *os.Root, path string) (string, error) {
	f, err := openRegular(dir, path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, readerUntil{ctx, f}); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// readerUntil reads until a context ends.
type readerUntil struct {
	ctx context.Context
	r   io.Reader
}

func (r readerUntil) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// aheadOfReport is how many entries may be judged before the one that the report waits for.
const aheadOfReport = 1024

// inOrder judges entries on all cores and yields the results in the entries' order, so that two runs write one report.
// It holds at most aheadOfReport results: a file that takes long to hash holds up the entries far behind it, instead of
// having their results pile up.
func inOrder(ctx context.Context, items iter.Seq[manifest.Item], judge func(context.Context, manifest.Item) *entryResult) iter.Seq[*entryResult] {
	type numbered struct {
		n      int
		item   manifest.Item
		result *entryResult
	}
	return func(yield func(*entryResult) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		places := make(chan struct{}, aheadOfReport)
		source := func(next func(numbered) bool) {
			n := 0
			for item := range items {
				select {
				case places <- struct{}{}:
				case <-ctx.Done():
					return
				}
				if !next(numbered{n: n, item: item}) {
					return
				}
				n++
			}
		}
		waiting, next := map[int]*entryResult{}, 0
		for done := range verify.Batch(ctx, source, func(ctx context.Context, e numbered) numbered {
			e.result = judge(ctx, e.item)
			return e
		}) {
			waiting[done.n] = done.result
			for r := waiting[next]; r != nil; r = waiting[next] {
				delete(waiting, next)
				<-places
				next++
				if !yield(r) {
					cancel() // the source may be waiting for a place
					return
				}
			}
		}
	}
}
