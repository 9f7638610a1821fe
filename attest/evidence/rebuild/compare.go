package rebuild

import (
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/avow-dev/avow/attest/evidence"
)

// compare says whether two files are equal, and if not, where they differ.
func (r *Result) compare(binary, rebuilt string) error {
	var err error
	if r.Binary, err = evidence.FileDigest(binary); err != nil {
		return err
	}
	if r.Rebuilt, err = evidence.FileDigest(rebuilt); err != nil {
		return err
	}
	if r.Equal = r.Binary == r.Rebuilt; r.Equal {
		return nil
	}
	for part, read := range map[string]func(string) (map[string]string, error){"file": size, "buildInfo": info, "section": sections} {
		a, err := read(binary)
		if err != nil {
			r.Differences = append(r.Differences, Difference{Part: part, Name: "unreadable", Binary: err.Error()})
			continue
		}
		b, err := read(rebuilt)
		if err != nil {
			return err // our own output
		}
		names := maps.Clone(a)
		maps.Copy(names, b)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			if a[name] != b[name] {
				r.Differences = append(r.Differences, Difference{part, name, a[name], b[name]})
			}
		}
	}
	slices.SortStableFunc(r.Differences, func(a, b Difference) int { return order(a.Part) - order(b.Part) })
	return nil
}

func order(part string) int { return slices.Index([]string{"file", "buildInfo", "section"}, part) }

func size(path string) (map[string]string, error) {
	i, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return map[string]string{"size": fmt.Sprint(i.Size())}, nil
}

func info(path string) (map[string]string, error) {
	i, err := buildinfo.ReadFile(path)
	if err != nil {
		return nil, err
	}
	all := map[string]string{"go": i.GoVersion, "path": i.Path, "module " + i.Main.Path: i.Main.Version}
	for _, m := range i.Deps {
		all["module "+m.Path] = m.Version + " " + m.Sum
		if m.Replace != nil {
			all["module "+m.Path] += " => " + m.Replace.Path + " " + m.Replace.Version + " " + m.Replace.Sum
		}
	}
	for _, s := range i.Settings {
		all["setting "+s.Key] = s.Value
	}
	return all, nil
}

// maxSections bounds what is read of a foreign binary's list of sections.
const maxSections = 4096

// sections returns size and digest of every section of an ELF, Mach-O or PE file.
func sections(path string) (map[string]string, error) {
	all := map[string]string{}
	add := func(name string, size uint64, r io.ReadSeeker) {
		h := sha256.New()
		digest := "not in the file"
		if r != nil {
			if _, err := io.Copy(h, r); err == nil {
				digest = "sha256:" + hex.EncodeToString(h.Sum(nil))
			}
		}
		if len(all) < maxSections {
			all[name] = fmt.Sprintf("%d bytes, %s", size, digest)
		}
	}
	opened, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	if f, err := elf.NewFile(opened); err == nil {
		for _, s := range f.Sections {
			if s.Type == elf.SHT_NOBITS || s.Type == elf.SHT_NULL {
				add(s.Name, s.Size, nil)
			} else {
				add(s.Name, s.Size, io.NewSectionReader(opened, int64(s.Offset), int64(s.FileSize)))
			}
		}
		return all, nil
	}
	if f, err := macho.NewFile(opened); err == nil {
		for _, s := range f.Sections {
			if s.ReaderAt == nil { // what only memory holds, as .bss
				add(s.Seg+" "+s.Name, s.Size, nil)
				continue
			}
			add(s.Seg+" "+s.Name, s.Size, s.Open())
		}
		return all, nil
	}
	f, err := pe.NewFile(opened)
	if err != nil {
		return nil, fmt.Errorf("neither ELF nor Mach-O nor PE: %w", err)
	}
	for _, s := range f.Sections {
		if s.ReaderAt == nil {
			add(s.Name, uint64(s.VirtualSize), nil)
			continue
		}
		add(s.Name, uint64(s.Size), s.Open())
	}
	return all, nil
}
