package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/avow-dev/avow/attest/predicate"
)

// sbomJSON bounds the JSON of an SBOM before a library reads it. Neither schema knows null.
var sbomJSON = predicate.JSONLimits{MaxBytes: MaxSBOMBytes, MaxDepth: 128, MaxValues: 8 << 20, AnyNumber: true}

// readSBOM reads the whole SBOM and keeps what is asked about.
func (m *Manifest) readSBOM() error {
	if _, err := m.source.Seek(0, io.SeekStart); err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(m.source, MaxSBOMBytes+1))
	if err != nil {
		return err
	}
	if err := predicate.StrictJSON(data, sbomJSON); err != nil {
		return err
	}
	if m.format == FormatCycloneDX {
		m.entries, err = cycloneDX(data)
	} else {
		m.entries, err = spdx(data)
	}
	return err
}

// cycloneDX lists the components of an SBOM, the one that it describes first, those inside others after them.
func cycloneDX(data []byte) ([]Item, error) {
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(data), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		return nil, fmt.Errorf("CycloneDX: %w", err)
	}
	if bom.BOMFormat != cyclonedx.BOMFormat {
		return nil, fmt.Errorf("CycloneDX: bomFormat is %q, want %q", bom.BOMFormat, cyclonedx.BOMFormat)
	}
	var items []Item
	if bom.Metadata != nil && bom.Metadata.Component != nil {
		items = components(items, "/metadata/component", bom.Metadata.Component)
	}
	return componentList(items, "/components/", bom.Components), nil
}

func componentList(items []Item, at string, list *[]cyclonedx.Component) []Item {
	if list == nil {
		return items
	}
	for i := range *list {
		items = components(items, at+strconv.Itoa(i), &(*list)[i])
	}
	return items
}

// components adds a component and those inside it.
func components(items []Item, at string, c *cyclonedx.Component) []Item {
	item := Item{Position: at, Name: c.Name, Product: c.PackageURL}
	if c.Group != "" {
		item.Name = c.Group + "/" + c.Name
	}
	if c.Version != "" {
		item.Name += "@" + c.Version
	}
	if c.Hashes != nil {
		for _, h := range *c.Hashes {
			if h.Algorithm == cyclonedx.HashAlgoSHA256 {
				item.addDigest(h.Value)
			}
		}
	}
	if c.Type == cyclonedx.ComponentTypeFile {
		item.addPath(c.Name)
	}
	return componentList(append(items, item), at+"/components/", c.Components)
}

// spdx lists the packages and the files of an SBOM.
func spdx(data []byte) ([]Item, error) {
	var doc v2_3.Document
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("SPDX: %w", err)
	}
	if doc.SPDXVersion != v2_3.Version {
		return nil, fmt.Errorf("SPDX: spdxVersion is %q, want %q", doc.SPDXVersion, v2_3.Version)
	}
	var items []Item
	for i, p := range doc.Packages {
		item := Item{Position: "/packages/" + strconv.Itoa(i), Name: p.PackageName}
		if p.PackageVersion != "" {
			item.Name += "@" + p.PackageVersion
		}
		item.addChecksums(p.PackageChecksums)
		item.addPath(p.PackageFileName)
		items = append(items, item)
	}
	for i, f := range doc.Files {
		item := Item{Position: "/files/" + strconv.Itoa(i), Name: f.FileName}
		item.addChecksums(f.Checksums)
		item.addPath(f.FileName)
		items = append(items, item)
	}
	return items, nil
}

func (i *Item) addChecksums(sums []common.Checksum) {
	for _, sum := range sums {
		if sum.Algorithm == common.SHA256 {
			i.addDigest(sum.Value)
		}
	}
}

// addDigest takes over a SHA-256.
func (i *Item) addDigest(value string) {
	value = strings.ToLower(value)
	switch {
	case i.Err != nil:
	case !isSHA256(value):
		i.SHA256, i.Err = "", fmt.Errorf("the sha256 is not 64 hexadecimal digits")
	case i.SHA256 != "" && i.SHA256 != value:
		i.SHA256, i.Err = "", fmt.Errorf("two different values of sha256 are given")
	default:
		i.SHA256 = value
	}
}

// addPath takes over a path, of an item with a digest: without one, hashing the file would prove nothing about what the
// SBOM says.
func (i *Item) addPath(path string) {
	if i.SHA256 != "" {
		i.Path = strings.TrimPrefix(path, "./")
	}
}
