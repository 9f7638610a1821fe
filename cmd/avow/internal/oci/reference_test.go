package oci

import (
	"slices"
	"strings"
	"testing"
)

func TestParseImage(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0a", 32)
	for argument, name := range map[string]string{
		"oci://registry.example/team/app@" + digest:        "registry.example/team/app",
		"registry.example/team/app@" + digest:              "registry.example/team/app",
		"registry.example/app:1.2.3@" + digest:             "registry.example/app",
		"oci://localhost:5000/app@" + digest:               "localhost:5000/app",
		"oci://docker.io/library/app@" + digest:            "index.docker.io/library/app",
		"oci://registry.example:443/a/b/c-d_e.f@" + digest: "registry.example:443/a/b/c-d_e.f",
	} {
		image, err := ParseImage(argument)
		if err != nil || image.Name() != name || "sha256:"+image.SHA256() != digest || image.String() != name+"@"+digest {
			t.Errorf("%s: got %v, %v", argument, image, err)
		}
	}
	for argument, want := range map[string]Reason{
		"oci://registry.example/team/app:1.2.3":  ReasonTag,
		"registry.example/team/app":              ReasonTag,
		"":                                       ReasonReference,
		"oci://":                                 ReasonReference,
		"app@" + digest:                          ReasonReference, // no default registry
		"team/app@" + digest:                     ReasonReference,
		"docker.io/app@" + digest:                ReasonReference,
		"https://registry.example/app@" + digest: ReasonReference,
		"registry.example/app@" + strings.ToUpper(digest):         ReasonReference,
		"registry.example/app@sha256:0a":                          ReasonReference,
		"registry.example/app@sha512:" + strings.Repeat("0a", 64): ReasonReference,
		"registry.example/app@" + digest + "@" + digest:           ReasonReference,
		"registry.example/App@" + digest:                          ReasonReference,
		"oci://oci://registry.example/app@" + digest:              ReasonReference,
		"https://registry.example/app:1":                          ReasonReference,
		"registry.example/../app@" + digest:                       ReasonReference,
		"user:pw@registry.example/app":                            ReasonReference,
		"registry.example/app:\x1b[2J":                            ReasonReference,
	} {
		image, err := ParseImage(argument)
		if err == nil {
			t.Errorf("%q was taken as %v", argument, image)
		}
		wantReason(t, err, want)
		if IsTag(err) != (want == ReasonTag) {
			t.Errorf("%s: IsTag is wrong", argument)
		}
	}
	if IsImage("app.tar.gz") || IsImage(digest) || !IsImage("oci://x") {
		t.Error("what is an image is seen by its scheme")
	}
}

// TestReasonsAreAList: lower case, each once.
func TestReasonsAreAList(t *testing.T) {
	reasons := Reasons()
	for i, r := range reasons {
		if !strings.HasPrefix(string(r), "oci-") || strings.ToLower(string(r)) != string(r) || slices.Contains(reasons[:i], r) {
			t.Errorf("%q", r)
		}
	}
}
