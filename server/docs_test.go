package server

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
)

// TestErrorsAreDocumented: docs/errors.md lists every reason with the code and the retry that it really has.
func TestErrorsAreDocumented(t *testing.T) {
	text := string(must(os.ReadFile("../docs/errors.md"))(t))
	rows := map[string][]string{}
	for line := range strings.Lines(text) {
		if cells := strings.Split(line, "|"); strings.HasPrefix(line, "| `") && len(cells) >= 6 {
			rows[strings.Trim(cells[1], " `")] = cells
		}
	}
	for reason, o := range outcomes {
		cells, ok := rows[reasonName(reason)]
		if !ok {
			t.Errorf("%s is not documented", reasonName(reason))
			continue
		}
		delete(rows, reasonName(reason))
		retry := map[bool]string{true: "yes", false: "no"}[o.retry > 0]
		if strings.TrimSpace(cells[2]) != codeName(o.code) || strings.TrimSpace(cells[4]) != retry {
			t.Errorf("%s is documented as%s with retry%s, it is %s with retry %s",
				reasonName(reason), cells[2], cells[4], codeName(o.code), retry)
		}
	}
	for name := range rows {
		t.Errorf("%s is documented and does not exist", name)
	}
	if _, ok := avowv1.ErrorReason_value[reasonPrefix+"INTERNAL"]; !ok {
		t.Error("the prefix of the reasons has changed")
	}
}

// codeName writes a code as google.rpc.Code does.
func codeName(c codes.Code) string {
	raw := fmt.Sprint(c)
	var b strings.Builder
	for i, r := range raw {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	name := strings.ToUpper(b.String())
	if name == "CANCELED" {
		return "CANCELLED"
	}
	return name
}
