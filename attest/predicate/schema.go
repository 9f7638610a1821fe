package predicate

import (
	"embed"
	"fmt"
	"path"
	"strings"
)

// The schemas are made from the shapes and the registries by the test
// TestSchemas -update, and the same test keeps them in step.
//
//go:embed schema/*.schema.json
var schemas embed.FS

// Schema returns the JSON Schema (2020-12) of a whole statement with that
// predicate type, for editors and for other languages. It says what JSON Schema
// can say of R02, R03, R04 and R05; a statement that it accepts can still break
// rules, and the strictness of R01 is beyond it.
func Schema(predicateType string) ([]byte, error) {
	for _, known := range Types() {
		if known == predicateType {
			return schemas.ReadFile(schemaFile(predicateType))
		}
	}
	return nil, fmt.Errorf("no schema for the predicate type %q", printable(predicateType))
}

// schemaFile returns the name of a schema: schema/no-backdoor-v1.schema.json.
func schemaFile(predicateType string) string {
	dir, version := path.Split(predicateType)
	return "schema/" + path.Base(strings.TrimSuffix(dir, "/")) + "-" + version + ".schema.json"
}
