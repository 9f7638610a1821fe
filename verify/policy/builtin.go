package policy

import (
	"context"
	"embed"
	"io/fs"
	"path"
	"strings"
)

//go:embed builtin/*.yaml
var builtinFiles embed.FS

// Names returns the names of the ready-made policies, profiles last.
func Names() []string {
	entries, err := fs.ReadDir(builtinFiles, "builtin")
	if err != nil {
		return nil // an embedded directory can be read
	}
	var rules, profiles []string
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".yaml")
		if strings.HasPrefix(name, "P") {
			rules = append(rules, name)
		} else {
			profiles = append(profiles, name)
		}
	}
	return append(rules, profiles...)
}

// Builtin loads a ready-made policy. An unknown name is an error with
// [CodeIncludeMissing].
func Builtin(ctx context.Context, name string, options Options) (*Policy, error) {
	return Load(ctx, name, nil, options)
}

// Text returns the text of a ready-made policy; false where there is none of the
// name.
func Text(name string) ([]byte, bool) {
	if !isPolicyName(name) {
		return nil, false
	}
	data, err := builtinFiles.ReadFile(path.Join("builtin", name+".yaml"))
	return data, err == nil
}
