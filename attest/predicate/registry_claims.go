package predicate

// Claim ids (specification, section 9). Every sentence is positive; a claim
// that is missing was not made.
const (
	ClaimAccess    = "NB-ACCESS"
	ClaimControl   = "NB-CONTROL"
	ClaimMalice    = "NB-MALICE"
	ClaimCollect   = "NB-COLLECT"
	ClaimChannel   = "NB-CHANNEL"
	ClaimCrypto    = "NB-CRYPTO"
	ClaimIntercept = "NB-INTERCEPT"
	ClaimUpdate    = "NB-UPDATE"
	ClaimSource    = "NB-SOURCE"
)

// ClaimTerm is a claim of the registry with its sentence and its relation to
// other catalogues.
type ClaimTerm struct {
	ID string `json:"id"`
	// Sentence is what is signed.
	Sentence string `json:"sentence"`
	// CWE are the numbers of the weaknesses whose absence it claims.
	CWE []int `json:"cwe"`
	// GIDS are points of the Global Initiative on Data Security.
	GIDS string `json:"gids"`
	// CRA are points of Annex I of Regulation (EU) 2024/2847.
	CRA string `json:"cra,omitempty"`
	// SSDF are practices of NIST SP 800-218 v1.1 and CISA's form.
	SSDF string `json:"ssdf,omitempty"`
	// Added is the day on which the claim was registered.
	Added string `json:"added"`
}

// Claims returns the registry of claims.
func Claims() []ClaimTerm { return claimTerms() }

func claimTerms() []ClaimTerm {
	return []ClaimTerm{
		{ID: ClaimAccess, Added: version1,
			Sentence: "No hidden or undocumented function, interface, account, credential or key lets anyone get past the " +
				"documented authentication and authorisation, except the mechanisms listed.",
			CWE: []int{510, 912, 798, 259, 321, 1242, 489, 1191, 1392}, GIDS: "7", CRA: "I.2(b)(d)(j)", SSDF: "PW.8.2 PW.9.1, form 4"},
		{ID: ClaimControl, Added: version1,
			Sentence: "Nobody but the user or the user's administrator can, remotely and without being listed, run code on, " +
				"change, disable or observe the product or the systems it runs on.",
			CWE: []int{506, 507, 912, 511}, GIDS: "2 7", CRA: "I.2(d)(f)", SSDF: "PW.8"},
		{ID: ClaimMalice, Added: version1,
			Sentence: "The product contains no code meant to act against its users: trojan, spyware, logic or time bomb, " +
				"sabotage of data.",
			CWE: []int{506, 507, 508, 509, 511, 512}, GIDS: "2 7", CRA: "I.1", SSDF: "PW.4.4 PW.7, form 2"},
		{ID: ClaimCollect, Added: version1,
			Sentence: "The product collects or transmits no user data other than listed in the related data-flows statement.",
			CWE:      []int{512, 359, 200}, GIDS: "3 7", CRA: "I.2(g)(e)"},
		{ID: ClaimChannel, Added: version1,
			Sentence: "The product uses no concealed channel to carry data (steganographic, timing, unused protocol fields).",
			CWE:      []int{514, 515, 385}, GIDS: "3 7", CRA: "I.2(e)"},
		{ID: ClaimCrypto, Added: version1,
			Sentence: "Cryptography is not deliberately weakened; there are no escrowed, shared or predictable keys other " +
				"than listed.",
			CWE: []int{321, 327, 330, 338, 1240}, GIDS: "7", CRA: "I.2(e)(f)", SSDF: "PW.1 PW.5"},
		{ID: ClaimIntercept, Added: version1,
			Sentence: "The product contains no interception or third-party access function, lawful interception included, " +
				"other than listed, and it is off unless listed as on.",
			CWE: []int{912}, GIDS: "3 7", CRA: "I.2(d)(g)"},
		{ID: ClaimUpdate, Added: version1,
			Sentence: "Code and security-relevant settings change only through the listed mechanisms, each with a verified " +
				"origin.",
			CWE: []int{494, 829, 345, 912}, GIDS: "7 8b", CRA: "I.2(c), II(7)", SSDF: "PS.2.1 RV.2"},
		{ID: ClaimSource, Added: version1,
			Sentence: "The subject was built from the stated source by the stated process.",
			CWE:      []int{506}, GIDS: "1 7", CRA: "II(1)", SSDF: "PS.1 PS.3.2, form 3"},
	}
}

// ClaimSentence returns the sentence that a claim signs, "" for an unknown id.
func ClaimSentence(id string) string { return Label("claim", id) }

func claimRegistry() Registry {
	r := Registry{Name: "claim", Title: "Claims of a no-backdoor statement"}
	for _, c := range claimTerms() {
		r.Values = append(r.Values, Value{ID: c.ID, Label: c.Sentence, Added: c.Added})
	}
	return r
}

// Undertaking ids (specification, section 9).
const (
	UndertakingVulnNotify      = "U-VULN-NOTIFY"
	UndertakingVulnRemedy      = "U-VULN-REMEDY"
	UndertakingSupport         = "U-SUPPORT"
	UndertakingNoForcedUpgrade = "U-NO-FORCED-UPGRADE"
	UndertakingNoRemoteDisable = "U-NO-REMOTE-DISABLE"
	UndertakingNoLockIn        = "U-NO-LOCKIN"
	UndertakingNoInterruption  = "U-NO-INTERRUPTION"
	UndertakingNoRepatriation  = "U-NO-REPATRIATION"
	UndertakingAccessRequests  = "U-ACCESS-REQUESTS"
	UndertakingNotifyChange    = "U-NOTIFY-CHANGE"
	UndertakingLogOnly         = "U-LOG-ONLY"
)

// logOnlyAdded is when U-LOG-ONLY was registered, after the others.
const logOnlyAdded = "2026-11-26"

// UndertakingTerm is an undertaking of the registry.
type UndertakingTerm struct {
	ID string `json:"id"`
	// Sentence is what is promised; "the time" is the parameter.
	Sentence string `json:"sentence"`
	// Parameters are the members that the undertaking needs (R18).
	Parameters []string `json:"parameters,omitempty"`
	// From names where it comes from: points of GIDS, of the CRA.
	From string `json:"from"`
	// Added is the day on which the undertaking was registered.
	Added string `json:"added"`
}

// UndertakingTerms returns the registry of undertakings.
func UndertakingTerms() []UndertakingTerm { return undertakingTerms() }

func undertakingTerms() []UndertakingTerm {
	terms := []UndertakingTerm{
		{ID: UndertakingVulnNotify, Parameters: []string{"hours", "channels"}, From: "GIDS 8c; CRA Art. 14, II(4)",
			Sentence: "The vendor tells partners and users of serious vulnerabilities within the time."},
		{ID: UndertakingVulnRemedy, Parameters: []string{"days"}, From: "GIDS 8c; CRA II(2)",
			Sentence: "The vendor offers a remedy for serious vulnerabilities within the time."},
		{ID: UndertakingSupport, Parameters: []string{"until"}, From: "CRA Annex II.7",
			Sentence: "The vendor supports the product until then."},
		{ID: UndertakingNoForcedUpgrade, From: "GIDS 8b; CRA I.2(c)",
			Sentence: "The vendor forces no upgrade; security updates may be on by default if they can be postponed and refused."},
		{ID: UndertakingNoRemoteDisable, From: "GIDS 7, 8a",
			Sentence: "The vendor does not disable products in the field."},
		{ID: UndertakingNoLockIn, From: "GIDS 8a; CRA I.2(m)",
			Sentence: "The vendor lets customers export their data."},
		{ID: UndertakingNoInterruption, From: "PRC Cybersecurity Review Measures Art. 6 (unverified)",
			Sentence: "The vendor does not stop supply or necessary support without good reason."},
		{ID: UndertakingNoRepatriation, From: "GIDS 4",
			Sentence: "The vendor does not store data generated abroad at home because it is asked to."},
		{ID: UndertakingAccessRequests, From: "GIDS 5, 6",
			Sentence: "The vendor answers governments only by law and tells the customer unless forbidden."},
		{ID: UndertakingNotifyChange, Parameters: []string{"hours"}, From: "CISA form's closing sentence",
			Sentence: "The vendor withdraws or replaces a statement about the subject within the time once it is no longer true."},
		{ID: UndertakingLogOnly, Parameters: []string{"channels"}, From: "completeness: an index covers one log", Added: logOnlyAdded,
			Sentence: "The vendor publishes its statements about the product in the named logs and nowhere else."},
	}
	for i := range terms {
		if terms[i].Added == "" {
			terms[i].Added = version1
		}
	}
	return terms
}

// UndertakingSentence returns the sentence of an undertaking, "" for an unknown
// id.
func UndertakingSentence(id string) string { return Label("undertaking", id) }

func undertakingRegistry() Registry {
	r := Registry{Name: "undertaking", Title: "Undertakings of an undertakings statement"}
	for _, u := range undertakingTerms() {
		r.Values = append(r.Values, Value{ID: u.ID, Label: u.Sentence, Added: u.Added})
	}
	return r
}
