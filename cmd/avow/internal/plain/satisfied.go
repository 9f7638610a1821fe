package plain

// satisfied says, by the ids of the rules that this program brings along, what a vendor can do so that the rule is met. Nobody
// meets a rule by wording: what a statement says is signed, logged and can be held against the vendor.
var satisfied = map[string]string{
	"P01": "In the data-flows statement, name for every recipient of data that is or may be personal where it is stored (storage) " +
		"and read from (accessFrom), all of it EEA countries as a whole (DE, not DE-BY). A place that is missing or 'anywhere' " +
		"counts as outside. Send nothing personal otherwise, or state that the recipient is one that the customer runs or chose.",
	"P02": "Give the customer a switch that turns the flow off completely (activation.control: possible yes, by user or " +
		"administrator), and name it.",
	"P03": "Give the customer a switch in the product for every flow, the necessary ones included: a setting, variable, policy, " +
		"build option or the like. A rule for the firewall is not one.",
	"P04": "Leave the flow off by default, or ask before the first time (consent optIn or eachUse); or send data that is not personal.",
	"P05": "Name for every recipient its country, the country that it is controlled from, and where the data is stored and read " +
		"from. None of them may be a listed country or a part of one, and a place that is missing or 'anywhere' cannot be shown not to be.",
	"P06": "Find all flows, by more than memory, and state that the list is complete: completeness.level complete or " +
		"completeForConfiguration.",
	"P07": "Reach every fixed endpoint over TLS that is required and verified (systemRoots or pinned). Time and name service are excepted.",
	"P08": "Issue a new statement at least once a year, with a validity that covers today.",
	"P09": "Get the status of the statement from the log's service, at most 7 days old, and give it to the buyer (avow verify --status); " +
		"or a standing signed by the service, as a bundle, if the buyer's policy names the service under standing. " +
		"A dispute that is open has to be settled first, by whoever opened it.",
	"P10": "Have an accredited third party assess the completeness of the flows, and give its signed assessment to the buyer. The " +
		"buyer's policy names the assessor under assessors.",
	"P11": "List all remote mechanisms as complete. One that can change or disable the product and is not operated by the customer " +
		"needs a signature check (integrityCheck signature) and a switch for the customer.",
	"P12": "Make the claims NB-ACCESS, NB-CONTROL, NB-MALICE and NB-COLLECT without 'best of knowledge', claim NB-SOURCE, and name " +
		"as evidence for it a rebuild by a third party.",
	"P13": "Declare every fixed endpoint as an exact host name or address block, with its ports. Suffixes cannot be enforced.",
	"P14": "Have the manufacturer itself make and sign the statements, under the name that the tender uses. The buyer's policy pins " +
		"its key or identity under that name in vendors, and lists the name in MANUFACTURERS.",
	"P15": "Make the undertakings U-VULN-NOTIFY and U-VULN-REMEDY without reservation, with hours and days that are no longer than asked.",
	"P16": "Make the undertaking U-SUPPORT without reservation, until the end of the contract or later.",
	"P17": "Make the undertaking U-NO-FORCED-UPGRADE without reservation.",
	"P18": "Claim NB-INTERCEPT without exception and NB-CRYPTO, list all mechanisms as complete, and name each by its kind: 'other' " +
		"could be anything.",
	"P19": "Add no flow, recipient or kind of data against the release that the buyer uses, and keep the ids of flows the same across " +
		"versions. What is new has to be approved by the buyer, who then gives the new statement with --approved.",
	"P20": "Capture the product's traffic, name flowCapture as a method of completeness, and give the capture by digest as evidence " +
		"that supports every flow.",
	"P21": "Name all places of every recipient: country, controlledFrom, storage and accessFrom; 'anywhere' names none.",

	"required-types": "Make the statements that are named, about this artifact, and give their bundles to the buyer.",
	"timestamps":     "Have each signature time-stamped by as many independent authorities; the service does that when it issues the statement.",
	"vendor": "Sign with the key or identity that the buyer pinned, and name the product by a package URL that the buyer's policy " +
		"lists for you. A new key has to reach the buyer on a channel of its own.",
	"max-age": "Issue the statements again, so that their signatures are recent.",
}
