package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// detectBytes is how much of a list is looked at to tell its format.
const detectBytes = 64 << 10

// errFormat is the error for a list of no known format.
var errFormat = errors.New("the format cannot be told from the content; give it: checksums, jsonl, cyclonedx or spdx")

// telling are members that only one of the formats has. The others, such as name and version, tell nothing.
var telling = map[string]Format{
	"bomFormat": FormatCycloneDX, "specVersion": FormatCycloneDX, "serialNumber": FormatCycloneDX,
	"components": FormatCycloneDX, "metadata": FormatCycloneDX,
	"spdxVersion": FormatSPDX, "SPDXID": FormatSPDX, "dataLicense": FormatSPDX, "creationInfo": FormatSPDX,
	"documentNamespace": FormatSPDX, "packages": FormatSPDX,
	"sha256": FormatJSONLines, "path": FormatJSONLines, "bundles": FormatJSONLines, "product": FormatJSONLines,
}

// detect tells the format by the beginning of the list.
func detect(source io.ReadSeeker) (Format, error) {
	if _, err := source.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	head := make([]byte, detectBytes)
	n, err := io.ReadFull(source, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", err
	}
	head = head[:n]
	text := bytes.TrimLeft(head, " \t\r\n")
	switch {
	case len(text) == 0 && n < detectBytes:
		return "", ErrEmpty
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")), bytes.HasPrefix(head, []byte("\xff\xfe")),
		bytes.HasPrefix(head, []byte("\xfe\xff")):
		return "", errors.New("the list begins with a byte order mark; save it as UTF-8 without one")
	case bytes.HasPrefix(text, []byte("<")):
		return "", errors.New("XML is not read; convert the SBOM to JSON")
	case bytes.HasPrefix(text, []byte("SPDXVersion:")):
		return "", errors.New("SPDX tag-value files are not read; convert the SBOM to JSON")
	case bytes.HasPrefix(text, []byte("{")):
		return detectJSON(text)
	case bytes.HasPrefix(text, []byte("[")):
		return "", errFormat
	}
	return FormatChecksums, nil
}

// detectJSON looks for a telling member of the first object.
func detectJSON(head []byte) (Format, error) {
	d := json.NewDecoder(bytes.NewReader(head))
	depth := 0
	for key := false; ; {
		token, err := d.Token()
		if err != nil {
			return "", errFormat // the object is longer than what is looked at, or is no JSON
		}
		switch v := token.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				depth++
			} else if depth--; depth == 0 {
				return FormatJSONLines, nil // an object that tells nothing: its reader says what is missing
			}
			key = depth == 1
		case string:
			if depth == 1 && key {
				if f, ok := telling[v]; ok {
					return f, nil
				}
			}
			key = depth == 1 && !key
		default:
			key = depth == 1
		}
	}
}
