package server

import (
	"context"

	"github.com/avow-dev/avow/server/statements"
)

// contradicted names the statements in force of the same signer about one of its artifacts that say the contrary of a
// statement, for who watches: ids, in the order of the log. The rules of issuance do not look for them yet, so there are none.
func (s *Server) contradicted(context.Context, *statements.Record) ([]string, error) { return nil, nil }
