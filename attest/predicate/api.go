package predicate

import "time"

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
