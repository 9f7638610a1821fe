package draft

import (
	_ "embed"
	"strings"
)

// services is the list of known services; see its first lines for the form.
//
//go:embed data/services.txt
var services string

// Service is one that many products use.
type Service struct {
	Name string
	// Hosts are names; one that begins with a dot is every name below.
	Hosts []string
	// Packages are beginnings of package URLs that bring it in.
	Packages []string
	// Purpose is the usual one, of the purpose registry.
	Purpose string
	// Source is where its operator or project says so.
	Source string
}

// Services returns the embedded list.
func Services() []Service {
	var list []Service
	for line := range strings.Lines(services) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSpace(line), " | ")
		if len(f) != 5 {
			continue // a test counts the lines
		}
		s := Service{Name: f[0], Hosts: strings.Split(f[1], ", "), Purpose: f[3], Source: f[4]}
		if f[2] != "-" {
			s.Packages = strings.Split(f[2], ", ")
		}
		list = append(list, s)
	}
	return list
}

// ofHost reports whether a name is one of the service's.
func (s *Service) ofHost(name string) bool {
	for _, h := range s.Hosts {
		if name == h || strings.HasPrefix(h, ".") && strings.HasSuffix(name, h) {
			return true
		}
	}
	return false
}

// ofPackage reports whether a package URL is of a package that brings it in. A
// beginning that ends in a letter ends at a boundary: rollbar is not rollbarista.
func (s *Service) ofPackage(purl string) bool {
	for _, p := range s.Packages {
		rest, ok := strings.CutPrefix(purl, p)
		if ok && (rest == "" || strings.ContainsAny(rest[:1], "@/?#.-") || strings.ContainsAny(p[len(p)-1:], "/-")) {
			return true
		}
	}
	return false
}

// suggestion is what a placeholder says about a known service.
func (s *Service) suggestion(what string) string {
	return "a suggestion: " + what + " looks like " + s.Name + ", usually " + s.Purpose + " (" + s.Source + ")"
}
