package predicate

import "time"

// Limits of a statement (specification, section 3). They are checked before
// the work that they bound is done.
const (
	// MaxStatementBytes is the largest payload in bytes; beyond it: R01.
	MaxStatementBytes = 256 << 10
	// MaxPredicateDepth is the deepest nesting of objects and arrays inside
	// the predicate, the predicate itself counted as 1; beyond it: R01.
	MaxPredicateDepth = 16
	// MaxValues is the largest number of JSON values (objects, arrays,
	// strings, numbers, booleans; keys not counted) in a document; beyond it:
	// R01.
	MaxValues = 20_000
	// MaxInteger is the largest number that a statement may hold, 2^31-1;
	// beyond it: R01.
	MaxInteger = 1<<31 - 1

	// MaxSubjects is the largest number of subjects; beyond it: R04.
	MaxSubjects = 256
	// MaxDigests is the largest number of digests of one subject; beyond it:
	// R04.
	MaxDigests = 32

	// MaxFlows is the largest number of flows of a statement; beyond it: R02.
	MaxFlows = 256
	// MaxEndpoints is the largest number of endpoints of one flow; beyond it:
	// R02.
	MaxEndpoints = 64
	// MaxMechanisms is the largest number of mechanisms; beyond it: R02.
	MaxMechanisms = 128
	// MaxEvidence is the largest number of pieces of evidence; beyond it: R02.
	MaxEvidence = 64
	// MaxStringBytes is the longest string in bytes of UTF-8; beyond it: R02.
	MaxStringBytes = 4 << 10
	// MaxSummaryChars is the longest summary of a dispute in Unicode
	// characters; beyond it: R02.
	MaxSummaryChars = 2_000
	// MaxContentBytes is the largest decoded `content` of a resource
	// descriptor, the 1 KB of in-toto; beyond it: R02.
	MaxContentBytes = 1 << 10

	// MaxFindings bounds the findings that one call returns, so that the
	// answer to a hostile statement stays small.
	MaxFindings = 500
	// maxFoundChars bounds [Finding.Found].
	maxFoundChars = 120
)

// Periods (specification, sections 3 and 10).
const (
	// MaxValidity is the longest time from issuedAt to notAfter of every type
	// but undertakings and standing; beyond it: R05.
	MaxValidity = 400 * 24 * time.Hour
	// MaxUndertakingsValidity is the same for undertakings, ten years.
	MaxUndertakingsValidity = 3653 * 24 * time.Hour
	// MaxStandingValidity is the longest time from checkedAt to notAfter of a
	// standing; beyond it: R42.
	MaxStandingValidity = 7 * 24 * time.Hour
	// MaxIssuedAhead is how far issuedAt may lie after the time of receipt.
	MaxIssuedAhead = 5 * time.Minute
	// MaxIssuedPast is how far issuedAt may lie before the time of receipt.
	MaxIssuedPast = 24 * time.Hour
)

// MaxBundleBytes and MaxBundleDepth are the limits of [BundleJSONLimits].
const (
	// MaxBundleBytes is the largest Sigstore bundle in bytes.
	MaxBundleBytes = 512 << 10
	// MaxBundleDepth is the deepest nesting of a bundle's JSON.
	MaxBundleDepth = 64
)

// StatementJSONLimits returns the limits of rule R01 for a statement, the same
// as those of a zero [JSONLimits].
func StatementJSONLimits() JSONLimits {
	// The statement is the level above the predicate.
	return JSONLimits{MaxBytes: MaxStatementBytes, MaxDepth: MaxPredicateDepth + 1, MaxValues: MaxValues}
}

// BundleJSONLimits returns the limits of the pre-scan of a Sigstore bundle or a
// DSSE envelope. Numbers may be any JSON number there (protojson accepts them
// for 64-bit fields), and null is refused as everywhere.
func BundleJSONLimits() JSONLimits {
	return JSONLimits{MaxBytes: MaxBundleBytes, MaxDepth: MaxBundleDepth, MaxValues: MaxValues, AnyNumber: true}
}
