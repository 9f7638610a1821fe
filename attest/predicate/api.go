package predicate

import "time"

// Parse reads a statement strictly, once. The error is a [*RulesError].
func Parse(payload []byte, mode Mode) (*Statement, error) { return nil, nil }

// Lint parses and checks a statement and returns all that is wrong with it.
func Lint(payload []byte, t *Tables) Findings { return nil }

// Check applies every rule that the statement alone can show.
func (s *Statement) Check(t *Tables) Findings { return nil }

// CheckReceipt applies the half of R05 that compares issuedAt with the clock.
func (s *Statement) CheckReceipt(now time.Time) Findings { return nil }

// CheckRelated applies the halves of the rules that need other statements.
func (s *Statement) CheckRelated(others []*Statement) Findings { return nil }

// Tables are the dated tables that rules need.
type Tables struct{}

// EmbeddedTables returns the tables that are built in.
func EmbeddedTables() *Tables { return nil }

// StrictJSON ...
func parseTime(s string) (time.Time, bool) { return time.Time{}, false }

// DraftOptions ...
type DraftOptions struct {
	Subjects                []Subject
	ProductName             string
	ProductVersion          string
	ProductPURL             string
	DeclarantName           string
	DeclarantCountry        string
	Role, SignatoryFunction string
	Now                     time.Time
	ValidDays               int
	UUID                    string
	Related                 []StatementRef
}

// NewNoBackdoorDraft ...
func NewNoBackdoorDraft(o DraftOptions) ([]byte, error) { return nil, nil }

// NewDataFlowsDraft ...
func NewDataFlowsDraft(o DraftOptions) ([]byte, error) { return nil, nil }

// NewUndertakingsDraft ...
func NewUndertakingsDraft(o DraftOptions) ([]byte, error) { return nil, nil }

// Schema ...
func Schema(predicateType string) ([]byte, error) { return nil, nil }

// ClaimSentence returns the sentence that a claim signs, "" for an unknown id.
func ClaimSentence(id string) string { return "" }

// UndertakingSentence returns the sentence of an undertaking, "" if unknown.
func UndertakingSentence(id string) string { return "" }

// Label returns the plain words for a value of a registry, "" if unknown.
func Label(registry, value string) string { return "" }
