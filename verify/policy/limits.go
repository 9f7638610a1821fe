package policy

// Limits of policies. They are checked before the work that they bound.
const (
	// MaxPolicyBytes is the largest policy file, and the largest file of cases.
	MaxPolicyBytes = 256 << 10
	// MaxKeyBytes is the largest key file.
	MaxKeyBytes = 16 << 10
	// MaxIncludeDepth is how deep includes may nest; the policy itself counts.
	MaxIncludeDepth = 8
	// MaxIncludes is how many inclusions a policy may have in all, repeated ones
	// counted.
	MaxIncludes = 128
	// MaxRules is the number of rules of a policy with all that it includes.
	MaxRules = 256
	// MaxVendors is the number of vendors, assessors and standing services of a
	// policy, each counted by itself; MaxProducts and MaxVendorKeys are those of one.
	MaxVendors    = 128
	MaxProducts   = 256
	MaxVendorKeys = 16
	// MaxParameters is the number of parameters of one file, MaxParameterValues
	// the number of values of one that is a list.
	MaxParameters      = 64
	MaxParameterValues = 1024
	// MaxExpressionBytes is the longest expression.
	MaxExpressionBytes = 8 << 10
	// MaxTextBytes is the longest text for people.
	MaxTextBytes = 4 << 10
	// CostLimit is what the evaluation of one rule may cost in CEL's units,
	// its list and all elements included; beyond it the rule fails. An honest
	// statement of the largest size costs about a tenth.
	CostLimit = 1_000_000
	// maxProblems bounds the errors that one load reports.
	maxProblems = 64
)
