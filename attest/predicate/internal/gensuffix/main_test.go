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
