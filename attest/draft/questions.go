package draft

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/avow-dev/avow/attest/predicate"
)

// MaxQuestions is how many questions an interview has at most.
const MaxQuestions = 10

// Question is one thing that no machine knows.
type Question struct {
	// Text is the question, Form how to answer, with an example. Both may hold
	// foreign text.
	Text, Form string
	// Default is taken for an empty answer; without one the places stay open.
	Default string
	set     func(answer string) error
}

// Answer takes an answer. An error says what is wrong with it; then nothing has
// changed. An empty answer without a default changes nothing.
func (q *Question) Answer(answer string) error {
	if answer = strings.TrimSpace(answer); answer == "" {
		answer = q.Default
	}
	if answer == "" {
		return nil
	}
	if brief(answer) != answer {
		return fmt.Errorf("an answer has one line of at most %d characters", maxText)
	}
	return q.set(answer)
}

// Questions are what is asked about a draft: first what its options do not say,
// then, flow by flow, recipient, purpose and data, and switch, of the flows with
// the most to say until there are [MaxQuestions]. Of the others the places stay
// open. The answers go into o.
func Questions(o *predicate.DraftOptions) []Question {
	var list []Question
	ask := func(q Question) {
		if len(list) < MaxQuestions {
			list = append(list, q)
		}
	}
	if o.Like == nil {
		for _, q := range about(o) {
			ask(q)
		}
	}
	if slices.ContainsFunc(o.Flows, unverified) {
		ask(Question{Text: "How does the product verify the certificates of its peers?",
			Form: strings.Join(predicate.IDs("tlsVerification"), ", "), set: func(a string) error { return verification(o, a) }})
	}
	for i := range o.Flows {
		f := &o.Flows[i]
		if f.Necessity != "" { // the flow of the system's resolver is complete
			continue
		}
		if len(list)+3 > MaxQuestions {
			break // a flow of which a part is asked is as open as one of which nothing is
		}
		recipient, purpose, control := flowQuestions(o, f)
		for _, q := range []Question{recipient, purpose, control} {
			ask(q)
		}
	}
	return list
}

// about asks what the statement is about and who makes it.
func about(o *predicate.DraftOptions) []Question {
	var list []Question
	if o.ProductName == "" || o.ProductVersion == "" {
		list = append(list, Question{Text: "Which product is it?", Form: "NAME, VERSION, as tenders name it: Example Gateway, 1.2.3", set: func(a string) error {
			parts, err := split(a, ",", 2, 2)
			if err != nil {
				return err
			}
			o.ProductName, o.ProductVersion = parts[0], parts[1]
			o.ProductPURL = cmp.Or(o.ProductPURL, "pkg:generic/"+slug(parts[0])+"@"+parts[1])
			return nil
		}})
	}
	if o.DeclarantName == "" || o.DeclarantCountry == "" {
		list = append(list, Question{Text: "Who is the vendor?", Form: "LEGAL NAME, COUNTRY: Example Devices GmbH, DE", set: func(a string) error {
			name, country, err := party(a)
			if err == nil {
				o.DeclarantName, o.DeclarantCountry = name, country
			}
			return err
		}})
	}
	if o.Role == "" || o.SignatoryFunction == "" || o.Authority == "" || o.Responsibility == "" {
		list = append(list, Question{Text: "Who signs, and on whose authority?",
			Form: "ROLE, FUNCTION, AUTHORITY, RESPONSIBILITY: manufacturer, Head of Product Security, delegatedInWriting, soleResponsibility. Roles: " +
				strings.Join(predicate.IDs("role"), " ") + ". Authorities: " + strings.Join(predicate.IDs("authority"), " ") +
				". Responsibilities: " + strings.Join(predicate.IDs("responsibility"), " "), set: func(a string) error { return signatory(o, a) }})
	}
	return list
}

func signatory(o *predicate.DraftOptions, a string) error {
	parts, err := split(a, ",", 4, 4)
	if err != nil {
		return err
	}
	for n, registry := range map[int]string{0: "role", 2: "authority", 3: "responsibility"} {
		if err := oneOf(registry, parts[n]); err != nil {
			return err
		}
	}
	o.Role, o.SignatoryFunction, o.Authority, o.Responsibility = parts[0], parts[1], parts[2], parts[3]
	return nil
}

func unverified(f predicate.Flow) bool {
	return slices.ContainsFunc(f.Endpoints, func(e predicate.Endpoint) bool { return e.TLS != nil && e.TLS.Verification == "" })
}

func verification(o *predicate.DraftOptions, a string) error {
	if err := oneOf("tlsVerification", a); err != nil {
		return err
	}
	for i := range o.Flows {
		for j := range o.Flows[i].Endpoints {
			if t := o.Flows[i].Endpoints[j].TLS; t != nil {
				t.Verification = cmp.Or(t.Verification, a)
			}
		}
	}
	return nil
}

// flowQuestions are the three about a flow.
func flowQuestions(o *predicate.DraftOptions, f *predicate.Flow) (recipient, purpose, control Question) {
	what := "flow " + f.ID + " (" + hosts(f) + ")"
	recipient = Question{Text: "Who receives what " + what + " sends?", Form: "LEGAL NAME, COUNTRY[, ROLE], or vendor. Roles: " +
		strings.Join(predicate.IDs("recipientRole"), " "), set: func(a string) error { return setRecipient(o, f, a) }}
	purpose = Question{Text: "What is " + what + " for, and what does it send?",
		Form: "PURPOSE[+PURPOSE]: CATEGORY PERSONAL[, CATEGORY PERSONAL], or PURPOSE: nothing. As: updateCheck: softwareInventory none, connectionMetadata pseudonymous. " +
			"Purposes: " + strings.Join(predicate.IDs("purpose"), " ") + ". Categories: " + strings.Join(predicate.IDs("dataCategory"), " ") +
			". Personal: " + strings.Join(predicate.IDs("personal"), " "),
		set: func(a string) error { return setPurpose(f, a) }}
	if len(f.Purposes) > 0 && predicate.IsPlaceholder(f.Purposes[0]) {
		_, suggestion, _ := strings.Cut(f.Purposes[0], "; ")
		purpose.Text += " (" + suggestion + ")"
	}
	control = Question{Text: "Is " + what + " needed, and how is it switched off?",
		Form: "NECESSITY, SETTING literally, or NECESSITY, no. As: feature, update.enabled=false. Necessities: " + strings.Join(predicate.IDs("necessity"), " "),
		set:  func(a string) error { return setControl(f, a) }}
	return recipient, purpose, control
}

func hosts(f *predicate.Flow) string {
	var list []string
	for _, e := range f.Endpoints {
		if e.Value != "" {
			list = append(list, strings.TrimPrefix(e.Value, predicate.Placeholder("")))
		}
	}
	if len(list) > 3 {
		list = append(list[:3], fmt.Sprintf("%d more", len(list)-3))
	}
	return brief(cmp.Or(strings.Join(list, ", "), f.Title))
}

// setRecipient names who receives, and leaves the rest at what is worst for them.
func setRecipient(o *predicate.DraftOptions, f *predicate.Flow, a string) error {
	r := predicate.Recipient{Role: "independentController", Storage: []string{"anywhere"}, AccessFrom: []string{"anywhere"}, TransferBasis: "unspecified",
		Retention: &predicate.Retention{Kind: "unspecified"}, SourceAddress: "unspecified", Onward: "unspecified"}
	switch {
	case a == "vendor" && o.DeclarantName != "" && o.DeclarantCountry != "":
		r.Role, r.Party = "declarant", &predicate.Party{Name: o.DeclarantName, Country: o.DeclarantCountry, ControlledFrom: o.DeclarantControlledFrom}
	case a == "vendor":
		return errors.New("it is not known who the vendor is: give LEGAL NAME, COUNTRY, declarant")
	case a == "customer":
		r = predicate.Recipient{Role: "customer"}
	default:
		if at := strings.LastIndexByte(a, ','); at > 0 {
			if role := strings.TrimSpace(a[at+1:]); slices.Contains(predicate.IDs("recipientRole"), role) {
				r.Role, a = role, a[:at]
			}
		}
		name, country, err := party(a)
		if err != nil {
			return err
		}
		r.Party = &predicate.Party{Name: name, Country: country}
	}
	f.Recipients = []predicate.Recipient{r}
	return nil
}

// setPurpose says why and what. What comes in for a purpose that needs it (R29)
// is the usual thing.
func setPurpose(f *predicate.Flow, a string) error {
	purposes, data, ok := strings.Cut(a, ":")
	if !ok {
		return errors.New("there is no colon between purposes and data")
	}
	var list []string
	receives := []predicate.DataItem{}
	for _, p := range strings.Split(purposes, "+") {
		p = strings.TrimSpace(p)
		if err := oneOf("purpose", p); err != nil {
			return err
		}
		list = append(list, p)
		if category := comesIn(p); category != "" && len(receives) == 0 {
			receives = append(receives, item(category, "none"))
		}
	}
	sends := []predicate.DataItem{}
	if data = strings.TrimSpace(data); data != "nothing" {
		for _, part := range strings.Split(data, ",") {
			words := strings.Fields(part)
			if len(words) != 2 {
				return fmt.Errorf("%q is not CATEGORY PERSONAL", strings.TrimSpace(part))
			}
			if err := errors.Join(oneOf("dataCategory", words[0]), oneOf("personal", words[1])); err != nil {
				return err
			}
			sends = append(sends, item(words[0], words[1]))
		}
	}
	f.Purposes, f.Sends = list, sends
	if len(receives) > 0 || f.Receives == nil {
		f.Receives = receives
	}
	f.DataDirection = "both" // acknowledgements and answers are data as well: the wider reading
	return nil
}

// comesIn is the category of what a purpose brings in.
func comesIn(purpose string) string {
	switch purpose {
	case "softwareUpdate", "extensionInstall":
		return "softwareImage"
	case "remoteConfiguration", "experimentation":
		return "configuration"
	}
	return ""
}

func item(category, personal string) predicate.DataItem {
	linked := "linkedToPerson"
	switch personal {
	case "none":
		linked = "notLinked"
	case "pseudonymous":
		linked = "linkedToDevice"
	}
	return predicate.DataItem{Category: category, Personal: personal, Description: predicate.Label("dataCategory", category), Linked: linked}
}

// setControl says how it is switched off, and what of the activation was not seen.
func setControl(f *predicate.Flow, a string) error {
	parts, err := split(a, ",", 2, 2)
	if err != nil {
		return err
	}
	if err := oneOf("necessity", parts[0]); err != nil {
		return err
	}
	f.Necessity = parts[0]
	x := &f.Activation
	x.DefaultState, x.Trigger = cmp.Or(x.DefaultState, "on"), cmp.Or(x.Trigger, "event")
	if parts[1] == "no" {
		x.Consent, x.Control = "none", predicate.Control{Possible: "no", By: "vendorOnly"}
		return nil
	}
	x.Consent = "optOut"
	x.Control = predicate.Control{Possible: "yes", By: "administrator", Methods: []string{"setting"}, Setting: parts[1]}
	return nil
}

// split takes an answer apart. The last part may hold the separator.
func split(a, separator string, least, most int) ([]string, error) {
	parts := strings.SplitN(a, separator, most)
	if len(parts) < least {
		return nil, fmt.Errorf("got %d parts, want %d, with %q between them", len(parts), least, separator)
	}
	for i := range parts {
		if parts[i] = strings.TrimSpace(parts[i]); parts[i] == "" {
			return nil, fmt.Errorf("part %d is empty", i+1)
		}
	}
	return parts, nil
}

// party reads NAME, COUNTRY. The name may hold commas.
func party(a string) (name, country string, err error) {
	at := strings.LastIndexByte(a, ',')
	if at < 0 {
		return "", "", errors.New("want a name and the code of a country, with a comma between them")
	}
	name, country = strings.TrimSpace(a[:at]), strings.TrimSpace(a[at+1:])
	if name == "" || country != "anywhere" && !predicate.EmbeddedTables().Country(country) {
		return "", "", fmt.Errorf("%q is not the ISO 3166-1 code of a country", country)
	}
	return name, country, nil
}

func oneOf(registry, value string) error {
	if slices.Contains(predicate.IDs(registry), value) {
		return nil
	}
	return fmt.Errorf("%q is none of %s", value, strings.Join(predicate.IDs(registry), ", "))
}
