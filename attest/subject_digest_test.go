package attest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest"
)

func TestSubjectByDigest(t *testing.T) {
	digest := strings.Repeat("0a", 32)
	s, err := attest.SubjectByDigest("registry.example:5000/team/app", digest)
	if err != nil || s.Name != "registry.example:5000/team/app" || len(s.Digest) != 1 || s.Digest["sha256"] != digest {
		t.Errorf("got %+v, %v", s, err)
	}
	for _, c := range [][2]string{
		{"", digest}, {"a\nb", digest}, {`a\b`, digest}, {"a\u202eb", digest},
		{"app", ""}, {"app", strings.ToUpper(digest)}, {"app", digest + "0a"}, {"app", "sha256:" + digest}, {"app", strings.Repeat("0g", 32)},
	} {
		_, err := attest.SubjectByDigest(c[0], c[1])
		var refused *attest.Error
		if !errors.As(err, &refused) || refused.Code != attest.CodeSubject || refused.Hint == "" {
			t.Errorf("%q %q: got %v", c[0], c[1], err)
		}
	}
}
