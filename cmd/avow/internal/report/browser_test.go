//go:build browser

package report

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// contrast are the texts of the page that are harder to read than 4.5 to 1 (WCAG 2.2, success criterion 1.4.3).
const contrast = `(() => {
  const parse = c => (c.match(/[\d.]+/g) || []).map(Number);
  const light = c => { const l = c.slice(0, 3).map(v => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
    return .2126 * l[0] + .7152 * l[1] + .0722 * l[2]; };
  const ground = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] > 0) return c; } return [255, 255, 255]; };
  const bad = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || e.closest("title, desc, style")) continue;
    const s = getComputedStyle(e), a = light(parse(e.closest("svg") ? s.fill : s.color)), b = light(ground(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) bad.push(ratio.toFixed(2) + " " + walk.currentNode.data.trim().slice(0, 40));
  }
  return bad.join("\n");
})()`

// wide are the elements that reach out of the page sideways, those in a box that scrolls aside.
const wide = `[...document.body.querySelectorAll("*")].filter(e => !e.closest("svg") && !e.closest(".scroll") &&
  e.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map(e => e.tagName + " " + e.textContent.slice(0, 40)).join("\n")`

// cut are the texts of drawings that do not fit where they stand.
const cut = `[...document.querySelectorAll("svg text")].filter(e => e.parentElement.width.baseVal.value < e.getBBox().width)
  .map(e => e.textContent).join("\n")`

// skipped are headings that are more than one level below the one before.
const headings = `(() => { let last = 0; return [...document.querySelectorAll("h1, h2, h3, h4, h5")].filter(h => {
  const level = +h.tagName[1], bad = level > last + 1; last = level; return bad; }).map(h => h.textContent).join("\n"); })()`

// TestInBrowser opens reports as their readers do: nothing is asked for, nothing is complained about, nothing reaches out of
// a narrow window, everything can be read in both colour schemes, and it prints.
func TestInBrowser(t *testing.T) {
	var asked atomic.Int64
	outside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer outside.Close()
	hostile := strings.ReplaceAll(evil, "http://127.0.0.1:9", outside.URL)
	b := startBrowser(t)
	for _, c := range []struct {
		name    string
		m       Meta
		items   []Item
		hostile bool
	}{
		{"editor", meta, []Item{realItem(t, vector(t, "data-flows/valid/editor-data-flows.json"))}, false},
		{"grafana", meta, []Item{realItem(t, vector(t, "data-flows/valid/grafana-data-flows.json"))}, false},
		{"router", meta, []Item{realItem(t, vector(t, "no-backdoor/valid/router-no-backdoor.json"), vector(t, "data-flows/valid/router-data-flows.json"),
			vector(t, "undertakings/valid/router-undertakings.json"))}, false},
		{"policy", meta, []Item{withPolicy(acceptedItem(t, vector(t, "data-flows/valid/minimal-data-flows.json")), false)}, false},
		{"rejected", meta, []Item{rejectedItem(t)}, false},
		{"denied", meta, []Item{withPolicy(acceptedItem(t, vector(t, "data-flows/valid/minimal-data-flows.json")), true)}, false},
		{"error", meta, []Item{errorItem()}, false},
		{"forty", meta, []Item{acceptedItem(t, manyFlows(t, 40, 12, 6))}, false},
		{"many", meta, []Item{acceptedItem(t, manyFlows(t, 150, 10, 5))}, false},
		{"hostile", meta, []Item{hostileItem(t, hostile, true)}, true},
		{"hostile-long", meta, []Item{hostileItem(t, strings.Repeat("W", 1500)+strings.Repeat("\u202e", 50), true)}, true},
		{"batch", batch(meta), []Item{acceptedItem(t, vector(t, "data-flows/valid/minimal-data-flows.json")), rejectedItem(t), errorItem(),
			hostileItem(t, hostile, false)}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.t = t
			complaints, requests := b.open(render(t, HTML, c.m, c.items...))
			for _, s := range append(complaints, requests...) {
				t.Error(s)
			}
			if n := asked.Load(); n != 0 {
				t.Errorf("%d requests", n)
			}
			for _, width := range []int{360, 800, 1200} {
				b.size(width)
				if got := b.eval("document.documentElement.scrollWidth").(float64); got > float64(width) {
					t.Errorf("%v pixels wide instead of %d: %v", got, width, b.eval(wide))
				}
				b.keep(fmt.Sprintf("%s-%d", c.name, width))
			}
			for _, scheme := range []string{"dark", "light"} {
				b.scheme(scheme)
				b.keep(c.name + "-" + scheme)
				if bad := b.eval(contrast); bad != "" {
					t.Errorf("hard to read in %s:\n%v", scheme, bad)
				}
			}
			if bad := b.eval(headings); bad != "" {
				t.Errorf("headings that skip a level:\n%v", bad)
			}
			if bad := b.eval(cut); bad != "" && !c.hostile {
				t.Errorf("cut off in the drawing:\n%v", bad)
			}
			if pdf := b.print()["data"].(string); len(pdf) < 10_000 {
				t.Errorf("prints %d characters", len(pdf))
			}
		})
	}
	b.t = t
}

// TestTheBrowserSees shows that each of these checks finds what it looks for.
func TestTheBrowserSees(t *testing.T) {
	var asked atomic.Int64
	outside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer outside.Close()
	b := startBrowser(t)
	complaints, requests := b.open(`<!DOCTYPE html><title>x</title><script>console.error("no")</script>
<img src="` + outside.URL + `/x"><h1>a</h1><h3>b</h3><p style="color: #999; background: #fff">faint</p><p style="width: 5000px">wide</p>
<svg width="20" height="20"><text y="9">much too long</text></svg>`)
	b.size(360)
	for what, seen := range map[string]bool{
		"complaints": len(complaints) > 0, "requests": len(requests) > 0, "the request": asked.Load() > 0,
		"contrast": strings.Contains(b.eval(contrast).(string), "faint"), "headings": b.eval(headings) == "b",
		"width": b.eval("document.documentElement.scrollWidth").(float64) > 360, "wide": b.eval(wide) != "", "cut": b.eval(cut) != "",
	} {
		if !seen {
			t.Errorf("%s are not seen", what)
		}
	}
	// The content security policy of a report stops what its escaping might once let through.
	policy := render(t, HTML, meta, errorItem())
	complaints, _ = b.open(strings.Replace(policy, "<body>", `<body><img src="`+outside.URL+`/y"><script>document.title = "broken"</script>`, 1))
	if asked.Load() != 1 || len(complaints) < 2 || b.eval("document.title") == "broken" {
		t.Errorf("%d requests, %d complaints, title %v", asked.Load(), len(complaints), b.eval("document.title"))
	}
}
