package enforce

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// annotationPrefix begins the keys of the annotations.
const annotationPrefix = "avow.dev/"

// maxAnnotated bounds the items in an annotation: an API server takes 256 KiB of annotations for an object.
const maxAnnotated = 50

// object is a YAML mapping; the encoder writes its keys in order.
type object = map[string]any

// document returns a value as YAML below comments. The encoder quotes what needs it, so that text stays text.
func document(comments string, v any) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(comments)
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	err := e.Close()
	return b.Bytes(), err
}

// metadata is that of a Kubernetes object.
func (p *plan) metadata() object {
	e := p.evidence
	product := e.Statement.DataFlows.Common.Product
	notes := object{
		annotationPrefix + "statement":   e.StatementID,
		annotationPrefix + "log":         plainText(e.LogOrigin),
		annotationPrefix + "log-index":   fmt.Sprint(e.LogIndex),
		annotationPrefix + "product":     quoted(product.Name) + " " + quoted(product.Version),
		annotationPrefix + "valid-from":  p.validFrom(),
		annotationPrefix + "valid-until": p.validity().NotAfter,
		annotationPrefix + "standing":    p.standing(),
	}
	for key, items := range map[string][]Item{"left-out": p.leftOut, "not-compiled": p.uncompiled, "inbound": p.inbound} {
		var lines []string
		for n, i := range items {
			if n == maxAnnotated {
				lines = append(lines, fmt.Sprintf("%d more, which the comments of the compiled file list", len(items)-n))
				break
			}
			lines = append(lines, i.String())
		}
		if len(lines) > 0 {
			notes[annotationPrefix+key] = strings.Join(lines, "\n")
		}
	}
	m := object{"name": p.o.name(), "annotations": notes, "labels": object{"app.kubernetes.io/managed-by": "avow"}}
	if p.o.Namespace != "" {
		m["namespace"] = p.o.Namespace
	}
	return m
}

// chunks cuts ports into pieces of at most n.
func chunks(ports []int, n int) [][]int {
	var all [][]int
	for len(ports) > n {
		all, ports = append(all, ports[:n]), ports[n:]
	}
	return append(all, ports)
}
