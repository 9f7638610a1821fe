package predicate

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated files (schemas, lists of codes and registries)")

type object = map[string]any

// schemaGenerator turns shapes into definitions.
type schemaGenerator struct{ defs object }

func generateSchema(predicateType string) object {
	g := &schemaGenerator{defs: object{}}
	text := (&field{}).text(true)
	predicate := g.object(predicateShapes()[predicateType])
	return object{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"$id":     predicateType + "/statement.schema.json",
		"title":   "Statement of the type " + predicateType,
		"description": "Generated from attest/predicate. What it cannot say, such as strict JSON (R01), places (R25), public suffixes (R22) " +
			"and references (R31), is checked by the rules: docs/predicates.md.",
		"type":                 "object",
		"required":             []string{"_type", "subject", "predicateType", "predicate"},
		"additionalProperties": false,
		"properties": object{
			"_type":         object{"const": StatementType},
			"predicateType": object{"const": predicateType},
			"subject": object{"type": "array", "minItems": 1, "maxItems": MaxSubjects, "items": object{
				"type": "object", "required": []string{"name", "digest"}, "additionalProperties": false,
				"properties": object{"name": text, "digest": object{
					"type": "object", "required": []string{"sha256"}, "maxProperties": MaxDigests,
					"properties":           object{"sha256": object{"type": "string", "pattern": sha256Pattern}},
					"additionalProperties": object{"type": "string", "pattern": hexPattern},
				}},
			}},
			"predicate": predicate,
		},
		"$defs": g.defs,
	}
}

// object returns a reference to the definition of a struct.
func (g *schemaGenerator) object(sh *shape) object {
	name := sh.typ.Name()
	if sh.typ == reflect.TypeFor[Identifier]() {
		name += "-" + sh.fields[0].enum
	}
	ref := object{"$ref": "#/$defs/" + name}
	if _, ok := g.defs[name]; ok {
		return ref
	}
	properties, required := object{}, []string{}
	def := object{"type": "object", "additionalProperties": false, "properties": properties}
	g.defs[name] = def
	for i := range sh.fields {
		f := &sh.fields[i]
		properties[f.name] = g.member(f)
		if f.mandatory || f.rule != "" {
			required = append(required, f.name)
		}
	}
	def["required"] = required
	if conditions := schemaConditions(sh.typ); conditions != nil {
		def["allOf"] = conditions
	}
	return ref
}

func (g *schemaGenerator) member(f *field) object {
	switch f.kind {
	case fieldObject:
		return g.object(f.elem)
	case fieldList:
		return f.list(g.descriptor(f))
	case fieldInt:
		return object{"type": "integer", "minimum": 0, "maximum": MaxInteger}
	case fieldMap:
		digests := object{"type": "object", "minProperties": 1, "properties": object{
			"sha256": object{"type": "string", "pattern": sha256Pattern}},
			"additionalProperties": object{"type": "string", "pattern": hexPattern}}
		if f.mandatory {
			digests["required"] = []string{"sha256"}
		}
		return digests
	case fieldRaw:
		return object{"type": "object"}
	case fieldString:
		return f.text(f.mandatory || f.rule != "")
	}
	if f.kind == fieldInts {
		return f.list(object{"type": "integer", "minimum": 1, "maximum": 65535})
	}
	return f.list(f.text(true))
}

// descriptor returns the definition of a list's elements; some of them need a
// digest.
func (g *schemaGenerator) descriptor(f *field) object {
	ref := g.object(f.elem)
	if f.digest {
		ref["required"] = []string{"digest"}
	}
	return ref
}

func (f *field) list(items object) object {
	list := object{"type": "array", "items": items}
	if f.max > 0 {
		list["maxItems"] = f.max
	}
	if f.mandatory && !f.present || f.rule == "R08" {
		list["minItems"] = 1
	}
	return list
}

func (f *field) text(mandatory bool) object {
	if f.enum != "" {
		return object{"enum": IDs(f.enum)}
	}
	s := object{"type": "string", "maxLength": MaxStringBytes}
	if f.chars > 0 {
		s["maxLength"] = f.chars
	}
	if mandatory {
		s["minLength"] = 1
		s["pattern"] = `\S`
	}
	s["not"] = object{"pattern": "^" + placeholderPrefix}
	switch f.format {
	case "id":
		s["pattern"] = idPattern
		s["not"] = object{"const": reservedID}
	case "content":
		s["pattern"] = `^[A-Za-z0-9+/]*={0,2}$`
	case "uuid":
		s["pattern"] = uuidPattern
	case "decimal":
		s["pattern"] = decimalPattern
	case "time":
		s["pattern"] = timePattern
	case "sha256":
		s["pattern"] = sha256Pattern
	}
	return s
}

// schemaConditions says what walk.go's conditions say.
func schemaConditions(t reflect.Type) []object {
	when := func(member string, values []string, then ...string) object {
		return object{"if": object{"required": []string{member}, "properties": object{member: object{"enum": values}}},
			"then": object{"required": then}}
	}
	without := func(registry string, excluded string) []string {
		return slices.DeleteFunc(IDs(registry), func(id string) bool { return id == excluded })
	}
	switch t {
	case reflect.TypeFor[Endpoint]():
		ports := when("kind", []string{"host", "suffix", "cidr"}, "ports")
		ports["if"].(object)["required"] = []string{"kind", "transport"}
		ports["if"].(object)["properties"].(object)["transport"] = object{"enum": []string{"tcp", "udp", "sctp"}}
		return []object{when("kind", []string{"host", "suffix", "cidr"}, "value", "transport", "application"), ports,
			when("kind", []string{"configured", "discovered"}, "setting")}
	case reflect.TypeFor[ResourceDescriptor]():
		return []object{{"anyOf": []object{{"required": []string{"uri"}}, {"required": []string{"digest"}}, {"required": []string{"content"}}}}}
	case reflect.TypeFor[Recipient]():
		return []object{when("role", without("recipientRole", "customer"), "party")}
	case reflect.TypeFor[Retention]():
		return []object{when("kind", []string{"days"}, "days")}
	case reflect.TypeFor[Dispute]():
		return []object{when("event", without("disputeEvent", "opened"), "thread")}
	}
	return nil
}

// TestSchemas keeps the embedded schemas in step with shapes and registries:
// go test ./attest/predicate -run TestSchemas -update
func TestSchemas(t *testing.T) {
	for _, predicateType := range Types() {
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		e.SetIndent("", " ")
		if err := e.Encode(generateSchema(predicateType)); err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(schemaFile(predicateType), want.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			continue // the embedded copy is that of the build
		}
		got, err := Schema(predicateType)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s is out of step: go test ./attest/predicate -run TestSchemas -update", schemaFile(predicateType))
		}
	}
	if _, err := Schema("https://w3id.org/avow/other/v1"); err == nil {
		t.Error("schema of an unknown type")
	}
}

// TestSchemasOnVectors runs the schemas on the vectors: every valid one
// validates, and of the invalid ones those whose rule a schema can say do not.
func TestSchemasOnVectors(t *testing.T) {
	for _, v := range loadVectors(t) {
		var statement any
		if err := json.Unmarshal(v.data, &statement); err != nil {
			continue // R01
		}
		predicateType, _ := statement.(object)["predicateType"].(string)
		raw, err := Schema(predicateType)
		if err != nil {
			continue
		}
		var schema object
		if err := json.Unmarshal(raw, &schema); err != nil {
			t.Fatal(err)
		}
		problem := (&schemaChecker{root: schema}).check(schema, statement, "")
		valid := len(v.Errors) == 0
		if valid && problem != "" {
			t.Errorf("%s: schema refuses a valid statement: %s", v.File, problem)
		}
		name := filepath.Base(v.File)
		sayable := strings.HasPrefix(name, "R02") || strings.HasPrefix(name, "R03") || strings.HasPrefix(name, "R07")
		if sayable && problem == "" {
			t.Errorf("%s: schema accepts it", v.File)
		}
	}
}
