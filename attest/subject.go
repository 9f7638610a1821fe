package attest

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/avow-dev/avow/attest/predicate"
)

// Subject names a file of the release by its digests.
type Subject = predicate.Subject

// SymlinkPolicy says what SubjectsFromPaths does with a symbolic link that it finds inside a directory. A link that
// is named as a path itself is always followed: the caller asked for it.
type SymlinkPolicy int

const (
	// SymlinkRefuse ends with an error that names the link. It is the default: what a link points to on the vendor's
	// machine need not be what the customer gets.
	SymlinkRefuse SymlinkPolicy = iota
	// SymlinkSkip leaves links out.
	SymlinkSkip
	// SymlinkFollowFiles hashes the file a link points to, under the link's name. The file must lie inside the directory
	// that was named. A link to a directory is refused, so there are no cycles.
	SymlinkFollowFiles
)

// SubjectOptions says how files become subjects. The zero value hashes with SHA-256 and refuses symbolic links in
// directories.
type SubjectOptions struct {
	// SHA512 adds a sha512 digest.
	SHA512 bool
	// GitBlob adds a gitBlob digest: the id of the file as a blob in git's SHA-256 object format, which is the value of a
	// gitoid:blob:sha256 too. The SHA-1 form is not offered: it adds a digest that can be collided.
	GitBlob bool
	// Symlinks is the policy for symbolic links inside directories.
	Symlinks SymlinkPolicy
	// Progress is called while files are read, from the calling goroutine, at least once for each file. May be nil.
	Progress func(Progress)
	// Duplicate is called for a file that is left out because another one has the same content. May be nil.
	Duplicate func(name, sameAs string)
}

// Progress says how far SubjectsFromPaths is.
type Progress struct {
	// Name is the subject that is being read.
	Name string
	// File counts from 1 to Files.
	File, Files int
	// Done and Total are bytes over all files.
	Done, Total int64
}

// SubjectsFromPaths hashes files, and all files below directories, in one pass each and without reading them into
// memory.
//
// The name of a file is its base name; the name of a file in a directory is its path relative to that directory, with
// "/" between the parts. Names are unique, relative, UTF-8 in NFC, without control or formatting characters. Subjects
// match by digest alone (rule R04 refuses one sha256 twice), so of files with equal content the first one by name is
// kept and the others are reported to Duplicate. The result is sorted by name, so it does not depend on the file
// system's order.
//
// Devices, pipes and sockets are refused, as are more than predicate.MaxSubjects different names. A file that changes
// its size while it is read is refused; other changes are not noticed. ctx ends the reading between two blocks of 1
// MiB.
//
// The walk is this package's own and not in-toto-golang's RecordArtifacts, which keeps its state in a package
// variable, reads each file into memory whole, has neither context nor progress, and follows links out of the
// directory. Names and digests are the same where both work; a test compares them.
//
// The error is *Error with CodeSubject, or the file system's.
func SubjectsFromPaths(ctx context.Context, paths []string, o SubjectOptions) ([]Subject, error) {
	r, err := findRelease(ctx, paths, o.Symlinks)
	if err != nil {
		return nil, err
	}
	defer r.close()
	m := &meter{report: o.Progress, files: len(r.files)}
	for _, f := range r.files {
		m.total += f.size
	}
	buf := make([]byte, 1<<20)
	first := make(map[string]string, len(r.files)) // sha256 -> name
	subjects := make([]Subject, 0, len(r.files))
	for _, f := range r.files {
		digest, err := f.hash(ctx, buf, o, m)
		if err != nil {
			return nil, err
		}
		if same, ok := first[digest["sha256"]]; ok {
			if o.Duplicate != nil {
				o.Duplicate(f.name, same)
			}
			continue
		}
		first[digest["sha256"]] = f.name
		subjects = append(subjects, Subject{Name: f.name, Digest: digest})
	}
	if len(subjects) > predicate.MaxSubjects {
		detail := fmt.Sprintf("%d files with different content, the limit is %d", len(subjects), predicate.MaxSubjects)
		return nil, subjectError(detail, "name the archives or images that you ship, or issue several statements")
	}
	return subjects, nil
}

// meter counts bytes and reports them.
type meter struct {
	report      func(Progress)
	file, files int
	done, total int64
}

func (m *meter) add(name string, n int) {
	m.done += int64(n)
	if m.report != nil {
		m.report(Progress{Name: name, File: m.file, Files: m.files, Done: m.done, Total: m.total})
	}
}

// hashes returns what digests the file, by in-toto's names of the algorithms.
func (f *releaseFile) hashes(o SubjectOptions) map[string]hash.Hash {
	hashes := map[string]hash.Hash{"sha256": sha256.New()}
	if o.SHA512 {
		hashes["sha512"] = sha512.New()
	}
	if o.GitBlob {
		blob := sha256.New()
		fmt.Fprintf(blob, "blob %d\x00", f.size)
		hashes["gitBlob"] = blob
	}
	return hashes
}

// hash reads the file once, in blocks of len(buf), and returns its digests in lower-case hex.
func (f *releaseFile) hash(ctx context.Context, buf []byte, o SubjectOptions, m *meter) (map[string]string, error) {
	r, err := f.open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	hashes := f.hashes(o)
	m.file++
	m.add(f.name, 0)
	var size int64
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := r.Read(buf)
		for _, h := range hashes {
			h.Write(buf[:n])
		}
		size += int64(n)
		m.add(f.name, n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.path, err)
		}
	}
	if size != f.size {
		return nil, subjectError(fmt.Sprintf("%q changed while it was read: %d bytes, then %d", f.path, f.size, size),
			"wait until the build has finished")
	}
	digest := make(map[string]string, len(hashes))
	for algorithm, h := range hashes {
		digest[algorithm] = hex.EncodeToString(h.Sum(nil))
	}
	return digest, nil
}

// SubjectByDigest names something that is known by its digest and is no file here, such as an image in a registry.
// sha256 is 64 lower-case hexadecimal digits; an image's is the digest of its manifest. The name follows the rules of
// SubjectsFromPaths. The error is *Error with CodeSubject.
func SubjectByDigest(name, sha256 string) (Subject, error) {
	if raw, err := hex.DecodeString(sha256); err != nil || len(raw) != 32 || hex.EncodeToString(raw) != sha256 {
		return Subject{}, subjectError(fmt.Sprintf("%q is not a SHA-256", sha256), "give 64 lower-case hexadecimal digits")
	}
	if name == "" {
		return Subject{}, subjectError("the subject of sha256:"+sha256+" has no name", "give NAME=sha256:HEX")
	}
	if err := checkName(name); err != nil {
		return Subject{}, err
	}
	return Subject{Name: name, Digest: map[string]string{"sha256": sha256}}, nil
}
