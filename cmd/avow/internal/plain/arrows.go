package plain

import (
	"slices"
	"strings"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// Personal says in how far the data that a flow sends is about people. The order is from the worst to the best, with
// what is not known where it belongs.
type Personal int

// The kinds of data.
const (
	// PersonalSpecial: of a special category.
	PersonalSpecial Personal = iota
	// PersonalYes: about people.
	PersonalYes
	// PersonalUnknown: a value that this program does not know, or nothing was said.
	PersonalUnknown
	// PersonalPseudonymous: about people under another name.
	PersonalPseudonymous
	// PersonalMay: may hold data about people.
	PersonalMay
	// PersonalNo: not about people.
	PersonalNo
	// PersonalNothing: the flow sends nothing at all.
	PersonalNothing
)

// personalOf are the values of the registry.
var personalOf = map[string]Personal{"special": PersonalSpecial, "personal": PersonalYes,
	"pseudonymous": PersonalPseudonymous, "mayContain": PersonalMay, "none": PersonalNo}

// String returns the registry's words.
func (p Personal) String() string {
	for id, kind := range personalOf {
		if kind == p {
			return word("personal", id)
		}
	}
	if p == PersonalNothing {
		return "sends nothing"
	}
	return "personal or not: " + notStated
}

// Arrow is one flow to one of its recipients, in the words that a drawing needs. All texts went through text.Safe.
type Arrow struct {
	// ID and Title are the flow's.
	ID, Title string
	// Place is where the recipient is established: a country or predicate.Anywhere, OwnSystems or Unstated.
	Place string
	// Recipient is the recipient's name, About what else is said of it, a sentence each.
	Recipient string
	About     []string
	// Personal is the worst kind of data that is sent, Data the categories of data.
	Personal Personal
	Data     []string
	// On is false only for a flow that is said to be off by default; State is that in words.
	On    bool
	State string
	// Out and In are the directions in which data goes; both where the statement does not say.
	Out, In bool
}

// The places that are none.
const (
	// OwnSystems are systems that the customer runs and that are not further described.
	OwnSystems = "systems of the customer"
	// Unstated is where a statement does not say: it may be anywhere.
	Unstated = countryNotStated
)

// Arrows returns the flows of a statement, one arrow for each recipient, in its order.
func Arrows(d *predicate.DataFlows) []Arrow {
	var arrows []Arrow
	for i := range d.Flows {
		f := &d.Flows[i]
		a := Arrow{ID: text.Safe(f.ID), Title: text.Safe(f.Title), On: f.Activation.DefaultState != "off",
			State: word("defaultState", f.Activation.DefaultState),
			Out:   f.DataDirection != "inbound", In: f.DataDirection != "outbound"}
		a.Personal, a.Data = sent(f)
		if len(f.Recipients) == 0 {
			a.Place, a.Recipient = countryNotStated, "recipient "+notStated
			arrows = append(arrows, a)
		}
		for j := range f.Recipients {
			arrows = append(arrows, a.to(&f.Recipients[j]))
		}
	}
	return arrows
}

// to completes an arrow with its recipient.
func (a Arrow) to(r *predicate.Recipient) Arrow {
	role := word("recipientRole", r.Role)
	switch {
	case r.Party == nil && r.Role == "customer":
		a.Place, a.Recipient = OwnSystems, role
	case r.Party == nil:
		a.Place, a.Recipient = countryNotStated, role+" (not named)"
	default:
		a.Place, a.Recipient = or(r.Party.Country, countryNotStated), text.Safe(r.Party.Name)
		a.About = append(a.About, role)
		if from := controlled(r.Party); from != "" {
			a.About = append(a.About, from)
		}
	}
	if !ownSystem(r) {
		a.About = append(a.About, keeping(r))
	}
	return a
}

// sent is the worst kind and the categories of what a flow sends.
func sent(f *predicate.Flow) (Personal, []string) {
	if len(f.Sends) == 0 {
		if f.Sends == nil {
			return PersonalUnknown, nil
		}
		return PersonalNothing, nil
	}
	worst, categories := PersonalNo, []string(nil)
	for i := range f.Sends {
		kind, known := personalOf[f.Sends[i].Personal]
		if !known {
			kind = PersonalUnknown
		}
		worst = min(worst, kind)
		if c := word("dataCategory", f.Sends[i].Category); !slices.Contains(categories, c) {
			categories = append(categories, c)
		}
	}
	return worst, categories
}

// Product names the product that a statement is about, and its version.
func Product(st *predicate.Statement) string {
	c := st.Common()
	if c == nil {
		return ""
	}
	return strings.TrimSpace(text.Safe(c.Product.Name) + " " + text.Safe(c.Product.Version))
}
