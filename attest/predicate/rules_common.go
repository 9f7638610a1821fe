package predicate

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
)

// commonRules are those about subjects, times, the declarant and the product.
func commonRules() []Rule {
	return []Rule{
		{Code: "R04", Severity: SeverityError, Needs: "S", check: checkSubjects,
			When: "there is no subject; more than 256; a subject without sha256 (gitCommit, sha512 may be added); a digest that is " +
				"not lower-case hexadecimal of its algorithm's length; more than 32 digests; one sha256 twice; a name that is empty, " +
				"absolute, has .. or a control character",
			Why: "subjects match by digest alone",
			Fix: "list each file once with its SHA-256; names are relative"},
		{Code: "R05", Severity: SeverityError, Needs: "S, C", check: checkTimes,
			When: "a time is not in whole seconds of UTC; issuedAt or notAfter is absent; notAfter is not after issuedAt or more than " +
				"400 days (undertakings: 3653) after it; notBefore is outside the two; a period ends before it starts; at receipt " +
				"issuedAt is more than 5 minutes ahead or 24 hours past",
			Why: "nothing is valid for ever or dated back",
			Fix: "write times as 2026-09-01T09:00:00Z; renew a statement instead of making it longer"},
		{Code: "R06", Severity: SeverityError, Needs: "S, D", check: checkDeclarantCountry,
			When: "the declarant's country is absent or not in ISO 3166-1",
			Why:  "it says who answers in law",
			Fix:  "write the two-letter code of the country of establishment (the United Kingdom is GB)"},
		{Code: "R07", Severity: SeverityError, Needs: "S", check: checkAuthority,
			When: "responsibility, authority or signatoryFunction is absent",
			Why:  "it says on whose authority the statement is made",
			Fix:  "fill in the three members of declarant; a name is not needed"},
		{Code: "R08", Severity: SeverityError, Needs: "S", check: checkProduct,
			When: "there is no product identifier; a purl is malformed, has no version, or another than product.version (a leading v " +
				"is ignored)",
			Why: "a tender names a version",
			Fix: "add a purl such as pkg:generic/name@1.2.3"},
		{Code: "R17", Severity: SeverityError, Needs: "S", check: checkTwice,
			When: "one claim, or one undertaking, stands twice",
			Why:  "it is open which one counts",
			Fix:  "keep one of them"},
		{Code: "R18", Severity: SeverityError, Needs: "S", check: checkUndertakings,
			When: "undertakings are without U-NOTIFY-CHANGE, or an undertaking is without its parameter; U-LOG-ONLY names a log by " +
				"something else than https:// and its origin",
			Why: "it would be a promise without a time",
			Fix: "add U-NOTIFY-CHANGE with hours, and the parameter that the registry names"},
		{Code: "R25", Severity: SeverityError, Needs: "S, D", check: checkPlaces,
			When: "a country or jurisdiction is not an ISO 3166-1 code, a part of one (FR-NC), EU, EEA or anywhere; anywhere stands " +
				"beside others; a country is none of the 249 two-letter codes (anywhere: for a publicService only)",
			Why: "nobody can evaluate such a place",
			Fix: "use codes in upper case; leave controlledFrom out if it is not known"},
	}
}

func checkSubjects(c *checker) {
	subjects := c.s.Subjects
	switch {
	case len(subjects) == 0:
		c.report("/subject", "", "there is no subject", "list the files of the release with their SHA-256")
	case len(subjects) > MaxSubjects:
		c.report("/subject", "", fmt.Sprintf("%d subjects, the limit is %d", len(subjects), MaxSubjects),
			"name an archive or a manifest of the files")
		return
	}
	first := make(map[string]int, len(subjects))
	for i, s := range subjects {
		at := pointer("subject", i)
		if problem := nameProblem(s.Name); problem != "" {
			c.report(at+"/name", s.Name, problem, "write the file name, relative to the release")
		}
		c.subjectDigests(at, s.Digest)
		sum := s.Digest["sha256"]
		if j, ok := first[sum]; ok && sum != "" {
			c.report(at+"/digest/sha256", sum, fmt.Sprintf("is the digest of subject %d too", j), "list each file once")
		} else {
			first[sum] = i
		}
	}
}

func (c *checker) subjectDigests(at string, digests map[string]string) {
	if digests["sha256"] == "" {
		c.report(at+"/digest/sha256", "", "subject without sha256", "add the SHA-256 of the file; other digests may stand beside it")
	}
	if len(digests) > MaxDigests {
		c.report(at+"/digest", "", fmt.Sprintf("%d digests, the limit is %d", len(digests), MaxDigests), "keep sha256 and few others")
		return
	}
	for _, algorithm := range slices.Sorted(maps.Keys(digests)) {
		value := digests[algorithm]
		if algorithm == "sha256" && value == "" {
			continue
		}
		if problem := digestProblem(algorithm, value); problem != "" {
			c.report(at+pointer("digest", algorithm), value, "digest "+problem, "write the digest in lower-case hexadecimal")
		}
	}
}

// nameProblem says what is wrong with the name of a subject, or "".
func nameProblem(name string) string {
	slashed := strings.ReplaceAll(name, `\`, "/")
	switch {
	case strings.TrimSpace(name) == "":
		return "name is absent or empty"
	case strings.HasPrefix(slashed, "/"), len(name) > 1 && name[1] == ':' && isLetter(name[0]):
		return "name is absolute"
	case slices.Contains(strings.Split(slashed, "/"), ".."):
		return "name climbs with .."
	case strings.ContainsFunc(name, isControl):
		return "name has a control character"
	}
	return ""
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// isControl includes the characters that turn the direction of text, with which
// a name can be made to look like another.
func isControl(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }

// validityPointer returns the place of the validity.
func (s *Statement) validityPointer() string {
	if s.Assessment != nil {
		return "/predicate/validity"
	}
	return "/predicate/common/validity"
}

func checkTimes(c *checker) {
	deferredFindings(c)
	if v := c.s.validity(); v != nil {
		c.validity(v, c.s.validityPointer())
	}
	switch s := c.s; {
	case s.Undertakings != nil:
		for i, u := range s.Undertakings.Undertakings {
			c.period(s.Undertakings.Common.Validity.IssuedAt, u.Until, pointer("predicate", "undertakings", i, "until"),
				"is before issuedAt: the undertaking ends before it starts")
		}
	case s.Assessment != nil:
		c.period(s.Assessment.PerformedFrom, s.Assessment.PerformedTo, "/predicate/performedTo", "is before performedFrom")
	case s.Dispute != nil:
		c.period(s.Dispute.OccurredAt, s.Dispute.RespondBy, "/predicate/respondBy", "is before occurredAt")
	}
}

// period reports an end before its start; times that cannot be read are
// reported elsewhere.
func (c *checker) period(from, to, at, message string) {
	start, ok1 := parseTime(from)
	end, ok2 := parseTime(to)
	if ok1 && ok2 && end.Before(start) {
		c.report(at, to, message, "a period ends after it starts")
	}
}

func (c *checker) validity(v *Validity, at string) {
	if v.IssuedAt == "" {
		c.report(at+"/issuedAt", "", "issuedAt is absent", timeHint)
	}
	if v.NotAfter == "" {
		c.report(at+"/notAfter", "", "notAfter is absent", "nothing is valid for ever: "+timeHint)
	}
	issued, ok1 := parseTime(v.IssuedAt)
	end, ok2 := parseTime(v.NotAfter)
	if ok1 && ok2 {
		longest := MaxValidity
		if c.s.Undertakings != nil {
			longest = MaxUndertakingsValidity
		}
		switch {
		case !end.After(issued):
			c.report(at+"/notAfter", v.NotAfter, "is not after issuedAt", "a statement ends after it was issued")
		case end.Sub(issued) > longest:
			c.report(at+"/notAfter", v.NotAfter, fmt.Sprintf("is more than %d days after issuedAt", longest/(24*time.Hour)),
				"make it shorter and renew it")
		}
	}
	start, ok := parseTime(v.NotBefore)
	if ok && (ok1 && start.Before(issued) || ok2 && !start.Before(end)) {
		c.report(at+"/notBefore", v.NotBefore, "is not between issuedAt and notAfter", "leave it out if the statement holds at once")
	}
}

// declarant returns the declarant and its place, or nil.
func (s *Statement) declarant() (*Declarant, string) {
	if common := s.Common(); common != nil {
		return &common.Declarant, "/predicate/common/declarant"
	}
	if s.Withdrawal != nil {
		return &s.Withdrawal.Declarant, "/predicate/declarant"
	}
	return nil, ""
}

func checkDeclarantCountry(c *checker) {
	d, at := c.s.declarant()
	if d == nil {
		return
	}
	const hint = "write the two-letter ISO 3166-1 code of the country of establishment"
	switch {
	case d.Party.Country == "":
		c.report(at+"/party/country", "", "the declarant's country is absent", hint)
	case !c.t.Country(d.Party.Country):
		c.report(at+"/party/country", d.Party.Country, "is not a country of ISO 3166-1", hint)
	}
}

func checkAuthority(c *checker) {
	d, at := c.s.declarant()
	if d == nil {
		return
	}
	for _, m := range []struct{ name, value, hint string }{
		{"responsibility", d.Responsibility, "write soleResponsibility or onBehalfOf"},
		{"authority", d.Authority, "write legalRepresentative, delegatedInWriting or projectGovernance"},
		{"signatoryFunction", d.SignatoryFunction, "write the function of who signs, for example Head of Product Security"},
	} {
		if strings.TrimSpace(m.value) == "" {
			c.report(at+"/"+m.name, "", m.name+" is absent", m.hint)
		}
	}
}

func checkProduct(c *checker) {
	common := c.s.Common()
	if common == nil {
		return
	}
	const at = "/predicate/common/product/identifiers"
	if len(common.Product.Identifiers) == 0 {
		c.report(at, "", "the product has no identifier", "add a purl, cpe23, gtin or url")
	}
	for i, id := range common.Product.Identifiers {
		if id.Scheme != "purl" {
			continue
		}
		value := at + pointer(i, "value")
		version, ok := purlVersion(id.Value)
		switch {
		case !ok:
			c.report(value, id.Value, "is not a package URL", "write pkg:type/namespace/name@version")
		case version == "":
			c.report(value, id.Value, "package URL without a version", "add @"+common.Product.Version)
		case strings.TrimPrefix(version, "v") != strings.TrimPrefix(common.Product.Version, "v"):
			c.report(value, id.Value, "version of the package URL is not product.version, "+printable(common.Product.Version),
				"make the two equal")
		}
	}
}

// purlVersion returns the version of a package URL, and whether it is one.
// https://github.com/package-url/purl-spec
func purlVersion(purl string) (version string, ok bool) {
	rest, ok := strings.CutPrefix(purl, "pkg:")
	if !ok {
		return "", false
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, "?")
	// The version follows the last "@" of the last segment; an "@" in a
	// namespace is written %40.
	name := rest
	if at := strings.LastIndexByte(rest, '@'); at > strings.LastIndexByte(rest, '/') {
		name = rest[:at]
		decoded, err := url.PathUnescape(rest[at+1:])
		if err != nil {
			return "", false
		}
		version = decoded
	}
	kind, path, ok := strings.Cut(name, "/")
	if !ok || kind == "" || !isLetter(kind[0]) || strings.HasSuffix(path, "/") || path == "" {
		return "", false
	}
	return version, true
}

func checkTwice(c *checker) {
	first := make(map[string]bool)
	twice := func(id, at string) {
		if first[id] {
			c.report(at, id, "stands twice", "keep one of them")
		}
		first[id] = true
	}
	if nb := c.s.NoBackdoor; nb != nil {
		for i, claim := range nb.Claims {
			twice(claim.ID, pointer("predicate", "claims", i, "id"))
		}
	}
	if u := c.s.Undertakings; u != nil {
		for i, undertaking := range u.Undertakings {
			twice(undertaking.ID, pointer("predicate", "undertakings", i, "id"))
		}
	}
}

func checkUndertakings(c *checker) {
	if c.s.Undertakings == nil {
		return
	}
	parameters := make(map[string][]string)
	for _, term := range undertakingTerms() {
		parameters[term.ID] = term.Parameters
	}
	notify := false
	for i, u := range c.s.Undertakings.Undertakings {
		notify = notify || u.ID == UndertakingNotifyChange
		given := map[string]bool{"hours": u.Hours != nil, "days": u.Days != nil, "until": u.Until != "", "channels": len(u.Channels) > 0}
		for _, name := range parameters[u.ID] {
			if !given[name] {
				c.report(pointer("predicate", "undertakings", i, name), "", u.ID+" is without its parameter "+name, "add "+name)
			}
		}
		checkPledgedLogs(c, i, u)
	}
	if !notify {
		c.report("/predicate/undertakings", "", "there is no "+UndertakingNotifyChange,
			"add it with hours: within that time a statement that is no longer true is withdrawn")
	}
}

// checkPledgedLogs: a pledge that names a log loosely could be read as naming another.
func checkPledgedLogs(c *checker, i int, u Undertaking) {
	if u.ID != UndertakingLogOnly {
		return
	}
	for n, channel := range u.Channels {
		if _, ok := logOrigin(channel); !ok {
			c.report(pointer("predicate", "undertakings", i, "channels", n), channel.Value, "names no log",
				"write the log as scheme url with https:// and its origin, for example https://2026-1.log.example.com")
		}
	}
}

// PledgedLogs returns the origins of the logs that the vendor pledges to publish in and nowhere else ([UndertakingLogOnly]),
// and nil if the statement has no such undertaking without qualification.
func (s *Statement) PledgedLogs() []string {
	if s.Undertakings == nil {
		return nil
	}
	var origins []string
	for _, u := range s.Undertakings.Undertakings {
		if u.ID != UndertakingLogOnly || u.Qualification != "unqualified" {
			continue
		}
		for _, channel := range u.Channels {
			if origin, ok := logOrigin(channel); ok {
				origins = append(origins, origin)
			}
		}
	}
	return origins
}

// logOrigin reads a log out of a channel: the origin is a bare host name, as in the first line of its checkpoints.
func logOrigin(channel Identifier) (string, bool) {
	origin, ok := strings.CutPrefix(channel.Value, "https://")
	if !ok || channel.Scheme != "url" || origin == "" || strings.ToLower(origin) != origin || strings.ContainsAny(origin, "/?#@: ") {
		return "", false
	}
	return origin, true
}
