//go:build browser

package report

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// browser is a headless Chromium that is driven over a pipe by the DevTools protocol
// (https://chromedevtools.github.io/devtools-protocol/).
type browser struct {
	t       *testing.T
	to      io.Writer
	from    *bufio.Reader
	session string
	last    int
	events  []event
}

type event struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// startBrowser starts a Chromium with a profile of its own and one page. It is ended with the test.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil && program == "" {
			program = path
		}
	}
	if program == "" {
		t.Skip("no Chromium is installed")
	}
	toRead, toWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromRead, fromWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--user-data-dir="+t.TempDir(), "about:blank")
	cmd.ExtraFiles = []*os.File{toRead, fromWrite}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	toRead.Close()
	fromWrite.Close()
	b := &browser{t: t, to: toWrite, from: bufio.NewReader(fromRead)}
	t.Cleanup(func() {
		b.session = ""
		b.call("Browser.close", nil)
		_ = cmd.Wait()
		toWrite.Close()
		fromRead.Close()
	})
	target := b.call("Target.createTarget", map[string]any{"url": "about:blank"})
	b.session = b.call("Target.attachToTarget", map[string]any{"targetId": target["targetId"], "flatten": true})["sessionId"].(string)
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		b.call(domain+".enable", nil)
	}
	return b
}

// call calls a method and keeps the events that come before its answer.
func (b *browser) call(method string, params map[string]any) map[string]any {
	b.t.Helper()
	b.last++
	request := map[string]any{"id": b.last, "method": method}
	if params != nil {
		request["params"] = params
	}
	if b.session != "" {
		request["sessionId"] = b.session
	}
	data, err := json.Marshal(request)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(data, 0)); err != nil {
		b.t.Fatal(err)
	}
	for {
		var answer struct {
			ID     int             `json:"id"`
			Result map[string]any  `json:"result"`
			Error  json.RawMessage `json:"error"`
			event
		}
		b.read(&answer)
		switch {
		case answer.ID == 0:
			b.events = append(b.events, answer.event)
		case answer.ID == b.last && answer.Error != nil:
			b.t.Fatalf("%s: %s", method, answer.Error)
		case answer.ID == b.last:
			return answer.Result
		}
	}
}

func (b *browser) read(v any) {
	b.t.Helper()
	data, err := b.from.ReadBytes(0)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := json.Unmarshal(data[:len(data)-1], v); err != nil {
		b.t.Fatal(err)
	}
}

// open loads a document and returns what the browser complained about and what it asked for, the document itself aside.
func (b *browser) open(html string) (complaints, requests []string) {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), "report.html")
	if err := os.WriteFile(path, []byte(html), 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.events = nil
	b.call("Page.navigate", map[string]any{"url": "file://" + path})
	for loaded := false; !loaded; {
		for _, e := range b.events {
			loaded = loaded || e.Method == "Page.loadEventFired"
		}
		if !loaded {
			var e event
			b.read(&e)
			b.events = append(b.events, e)
		}
	}
	// What a document asks for late is seen by the answer to a question that is asked later still.
	time.Sleep(200 * time.Millisecond)
	b.eval("1")
	for _, e := range b.events {
		switch e.Method {
		case "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded":
			complaints = append(complaints, string(e.Params))
		case "Network.requestWillBeSent":
			var sent struct{ Request struct{ URL string } }
			if err := json.Unmarshal(e.Params, &sent); err != nil || sent.Request.URL != "file://"+path {
				requests = append(requests, string(e.Params))
			}
		}
	}
	return complaints, requests
}

// eval evaluates a JavaScript expression in the page and returns its value.
func (b *browser) eval(expression string) any {
	b.t.Helper()
	answer := b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true})
	if answer["exceptionDetails"] != nil {
		b.t.Fatalf("%v", answer["exceptionDetails"])
	}
	return answer["result"].(map[string]any)["value"]
}

// size sets the width of the window in CSS pixels.
func (b *browser) size(width int) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 800, "deviceScaleFactor": 1,
		"mobile": width < 600})
}

// scheme sets what the reader prefers: "light" or "dark".
func (b *browser) scheme(name string) {
	b.t.Helper()
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]any{{"name": "prefers-color-scheme", "value": name}}})
}

// keep writes a picture and a print of the page to the directory that AVOW_BROWSER_OUT names, for people to look at.
func (b *browser) keep(name string) {
	b.t.Helper()
	dir := os.Getenv("AVOW_BROWSER_OUT")
	if dir == "" {
		return
	}
	name = filepath.Join(dir, name)
	height := min(b.eval("document.documentElement.scrollHeight").(float64), 12_000)
	b.save(name+".png", b.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true, "clip": map[string]any{
		"x": 0, "y": 0, "width": b.eval("innerWidth"), "height": height, "scale": 1}}))
	b.save(name+".pdf", b.print())
}

func (b *browser) print() map[string]any {
	b.t.Helper()
	return b.call("Page.printToPDF", map[string]any{"preferCSSPageSize": true, "printBackground": false})
}

func (b *browser) save(path string, answer map[string]any) {
	b.t.Helper()
	data, err := base64.StdEncoding.DecodeString(answer["data"].(string))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
