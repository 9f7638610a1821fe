package predicate

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// DraftOptions are what is known when a draft is made. All are optional but
// Now: what is missing becomes a placeholder, a text that begins with
// "FILL IN", which [Lint] refuses until it is replaced.
type DraftOptions struct {
	// Subjects are the files of the release with their digests.
	Subjects []Subject
	// ProductName, ProductVersion and ProductPURL name the product; the
	// package URL carries the version.
	ProductName, ProductVersion, ProductPURL string
	// DeclarantName is the legal name, DeclarantCountry its ISO 3166-1 code,
	// and DeclarantControlledFrom that of its ultimate controlling parent.
	DeclarantName, DeclarantCountry, DeclarantControlledFrom string
	// Role, SignatoryFunction, Authority and Responsibility say who signs for
	// the declarant, and how far it answers.
	Role, SignatoryFunction, Authority, Responsibility string
	// Like is a finished statement, of which product, declarant and scope are
	// taken where no option says otherwise. Identifiers of another version and
	// facts about another declarant are not.
	Like *Statement
	// Now becomes issuedAt; mandatory.
	Now time.Time
	// ValidDays is the time from issuedAt to notAfter in days; 0 = 365.
	ValidDays int
	// UUID is the statement's own id without prefix; "" = a random one.
	UUID string
	// Related are statements that the draft refers to.
	Related []StatementRef
	// Evidence is written into the draft as it is given.
	Evidence []Evidence
	// Flows are flows of a data-flows statement as far as they are known; what is
	// missing in one becomes a placeholder. Without any there is one as a pattern.
	Flows []Flow
	// Scope and Completeness are those of the statement where they are known.
	Scope        *Scope
	Completeness *Completeness
}

const defaultValidDays = 365

// fill marks a text to replace.
func fill(what string) string { return placeholderPrefix + ": " + what }

// fillOne marks a value to choose from a registry.
func fillOne(registry string) string {
	return fill("one of " + strings.Join(IDs(registry), ", "))
}

func fillUnless(value, what string) string {
	if value != "" {
		return value
	}
	return fill(what)
}

// draftFrame is the statement around the predicate, in the usual order.
type draftFrame struct {
	Type          string    `json:"_type"`
	Subject       []Subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     any       `json:"predicate"`
}

func (o DraftOptions) render(predicateType string, predicate any) ([]byte, error) {
	subjects := o.Subjects
	if len(subjects) == 0 {
		subjects = []Subject{{Name: fill("file name"), Digest: map[string]string{"sha256": fill("SHA-256 of the file")}}}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(draftFrame{StatementType, subjects, predicateType, predicate}); err != nil {
		return nil, fmt.Errorf("draft: %w", err)
	}
	return b.Bytes(), nil
}

// common fills in the common members.
func (o DraftOptions) common() (Common, error) {
	if o.Now.IsZero() {
		return Common{}, fmt.Errorf("draft: Now is not set")
	}
	days := o.ValidDays
	if days == 0 {
		days = defaultValidDays
	}
	if days < 0 {
		return Common{}, fmt.Errorf("draft: %d days of validity, want 1 or more", days)
	}
	id := o.UUID
	if id == "" {
		id = randomUUID()
	}
	issued := o.Now.UTC().Truncate(time.Second)
	return Common{
		StatementID: "urn:uuid:" + id,
		Product:     o.product(),
		Declarant:   o.declarant(),
		Validity: Validity{
			IssuedAt: issued.Format(timeLayout),
			NotAfter: issued.Add(time.Duration(days) * 24 * time.Hour).Format(timeLayout),
		},
		Related: o.Related,
	}, nil
}

// like returns the common members of Like, or empty ones.
func (o DraftOptions) like() Common {
	if o.Like == nil || o.Like.Common() == nil {
		return Common{}
	}
	return *o.Like.Common()
}

// product takes the product of Like only where it is the same one, and its
// identifiers, which carry the version (R08), only of the same version.
func (o DraftOptions) product() Product {
	p := o.like().Product
	if o.ProductName != "" && o.ProductName != p.Name {
		p = Product{Name: o.ProductName}
	}
	if o.ProductVersion != "" && o.ProductVersion != p.Version {
		p.Version, p.Identifiers = o.ProductVersion, nil
	}
	p.Name = fillUnless(p.Name, "name of the product")
	p.Version = fillUnless(p.Version, "version of the product")
	if o.ProductPURL != "" || len(p.Identifiers) == 0 {
		p.Identifiers = []Identifier{{Scheme: "purl",
			Value: fillUnless(o.ProductPURL, "package URL with the version, pkg:generic/NAME@VERSION")}}
	}
	return p
}

// declarant takes nothing of Like if it is of another party.
func (o DraftOptions) declarant() Declarant {
	d := o.like().Declarant
	if o.DeclarantName != "" && o.DeclarantName != d.Party.Name {
		d = Declarant{Party: Party{Name: o.DeclarantName}}
	}
	for _, m := range []struct {
		member       *string
		option, fill string
	}{
		{&d.Party.Name, o.DeclarantName, fill("legal name of the vendor")},
		{&d.Party.Country, o.DeclarantCountry, fill("ISO 3166-1 code of the country of establishment, for example DE")},
		{&d.Party.ControlledFrom, o.DeclarantControlledFrom, ""},
		{&d.Role, o.Role, fillOne("role")},
		{&d.SignatoryFunction, o.SignatoryFunction, fill("function of who signs, for example Head of Product Security")},
		{&d.Authority, o.Authority, fillOne("authority")},
		{&d.Responsibility, o.Responsibility, fillOne("responsibility")},
	} {
		*m.member = cmp.Or(m.option, *m.member, m.fill)
	}
	return d
}

// scope takes the scope of Like, if its type has one.
func (o DraftOptions) scope() Scope {
	switch {
	case o.Scope != nil:
		return *o.Scope
	case o.Like != nil && o.Like.NoBackdoor != nil:
		return o.Like.NoBackdoor.Scope
	case o.Like != nil && o.Like.DataFlows != nil:
		return o.Like.DataFlows.Scope
	}
	return Scope{Configuration: fillOne("configuration"), Description: fill("what the statement speaks of")}
}

// randomUUID returns a UUID of version 4 (RFC 9562).
func randomUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never returns an error
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

func draftControl() Control {
	return Control{Possible: fillOne("possible"), By: fillOne("controlBy"), Methods: []string{fillOne("controlMethod")},
		Setting: fill("what to set, literally"), Effect: fill("what stops working")}
}

func draftCompleteness() Completeness {
	return Completeness{Level: fillOne("completenessLevel"), Methods: []string{fillOne("completenessMethod")},
		Exclusions: []Exclusion{{Kind: fillOne("exclusionKind") + "; or remove the exclusion", Description: fill("what is left out")}}}
}

// NewNoBackdoorDraft returns a no-backdoor statement to fill in: every claim of
// the registry, to answer or to remove, and one mechanism as a pattern. If
// Related has no data-flows statement, a placeholder stands for its digest.
func NewNoBackdoorDraft(o DraftOptions) ([]byte, error) {
	common, err := o.common()
	if err != nil {
		return nil, err
	}
	if len(common.Related) == 0 {
		common.Related = []StatementRef{{PredicateType: DataFlowsType,
			Digest: map[string]string{"sha256": fill("SHA-256 of the data-flows statement, as avow lint prints it")}}}
	}
	definition := BackdoorDefinition()
	p := NoBackdoor{
		Common:     common,
		Definition: &ResourceDescriptor{URI: definition.URI, Digest: map[string]string{"sha256": definition.SHA256}},
		Scope:      o.scope(),
		Mechanisms: []Mechanism{{
			ID:             fill("short id such as auto-update; remove the mechanism if there is none"),
			Kind:           fillOne("mechanismKind"),
			Description:    fill("what it does"),
			Capabilities:   []string{fillOne("capability")},
			Operator:       fillOne("operator"),
			DefaultState:   fillOne("defaultState"),
			Access:         fillOne("access"),
			IntegrityCheck: fillOne("integrityCheck"),
			UserNotice:     fillOne("userNotice"),
			Control:        draftControl(),
			Flows:          []string{fill("ids of its flows in the data-flows statement")},
		}},
		MechanismsCompleteness: draftCompleteness(),
		Evidence:               o.Evidence,
	}
	for _, claim := range claimTerms() {
		p.Claims = append(p.Claims, Claim{ID: claim.ID, Answer: fillOne("answer") + "; remove the claim if it cannot be made",
			Qualification: fillOne("qualification"), Note: fill("remove, or say more than: " + claim.Sentence)})
	}
	return o.render(NoBackdoorType, p)
}

// NewUndertakingsDraft returns an undertakings statement to fill in: every
// undertaking of the registry, with its parameter, to keep or to remove.
// U-NOTIFY-CHANGE has to stay.
func NewUndertakingsDraft(o DraftOptions) ([]byte, error) {
	common, err := o.common()
	if err != nil {
		return nil, err
	}
	p := Undertakings{Common: common, Evidence: o.Evidence}
	for _, term := range undertakingTerms() {
		u := Undertaking{ID: term.ID, Qualification: fillOne("qualification") + "; remove the undertaking if it cannot be given",
			Text: fill("remove, or say more than: " + term.Sentence)}
		for _, parameter := range term.Parameters {
			switch hours, days := 72, 90; parameter {
			case "hours":
				u.Hours = &hours
			case "days":
				u.Days = &days
			case "until":
				u.Until = fill("end of support, as 2030-12-31T00:00:00Z")
			case "channels":
				u.Channels = []Identifier{{Scheme: "url", Value: fill(channelHint(term.ID))}}
			}
		}
		p.Undertakings = append(p.Undertakings, u)
	}
	return o.render(UndertakingsType, p)
}

func channelHint(undertaking string) string {
	if undertaking == UndertakingLogOnly {
		return "log, as https://2026-1.log.example.com"
	}
	return "page on which it is told"
}
