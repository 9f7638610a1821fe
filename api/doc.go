// Package api holds what the service publishes about its interface.
//
// The wire contract is hand-written in proto/avow/v1 and documented there, field by field. Everything below
// api/avow/v1 is generated from it by
//
//	go tool -modfile=tools/buf.mod buf generate
//
// and never edited: Go types and gRPC stubs (package avowv1), the REST gateway, and an OpenAPI description. This
// package embeds the latter, so that a server can answer it.
//
// Compatibility: `buf breaking` with the category FILE guards the contract. Fields and values are added, never
// renumbered, renamed or given another meaning.
package api

import _ "embed"

//go:embed avow/v1/avow.swagger.json
var openAPI []byte

// OpenAPI returns the OpenAPI 2.0 description of the REST interface, JSON. The caller must not change the bytes.
func OpenAPI() []byte { return openAPI }
