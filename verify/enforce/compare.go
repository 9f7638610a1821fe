package enforce

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxDeployedBytes is the largest deployed policy that is compared.
const MaxDeployedBytes = 1 << 20

// maxDifferences bounds what is listed of a comparison.
const maxDifferences = 200

// Age says how the statement of a deployed policy relates to the one in force. The zero value is [AgeUnknown].
type Age int

// The ages.
const (
	// AgeUnknown: the deployed policy names no statement, or one that cannot be ordered.
	AgeUnknown Age = iota
	// AgeSame: the statement in force.
	AgeSame
	// AgeOlder: a statement that the one in force supersedes, or that was logged before it in the same log.
	AgeOlder
	// AgeNewer: a statement that was logged after the one that was given.
	AgeNewer
)

// String returns "same", "older", "newer" or "unknown".
func (a Age) String() string { return [...]string{"unknown", "same", "older", "newer"}[a] }

// Comparison is how a deployed policy differs from the one that is compiled now.
type Comparison struct {
	// StatementID is what the deployed policy names; empty if it names none. It is the word of the file, not verified.
	StatementID string
	// Age is how that statement relates to the one in force.
	Age Age
	// Differences are lines that begin with "- " for what is deployed only and "+ " for what would be compiled only, printable
	// ASCII; the same rules in another order are one line.
	Differences []string
}

// Same reports whether the deployed policy is the one that would be compiled now, of the same statement.
func (c *Comparison) Same() bool { return c.Age == AgeSame && len(c.Differences) == 0 }

// Compare compares a deployed policy with this one. Comments do not count, and of Kubernetes objects only what avow writes and
// the whole spec does, so that an object can be compared as the cluster returns it. The error says that the bytes are not a
// policy for the target.
func (p *Policy) Compare(deployed []byte) (*Comparison, error) {
	if len(deployed) > MaxDeployedBytes {
		return nil, fmt.Errorf("deployed policy has %d bytes, want at most %d", len(deployed), MaxDeployedBytes)
	}
	object := p.Target == Cilium || p.Target == Kubernetes
	read := textLines
	if object {
		read = objectLines
	}
	was, origin, err := read(deployed)
	if err != nil {
		return nil, err
	}
	is, _, err := read(p.Content)
	if err != nil {
		return nil, err // not reached: what was compiled can be read
	}
	c := &Comparison{StatementID: origin.statement, Age: p.age(origin), Differences: difference(was, is)}
	if !object && len(c.Differences) == 0 && !slices.Equal(was, is) {
		c.Differences = []string{"! the same rules in another order"}
	}
	return c, nil
}

// origin is what a policy says about where it comes from.
type origin struct {
	statement, log string
	index          uint64
	indexed        bool
}

var (
	statementLine = regexp.MustCompile(`^# ` + keyStatement + `: (sha256:[0-9a-f]{64})$`)
	statementID   = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	plainKey      = regexp.MustCompile(`^[A-Za-z0-9]+$`)
	logLine       = regexp.MustCompile(`^# ` + keyLog + `: (.+) entry ([0-9]{1,19})$`)
)

func (p *Policy) age(o origin) Age {
	switch {
	case o.statement == "":
		return AgeUnknown
	case o.statement == p.StatementID:
		return AgeSame
	case slices.Contains(p.supersedes, o.statement):
		return AgeOlder
	case !o.indexed || o.log != plainText(p.LogOrigin) || o.index == p.LogIndex:
		return AgeUnknown
	case o.index < p.LogIndex:
		return AgeOlder
	}
	return AgeNewer
}

func decimal(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

// textLines returns the lines that are not comments.
func textLines(data []byte) (lines []string, o origin, err error) {
	for raw := range bytes.Lines(data) {
		line := strings.TrimRight(string(raw), " \t\r\n") // what stands before a line means something in YAML
		if m := statementLine.FindStringSubmatch(line); m != nil && o.statement == "" {
			o.statement = m[1]
		}
		if m := logLine.FindStringSubmatch(line); m != nil && !o.indexed {
			o.log = m[1]
			o.index, o.indexed = decimal(m[2])
		}
		if text := strings.TrimLeft(line, " \t"); text != "" && text[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines, o, nil
}

// objectLines returns the leaves of a Kubernetes object that count, each as a path with its value.
func objectLines(data []byte) ([]string, origin, error) {
	var v struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string `yaml:"kind"`
		Metadata   struct {
			Name        string            `yaml:"name"`
			Namespace   string            `yaml:"namespace"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"metadata"`
		Spec any `yaml:"spec"`
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&v); err != nil {
		return nil, origin{}, fmt.Errorf("is not a Kubernetes object: %w", err)
	}
	if err := d.Decode(new(any)); err == nil {
		return nil, origin{}, fmt.Errorf("holds more than one Kubernetes object, want the policy alone")
	}
	o := origin{log: v.Metadata.Annotations[annotationPrefix+"log"]}
	if id := v.Metadata.Annotations[annotationPrefix+"statement"]; statementID.MatchString(id) {
		o.statement = id
	}
	o.index, o.indexed = decimal(v.Metadata.Annotations[annotationPrefix+"log-index"])
	lines := []string{"apiVersion: " + v.APIVersion, "kind: " + v.Kind, "metadata.name: " + v.Metadata.Name}
	if v.Metadata.Namespace != "" {
		lines = append(lines, "metadata.namespace: "+v.Metadata.Namespace)
	}
	lines = leaves(lines, "spec", v.Spec)
	return lines, o, nil
}

// leaves appends the leaves below a value. An empty list or mapping is a leaf: it means something else than absence.
func leaves(lines []string, path string, v any) []string {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			return append(lines, path+": {}")
		}
		var keys []string
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			lines = leaves(lines, path+"."+step(k), v[k])
		}
		return lines
	case []any:
		if len(v) == 0 {
			return append(lines, path+": []")
		}
		for i, e := range v {
			lines = leaves(lines, fmt.Sprintf("%s[%d]", path, i), e)
		}
		return lines
	}
	return append(lines, fmt.Sprintf("%s: %#v", path, v))
}

// step is a key in a path. What is no plain word is quoted, so that no key looks like a path.
func step(key string) string {
	if plainKey.MatchString(key) {
		return key
	}
	return strconv.Quote(key)
}

// difference lists the lines that only one side has, as often as it has more of them.
func difference(was, is []string) []string {
	count := map[string]int{}
	for _, line := range is {
		count[line]++
	}
	var out []string
	for _, line := range was {
		if count[line]--; count[line] < 0 {
			out = append(out, "- "+plainText(line))
		}
	}
	for _, line := range is {
		if count[line] > 0 {
			count[line]--
			out = append(out, "+ "+plainText(line))
		}
	}
	if n := len(out); n > maxDifferences {
		out = append(out[:maxDifferences], fmt.Sprintf("! %d more differences", n-maxDifferences))
	}
	return out
}
