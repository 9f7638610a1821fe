package predicate

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// schemaChecker evaluates the keywords of JSON Schema 2020-12 that the
// generated schemas use, and refuses every other keyword, so that none is
// written that nobody tests.
type schemaChecker struct{ root object }

// check returns the first problem, or "".
func (c *schemaChecker) check(schema object, v any, at string) string {
	for _, keyword := range slices.Sorted(maps.Keys(schema)) {
		if problem := c.keyword(keyword, schema[keyword], schema, v, at); problem != "" {
			return problem
		}
	}
	return ""
}

func (c *schemaChecker) keyword(keyword string, arg any, schema object, v any, at string) string {
	fail := func(format string, args ...any) string { return at + ": " + fmt.Sprintf(format, args...) }
	switch keyword {
	case "$schema", "$id", "title", "description", "$defs", "then":
	case "$ref":
		name := strings.TrimPrefix(arg.(string), "#/$defs/")
		return c.check(c.root["$defs"].(object)[name].(object), v, at)
	case "type":
		if !hasType(arg.(string), v) {
			return fail("is not %v", arg)
		}
	case "const":
		if !reflect.DeepEqual(arg, v) {
			return fail("is not %v", arg)
		}
	case "enum":
		if !slices.ContainsFunc(arg.([]any), func(e any) bool { return reflect.DeepEqual(e, v) }) {
			return fail("%v is not of %v", v, arg)
		}
	case "not":
		if c.check(arg.(object), v, at) == "" {
			return fail("matches what it must not")
		}
	case "allOf":
		for _, s := range arg.([]any) {
			if problem := c.check(s.(object), v, at); problem != "" {
				return problem
			}
		}
	case "anyOf":
		if !slices.ContainsFunc(arg.([]any), func(s any) bool { return c.check(s.(object), v, at) == "" }) {
			return fail("matches none of %v", arg)
		}
	case "if":
		if c.check(arg.(object), v, at) == "" {
			return c.check(schema["then"].(object), v, at)
		}
	default:
		return c.bounds(keyword, arg, schema, v, at)
	}
	return ""
}

func hasType(name string, v any) bool {
	switch v := v.(type) {
	case object:
		return name == "object"
	case []any:
		return name == "array"
	case string:
		return name == "string"
	case float64:
		return name == "integer" && v == float64(int64(v))
	}
	return false
}

func (c *schemaChecker) bounds(keyword string, arg any, schema object, v any, at string) string {
	bad := false
	switch keyword {
	case "minLength", "maxLength":
		s, ok := v.(string)
		bad = ok && outside(keyword, utf8.RuneCountInString(s), arg)
	case "minItems", "maxItems":
		l, ok := v.([]any)
		bad = ok && outside(keyword, len(l), arg)
	case "minProperties", "maxProperties":
		o, ok := v.(object)
		bad = ok && outside(keyword, len(o), arg)
	case "minimum", "maximum":
		n, ok := v.(float64)
		bad = ok && outside(keyword, int(n), arg)
	case "pattern":
		s, ok := v.(string)
		bad = ok && !regexp.MustCompile(arg.(string)).MatchString(s)
	case "required":
		o, ok := v.(object)
		for _, name := range arg.([]any) {
			if _, there := o[name.(string)]; ok && !there {
				return at + "/" + name.(string) + ": is absent"
			}
		}
	case "items":
		l, _ := v.([]any)
		for i, e := range l {
			if problem := c.check(arg.(object), e, at+pointer(i)); problem != "" {
				return problem
			}
		}
	case "properties", "additionalProperties":
		return c.members(keyword, arg, schema, v, at)
	default:
		return at + ": the keyword " + keyword + " is not tested"
	}
	if bad {
		return fmt.Sprintf("%s: %v breaks %s %v", at, v, keyword, arg)
	}
	return ""
}

func (c *schemaChecker) members(keyword string, arg any, schema object, v any, at string) string {
	o, ok := v.(object)
	if !ok {
		return ""
	}
	named, _ := schema["properties"].(object)
	for name, value := range o {
		s, known := named[name].(object)
		if keyword == "additionalProperties" {
			if known {
				continue
			}
			if s, ok = arg.(object); !ok {
				return at + pointer(name) + ": is unknown"
			}
		} else if !known {
			continue
		}
		if problem := c.check(s, value, at+pointer(name)); problem != "" {
			return problem
		}
	}
	return ""
}

func outside(keyword string, n int, arg any) bool {
	limit := int(arg.(float64))
	return strings.HasPrefix(keyword, "min") && n < limit || strings.HasPrefix(keyword, "max") && n > limit
}
