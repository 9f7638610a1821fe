package predicate

import "sort"

// countriesDate is the day of the table below: iso-codes 4.15.0. ISO 3166-1 has
// had 249 codes since 2011.
const countriesDate = "2023-04-27"

// countries are the officially assigned two-letter codes of ISO 3166-1, sorted
// and frozen. ISO codes only; grouping is the buyer's.
const countries = "ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZ" +
	"CACCCDCFCGCHCICKCLCMCNCOCRCUCVCWCXCYCZDEDJDKDMDODZECEEEGEHERESETFIFJFKFMFOFR" +
	"GAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGYHKHMHNHRHTHUIDIEILIMINIOIQIRISITJEJMJOJP" +
	"KEKGKHKIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZ" +
	"NANCNENFNGNINLNONPNRNUNZOMPAPEPFPGPHPKPLPMPNPRPSPTPWPYQARERORSRURW" +
	"SASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTCTDTFTGTHTJTKTLTMTNTOTRTTTVTWTZ" +
	"UAUGUMUSUYUZVAVCVEVGVIVNVUWFWSYEYTZAZMZW"

// Country reports whether code is a two-letter code of ISO 3166-1.
func (t *Tables) Country(code string) bool {
	if len(code) != 2 {
		return false
	}
	n := len(t.countries) / 2
	i := sort.Search(n, func(i int) bool { return t.countries[2*i:2*i+2] >= code })
	return i < n && t.countries[2*i:2*i+2] == code
}

// Anywhere is the jurisdiction token that means: not limited, or not known.
const Anywhere = "anywhere"

// Jurisdiction reports whether token names a place: a country, a part of one
// (FR-NC), EU, EEA or anywhere. The part is not checked against ISO 3166-2.
func (t *Tables) Jurisdiction(token string) bool {
	switch token {
	case "EU", "EEA", Anywhere:
		return true
	}
	if len(token) < 2 || !t.Country(token[:2]) {
		return false
	}
	if len(token) == 2 {
		return true
	}
	part := token[3:]
	if token[2] != '-' || len(part) < 1 || len(part) > 3 {
		return false
	}
	for i := range len(part) {
		if c := part[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
