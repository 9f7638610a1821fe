package policy

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
)

const (
	assessmentType = predicate.AssessmentType
	standingType   = predicate.StandingType
)

// inputs are what the rules of one judgement see: verified facts as CEL values.
// They belong to one call.
type inputs struct {
	facts verify.Facts
	// declarations are the evidence of the statements that count.
	declarations []verify.Evidence
	vars         map[string]any
	// missing says why an input is not there, by its name.
	missing map[string]string
	meter   *meter
}

// ResolveName implements cel.Activation.
func (in *inputs) ResolveName(name string) (any, bool) {
	v, ok := in.vars[name]
	return v, ok
}

// Parent implements cel.Activation.
func (in *inputs) Parent() cel.Activation { return nil }

// selection is which statements are judged.
type selection struct {
	declarations map[string]*verify.Evidence // by predicate type
	standing     *verify.Evidence
	disputes     []*verify.Evidence // that open one
	assessments  []*verify.Evidence
	approved     map[string]*predicate.Statement // by predicate type
}

// errFacts says that the caller's facts are not what verification yields.
var errFacts = errors.New("cannot judge")

// choose finds the statements that the variables stand for.
func (p *Policy) choose(f verify.Facts) (*selection, error) {
	s := &selection{declarations: map[string]*verify.Evidence{}, approved: map[string]*predicate.Statement{}}
	for i := range f.Evidence {
		e := &f.Evidence[i]
		if e.Statement == nil || e.Statement.Type == "" {
			return nil, fmt.Errorf("%w: evidence %d has no statement", errFacts, i+1)
		}
		if d := e.Statement.Dispute; d != nil && d.Event == "opened" {
			s.disputes = append(s.disputes, e)
		}
		if !slices.Contains(declarationTypes(), e.Statement.Type) {
			continue
		}
		// One statement that two have signed counts once: by the vendor whom the policy names, if he is one of them.
		if known := s.declarations[e.Statement.Type]; known != nil {
			if known.Statement.ID() != e.Statement.ID() {
				return nil, fmt.Errorf("%w: two %s statements, want at most one that counts", errFacts, shortType(e.Statement.Type))
			}
			if p.byVendor(*known) || !p.byVendor(*e) {
				continue
			}
		}
		s.declarations[e.Statement.Type] = e
	}
	for i, a := range f.Approved {
		if a == nil || s.approved[a.Type] != nil {
			return nil, fmt.Errorf("%w: approved statement %d is none, or the second of its type", errFacts, i+1)
		}
		s.approved[a.Type] = a
	}
	flows := s.declarations[predicate.DataFlowsType]
	if flows == nil {
		return s, nil
	}
	for i := range f.Evidence {
		e := &f.Evidence[i]
		if target := e.Statement.Target(); target == nil || target.ID() != flows.Statement.ID() {
			continue
		}
		switch {
		case e.Statement.Standing != nil && accepts(p.standing, *e, standingType) && newer(e, s.standing):
			s.standing = e
		case e.Statement.Assessment != nil && accepts(p.assessors, *e, assessmentType):
			s.assessments = append(s.assessments, e)
		}
	}
	s.assessments = append(s.assessments, p.saidAssessments(s, flows)...)
	return s, nil
}

// accepts reports whether a standing or an assessment is by somebody who may
// make one: a signer whom the policy names for it or, where it names none, one
// whom the caller pinned for this type by name. A vendor's own word about its
// statement is neither.
func accepts(named []*vendor, e verify.Evidence, predicateType string) bool {
	if len(named) > 0 {
		return slices.ContainsFunc(named, func(v *vendor) bool { return v.signed(e) })
	}
	return slices.Contains(e.Signer.Types, predicateType)
}

// newer reports whether a standing was made after another one, by its own time
// and then by its place in the log. The times are all of one form and so compare
// as text.
func newer(a, b *verify.Evidence) bool {
	if b == nil || a.Statement.Standing.CheckedAt != b.Statement.Standing.CheckedAt {
		return b == nil || a.Statement.Standing.CheckedAt > b.Statement.Standing.CheckedAt
	}
	return a.LogIndex > b.LogIndex
}

// payloads are the texts that the variables are read from. The evaluation knows
// no others, so that what a changed statement would do can be asked too.
type payloads struct {
	at time.Time
	// declarations, approved: by predicate type; absent ones are not there.
	declarations, approved map[string]string
	standing               string
	shown                  bool // standing is what a status shows
	assessments            []string
}

func (s *selection) payloads(at time.Time) payloads {
	p := payloads{at: at, declarations: map[string]string{}, approved: map[string]string{}}
	for t, e := range s.declarations {
		p.declarations[t] = e.Statement.Text()
	}
	for t, a := range s.approved {
		p.approved[t] = a.Text()
	}
	p.standing, p.shown = s.standingText()
	for _, a := range s.assessments {
		p.assessments = append(p.assessments, a.Statement.Text())
	}
	return p
}

// gather makes the values of everything that a rule reads.
func (p *Policy) gather(f verify.Facts) (*inputs, error) {
	s, err := p.choose(f)
	if err != nil {
		return nil, err
	}
	return p.bind(f, s, s.payloads(f.At))
}

// bind reads the payloads into variables.
func (p *Policy) bind(f verify.Facts, s *selection, texts payloads) (*inputs, error) {
	in := &inputs{facts: f, vars: map[string]any{}, missing: map[string]string{}, meter: &meter{left: math.MaxInt}}
	for _, t := range declarationTypes() {
		if e := s.declarations[t]; e != nil {
			in.declarations = append(in.declarations, *e)
		}
	}
	b := &binder{in: in, reads: p.reads, decoder: decoder{mask: p.reads.mask(), meter: in.meter}}
	sc := theSchema()
	declared, approved := map[string]*object{}, map[string]ref.Val{}
	for _, t := range []struct {
		name, uri string
		msg       *message
	}{
		{inputDataFlows, predicate.DataFlowsType, sc.dataFlows},
		{inputNoBackdoor, predicate.NoBackdoorType, sc.noBackdoor},
		{inputUndertakings, predicate.UndertakingsType, sc.undertakings},
	} {
		declared[t.uri] = b.input(t.name, texts.declarations[t.uri], t.msg,
			"there is no verified "+shortType(t.uri)+" statement that counts")
		approved[t.name] = b.read(inputApproved, texts.approved[t.uri], t.msg, "there is no approved "+shortType(t.uri)+" statement")
	}
	stands := b.input(inputStanding, texts.standing, sc.shown, "there is no verified standing of the data-flows statement")
	if !texts.shown && stands.values != nil {
		for _, f := range shownMembers() { // whatever a standing statement holds under these names
			stands.values[sc.shown.index[f.name]] = nil
		}
	}
	in.vars[inputDisputes] = b.disputes(s)
	in.vars[inputAssessments] = b.assessments(texts.assessments)
	in.vars[inputApproved] = newObject(sc.approved, approved)
	if len(texts.approved) == 0 {
		in.missing[inputApproved] = "there is no approved release to compare with"
	}
	in.vars[varNow] = types.Timestamp{Time: texts.at}
	in.vars[varStatements] = b.statementsValue(declared)
	in.vars[varArtifact] = artifactValue(f)
	p.bindParameters(in)
	return in, b.err
}

// binder reads the payloads of one judgement. The first error stays.
type binder struct {
	in      *inputs
	reads   *reads
	decoder decoder
	err     error
}

// read makes the value of a statement, or one that says why there is none. What
// no rule reads is not decoded.
func (b *binder) read(variable, payload string, m *message, absent string) *object {
	if payload == "" {
		return &object{msg: m, absent: absent}
	}
	declaration := m == theSchema().dataFlows || m == theSchema().noBackdoor || m == theSchema().undertakings
	if !b.reads.reading(variable) && !(declaration && b.reads.reading(varStatements)) {
		return &object{msg: m, absent: "not read"}
	}
	o, err := b.decoder.predicate(payload, m)
	if err != nil {
		b.err = errors.Join(b.err, fmt.Errorf("%w: %s: %w", errFacts, m.short, err))
		return &object{msg: m, absent: err.Error()}
	}
	o.whole = &whole{payload: payload}
	return o
}

// input binds a statement to its variable.
func (b *binder) input(name, payload string, m *message, absent string) *object {
	o := b.read(name, payload, m, absent)
	b.in.vars[name] = o
	if payload == "" {
		b.in.missing[name] = absent
	}
	return o
}

func (b *binder) assessments(texts []string) ref.Val {
	l := &list{meter: b.in.meter}
	for _, payload := range texts {
		l.values = append(l.values, b.read(inputAssessments, payload, theSchema().assessment, ""))
	}
	if len(texts) == 0 {
		b.in.missing[inputAssessments] = "there is no verified assessment of the data-flows statement by an accepted assessor"
	}
	return l
}

// bindParameters binds the parameters by name; one without a value is an error
// to whoever reads it.
func (p *Policy) bindParameters(in *inputs) {
	for _, d := range p.parameters {
		if l, ok := d.value.(*list); ok && d.Set {
			in.vars[d.Name] = l.counted(in.meter)
		} else if d.Set {
			in.vars[d.Name] = d.value
		} else {
			in.vars[d.Name] = types.NewErr("the parameter %s has no value", d.Name)
		}
	}
}

// statementsValue is what verification established about each statement.
func (b *binder) statementsValue(declared map[string]*object) ref.Val {
	sc, in := theSchema(), b.in
	values := make([]ref.Val, len(in.declarations))
	for i, e := range in.declarations {
		signer := map[string]ref.Val{"keyId": types.String(e.KeyID), "name": types.String(e.Signer.Name)}
		if id := e.Signer.Identity; id != nil {
			signer["san"], signer["issuer"] = types.String(id.SAN), types.String(id.Issuer)
		}
		members := map[string]ref.Val{
			"id":       types.String(shortType(e.Statement.Type)),
			"digest":   types.String(e.Statement.ID()),
			"signer":   newObject(sc.signer, signer),
			"signedBy": types.Timestamp{Time: e.SignedBy},
			"log": newObject(sc.log, map[string]ref.Val{"origin": types.String(e.LogOrigin),
				"index": types.Int(e.LogIndex), "treeSize": types.Int(e.TreeSize)}),
		}
		logs := []ref.Val{}
		if p := e.LogPledge; p != nil {
			for _, origin := range p.Logs {
				logs = append(logs, types.String(origin))
			}
			members["pledgeKept"] = types.Bool(p.Kept)
		}
		members["pledgedLogs"] = &list{values: logs, meter: in.meter}
		if b.reads.reading(varStatements) {
			members["standing"] = b.standingOf(&e)
		}
		if o := declared[e.Statement.Type]; o.values != nil {
			if common := o.values[o.msg.index["common"]]; common != nil {
				members["common"] = common
			}
		}
		values[i] = newObject(sc.statement, members)
	}
	return &list{values: values, meter: in.meter}
}

func artifactValue(f verify.Facts) ref.Val {
	members := map[string]ref.Val{"sha256": types.String(f.ArtifactSHA256)}
	for _, e := range f.Evidence {
		if e.SubjectName != "" {
			members["name"] = types.String(e.SubjectName)
			break
		}
	}
	return newObject(theSchema().artifact, members)
}
