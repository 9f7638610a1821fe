package main

import "testing"

// TestQuickstartsSideBySide: the second finds the first one's ports taken, takes others, and says so in its configuration.
func TestQuickstartsSideBySide(t *testing.T) {
	seen := map[string]bool{}
	for range 3 {
		c := defaultConfig()
		l, err := listenNearby(&c)
		must(t, err)
		defer l.close()
		for _, addr := range []string{c.GRPC.Listen, c.REST.Listen, c.Admin.Listen} {
			if seen[addr] {
				t.Errorf("%s is given out twice", addr)
			}
			seen[addr] = true
		}
		if got := l.grpc.Addr().String(); got != c.GRPC.Listen {
			t.Errorf("listening at %s, the configuration says %s", got, c.GRPC.Listen)
		}
	}
}
