package report

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/avow-dev/avow/verify"
)

const (
	flows      = "data-flows/valid/minimal-data-flows.json"
	noBackdoor = "no-backdoor/valid/minimal-no-backdoor.json"
	promises   = "undertakings/valid/minimal-undertakings.json"
)

var style = regexp.MustCompile(`(?s)<style>.*</style>`)

// TestGolden compares reports with those in testdata, which were looked at. The style sheet is left out.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		name  string
		m     Meta
		items []Item
	}{
		{"accepted", meta, []Item{withPolicy(acceptedItem(t, vector(t, flows), vector(t, noBackdoor), vector(t, promises)), false)}},
		{"rejected", meta, []Item{rejectedItem(t)}},
		{"denied", meta, []Item{withPolicy(acceptedItem(t, vector(t, flows)), true)}},
		{"standing", meta, []Item{withStanding(t, acceptedItem(t, vector(t, flows)))}},
		{"error", meta, []Item{errorItem()}},
		{"hostile", meta, []Item{hostileItem(t, evil, false)}},
		{"batch", batch(meta), []Item{acceptedItem(t, vector(t, flows)), rejectedItem(t), errorItem()}},
	} {
		for _, f := range formatsOf(c.m) {
			t.Run(c.name+"."+f, func(t *testing.T) {
				got := style.ReplaceAllString(render(t, Format(f), c.m, c.items...), "")
				path := filepath.Join("testdata", c.name+"."+f)
				if *update {
					if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("differs from %s (write it anew with -update, and look at the difference):\n%s", path, firstDifference(got, string(want)))
				}
			})
		}
	}
}

// formatsOf are the formats that take one item or a list.
func formatsOf(m Meta) []string {
	return slices.DeleteFunc(Formats(), func(f string) bool { return m.Batch && (f == string(Text) || f == string(JSON)) })
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d\ngot  %s\nwant %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("got %d lines, want %d", len(g), len(w))
}

func batch(m Meta) Meta {
	m.Batch = true
	return m
}

// TestUnknownFormat: what cannot be written is an error and nothing is.
func TestUnknownFormat(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, "pdf", slices.Values([]Item{errorItem()}), meta); err == nil || b.Len() > 0 {
		t.Errorf("got %v and %q", err, b.String())
	}
	for _, f := range []Format{Text, JSON} {
		if err := Write(&b, f, slices.Values([]Item{errorItem()}), batch(meta)); err == nil || b.Len() > 0 {
			t.Errorf("%s for a list: got %v and %q", f, err, b.String())
		}
	}
}

// notAccepted are items of every kind that must not look accepted, those that no check explains among them.
func notAccepted(t *testing.T) map[string]Item {
	broken := acceptedItem(t, vector(t, flows))
	broken.Err = errors.New("interrupted")
	unexplained := acceptedItem(t, vector(t, flows))
	unexplained.Verdict.Outcome = verify.Rejected
	unknown := acceptedItem(t, vector(t, flows))
	unknown.Verdict.Outcome = verify.Outcome(7)
	unknown.Verdict.Checks[0].Status = verify.Status(9)
	return map[string]Item{"rejected": rejectedItem(t), "denied": withPolicy(acceptedItem(t, vector(t, flows)), true), "error": errorItem(),
		"nothing": {Name: "x"}, "zero verdict": {Name: "x", Verdict: &verify.Verdict{}}, "verdict and error": broken,
		"unexplained": unexplained, "unknown outcome": unknown, "hostile": hostileItem(t, evil, false)}
}

// TestNotAcceptedNeverLooksAccepted: in no format, alone or in a batch.
func TestNotAcceptedNeverLooksAccepted(t *testing.T) {
	for name, item := range notAccepted(t) {
		for _, m := range []Meta{meta, batch(meta)} {
			t.Run(fmt.Sprintf("%s batch=%t", name, m.Batch), func(t *testing.T) {
				for f, claim := range map[Format]string{
					Text: "(?m)^ACCEPTED", JSON: `(?m)^  "outcome": +"OUTCOME_ACCEPTED"`,
					Markdown: "ACCEPTED:|ALL ACCEPTED: 1", HTML: `class="word">(ALL )?ACCEPTED|class="verdict[a-z ]* yes|">ACCEPTED</td>`,
				} {
					if !slices.Contains(formatsOf(m), string(f)) {
						continue
					}
					if out := render(t, f, m, item); regexp.MustCompile(claim).MatchString(strings.ReplaceAll(out, "NOT ALL ACCEPTED", "")) {
						t.Errorf("%s claims it:\n%s", f, out)
					}
				}
				if s := readJUnit(t, render(t, JUnit, m, item)).Suites[0]; s.Failures+s.Errors == 0 {
					t.Error("the JUnit suite is green")
				}
				results := readSARIF(t, render(t, SARIF, m, item)).Runs[0].Results
				if !slices.ContainsFunc(results, func(r sarifResult) bool { return r.Level == "error" }) {
					t.Errorf("no error among %d SARIF results", len(results))
				}
			})
		}
	}
}

// TestAcceptedLooksAccepted is the other side, without which the test above would prove nothing.
func TestAcceptedLooksAccepted(t *testing.T) {
	item := acceptedItem(t, vector(t, flows))
	for f, want := range map[Format]string{Text: "ACCEPTED  app.tar.gz\n", JSON: `OUTCOME_ACCEPTED`, Markdown: "## ACCEPTED: ",
		HTML: `<header class="verdict yes">`, SARIF: `"results": [` + "\n      ]"} {
		if out := render(t, f, meta, item); !strings.Contains(out, want) {
			t.Errorf("%s does not have %q:\n%s", f, want, out)
		}
	}
	if s := readJUnit(t, render(t, JUnit, meta, item)).Suites[0]; s.Failures+s.Errors+s.Skipped != 0 || s.Tests != 12 {
		t.Errorf("got %+v", s)
	}
}

// TestDeclarationsOfWhatCountsAlone: nothing that a vendor declares is shown of a rejected verdict, nor of a statement that
// does not count.
func TestDeclarationsOfWhatCountsAlone(t *testing.T) {
	superseded := acceptedItem(t, vector(t, flows))
	superseded.Verdict.Bundles[0].Use, superseded.Verdict.Bundles[0].SupersededBy = verify.UseSuperseded, "2.sigstore.json"
	unknown := acceptedItem(t, vector(t, flows))
	unknown.Verdict.Bundles = nil
	shown := acceptedItem(t, vector(t, flows))
	for _, f := range []Format{Markdown, HTML} {
		const declared, heading = "connection metadata", "eclared by the vendor, not verified"
		for name, item := range map[string]Item{"rejected": rejectedItem(t), "superseded": superseded, "unknown": unknown} {
			if out := style.ReplaceAllString(render(t, f, meta, item), ""); strings.Contains(out, declared) || strings.Contains(out, heading) {
				t.Errorf("%s shows what is declared in a %s item", f, name)
			}
		}
		if out := render(t, f, meta, shown); !strings.Contains(out, declared) || !strings.Contains(out, heading) {
			t.Errorf("%s does not show what is declared, or does not say what it is worth", f)
		}
		if out := render(t, f, meta, superseded); !strings.Contains(out, "superseded by a newer statement, in") {
			t.Errorf("%s does not say what is superseded", f)
		}
	}
}

// TestHostileTextIsPrinted: nothing that a terminal or a viewer obeys comes out of any format.
func TestHostileTextIsPrinted(t *testing.T) {
	for _, accept := range []bool{true, false} {
		for _, f := range Formats() {
			for line := range strings.Lines(render(t, Format(f), meta, hostileItem(t, evil, accept))) {
				for _, r := range strings.TrimRight(line, "\n") {
					if !unicode.IsPrint(r) {
						t.Fatalf("%s: %U in %q", f, r, line)
					}
				}
				if f == string(Text) && strings.HasPrefix(line, "  ok    signature |") {
					t.Fatalf("a forged line: %q", line)
				}
			}
		}
	}
}

// TestItemsAreWrittenAsTheyCome: where the format allows it a batch is not held in memory.
func TestItemsAreWrittenAsTheyCome(t *testing.T) {
	for _, f := range []Format{SARIF, JUnit} {
		var b bytes.Buffer
		before := 0
		items := func(yield func(Item) bool) {
			for range 3 {
				if !yield(errorItem()) {
					return
				}
				if b.Len() <= before {
					t.Errorf("%s: nothing was written for an item", f)
				}
				before = b.Len()
			}
		}
		if err := Write(&b, f, iter.Seq[Item](items), batch(meta)); err != nil {
			t.Fatal(err)
		}
	}
}

var errFull = errors.New("disk full")

// full is a destination that takes n bytes.
type full struct{ n int }

func (f *full) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// TestFullDisk: a report that could not be written is an error, wherever it broke off.
func TestFullDisk(t *testing.T) {
	for _, f := range Formats() {
		whole := len(render(t, Format(f), meta, rejectedItem(t)))
		for _, n := range []int{0, 1, whole / 2, whole - 1} {
			if err := Write(&full{n}, Format(f), slices.Values([]Item{rejectedItem(t)}), meta); !errors.Is(err, errFull) {
				t.Errorf("%s of %d bytes on a disk for %d: %v", f, whole, n, err)
			}
		}
	}
}

// TestRealVerdicts writes what the verifier says about real bundles.
func TestRealVerdicts(t *testing.T) {
	item := realItem(t, vector(t, "data-flows/valid/editor-data-flows.json"))
	if !item.Accepted() {
		t.Fatal(item.Verdict.Failures())
	}
	for _, f := range Formats() {
		out := render(t, Format(f), meta, item)
		if !strings.Contains(out, item.Question.ArtifactSHA256) && f != string(Text) {
			t.Errorf("%s does not have the artifact's digest", f)
		}
	}
	page := render(t, HTML, meta, item)
	for _, id := range verify.CheckIDs() {
		if !strings.Contains(page, ">"+string(id)+"</bdi>") {
			t.Errorf("the page does not tell of check %s", id)
		}
	}
	for _, want := range []string{item.Verdict.Evidence[0].StatementID, item.Verdict.Evidence[0].KeyID, trustDigest(&item.Question),
		fmt.Sprintf("index %d of a tree of size %d", item.Verdict.Evidence[0].LogIndex, item.Verdict.Evidence[0].TreeSize), "settings-sync", "cosign verify-blob-attestation --bundle 1.sigstore.json"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
}
