package observe

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/avow-dev/avow/attest/observe/internal/packetworld"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// example is the capture of the documentation: small, and the same every time.
const example = "testdata/agent.pcap"

// hello is the smallest ClientHello with a name.
func hello(name string) []byte {
	sni := binary.BigEndian.AppendUint16(nil, uint16(len(name)+3))
	sni = append(binary.BigEndian.AppendUint16(append(sni, 0), uint16(len(name))), name...)
	ext := append(binary.BigEndian.AppendUint16(make([]byte, 2), uint16(len(sni))), sni...)
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(body, 0, 0, 2, 0x13, 1, 1, 0)
	body = append(binary.BigEndian.AppendUint16(body, uint16(len(ext))), ext...)
	message := append([]byte{1, 0, byte(len(body) >> 8), byte(len(body))}, body...)
	return append([]byte{22, 3, 1, byte(len(message) >> 8), byte(len(message))}, message...)
}

// answered is the smallest ServerHello of TLS 1.3.
func answered() []byte {
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(body, 0, 0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4)
	message := append([]byte{2, 0, 0, byte(len(body))}, body...)
	return append([]byte{22, 3, 3, 0, byte(len(message))}, message...)
}

// exampleCapture is a program that fetches updates, keeps time, tells a tracker,
// and reaches an address that it never asked for.
func exampleCapture(t *testing.T) []byte {
	w := packetworld.New(t)
	w.Link = layers.LinkTypeRaw
	w.Resolve(host, resolver, "updates.acme.example", packetworld.Alias("updates.acme.example", "edge.cdn.example", 300),
		packetworld.Address("edge.cdn.example", "192.0.2.7", 300))
	for range 4 {
		c := w.Dial(host, packetworld.Addr("192.0.2.7:443"))
		c.Write(true, hello("updates.acme.example"))
		c.Write(false, answered())
		c.Close()
		w.Wait(time.Minute)
	}
	w.Resolve(host, resolver, "ntp.acme.example", packetworld.Address("ntp.acme.example", "192.0.2.8", 300))
	w.UDP(packetworld.Addr("10.0.0.2:123"), packetworld.Addr("192.0.2.8:123"), make([]byte, 48))
	w.UDP(packetworld.Addr("192.0.2.8:123"), packetworld.Addr("10.0.0.2:123"), make([]byte, 48))
	w.Resolve(host, resolver, "t.tracker.example", packetworld.Address("t.tracker.example", "192.0.2.9", 300))
	c := w.Dial(host, packetworld.Addr("192.0.2.9:443"))
	c.Write(true, hello("updates.acme.example"))
	c.Close()
	w.Attempt(host, packetworld.Addr("198.51.100.4:4444"))
	return w.PCAP()
}

// TestExample: the capture of the documentation is the one of testdata and the
// one that is made here. With AVOW_UPDATE=1 it is written.
func TestExample(t *testing.T) {
	made := exampleCapture(t)
	if os.Getenv("AVOW_UPDATE") != "" {
		if err := os.WriteFile(example, made, 0o600); err != nil {
			t.Fatal(err)
		}
		var z bytes.Buffer
		w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(made); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		text := base64.StdEncoding.EncodeToString(z.Bytes())
		for n := 0; n < len(text); n += 120 {
			t.Log(text[n:min(n+120, len(text))])
		}
	}
	stored, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(stored, made) {
		t.Errorf("%s is not what is made; run with AVOW_UPDATE=1", example)
	}
	block := regexp.MustCompile(`(?s)base64 -d <<'END' \| gunzip > run\.pcap\n(.*?)END`).FindStringSubmatch(document(t))
	if block == nil {
		t.Fatal("the document has no capture")
	}
	raw, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(block[1], "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil || !bytes.Equal(b.Bytes(), made) {
		t.Errorf("the capture of the document is another one: %d bytes, %v", b.Len(), err)
	}
}

func document(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "observing.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestDocumented: every code, naming, vantage and format has its line in the document.
func TestDocumented(t *testing.T) {
	text := document(t)
	all := append(GapCodes(), Formats()...)
	for _, n := range observation.Namings() {
		all = append(all, string(n))
	}
	for _, v := range observation.Vantages() {
		all = append(all, string(v))
	}
	for _, word := range all {
		if !strings.Contains(text, "| `"+word+"`") && !strings.Contains(text, ", `"+word+"`") {
			t.Errorf("docs/observing.md has no line for %s", word)
		}
	}
}
