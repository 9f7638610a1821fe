package predicate

// Schema ...
func Schema(predicateType string) ([]byte, error) { return nil, nil }
