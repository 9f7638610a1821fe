package predicate

import (
	"slices"
	"sync"
)

// Value is one entry of a registry. An id never changes its meaning; a changed
// meaning is a new id.
type Value struct {
	// ID is the string that statements carry.
	ID string `json:"id"`
	// Label is what the value means, in plain words, as part of a sentence.
	Label string `json:"label"`
	// Term is a term of another vocabulary as an annotation (DPV 2.3 for
	// purposes and data categories), or "".
	Term string `json:"term,omitempty"`
	// Added is the day on which the value was registered.
	Added string `json:"added"`
}

// Registry is a closed list of values for one kind of member. Registries are
// append-only.
type Registry struct {
	// Name is what the shapes refer to, for example "mechanismKind".
	Name string `json:"name"`
	// Title is what the registry is about.
	Title string `json:"title"`
	// Values are in the order of the specification.
	Values []Value `json:"values"`
}

// version1 is the day of the first registries.
const version1 = "2026-11-23"

// registryIndex is built once, at the first use.
type registryIndex struct {
	list   []Registry
	values map[string]map[string]Value
}

var registries = sync.OnceValue(func() *registryIndex {
	ix := &registryIndex{values: make(map[string]map[string]Value)}
	ix.list = append(ix.list, claimRegistry(), undertakingRegistry())
	ix.list = append(ix.list, slices.Concat(mechanismRegistries(), answerRegistries(), flowRegistries(), recipientRegistries(),
		commonRegistries(), scopeRegistries(), lifecycleRegistries())...)
	for _, r := range ix.list {
		m := make(map[string]Value, len(r.Values))
		for _, v := range r.Values {
			m[v.ID] = v
		}
		ix.values[r.Name] = m
	}
	return ix
})

// Registries returns all registries with their values.
func Registries() []Registry {
	list := slices.Clone(registries().list)
	for i := range list {
		list[i].Values = slices.Clone(list[i].Values)
	}
	return list
}

// Lookup returns a value of the named registry.
func Lookup(registry, id string) (Value, bool) {
	v, ok := registries().values[registry][id]
	return v, ok
}

// Label returns the plain words for a value of a registry, "" if either is
// unknown.
func Label(registry, id string) string {
	v, _ := Lookup(registry, id)
	return v.Label
}

// IDs returns the ids of the named registry in order, nil if it is unknown.
func IDs(registry string) []string {
	for _, r := range registries().list {
		if r.Name == registry {
			return r.ids()
		}
	}
	return nil
}

func (r Registry) ids() []string {
	ids := make([]string, len(r.Values))
	for i, v := range r.Values {
		ids[i] = v.ID
	}
	return ids
}

// reg builds a registry of version 1 from pairs of id and label.
func reg(name, title string, pairs ...[2]string) Registry {
	r := Registry{Name: name, Title: title}
	for _, p := range pairs {
		r.Values = append(r.Values, Value{ID: p[0], Label: p[1], Added: version1})
	}
	return r
}

// regTerms is reg with a term of another vocabulary in third place.
func regTerms(name, title string, triples ...[3]string) Registry {
	r := Registry{Name: name, Title: title}
	for _, t := range triples {
		r.Values = append(r.Values, Value{ID: t[0], Label: t[1], Term: t[2], Added: version1})
	}
	return r
}
