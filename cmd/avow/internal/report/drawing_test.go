package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/avow-dev/avow/cmd/avow/internal/plain"
)

func arrows(n, recipients, places int) []plain.Arrow {
	list := make([]plain.Arrow, n)
	for i := range list {
		list[i] = plain.Arrow{ID: fmt.Sprintf("f%d", i), Title: "t", Place: fmt.Sprintf("P%03d", i%recipients%places),
			Recipient: fmt.Sprintf("R%03d", i%recipients), Personal: plain.Personal(i % 7), Data: []string{"d"}, On: i%2 == 0, State: "s", Out: true}
	}
	return list
}

// TestLines: one line for each flow up to forty, then for each recipient, then for each place, then the rest together.
func TestLines(t *testing.T) {
	for _, c := range []struct {
		n, recipients, places int
		grouped               string
	}{{1, 1, 1, ""}, {40, 40, 40, ""}, {41, 2, 2, "recipient"}, {256, 100, 2, "place"}, {256, 256, 256, "place"}} {
		lines, grouped := linesOf(arrows(c.n, c.recipients, c.places))
		if grouped != c.grouped || len(lines) > maxLines {
			t.Errorf("%+v: %d lines by %q", c, len(lines), grouped)
		}
	}
	lines, _ := linesOf(arrows(82, 2, 2))
	if l := lines[0]; l.recipient != "R000" || !strings.HasSuffix(l.label, " flows") || l.state != "s" || l.about != nil {
		t.Errorf("got %+v", l)
	}
}

// TestLinesKeepEveryFlow: whatever is put together, each flow is counted once and under its own kind of data and state.
func TestLinesKeepEveryFlow(t *testing.T) {
	type kind struct {
		personal plain.Personal
		on       bool
	}
	rapid.Check(t, func(t *rapid.T) {
		list := arrows(rapid.IntRange(0, 300).Draw(t, "n"), rapid.IntRange(1, 300).Draw(t, "recipients"), rapid.IntRange(1, 300).Draw(t, "places"))
		want, got := map[kind]int{}, map[kind]int{}
		for _, a := range list {
			want[kind{a.Personal, a.On}]++
		}
		lines, _ := linesOf(list)
		if len(lines) > maxLines {
			t.Fatalf("%d lines", len(lines))
		}
		for _, l := range lines {
			got[kind{l.personal, l.on}] += l.flows
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		texts := 0
		for _, p := range draw(strings.Repeat("a product ", 50), lines) {
			if p.Height > panelHeight+headHeight+200 {
				t.Fatalf("a panel of height %d", p.Height)
			}
			for _, s := range p.Shapes {
				if s.Class == "line" || s.Class == "line off" {
					texts++
				}
				if s.Path == "" && (s.X < 0 || s.X+s.Width > panelWidth || s.Y < 0 || s.Y+fontLine > p.Height) {
					t.Fatalf("%+v is outside its panel of height %d", s, p.Height)
				}
			}
		}
		if texts != len(lines) {
			t.Fatalf("%d lines are drawn of %d", texts, len(lines))
		}
	})
}

// TestPanelsByPlace: one panel for each place, the countries first, and a long one goes on in another.
func TestPanelsByPlace(t *testing.T) {
	list := []line{{place: plain.OwnSystems, recipient: "own", on: true}, {place: "US", recipient: "A"}, {place: "DE", recipient: "B"},
		{place: "anywhere"}, {place: plain.Unstated}}
	for range 30 {
		list = append(list, line{place: "US", recipient: "A", label: "more"})
	}
	var titles []string
	for _, p := range draw("P", list) {
		titles = append(titles, strings.TrimPrefix(p.Title, "Data flows between P and "))
	}
	want := []string{"recipients in DE", "recipients in US", "recipients in US (continued)", "recipients in US (continued)",
		"recipients in US (continued)", "recipients anywhere", "recipients, country not stated", "systems of the customer"}
	if !slices.Equal(titles, want) {
		t.Errorf("got %q", titles)
	}
}

// TestLineSaysWhatItShows: personal data by its shape and in words, on and off by the line and in words.
func TestLineSaysWhatItShows(t *testing.T) {
	shapes := map[string]bool{}
	for kind := plain.PersonalSpecial; kind <= plain.PersonalNothing; kind++ {
		shapes[fmt.Sprint(symbol(kind, 0, 0))] = true
		l := line{label: "f", recipient: "R", about: []string{"a"}, personal: kind, data: []string{"d"}, state: "off by default", out: true}
		if s := l.String(); s != "f to R, a; off by default; "+kind.String()+": d" {
			t.Errorf("got %q", s)
		}
	}
	if len(shapes) != int(plain.PersonalNothing)+1 {
		t.Errorf("%d shapes", len(shapes))
	}
	off := draw("P", []line{{place: "DE", recipient: "R", in: true}})[0]
	on := draw("P", []line{{place: "DE", recipient: "R", on: true, out: true, in: true}})[0]
	count := func(p panel, class string) (n int) {
		for _, s := range p.Shapes {
			if s.Class == class {
				n++
			}
		}
		return n
	}
	if count(off, "line off") != 1 || count(on, "line") != 1 || count(off, "head") != 1 || count(on, "head") != 2 {
		t.Error("state or direction is not drawn")
	}
}

// TestWrapped: nothing is wider than its place by the measure, and what is left out is marked.
func TestWrapped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, width, most := rapid.String().Draw(t, "s"), rapid.IntRange(40, 400).Draw(t, "width"), rapid.IntRange(1, 4).Draw(t, "most")
		lines := wrapped(s, width, most)
		for _, l := range lines {
			if pixels(l) > width {
				t.Fatalf("%q of %q is wider than %d", l, s, width)
			}
		}
		whole := strings.Join(strings.Fields(s), "") == strings.Join(strings.Fields(strings.Join(lines, "")), "")
		if len(lines) > most || !whole && !strings.HasSuffix(lines[len(lines)-1], "…") {
			t.Fatalf("%q became %q", s, lines)
		}
	})
}
