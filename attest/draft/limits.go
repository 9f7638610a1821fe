package draft

// Limits of what is read. Larger files are refused, never cut.
const (
	// MaxFileBytes is the largest CycloneDX, Threagile or HAR file, in bytes.
	MaxFileBytes = 64 << 20
	// MaxModelBytes is the largest Threagile model. YAML is costly to parse.
	MaxModelBytes = 1 << 20
	// maxLine is the longest line of a Threagile model, in bytes. Nesting within one
	// line costs the YAML parser its square.
	maxLine = 4 << 10
	// MaxPeers is the largest number of peers of one file.
	MaxPeers = 100_000
	// MaxFlows is the largest number of flows, as in a statement (R02).
	MaxFlows = 256
	// maxEndpoints is the largest number of endpoints of a flow (R02).
	maxEndpoints = 64
	// maxDepth is the deepest nesting of a document.
	maxDepth = 64
	// maxChildren is the largest number of children of a YAML node: a member of a
	// mapping has two.
	maxChildren = 8192
	// maxText is how much of a foreign text is taken over, in characters.
	maxText = 200
)
