package doctest

import "testing"

func TestDocumentation(t *testing.T) {
	t.Skip("the documentation shows commands of a POSIX shell")
}
