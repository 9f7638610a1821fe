package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/replay"
)

// snapshotMagic begins every snapshot; its number changes with the form of what follows.
const snapshotMagic = "avow index state 1\n"

// Snapshot is a sealed step, to go on from without the leaves before it. It does not change.
type Snapshot struct {
	// Leaf is the index of the step's leaf in the index log.
	Leaf uint64

	log     index.List
	open    []uint64
	version *replay.Version
}

// Snapshot is the step that was sealed last, with its version and its leaf's index. It is to be called before anything is added.
func (b *Builder) Snapshot(leaf uint64, v *replay.Version) *Snapshot {
	log, _ := index.ResumeList(b.log.Value().Count, b.log.Hashes())
	return &Snapshot{Leaf: leaf, log: log, open: b.Unresolved(), version: v}
}

// Write writes the leaf's index, the size of the log with the hashes of its perfect subtrees, the unresolved entries, the
// SHA-256 of all that, and the version; numbers have 8 bytes, the most significant first.
func (s *Snapshot) Write(w io.Writer) error {
	hashes := s.log.Hashes()
	b := binary.BigEndian.AppendUint64([]byte(snapshotMagic), s.Leaf)
	b = binary.BigEndian.AppendUint64(b, s.log.Value().Count)
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(len(s.open)))
	for _, i := range s.open {
		b = binary.BigEndian.AppendUint64(b, i)
	}
	sum := sha256.Sum256(b)
	if _, err := w.Write(append(b, sum[:]...)); err != nil {
		return err
	}
	return s.version.WriteSnapshot(w)
}

// ReadSnapshot reads a snapshot. Whatever the bytes are, the result is the index as of the leaf that it names, whose root the
// caller gives from the index log, or an error that wraps replay.ErrSnapshot or is that of root.
func ReadSnapshot(r io.Reader, root func(leaf uint64) (*index.Root, error)) (*Builder, *Snapshot, error) {
	sum := sha256.New()
	head := io.TeeReader(r, sum)
	magic := make([]byte, len(snapshotMagic))
	if _, err := io.ReadFull(head, magic); err != nil || string(magic) != snapshotMagic {
		return nil, nil, unusable("it does not begin with %q", snapshotMagic)
	}
	numbers, err := readNumbers(head, 2)
	if err != nil {
		return nil, nil, err
	}
	s := &Snapshot{Leaf: numbers[0]}
	want, err := root(s.Leaf)
	if err != nil {
		return nil, nil, err
	}
	if err := s.readLog(head, numbers[1], want); err != nil {
		return nil, nil, err
	}
	if s.open, err = readOpen(head, want.Size); err != nil {
		return nil, nil, err
	}
	got, stored := sum.Sum(nil), make([]byte, sha256.Size)
	if _, err := io.ReadFull(r, stored); err != nil || !bytes.Equal(got, stored) {
		return nil, nil, unusable("its checksum is %x, want %x", stored, got)
	}
	tree, version, err := replay.ReadSnapshot(r, want.Index)
	if err != nil {
		return nil, nil, err
	}
	s.version = version
	b := &Builder{origin: want.Origin, tree: tree, log: s.log, open: map[uint64]bool{}, last: want}
	for _, i := range s.open {
		b.open[i] = true
	}
	return b, s, nil
}

// Version is the index as of the snapshot.
func (s *Snapshot) Version() *replay.Version { return s.version }

// readLog reads the hashes of the log and compares their root.
func (s *Snapshot) readLog(r io.Reader, size uint64, want *index.Root) error {
	if size != want.Size {
		return unusable("it covers %d entries, its leaf %d", size, want.Size)
	}
	var hashes []index.Hash
	for n := size; n > 0; n &= n - 1 {
		var h index.Hash
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return unusable("the hashes of the log: %w", err)
		}
		hashes = append(hashes, h)
	}
	s.log, _ = index.ResumeList(size, hashes)
	if got := s.log.Value().Root; got != want.Tree {
		return unusable("the root of its log is %x, want %x", got, want.Tree)
	}
	return nil
}

func readOpen(r io.Reader, size uint64) ([]uint64, error) {
	count, err := readNumbers(r, 1)
	if err != nil {
		return nil, err
	}
	if count[0] > size {
		return nil, unusable("%d unresolved entries of %d", count[0], size)
	}
	open, err := readNumbers(r, count[0])
	if err != nil {
		return nil, err
	}
	if n := len(open); n > 0 && (!slices.IsSorted(open) || open[n-1] >= size) {
		return nil, unusable("the unresolved entries are not in ascending order below %d", size)
	}
	return open, nil
}

func readNumbers(r io.Reader, n uint64) ([]uint64, error) {
	var numbers []uint64
	for range n {
		var b [8]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return nil, unusable("its numbers: %w", err)
		}
		numbers = append(numbers, binary.BigEndian.Uint64(b[:]))
	}
	return numbers, nil
}

func unusable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", replay.ErrSnapshot, fmt.Errorf(format, args...))
}

// Unresolved is the number of entries whose statement is missing.
func (s *Snapshot) Unresolved() int { return len(s.open) }
