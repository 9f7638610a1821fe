package predicate

import (
	_ "embed"
	"slices"
	"strings"
)

// Tables are the dated tables that rules need: country codes, public suffixes,
// registered definitions and names of content delivery networks. They are
// handed to [Statement.Check], as the clock is, so that a check can be repeated
// with the tables of its day. The zero value knows nothing and refuses every
// code and definition; use [EmbeddedTables].
type Tables struct {
	countries   string
	suffixes    string
	definitions []Definition
	cdns        []string
	dates       []TableDate
}

// TableDate is the day of one table.
type TableDate struct {
	// Name of the table.
	Name string
	// Date is YYYY-MM-DD.
	Date string
}

// Definition is a registered text that statements refer to by URI and digest.
type Definition struct {
	// URI names the definition in a statement.
	URI string
	// SHA256 is the lower-case hex digest of Text.
	SHA256 string
	// Text is the definition, byte for byte.
	Text string
}

//go:embed definitions/backdoor-v1.txt
var backdoorV1 string

// BackdoorDefinition is the definition of the word backdoor, version 1. The
// text is a draft, not reviewed by counsel.
func BackdoorDefinition() Definition {
	return Definition{
		URI:    "https://w3id.org/avow/definitions/backdoor/v1",
		SHA256: "c88a996a32b5f448ff0157f6d4ee55d2e0045bcdf4ca61224456c7d1a01550eb",
		Text:   backdoorV1,
	}
}

// EmbeddedTables returns the tables that are built in. It does no work: they
// are searched as they are.
func EmbeddedTables() *Tables {
	return &Tables{
		countries:   countries,
		suffixes:    publicSuffixes,
		definitions: []Definition{BackdoorDefinition()},
		cdns:        contentDeliveryNetworks(),
		dates: []TableDate{
			{Name: "ISO 3166-1", Date: countriesDate},
			{Name: "public suffix list", Date: publicSuffixesDate},
			{Name: "definitions", Date: version1},
			{Name: "content delivery networks", Date: version1},
		},
	}
}

// Dates returns the day of each table.
func (t *Tables) Dates() []TableDate { return slices.Clone(t.dates) }

// Definition returns the registered definition with that URI and digest.
func (t *Tables) Definition(uri, sha256 string) (Definition, bool) {
	for _, d := range t.definitions {
		if d.URI == uri && d.SHA256 == sha256 {
			return d, true
		}
	}
	return Definition{}, false
}

// contentDeliveryNetworks are names of companies and products that deliver
// content for others (W06), in lower case.
func contentDeliveryNetworks() []string {
	return []string{
		"akamai", "alibaba cloud cdn", "azure front door", "bunnyway", "bunny.net", "cachefly", "cdn77", "cdnetworks",
		"chinacache", "cloudflare", "cloudfront", "edgecast", "edgio", "fastly", "gcore", "g-core labs", "google cloud cdn",
		"imperva", "jsdelivr", "keycdn", "limelight networks", "lumen cdn", "quantil", "stackpath", "tencent cloud cdn",
		"wangsu", "wangsu science", "volcengine cdn", "zenlayer", "unpkg",
	}
}

// ContentDeliveryNetwork returns the network whose name is part of the name of
// a party, or "".
func (t *Tables) ContentDeliveryNetwork(party string) string {
	words := " " + strings.Join(strings.FieldsFunc(strings.ToLower(party), func(r rune) bool {
		return r == ' ' || r == ',' || r == '(' || r == ')' || r == '/'
	}), " ") + " "
	for _, name := range t.cdns {
		if strings.Contains(words, " "+name+" ") {
			return name
		}
	}
	return ""
}
