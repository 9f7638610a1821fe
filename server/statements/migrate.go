package statements

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema to the version that this program knows. A new file
// is marked with the application id first, so that a file of something else is
// never mistaken for a store, nor a store for something else.
func migrate(ctx context.Context, db *sql.DB, create bool) error {
	if err := identify(ctx, db, create); err != nil {
		return err
	}
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir,
		goose.WithTableName(migrationsTable), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	have, know, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > know {
		return &Error{
			Code:    Newer,
			Message: fmt.Sprintf("the store has schema version %d, this program knows versions up to %d", have, know),
			Hint:    "run the version of avowd that wrote the store, or a later one",
		}
	}
	_, err = p.Up(ctx)
	return err
}

func identify(ctx context.Context, db *sql.DB, create bool) error {
	if create {
		_, err := db.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", applicationID))
		return err
	}
	var id int64
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return err
	}
	if id != applicationID {
		return corrupt(nil, "the file is not a statement store: application id %#x, want %#x", id, applicationID)
	}
	return nil
}
