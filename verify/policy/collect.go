package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	"cel.dev/cel-go/common/types/ref"

	"github.com/avow-dev/avow/verify"
)

// collect takes over rules, requirements, signers and parameters of a document
// and all that it includes; what is included comes first. severity is what an
// inclusion above says of the rules, above the names of the parameters that the
// files above set.
func (l *loader) collect(p *Policy, d *document, severity *verify.Severity, above []string) {
	for _, q := range d.parameters {
		p.declare(q, slices.Contains(above, q.Name))
		above = append(above[:len(above):len(above)], q.Name)
	}
	for _, in := range d.includes {
		s := severity
		if s == nil {
			s = in.severity
		}
		l.collect(p, l.documents[resolve(d, in.name)], s, above)
	}
	p.add(d, severity)
}

// add takes over a document itself. One that is included twice keeps the
// stricter of two severities.
func (p *Policy) add(d *document, severity *verify.Severity) {
	again := slices.Contains(p.documents, d)
	for _, r := range d.rules {
		s := r.declared
		if severity != nil {
			s = *severity
		}
		if again {
			r.Severity = min(r.Severity, s)
			continue
		}
		r.Severity = s
		if i := slices.IndexFunc(p.rules, func(o *rule) bool { return o.ID == r.ID }); i >= 0 {
			d.bad(r.node, CodeDuplicate, "choose another id", "the rule %s is in %s too", r.ID, p.rules[i].File)
			continue
		}
		if len(p.rules) == MaxRules {
			d.bad(r.node, CodeLimit, "", "more than %d rules", MaxRules)
			return
		}
		p.rules = append(p.rules, r)
	}
	if again {
		return
	}
	p.documents = append(p.documents, d)
	for _, t := range d.types {
		if !slices.Contains(p.types, t) {
			p.types = append(p.types, t)
		}
	}
	p.timestamps = max(p.timestamps, d.timestamps)
	p.witnesses = max(p.witnesses, d.witnesses)
	if d.maxAge > 0 && (p.maxAge == 0 || d.maxAge < p.maxAge) {
		p.maxAge = d.maxAge
	}
	p.vendors = append(p.vendors, d.vendors...)
	p.assessors = append(p.assessors, d.assessors...)
	p.standing = append(p.standing, d.standing...)
}

// declared is one parameter of a policy with all its declarations.
type declared struct {
	Parameter
	value ref.Val
	all   []*parameter
	// tops are those that no including file sets.
	tops []*parameter
}

func (p *Policy) declare(q *parameter, overridden bool) {
	i := slices.IndexFunc(p.parameters, func(o *declared) bool { return o.Name == q.Name })
	if i < 0 {
		i = len(p.parameters)
		p.parameters = append(p.parameters, &declared{Parameter: Parameter{Name: q.Name}})
	}
	d := p.parameters[i]
	if !slices.Contains(d.all, q) {
		d.all = append(d.all, q)
	}
	if !overridden && !slices.Contains(d.tops, q) {
		d.tops = append(d.tops, q)
	}
}

// settle gives every parameter its value: the caller's, else that of the file
// that is not included by another one that sets it. Two of these must agree.
func (l *loader) settle(p *Policy, options Options) {
	for _, d := range p.parameters {
		top := d.tops[0]
		d.Parameter, d.value = top.Parameter, top.value
		for _, q := range d.all {
			switch {
			case q.Type != d.Type:
				q.src.bad(q.node, CodeParameter, "one name is one parameter everywhere", "%s is of type %s, and %s in %s",
					q.Name, q.Type, d.Type, top.src.name)
			case slices.Contains(d.tops, q) && (q.Value != d.Value || q.Set != d.Set):
				q.src.bad(q.node, CodeParameter, "set it in the policy that includes both", "%s has another value in %s",
					q.Name, top.src.name)
			}
			if d.Description == "" {
				d.Description = q.Description
			}
		}
	}
	names := make([]string, len(p.parameters))
	for i, d := range p.parameters {
		names[i] = d.Name
	}
	for _, name := range slices.Sorted(maps.Keys(options.Parameters)) {
		i := slices.Index(names, name)
		if i < 0 {
			l.loose = append(l.loose, &Error{Code: CodeParameter, Message: "the policy has no parameter " + clip(name),
				Hint: suggest(name, names)})
			continue
		}
		given := &parameter{Parameter: p.parameters[i].Parameter}
		if err := given.parse(options.Parameters[name]); err != nil {
			l.loose = append(l.loose, &Error{Code: CodeParameter, Message: "parameter " + name + ": " + err.Error()})
			continue
		}
		p.parameters[i].Parameter, p.parameters[i].value = given.Parameter, given.value
	}
}

// digest is the SHA-256 over the texts of all files in the order in which they
// are named, the key files, and the parameters in effect, each with its length.
func (l *loader) digest(p *Policy) [sha256.Size]byte {
	h := sha256.New()
	write := func(parts ...string) {
		for _, part := range parts {
			var n [8]byte
			binary.BigEndian.PutUint64(n[:], uint64(len(part)))
			h.Write(n[:])
			h.Write([]byte(part))
		}
	}
	write(APIVersion)
	for _, d := range l.order {
		write("file", d.text)
		for _, key := range d.keyFiles {
			write("key", string(key))
		}
	}
	for _, d := range p.parameters {
		if d.Set {
			write("parameter", d.Name, string(d.Type), d.Value)
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}
