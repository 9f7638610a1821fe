package replay

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/avow-dev/avow/verify/index"
)

// snapshotMagic begins every snapshot; its number changes with the form of what follows.
const snapshotMagic = "avow index snapshot 1\n"

// ErrSnapshot is the error of a snapshot that cannot be used; the index has to be built from the log then.
var ErrSnapshot = errors.New("index: the snapshot cannot be used")

// WriteSnapshot writes the version: the number of its keys in 8 bytes, and for each key, in ascending order, the key, the
// length of its list in 8 bytes, and the entries, each an index in 8 bytes and a kind in one.
func (v *Version) WriteSnapshot(w io.Writer) error {
	b := bufio.NewWriterSize(w, 1<<16)
	head := binary.BigEndian.AppendUint64([]byte(snapshotMagic), uint64(v.keys)) // #nosec G115 -- not negative
	if _, err := b.Write(head); err != nil {
		return err
	}
	if v.root != nil {
		if err := v.root.write(b, make([]byte, 0, 64)); err != nil {
			return err
		}
	}
	return b.Flush()
}

func (n *node) write(w io.Writer, buf []byte) error {
	if n.list == nil {
		if err := n.left.write(w, buf); err != nil {
			return err
		}
		return n.right.write(w, buf)
	}
	buf = append(buf[:0], n.list.key[:]...)
	buf = binary.BigEndian.AppendUint64(buf, uint64(len(n.list.entries)))
	for _, e := range n.list.entries {
		if len(buf) > 1<<15 {
			if _, err := w.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
		buf = append(binary.BigEndian.AppendUint64(buf, e.LogIndex), byte(e.Kind))
	}
	_, err := w.Write(buf)
	return err
}

// ReadSnapshot reads a tree and the version that was written. Whatever the bytes are, the result is either the tree with
// the wanted root, which the caller knows from elsewhere, or an error that wraps ErrSnapshot. It holds no more memory than
// the bytes that it was given account for.
func ReadSnapshot(r io.Reader, want index.Hash) (*Tree, *Version, error) {
	b := bufio.NewReaderSize(r, 1<<16)
	head := make([]byte, len(snapshotMagic)+8)
	if _, err := io.ReadFull(b, head); err != nil {
		return nil, nil, snapshotError("its beginning: %w", err)
	}
	if string(head[:len(snapshotMagic)]) != snapshotMagic {
		return nil, nil, snapshotError("it does not begin with %q", snapshotMagic)
	}
	t := &Tree{}
	for range binary.BigEndian.Uint64(head[len(snapshotMagic):]) {
		if err := t.readList(b); err != nil {
			return nil, nil, err
		}
	}
	if _, err := b.ReadByte(); !errors.Is(err, io.EOF) {
		return nil, nil, snapshotError("something follows its last key")
	}
	v := t.Publish()
	if v.Root() != want {
		return nil, nil, snapshotError("its root is %x, want %x", v.Root(), want)
	}
	return t, v, nil
}

// readList adds one key.
func (t *Tree) readList(r io.Reader) error {
	var head [len(index.Key{}) + 8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return snapshotError("key %d: %w", t.keys, err)
	}
	k, count := index.Key(head[:len(index.Key{})]), binary.BigEndian.Uint64(head[len(index.Key{}):])
	if count == 0 {
		return snapshotError("key %d has no entries", t.keys)
	}
	for range count {
		var e [9]byte
		if _, err := io.ReadFull(r, e[:]); err != nil {
			return snapshotError("the entries of key %d: %w", t.keys, err)
		}
		t.Add(k, index.Entry{LogIndex: binary.BigEndian.Uint64(e[:]), Kind: index.Kind(e[8])})
	}
	return nil
}

func snapshotError(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrSnapshot, fmt.Errorf(format, args...))
}
