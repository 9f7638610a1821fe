package main

import (
	"crypto/rand"
	"embed"
	"encoding/json"
	"fmt"
	"text/template"
	"time"
)

// The statements that avowd makes about itself. They are files of their own, because they are claims that somebody answers
// for: whoever changes what this program does on the network, or how it can be reached, changes them too.
//
//go:embed statements/*.tmpl
var statementFiles embed.FS

// statementValidDays is how long the quickstart's statements are in force.
const statementValidDays = 365

// statementValues is what differs from one build and one declarant to the next.
type statementValues struct {
	ArtifactSHA256    string
	StatementID       string
	Version           string
	PURL              string
	Declarant         string
	Country           string
	SignatoryFunction string
	IssuedAt          string
	NotAfter          string
	DataFlowsSHA256   string // of the related statement; empty: none
}

// renderStatement fills in statements/NAME.json.tmpl. Values are encoded as JSON, whatever they hold.
func renderStatement(name string, v statementValues, now time.Time) ([]byte, error) {
	t, err := template.New(name).Funcs(template.FuncMap{"json": jsonText}).
		ParseFS(statementFiles, "statements/common.json.tmpl", "statements/"+name+".json.tmpl")
	if err != nil {
		return nil, err
	}
	now = now.UTC().Truncate(time.Second)
	v.IssuedAt, v.NotAfter = now.Format(time.RFC3339), now.AddDate(0, 0, statementValidDays).Format(time.RFC3339)
	if v.StatementID, err = newURN(); err != nil {
		return nil, err
	}
	return execute(t.Lookup(name+".json.tmpl"), v)
}

func jsonText(v string) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

// newURN makes a version 4 UUID as a URN (RFC 9562).
func newURN() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}
