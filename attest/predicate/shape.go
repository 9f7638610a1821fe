package predicate

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// shape is the plan of a struct: what the strict walk and the JSON Schema need
// to know about it, compiled from the tags that types_common.go explains.
type shape struct {
	typ    reflect.Type
	fields []field
	byName map[string]int
	// conditional says that the type has shape rules that depend on values.
	conditional bool
}

type fieldKind uint8

const (
	fieldString fieldKind = iota + 1
	fieldInt              // *int
	fieldObject           // struct or pointer to struct
	fieldList             // slice of structs
	fieldStrings
	fieldInts
	fieldMap // map[string]string: digests
	fieldRaw // free object
)

type field struct {
	name      string
	index     int
	kind      fieldKind
	mandatory bool
	present   bool   // mandatory, may be empty
	rule      string // mandatory by a rule of its own
	digest    bool   // descriptor needs a digest
	own       bool   // the descriptor's digest has a rule of its own
	max       int
	chars     int
	enum      string
	values    map[string]Value // of enum
	format    string
	elem      *shape
}

// predicateShapes are compiled once, at the first use.
var predicateShapes = sync.OnceValue(func() map[string]*shape {
	return map[string]*shape{
		NoBackdoorType:   compileShape(reflect.TypeFor[NoBackdoor](), ""),
		DataFlowsType:    compileShape(reflect.TypeFor[DataFlows](), ""),
		UndertakingsType: compileShape(reflect.TypeFor[Undertakings](), ""),
		WithdrawalType:   compileShape(reflect.TypeFor[Withdrawal](), ""),
		DisputeType:      compileShape(reflect.TypeFor[Dispute](), ""),
		AssessmentType:   compileShape(reflect.TypeFor[Assessment](), ""),
		StandingType:     compileShape(reflect.TypeFor[Standing](), ""),
	}
})

// compileShape reads the tags of a struct type. Scheme is the registry of the
// identifiers inside. A wrong tag is a programmer's error and panics; the tests
// compile every shape.
func compileShape(t reflect.Type, scheme string) *shape {
	sh := &shape{typ: t, byName: make(map[string]int)}
	_, sh.conditional = reflect.New(t).Interface().(conditional)
	for i := range t.NumField() {
		sf := t.Field(i)
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		f := field{name: name, index: i}
		inner := f.options(sf.Tag.Get("avow"), scheme)
		f.typed(sf.Type, inner)
		if f.enum != "" {
			f.values = registries().values[f.enum]
			if f.values == nil {
				panic(fmt.Sprintf("predicate: %s.%s names the unknown registry %q", t.Name(), sf.Name, f.enum))
			}
		}
		sh.byName[name] = len(sh.fields)
		sh.fields = append(sh.fields, f)
	}
	return sh
}

// options reads the avow tag and returns the scheme for the identifiers inside.
func (f *field) options(tag, scheme string) (inner string) {
	for option := range strings.SplitSeq(tag, ",") {
		key, value, _ := strings.Cut(option, "=")
		switch key {
		case "":
		case "M":
			f.mandatory = true
		case "present":
			f.mandatory, f.present = true, true
		case "rule":
			f.rule = value
		case "own":
			f.own = true
		case "digest":
			f.digest = true
		case "enum":
			f.enum = value
			if value == "@scheme" {
				f.enum = scheme
			}
		case "scheme":
			inner = value
		case "format":
			f.format = value
		case "max", "chars":
			n, err := strconv.Atoi(value)
			if err != nil {
				panic("predicate: tag " + tag)
			}
			if key == "max" {
				f.max = n
			} else {
				f.chars = n
			}
		default:
			panic("predicate: tag " + tag)
		}
	}
	return inner
}

// typed derives kind and inner shape from the Go type.
func (f *field) typed(t reflect.Type, scheme string) {
	switch {
	case t.Kind() == reflect.String:
		f.kind = fieldString
	case t == reflect.TypeFor[*int]():
		f.kind = fieldInt
	case t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct:
		f.kind, f.elem = fieldObject, compileShape(t.Elem(), scheme)
	case t.Kind() == reflect.Struct:
		f.kind, f.elem = fieldObject, compileShape(t, scheme)
	case t.Kind() == reflect.Map:
		f.kind = fieldMap
	case t.Kind() == reflect.Slice:
		switch t.Elem().Kind() {
		case reflect.Uint8:
			f.kind = fieldRaw
		case reflect.String:
			f.kind = fieldStrings
		case reflect.Int:
			f.kind = fieldInts
		default:
			f.kind, f.elem = fieldList, compileShape(t.Elem(), scheme)
		}
	default:
		panic("predicate: no shape for " + t.String())
	}
}
