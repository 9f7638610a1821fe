package enforce_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/avow-dev/avow/verify/enforce"
)

// TestGolden compiles one flow of each sort for each target, without what the buyer does not accept.
func TestGolden(t *testing.T) {
	for _, target := range enforced() {
		t.Run(string(target), func(t *testing.T) {
			flows := everything()
			if target == enforce.Kubernetes {
				flows = addressesOnly()
			}
			o := optionsFor(target)
			o.AllowUncompiled, o.LeaveOutVendorBenefit = true, true
			database, err := enforce.ParseConfigured("database.url=db.corp.example:5432")
			if err != nil {
				t.Fatal(err)
			}
			if o.Configured = []enforce.Configured{database}; target == enforce.Kubernetes {
				o.Configured = nil
			}
			p := compile(t, accepted(t, flows...), o)
			path := filepath.Join("testdata", "golden", p.FileName)
			if *update {
				if err := os.WriteFile(path, p.Content, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(p.Content, want) {
				t.Errorf("differs from %s (write it anew with -update, and look at the difference):\n%s", path, p.Content)
			}
			if c, err := p.Compare(p.Content); err != nil || !c.Same() {
				t.Errorf("does not equal itself: %+v %v", c, err)
			}
		})
	}
}

// addressesOnly are the flows that a NetworkPolicy can express, and one that the buyer does not accept.
func addressesOnly() []flow {
	all := everything()
	all[1].endpoints = all[1].endpoints[1:]
	return []flow{all[1], all[3], all[6], all[10]}
}

// TestNothingDeclared: a statement that declares no flow compiles to a policy under which nothing leaves.
func TestNothingDeclared(t *testing.T) {
	none := bundleOfNone(t)
	for target, want := range map[enforce.Target]string{
		enforce.Cilium: "  egress:\n    - {}\n", enforce.Kubernetes: "  egress: []\n", enforce.Squid: "acl avow_connect method CONNECT\nhttp_access deny all\n",
		enforce.Envoy: "virtual_hosts: []\n", enforce.NFTables: "mld2-listener-report } accept\n\t\tcounter reject with icmpx admin-prohibited\n",
		enforce.Docker: "http_access deny all",
	} {
		if got := string(compile(t, none, optionsFor(target)).Content); !strings.Contains(got, want) {
			t.Errorf("%s lacks %q:\n%s", target, want, got)
		}
	}
}
