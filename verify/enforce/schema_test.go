package enforce_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/avow-dev/avow/verify/enforce"
)

// TestPublishedSchemas validates the compiled objects against the schemas that Cilium and Kubernetes publish, as strictly as an
// API server that refuses unknown fields.
func TestPublishedSchemas(t *testing.T) {
	cilium, kubernetes := readSchema(t, "ciliumnetworkpolicy-v2.json"), readSchema(t, "networkpolicy-v1.json")
	networkPolicy := kubernetes["components"].(obj)["schemas"].(obj)["io.k8s.api.networking.v1.NetworkPolicy"].(obj)
	ports := make([]int, 100)
	for i := range ports {
		ports[i] = i + 1
	}
	many := flow{id: "many", endpoints: []obj{endpoint("host", "a.example.com", "tcp", ports...), endpoint("cidr", "2001:db8::/32", "sctp", ports...)}}
	blocks := flow{id: "blocks", endpoints: many.endpoints[1:]}
	for _, c := range []struct {
		target enforce.Target
		schema schema
		flows  [][]flow
	}{
		{enforce.Cilium, schema{cilium, cilium}, [][]flow{everything(), {many}, addressesOnly()}},
		{enforce.Kubernetes, schema{networkPolicy, kubernetes}, [][]flow{addressesOnly(), {blocks}}},
	} {
		o := optionsFor(c.target)
		o.AllowUncompiled, o.LeaveOutVendorBenefit = true, true
		for i, flows := range c.flows {
			checkObject(t, fmt.Sprintf("%s %d", c.target, i), c.schema, compile(t, accepted(t, flows...), o).Content)
		}
		checkObject(t, string(c.target)+" without flows", c.schema, compile(t, bundleOfNone(t), o).Content)
	}
}

func checkObject(t *testing.T, name string, s schema, data []byte) {
	t.Helper()
	var v obj
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	if problem := s.check(plain(t, v), "$"); problem != "" {
		t.Errorf("%s: %s\n%s", name, problem, data)
	}
	for key, value := range v["metadata"].(obj)["annotations"].(obj) {
		if _, ok := value.(string); !ok {
			t.Errorf("%s: annotation %s is no string", name, key)
		}
	}
}

// TestSchemaChecker: the checker finds what is wrong, so that its silence says something.
func TestSchemaChecker(t *testing.T) {
	s := readSchema(t, "ciliumnetworkpolicy-v2.json")
	const frame = `{"apiVersion":"cilium.io/v2","kind":"CiliumNetworkPolicy","metadata":{"name":"x"},"spec":{"endpointSelector":{},"egress":[%s]}}`
	for egress, want := range map[string]string{
		`{}`:                                     "",
		`{"toFQDN":[]}`:                          "toFQDN: is not known",
		`{"toFQDNs":[{"matchName":"a b"}]}`:      "does not match",
		`{"toPorts":[{"ports":[{"port":443}]}]}`: "is not string",
		`{"toPorts":[{"ports":[{"port":"443","protocol":"tcp"}]}]}`:                         "is none of",
		`{"toPorts":[{"ports":[{"protocol":"TCP"}]}]}`:                                      "lacks port",
		`{"toPorts":[{"ports":[` + strings.Repeat(`{"port":"1"},`, 40) + `{"port":"1"}]}]}`: "has 41 elements",
		`{"toFQDNs":[{}]}`: "matches 0 of oneOf",
		`{"toFQDNs":[{"matchName":"` + strings.Repeat("a", 256) + `"}]}`: "has 256 characters",
	} {
		var v any
		if err := json.Unmarshal(fmt.Appendf(nil, frame, egress), &v); err != nil {
			t.Fatal(err)
		}
		if got := (schema{s, s}).check(v, "$"); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q, want %q", egress, got, want)
		}
	}
}

// schema is one OpenAPI v3 schema of a document.
type schema struct{ is, root obj }

func readSchema(t *testing.T, name string) obj {
	t.Helper()
	data, err := os.ReadFile("testdata/schemas/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var v obj
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// plain makes numbers of YAML those of JSON.
func plain(t *testing.T, v any) any {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func (s schema) below(v any) schema { return schema{v.(obj), s.root} }

// check returns the first problem, or "". A keyword that it does not know is a problem.
func (s schema) check(v any, at string) string {
	for keyword := range s.is {
		if problem := s.keyword(keyword, s.is[keyword], v); problem != "" {
			return at + problem
		}
	}
	if o, ok := v.(obj); ok {
		return s.members(o, at)
	}
	if items, ok := s.is["items"]; ok {
		list, _ := v.([]any)
		for i, e := range list {
			if problem := s.below(items).check(e, fmt.Sprintf("%s[%d]", at, i)); problem != "" {
				return problem
			}
		}
	}
	return ""
}

// members checks the members of an object. One that no schema names is refused, where any is named.
func (s schema) members(o obj, at string) string {
	properties, _ := s.is["properties"].(obj)
	additional, open := s.is["additionalProperties"].(obj)
	for name, v := range o {
		var below schema
		switch {
		case properties[name] != nil:
			below = s.below(properties[name])
		case open:
			below = s.below(additional)
		case properties != nil && s.is["type"] == "object":
			return at + "." + name + ": is not known"
		default:
			continue
		}
		if problem := below.check(v, at+"."+name); problem != "" {
			return problem
		}
	}
	return ""
}

func (s schema) keyword(keyword string, arg, v any) string {
	switch keyword {
	case "properties", "items", "additionalProperties", "format", "default", "x-kubernetes-list-type", "x-kubernetes-map-type", "x-kubernetes-patch-strategy",
		"x-kubernetes-patch-merge-key", "x-kubernetes-list-map-keys", "x-kubernetes-group-version-kind":
		return ""
	case "x-kubernetes-int-or-string":
		if _, ok := v.(string); ok {
			return ""
		}
		return typed("integer", v)
	case "$ref":
		name := strings.TrimPrefix(arg.(string), "#/components/schemas/")
		return s.below(s.root["components"].(obj)["schemas"].(obj)[name]).check(v, "")
	case "type":
		return typed(arg.(string), v)
	case "required":
		for _, name := range arg.([]any) {
			if o, ok := v.(obj); ok && o[name.(string)] == nil {
				return ": lacks " + name.(string)
			}
		}
	case "allOf", "anyOf", "oneOf":
		return s.combined(keyword, arg.([]any), v)
	default:
		return bounded(keyword, arg, v)
	}
	return ""
}

func (s schema) combined(keyword string, alternatives []any, v any) string {
	n := 0
	for _, a := range alternatives {
		if s.below(a).check(v, "") == "" {
			n++
		}
	}
	if keyword == "allOf" && n < len(alternatives) || keyword == "anyOf" && n == 0 || keyword == "oneOf" && n != 1 {
		return fmt.Sprintf(": matches %d of %s", n, keyword)
	}
	return ""
}

func bounded(keyword string, arg, v any) string {
	text, isText := v.(string)
	list, isList := v.([]any)
	number, isNumber := v.(float64)
	switch keyword {
	case "enum":
		if !slices.ContainsFunc(arg.([]any), func(e any) bool { return reflect.DeepEqual(e, v) }) {
			return fmt.Sprintf(": %v is none of %v", v, arg)
		}
	case "pattern":
		if isText && !regexp.MustCompile(arg.(string)).MatchString(text) {
			return fmt.Sprintf(": %q does not match %v", text, arg)
		}
	case "maxLength", "minLength":
		if n := float64(utf8.RuneCountInString(text)); isText && (keyword == "maxLength" && n > arg.(float64) || keyword == "minLength" && n < arg.(float64)) {
			return fmt.Sprintf(": has %v characters", n)
		}
	case "maxItems", "minItems":
		if n := float64(len(list)); isList && (keyword == "maxItems" && n > arg.(float64) || keyword == "minItems" && n < arg.(float64)) {
			return fmt.Sprintf(": has %v elements", n)
		}
	case "maximum", "minimum":
		if isNumber && (keyword == "maximum" && number > arg.(float64) || keyword == "minimum" && number < arg.(float64)) {
			return fmt.Sprintf(": is %v", number)
		}
	default:
		return ": keyword " + keyword + " is not known"
	}
	return ""
}

func typed(want string, v any) string {
	is := map[string]bool{}
	switch v := v.(type) {
	case string:
		is["string"] = true
	case float64:
		is["number"], is["integer"] = true, v == float64(int64(v))
	case bool:
		is["boolean"] = true
	case []any:
		is["array"] = true
	case obj:
		is["object"] = true
	}
	if !is[want] {
		return ": is not " + want
	}
	return ""
}
