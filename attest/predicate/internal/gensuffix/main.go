// Command gensuffix turns the public suffix list into the table that
// attest/predicate embeds: one rule a line, its labels reversed and in A-label
// form, followed by a space and its kind, sorted by bytes.
//
//	com.amazonaws.s3 p
//	ck i
//	ck.* i
//	ck.www !
//
// i is the ICANN section, p the private section, ! an exception to a wildcard.
// Reversed labels turn "lies above a public suffix" into a search for a prefix,
// and the order makes it a binary search over the text as it is.
//
// The table is a modified form of the list and stays under the list's licence,
// MPL-2.0; the header of the table says so. The input is not fetched: take it
// from https://publicsuffix.org/list/public_suffix_list.dat, from a
// distribution's package (Debian: publicsuffix, often years old), or as the file
// publicsuffix/rules.go of the Go module github.com/weppos/publicsuffix-go, whose
// ListVersion is the list's commit and date:
//
//	dir=$(go mod download -json github.com/weppos/publicsuffix-go@v0.50.3 | jq -r .Dir)
//	go run ./internal/gensuffix -in "$dir/publicsuffix/rules.go" -version "..."
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

const header = `# Public suffix list, both sections, in the form of attest/predicate/internal/gensuffix.
# Version: %s
# This file is a modified form of the Public Suffix List (https://publicsuffix.org/list/).
# This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0.
# If a copy of the MPL was not distributed with this file, You can obtain one at
# https://mozilla.org/MPL/2.0/.
`

func main() {
	log.SetFlags(0)
	in := flag.String("in", "/usr/share/publicsuffix/public_suffix_list.dat", "the list")
	out := flag.String("out", "data/publicsuffix.txt", "the table")
	version := flag.String("version", "", "date and origin of the list")
	flag.Parse()
	if *version == "" {
		log.Fatal("gensuffix: -version is missing: the date and origin of the list")
	}
	if err := run(*in, *out, *version); err != nil {
		log.Fatal("gensuffix: ", err)
	}
}

func run(in, out, version string) error {
	list, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	if strings.HasSuffix(in, ".go") {
		if list, err = fromRules(list); err != nil {
			return fmt.Errorf("%s: %w", in, err)
		}
	}
	table, err := convert(bytes.NewReader(list), version)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	return os.WriteFile(out, []byte(table), 0o644) //nolint:gosec // the file that whoever runs the generator names
}

// goRule is a rule in the module's table: its kind (1 plain, 2 wildcard, 3
// exception), its name without * and !, and whether it is private.
var goRule = regexp.MustCompile(`^\s*\{([123]), "([^"]+)", \d+, (true|false)\},$`)

// fromRules writes the list that the module's rules.go was made from.
func fromRules(source []byte) ([]byte, error) {
	sections := map[string][]string{}
	for line := range strings.Lines(string(source)) {
		m := goRule.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			continue
		}
		rule := map[string]string{"1": "", "2": "*.", "3": "!"}[m[1]] + m[2]
		sections[m[3]] = append(sections[m[3]], rule)
	}
	if len(sections["false"]) == 0 || len(sections["true"]) == 0 {
		return nil, fmt.Errorf("got %d ICANN and %d private rules, want some of both", len(sections["false"]), len(sections["true"]))
	}
	return []byte("// ===BEGIN ICANN DOMAINS===\n" + strings.Join(sections["false"], "\n") +
		"\n// ===BEGIN PRIVATE DOMAINS===\n" + strings.Join(sections["true"], "\n") + "\n"), nil
}

// convert reads the list and returns the table.
func convert(r io.Reader, version string) (string, error) {
	section := ""
	var rules []string
	scanner := bufio.NewScanner(r)
	for line := 1; scanner.Scan(); line++ {
		text := strings.TrimSpace(scanner.Text())
		switch {
		case strings.Contains(text, "===BEGIN ICANN DOMAINS==="):
			section = "i"
		case strings.Contains(text, "===BEGIN PRIVATE DOMAINS==="):
			section = "p"
		case strings.Contains(text, "===END"):
			section = ""
		case text == "" || strings.HasPrefix(text, "//"):
		case section == "":
			return "", fmt.Errorf("line %d: rule %q outside of the sections", line, text)
		default:
			// > "Each line is only read up to the first whitespace"
			// (https://github.com/publicsuffix/list/wiki/Format)
			rule, err := convertRule(strings.Fields(text)[0], section)
			if err != nil {
				return "", fmt.Errorf("line %d: %w", line, err)
			}
			rules = append(rules, rule)
		}
	}
	if err := scanner.Err(); err != nil {
		return "", err
	}
	slices.Sort(rules)
	rules = slices.Compact(rules)
	return fmt.Sprintf(header, version) + strings.Join(rules, "\n") + "\n", nil
}

func convertRule(rule, section string) (string, error) {
	kind := section
	if name, ok := strings.CutPrefix(rule, "!"); ok {
		rule, kind = name, "!"
	}
	labels := strings.Split(strings.ToLower(rule), ".")
	for i, label := range labels {
		if label == "*" && i == 0 && len(labels) > 1 {
			continue
		}
		ascii, err := idna.Lookup.ToASCII(label)
		if err != nil {
			return "", fmt.Errorf("rule %q has the label %q: %w", rule, label, err)
		}
		if ascii == "" || strings.ContainsAny(ascii, "*! ") {
			return "", fmt.Errorf("rule %q has the label %q", rule, label)
		}
		labels[i] = ascii
	}
	slices.Reverse(labels)
	return strings.Join(labels, ".") + " " + kind, nil
}
