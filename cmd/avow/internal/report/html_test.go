package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/avow-dev/avow/verify"
)

// elements calls f for every element of a page.
func elements(t testing.TB, page string, f func(*html.Node)) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			f(n)
		}
	}
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// TestPageAsksForNothing: whatever the texts say, a page has the elements of the template and no others, none that runs,
// loads or submits, and no address outside itself in an attribute.
func TestPageAsksForNothing(t *testing.T) {
	allowed := strings.Fields("html head meta title style body h1 h2 h3 h4 h5 header article section footer p dl dt dd table thead " +
		"tbody tr th td a bdi span strong pre figure figcaption ul li div svg path text desc")
	for name, items := range map[string][]Item{"hostile": {hostileItem(t, evil, true)}, "rejected": {hostileItem(t, evil, false)},
		"batch": {hostileItem(t, evil, true), errorItem(), rejectedItem(t)}} {
		m := meta
		m.Batch = len(items) > 1
		ids := map[string]bool{}
		csp := ""
		elements(t, render(t, HTML, m, items...), func(n *html.Node) {
			if !slices.Contains(allowed, n.Data) {
				t.Errorf("%s: element %s", name, n.Data)
			}
			if attribute(n, "http-equiv") == "Content-Security-Policy" {
				csp = attribute(n, "content")
			}
			for _, a := range n.Attr {
				if a.Key == "href" && !strings.HasPrefix(a.Val, "#artifact-") || strings.HasPrefix(a.Key, "on") || a.Key == "src" ||
					a.Key == "style" || a.Key == "action" {
					t.Errorf("%s: %s=%q", name, a.Key, a.Val)
				}
				if a.Key == "id" && ids[a.Val] {
					t.Errorf("%s: id %s twice", name, a.Val)
				}
				ids[a.Val] = ids[a.Val] || a.Key == "id"
			}
		})
		if !strings.HasPrefix(csp, "default-src 'none'; style-src 'unsafe-inline'; img-src data:;") {
			t.Errorf("%s: content security policy %q", name, csp)
		}
	}
}

// TestStyleLoadsNothing: the style sheet is ours, and it stays so.
func TestStyleLoadsNothing(t *testing.T) {
	css := style.FindString(render(t, HTML, meta, hostileItem(t, evil, true)))
	for _, loads := range []string{"url(", "@import", "src:", "octocat"} {
		if strings.Contains(css, loads) {
			t.Errorf("the style sheet has %q", loads)
		}
	}
}

// TestLongTextChangesNothing: the page with long texts has the same elements as the page with short ones, but for the lines
// of the drawing that they fill.
func TestLongTextChangesNothing(t *testing.T) {
	count := func(text string) map[string]int {
		n := map[string]int{}
		elements(t, render(t, HTML, meta, hostileItem(t, text, true)), func(e *html.Node) { n[e.Data]++ })
		delete(n, "svg")
		delete(n, "text")
		return n
	}
	short, long := count("x"), count(evil+strings.Repeat("</article>W", 90))
	if fmt.Sprint(short) != fmt.Sprint(long) {
		t.Errorf("got %v and %v", short, long)
	}
}

// TestPageHasTheFlowsInWords: the drawing has a text alternative that says everything that it shows.
func TestPageHasTheFlowsInWords(t *testing.T) {
	descriptions := ""
	panels := 0
	elements(t, render(t, HTML, meta, acceptedItem(t, vector(t, "data-flows/valid/grafana-data-flows.json"))), func(n *html.Node) {
		switch {
		case n.Data == "desc":
			descriptions += n.FirstChild.Data
		case attribute(n, "role") == "img":
			panels++
			if ids := strings.Fields(attribute(n, "aria-labelledby")); len(ids) != 2 || attribute(n.FirstChild, "id") != ids[0] {
				t.Errorf("a panel is labelled by %v", ids)
			}
		}
	})
	for _, want := range []string{"gravatar", "Automattic Inc.", "personal", "off by default", "stored anywhere", "usage-stats", "a system of the customer"} {
		if !strings.Contains(descriptions, want) {
			t.Errorf("%q is not in the descriptions:\n%s", want, descriptions)
		}
	}
	if panels != 2 { // US, and the customer's own systems
		t.Errorf("%d panels", panels)
	}
}

// TestBatchPageLinks: all items are in the summary; those shown in full are linked, and are first those not accepted.
func TestBatchPageLinks(t *testing.T) {
	var items []Item
	for i := range maxDetailed + 50 {
		item := acceptedItem(t, vector(t, flows))
		if i%2 == 1 {
			item = errorItem()
		}
		item.Name = fmt.Sprintf("item-%d", i)
		items = append(items, item)
	}
	rows, articles := 0, map[string]bool{}
	var links []string
	page := render(t, HTML, batch(meta), items...)
	elements(t, page, func(n *html.Node) {
		switch {
		case n.Data == "article":
			articles[attribute(n, "id")] = true
		case n.Data == "a":
			links = append(links, strings.TrimPrefix(attribute(n, "href"), "#"))
		case n.Data == "td" && attribute(n, "data-label") == "Artifact":
			rows++
		}
	})
	if rows != len(items) || len(articles) != maxDetailed || len(links) != maxDetailed {
		t.Errorf("%d rows, %d links, %d articles", rows, len(links), len(articles))
	}
	for _, l := range links {
		if !articles[l] {
			t.Errorf("a link leads to %s, which is not there", l)
		}
	}
	for i := 1; i < len(items); i += 2 {
		if !articles[fmt.Sprintf("artifact-%d", i+1)] {
			t.Errorf("item %d was not accepted and is not shown in full", i)
		}
	}
	if !strings.Contains(page, "75 accepted, 0 rejected, 75 not evaluated") || !strings.Contains(page, "100 of 150 artifacts are shown in full") {
		t.Error("the page does not say what it leaves out")
	}
}

// TestCheckRowHasTheWorst: a check that failed for one bundle failed.
func TestCheckRowHasTheWorst(t *testing.T) {
	for _, row := range checkRows(rejectedItem(t).Verdict) {
		want := map[string]string{"signature": "FAILED", "validity": "not run", "signer": "passed"}[row.ID]
		if want != "" && row.Word != want {
			t.Errorf("%s: %s, want %s", row.ID, row.Word, want)
		}
		if results := map[string]int{"signature": 2, "signer": 1}[row.ID]; results != 0 && len(row.Results) != results {
			t.Errorf("%s has %d results", row.ID, len(row.Results))
		}
	}
	for status, word := range map[verify.Status]string{verify.StatusPass: "passed", verify.StatusFail: "FAILED", verify.Status(9): "FAILED",
		verify.StatusSkipped: "not run", verify.StatusWarning: "warning"} {
		if got, _ := statusWords(status); got != word {
			t.Errorf("status %d is %q", status, got)
		}
	}
}
