package server

import (
	"context"
	"strings"
	"testing"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
)

// TestEveryMethodHasARule compares the table with what the server really answers, in both directions: a new method
// without a rule and a rule without a method are both found.
func TestEveryMethodHasARule(t *testing.T) {
	w := newWorld(t)
	served := map[string]bool{}
	for service, info := range w.server.GRPCServer().GetServiceInfo() {
		for _, m := range info.Methods {
			name := "/" + service + "/" + m.Name
			served[name] = true
			r, ok := rules[name]
			switch {
			case !ok || r.access == accessDenied:
				t.Errorf("%s has no rule", name)
			case r.access == accessProbe && strings.HasPrefix(name, "/avow."):
				t.Errorf("%s is outside of all limits", name)
			case r.access == accessAnyone && (r.cost < 1 || r.cost > maxCost):
				t.Errorf("%s costs %d, want 1 to %d", name, r.cost, maxCost)
			}
		}
	}
	for name := range rules {
		if !served[name] {
			t.Errorf("the rule for %s is for no method", name)
		}
	}
}

// TestMethodWithoutARuleIsRefused: deny by default, on the resolved name, whatever a caller's path looks like.
func TestMethodWithoutARuleIsRefused(t *testing.T) {
	w := newWorld(t)
	anyone := func(context.Context) (caller, error) { return caller{}, nil }
	for _, name := range []string{
		"", "/avow.v1.AttestationService/Delete", "avow.v1.AttestationService/Issue", "//avow.v1.AttestationService/Issue",
		"/avow.v1.AttestationService/issue", "/avow.v1.AttestationService/Issue/",
	} {
		_, err := w.server.admit(t.Context(), anyone, name)
		if err == nil || toRefusal(err).reason != reasonMethodNotPermitted {
			t.Errorf("%q: got %v, want METHOD_NOT_PERMITTED", name, err)
		}
	}
	if _, err := w.server.admit(t.Context(), anyone, avowv1.AttestationService_Issue_FullMethodName); err != nil {
		t.Errorf("a method with a rule: %v", err)
	}
}
