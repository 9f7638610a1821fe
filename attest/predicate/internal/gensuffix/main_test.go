package main

import (
	"strings"
	"testing"
)

func TestConvert(t *testing.T) {
	const list = `// comment
// ===BEGIN ICANN DOMAINS===
com
uk
co.uk
*.ck
!www.ck
公司.cn
COM text after the rule
// ===END ICANN DOMAINS===
// ===BEGIN PRIVATE DOMAINS===
s3.amazonaws.com

*.compute.amazonaws.com
// ===END PRIVATE DOMAINS===
`
	got, err := convert(strings.NewReader(list), "of a test")
	if err != nil {
		t.Fatal(err)
	}
	const want = `ck.* i
ck.www !
cn.xn--55qx5d i
com i
com.amazonaws.compute.* p
com.amazonaws.s3 p
uk i
uk.co i
`
	_, rules, _ := strings.Cut(got, "MPL/2.0/.\n")
	if rules != want {
		t.Errorf("got\n%s\nwant\n%s", rules, want)
	}
	if !strings.Contains(got, "# Version: of a test\n") {
		t.Error("the version is not in the header")
	}
}

func TestConvertRefuses(t *testing.T) {
	for name, list := range map[string]string{
		"rule outside of the sections": "com\n",
		"star within":                  "// ===BEGIN ICANN DOMAINS===\na.*.b\n",
		"star alone":                   "// ===BEGIN ICANN DOMAINS===\n*\n",
		"empty label":                  "// ===BEGIN ICANN DOMAINS===\na..b\n",
		"two exclamation marks":        "// ===BEGIN ICANN DOMAINS===\n!!a.b\n",
	} {
		if _, err := convert(strings.NewReader(list), ""); err == nil || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%s: got %v, want an error with the line", name, err)
		}
	}
}

// The module's table gives the same list as the list's own text.
func TestFromRules(t *testing.T) {
	const source = `var r = [4]Rule{
	{1, "com", 1, false},
	{2, "ck", 2, false},
	{3, "www.ck", 2, false},
	{2, "compute.amazonaws.com", 4, true},
}
`
	list, err := fromRules([]byte(source))
	if err != nil {
		t.Fatal(err)
	}
	got, err := convert(strings.NewReader(string(list)), "of a test")
	if err != nil {
		t.Fatal(err)
	}
	const want = "ck.* i\nck.www !\ncom i\ncom.amazonaws.compute.* p\n"
	if _, rules, _ := strings.Cut(got, "MPL/2.0/.\n"); rules != want {
		t.Errorf("got\n%s\nwant\n%s", rules, want)
	}
	if _, err := fromRules([]byte("package x\n")); err == nil {
		t.Error("a file without rules is taken")
	}
}
