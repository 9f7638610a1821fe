package manifest

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
)

// Limits of this package.
const (
	// MaxSBOMBytes is the largest SBOM that is read, in bytes.
	MaxSBOMBytes = 64 << 20
	// MaxLineBytes is the longest line, in bytes.
	MaxLineBytes = 64 << 10
	// MaxItems is the largest number of entries.
	MaxItems = 1 << 20
	// MaxItemBundles is the largest number of bundles that one entry may name.
	MaxItemBundles = 64
)

// Format is the form of a list.
type Format string

// The formats.
const (
	// FormatChecksums is a checksum file: lines of sha256sum, or of its BSD form.
	FormatChecksums Format = "checksums"
	// FormatJSONLines is one JSON object per line.
	FormatJSONLines Format = "jsonl"
	// FormatCycloneDX is a CycloneDX SBOM in JSON.
	FormatCycloneDX Format = "cyclonedx"
	// FormatSPDX is an SPDX 2.3 SBOM in JSON.
	FormatSPDX Format = "spdx"
)

// Formats returns all formats.
func Formats() []Format {
	return []Format{FormatChecksums, FormatJSONLines, FormatCycloneDX, FormatSPDX}
}

// Item is one entry of a list.
type Item struct {
	// Position is the entry's place: "line 12", or the JSON pointer in an SBOM.
	Position string
	// Name is what the list calls the artifact; foreign text. It may be empty if Err is set.
	Name string
	// SHA256 is the artifact's SHA-256, 64 lower-case hex digits; empty if the list gives none.
	SHA256 string
	// Path is where the list says that the artifact is, with slashes, relative to where the buyer keeps the artifacts;
	// empty if it does not say. Without SHA256 and Path an item cannot be verified.
	Path string
	// Bundles are paths of the artifact's bundles, if the list names them.
	Bundles []string
	// Product is what the list says that the artifact is or belongs to; it decides nothing.
	Product string
	// Err says why the entry cannot be used.
	Err error
}

// ErrEmpty is wrapped by the error for a list without entries.
var ErrEmpty = errors.New("the list has no entries")

// errChanged is the error for a list that was not the same when it was read again.
var errChanged = errors.New("the list was changed while it was read")

// Manifest is an opened list.
type Manifest struct {
	format  Format
	source  io.ReadSeeker
	closer  io.Closer
	entries []Item // of an SBOM; nil for lists of lines
	count   int
	names   *names
	err     error
}

// Open opens the list at path, finds out its format where none is given (""), and counts its entries. The file must be
// a regular one.
func Open(path string, format Format) (*Manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file, and the list is read twice", path)
	}
	var m *Manifest
	if err == nil {
		if m, err = Read(f, format); err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	m.closer = f
	return m, nil
}

// Read is Open for a list that is open already. It is read from the start, and must stay open.
func Read(source io.ReadSeeker, format Format) (*Manifest, error) {
	m := &Manifest{format: format, source: source, names: newNames()}
	if format == "" {
		var err error
		if m.format, err = detect(source); err != nil {
			return nil, err
		}
	}
	switch m.format {
	case FormatCycloneDX, FormatSPDX:
		if err := m.readSBOM(); err != nil {
			return nil, err
		}
	case FormatChecksums, FormatJSONLines:
	default:
		return nil, fmt.Errorf("%q is not a format of lists", format)
	}
	for item := range m.read() {
		if m.count++; m.count > MaxItems {
			return nil, fmt.Errorf("the list has more than %d entries", MaxItems)
		}
		m.names.add(item)
	}
	switch {
	case m.err != nil:
		return nil, m.err
	case m.count == 0:
		return nil, ErrEmpty
	}
	return m, nil
}

// Format is the list's format.
func (m *Manifest) Format() Format { return m.format }

// Count is the number of entries.
func (m *Manifest) Count() int { return m.count }

// Close closes the file of Open.
func (m *Manifest) Close() error {
	if m.closer == nil {
		return nil
	}
	return m.closer.Close()
}

// Err says why the last Items did not yield all entries; nil if it did.
func (m *Manifest) Err() error { return m.err }

// Items yields the entries in the list's order. It may be called again, but not while it is still being read.
func (m *Manifest) Items() iter.Seq[Item] {
	return func(yield func(Item) bool) {
		count := 0
		for item := range m.read() {
			if count++; count > m.count {
				break
			}
			if item.Err == nil {
				item.Err = m.names.conflict(item.Name)
			}
			if !yield(item) {
				return
			}
		}
		if m.err == nil && count != m.count {
			m.err = errChanged
		}
	}
}

// read yields the entries as they stand in the list.
func (m *Manifest) read() iter.Seq[Item] {
	m.err = nil
	parse := parseChecksum
	switch m.format {
	case FormatJSONLines:
		parse = parseJSONLine
	case FormatCycloneDX, FormatSPDX:
		return func(yield func(Item) bool) {
			for _, item := range m.entries {
				if !yield(item) {
					return
				}
			}
		}
	}
	return func(yield func(Item) bool) {
		if _, err := m.source.Seek(0, io.SeekStart); err != nil {
			m.err = err
			return
		}
		m.err = eachLine(m.source, parse, yield)
	}
}
