package policy

import (
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/common/types"
	"google.golang.org/protobuf/reflect/protoreflect"

	predicatev1 "github.com/avow-dev/avow/api/avow/predicate/v1"
)

// kind is the form that a member has in the JSON.
type kind uint8

const (
	kindText    kind = iota // a string
	kindInt                 // an integer
	kindBool                // true or false, in the messages of this package alone
	kindTime                // a timestamp, in the messages of this package alone
	kindMessage             // an object of known members
	kindTexts               // an object of free keys whose values are strings: digests
	kindFree                // an object of free keys and values: extensions
)

// field is one member of a message.
type field struct {
	name string // as it is written in the JSON
	kind kind
	list bool     // a list of it
	of   *message // with kindMessage
	typ  *types.Type
}

// message is one type of the CEL environment: a message of avow.predicate.v1,
// or one of this package for what verification established.
type message struct {
	id     int    // position in the schema
	name   string // qualified
	short  string // in errors
	typ    *types.Type
	fields []field
	index  map[string]int
}

func newMessage(name, short string, fields ...field) *message {
	m := &message{name: name, short: short, typ: types.NewObjectType(name)}
	m.setFields(fields)
	return m
}

// setFields takes the members over in the order of their names: that of RFC 8785,
// in which most statements are written.
func (m *message) setFields(fields []field) {
	slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	m.fields, m.index = fields, make(map[string]int, len(fields))
	for i, f := range fields {
		m.index[f.name] = i
		element := f.elementType()
		if f.list {
			m.fields[i].typ = types.NewListType(element)
		} else {
			m.fields[i].typ = element
		}
	}
}

// elementType is the CEL type of the member or, if it is a list, of an element.
func (f field) elementType() *types.Type {
	switch f.kind {
	case kindInt:
		return types.IntType
	case kindBool:
		return types.BoolType
	case kindTime:
		return types.TimestampType
	case kindMessage:
		return f.of.typ
	case kindTexts:
		return types.NewMapType(types.StringType, types.StringType)
	case kindFree:
		return types.NewMapType(types.StringType, types.DynType)
	default:
		return types.StringType
	}
}

// schema is every message type that a rule can see.
type schema struct {
	byName map[string]*message

	// The predicates.
	dataFlows, noBackdoor, undertakings, standing, assessment *message
	// What verification established.
	statement, signer, log, artifact, approved, change, shown, dispute *message
}

// theSchema builds the types once: they never change.
var theSchema = sync.OnceValue(newSchema)

// newSchema derives the types of the predicates from the descriptors of
// avow.predicate.v1, under the names of the JSON, and adds those of this package.
func newSchema() *schema {
	s := &schema{byName: map[string]*message{}}
	messages := predicatev1.File_avow_predicate_v1_predicates_proto.Messages()
	for i := range messages.Len() {
		d := messages.Get(i)
		s.add(newMessage(string(d.FullName()), string(d.Name())))
	}
	for i := range messages.Len() {
		d := messages.Get(i)
		s.byName[string(d.FullName())].setFields(s.fieldsOf(d))
	}
	of := func(name string) *message { return s.byName["avow.predicate.v1."+name] }
	s.dataFlows, s.noBackdoor, s.undertakings = of("DataFlows"), of("NoBackdoor"), of("Undertakings")
	s.standing, s.assessment = of("Standing"), of("Assessment")

	text := func(name string) field { return field{name: name} }
	s.signer = s.add(newMessage("avow.policy.v1.Signer", "signer", text("keyId"), text("name"), text("san"), text("issuer")))
	s.log = s.add(newMessage("avow.policy.v1.Log", "log", text("origin"),
		field{name: "index", kind: kindInt}, field{name: "treeSize", kind: kindInt}))
	s.artifact = s.add(newMessage("avow.policy.v1.Artifact", "artifact", text("sha256"), text("name")))
	s.shown = s.add(newMessage("avow.policy.v1.Standing", "standing", append(shownMembers(), s.standing.fields...)...))
	s.dispute = s.add(newMessage("avow.policy.v1.Dispute", "dispute", text("id"), text("about"), text("ground"), text("summary"),
		field{name: "party", kind: kindMessage, of: of("Party")}, text("signer"), field{name: "items", list: true}, text("occurredAt"),
		text("respondBy")))
	s.statement = s.add(newMessage("avow.policy.v1.Statement", "statement", text("id"), text("digest"),
		field{name: "standing", kind: kindMessage, of: s.shown},
		field{name: "common", kind: kindMessage, of: of("Common")},
		field{name: "signer", kind: kindMessage, of: s.signer},
		field{name: "log", kind: kindMessage, of: s.log},
		field{name: "signedBy", kind: kindTime}, field{name: "pledgedLogs", list: true}, field{name: "pledgeKept", kind: kindBool}))
	s.change = s.add(newMessage("avow.policy.v1.Change", "change", text("id"), text("what"), text("part"), text("kind"),
		text("direction"), text("old"), text("new"), text("why")))
	s.approved = s.add(newMessage("avow.policy.v1.Approved", "approved release",
		field{name: "dataFlows", kind: kindMessage, of: s.dataFlows},
		field{name: "noBackdoor", kind: kindMessage, of: s.noBackdoor},
		field{name: "undertakings", kind: kindMessage, of: s.undertakings}))
	return s
}

func (s *schema) add(m *message) *message {
	m.id = len(s.byName)
	s.byName[m.name] = m
	return m
}

func (s *schema) fieldsOf(d protoreflect.MessageDescriptor) []field {
	fields := make([]field, d.Fields().Len())
	for i := range fields {
		fd := d.Fields().Get(i)
		f := field{name: fd.JSONName(), list: fd.IsList()}
		switch {
		case fd.IsMap():
			f.kind = kindTexts
		case fd.Message() != nil && fd.Message().FullName() == "google.protobuf.Struct":
			f.kind = kindFree
		case fd.Message() != nil:
			f.kind, f.of = kindMessage, s.byName[string(fd.Message().FullName())]
		case fd.Kind() == protoreflect.Uint32Kind:
			f.kind = kindInt
		default: // string, and bytes, which are base64 in JSON
			f.kind = kindText
		}
		fields[i] = f
	}
	return fields
}
