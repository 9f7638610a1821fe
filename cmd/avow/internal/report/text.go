package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/internal/verdictpb"
)

// writeText prints the verdict in full.
func writeText(to io.Writer, items iter.Seq[Item], m Meta) error {
	w := text.NewWriter(to, m.Colours, m.Width)
	for item := range items {
		if o := outcomeOf(&item); o == notEvaluated {
			w.Line("%s  %s", w.Style(text.Red, o.String()), text.Safe(item.Name))
			w.Paragraph("  ", item.problem())
		} else {
			plain.Verdict(w, item.Name, item.Verdict)
		}
	}
	return w.Err()
}

// besides joins two texts of which the second may be empty.
func besides(a, separator, b string) string {
	if b == "" {
		return a
	}
	return a + separator + b
}

// writeJSON prints the Verdict message. An error has no form of its own, and takes that of an item of the API's batches.
func writeJSON(to io.Writer, items iter.Seq[Item], _ Meta) error {
	for item := range items {
		var message proto.Message
		switch {
		case outcomeOf(&item) == notEvaluated:
			message = &avowv1.BatchVerifyResponse{Id: item.Name, Result: &avowv1.BatchVerifyResponse_Error{
				Error: &avowv1.BatchVerifyError{Message: item.problem()}}}
		default:
			message = verdictpb.New(item.Verdict, item.Question)
		}
		if err := printMessage(to, message); err != nil {
			return err
		}
	}
	return nil
}

// printMessage prints a message. As over REST, log index 0 is an index like any other.
func printMessage(to io.Writer, m proto.Message) error {
	validate(m.ProtoReflect())
	data, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "  "); err != nil {
		return err
	}
	_, err = fmt.Fprintln(to, text.EscapeJSON(b.String()))
	return err
}

// validate replaces bytes that are not UTF-8, which names of files can hold and JSON cannot.
func validate(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList() && f.Kind() == protoreflect.StringKind:
			for i := range v.List().Len() {
				v.List().Set(i, valid(v.List().Get(i)))
			}
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				validate(v.List().Get(i).Message())
			}
		case f.IsList():
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, valid(v))
		case f.Message() != nil:
			validate(v.Message())
		}
		return true
	})
}

func valid(v protoreflect.Value) protoreflect.Value {
	return protoreflect.ValueOfString(strings.ToValidUTF8(v.String(), "\ufffd"))
}
