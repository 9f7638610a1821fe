package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/avow-dev/avow/attest/predicate"
)

// parseJSONLine reads one line of JSON: an object with exactly these members.
//
//	name     what to call the artifact; needed unless there is a path
//	sha256   its SHA-256, 64 lower-case hexadecimal digits
//	path     the file; with sha256 its digest has to be that one
//	bundles  the paths of its bundles
//	product  what it belongs to, for the report
//
// There must be a sha256 or a path.
func parseJSONLine(line string) Item {
	var item Item
	limits := predicate.JSONLimits{MaxBytes: MaxLineBytes, MaxDepth: 2}
	if err := predicate.StrictJSON([]byte(line), limits); err != nil {
		item.Err = err
		return item
	}
	// By hand, because encoding/json takes SHA256 for sha256.
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(line), &members); err != nil {
		item.Err = errors.New("the line is not a JSON object")
		return item
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if err := item.set(name, members[name]); err != nil && item.Err == nil {
			item.Err = err
		}
	}
	switch {
	case item.Err != nil:
	case item.SHA256 == "" && item.Path == "":
		item.Err = errors.New("neither sha256 nor path is given")
	case item.Name == "" && item.Path == "":
		item.Err = errors.New("neither name nor path is given")
	case len(item.Bundles) > MaxItemBundles:
		item.Err = fmt.Errorf("%d bundles are named, at most %d may be", len(item.Bundles), MaxItemBundles)
	}
	if item.Name == "" {
		item.Name = item.Path
	}
	return item
}

// set takes over one member.
func (i *Item) set(name string, value json.RawMessage) error {
	to := map[string]*string{"name": &i.Name, "sha256": &i.SHA256, "path": &i.Path, "product": &i.Product}[name]
	switch {
	case name == "bundles":
		if err := json.Unmarshal(value, &i.Bundles); err != nil {
			return errors.New("bundles is not a list of strings")
		}
		return nil
	case to == nil:
		return fmt.Errorf("unknown member %q; known are name, sha256, path, bundles, product", name)
	}
	if err := json.Unmarshal(value, to); err != nil {
		return fmt.Errorf("%s is not a string", name)
	}
	if *to == "" {
		return fmt.Errorf("%s is empty", name)
	}
	if name == "sha256" && !isSHA256(*to) {
		i.SHA256 = ""
		return errors.New("sha256 is not 64 lower-case hexadecimal digits")
	}
	return nil
}

// isSHA256 reports whether s is 64 lower-case hexadecimal digits.
func isSHA256(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 64
}
