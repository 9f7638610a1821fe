package predicate

// JSONLimits bounds a document for [StrictJSON]. The zero value is the strictest:
// that of a statement.
type JSONLimits struct {
	// MaxBytes is the largest document in bytes; 0 = MaxStatementBytes.
	MaxBytes int
	// MaxDepth is the deepest nesting of objects and arrays, the outermost
	// counted as 1; 0 = MaxPredicateDepth + 1.
	MaxDepth int
	// MaxValues is the largest number of values; 0 = MaxValues.
	MaxValues int
	// AnyNumber allows every JSON number; otherwise only integers from 0 to
	// MaxInteger without fraction and exponent are.
	AnyNumber bool
}

// JSONError says why a document is not strict JSON.
type JSONError struct {
	// Offset is the byte offset of the place.
	Offset int
	// Pointer is the RFC 6901 pointer of the value that was being read.
	Pointer string
	// Reason is one of the Reason constants.
	Reason string
	// Found is the offending text, printable and cut.
	Found string
	// Message says what is wrong, without the place.
	Message string
}

// Error returns offset, pointer and message.
func (e *JSONError) Error() string { return e.Message }

// StrictJSON checks that data is one JSON value that no two readers read
// differently. The error is a [*JSONError].
func StrictJSON(data []byte, limits JSONLimits) error { return nil }
