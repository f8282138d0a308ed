package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// What marks a file as a model's, in the header of the file, and how the tables
// are laid out. A program that does not know the format refuses the file.
const (
	applicationID = 0x416e6e61 // "Anna"
	format        = 1
)

// schema makes the tables of a model. Documents lie in the order of their making,
// and change in place; two indexes find them by key and by last change. Revisions
// count all that was ever stored in the file: each document and each checkpoint
// has the next.
var schema = []string{
	fmt.Sprintf("PRAGMA application_id = %d", applicationID),
	fmt.Sprintf("PRAGMA user_version = %d", format),
	`CREATE TABLE annals_model (
		namespace TEXT NOT NULL, view TEXT NOT NULL, version INTEGER NOT NULL, build INTEGER NOT NULL,
		tables TEXT NOT NULL, dropped INTEGER NOT NULL
	) STRICT`,
	`CREATE TABLE annals_checkpoints (
		worker TEXT PRIMARY KEY NOT NULL, revision INTEGER NOT NULL, writer TEXT NOT NULL, checkpoint TEXT NOT NULL
	) STRICT`,
	`CREATE TABLE annals_notes (
		worker TEXT NOT NULL, key TEXT NOT NULL, note TEXT NOT NULL, PRIMARY KEY (worker, key)
	) STRICT, WITHOUT ROWID`,
	`CREATE TABLE documents (
		key TEXT PRIMARY KEY NOT NULL, position INTEGER NOT NULL, revision INTEGER NOT NULL, document TEXT NOT NULL
	) STRICT`,
	`CREATE INDEX documents_by_revision ON documents (revision)`,
}

// create makes the tables, or nothing at all.
func create(ctx context.Context, db *sql.DB, cfg Config, layout projector.Layout) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, statement := range schema {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	tables, err := json.Marshal(layout.Tables)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO annals_model VALUES (?, ?, ?, ?, ?, 0)`,
		cfg.Namespace, layout.View, layout.Version, layout.Build, string(tables))
	if err != nil {
		return err
	}
	for _, statement := range layout.Tables {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			if kindOf(codeOf(err)) == nil && ctx.Err() == nil {
				err = &store.InvalidError{What: "table", Value: statement, Reason: err.Error()}
			}
			return err
		}
	}
	return tx.Commit()
}

// identity is what a file says about itself.
type identity struct {
	empty   bool // nothing was ever made in it
	model   projector.Model
	of      string // namespace
	tables  []string
	dropped bool
}

var errForeign = errors.New("it is not a model's")

// identify reads what a file is. The error is errForeign if it is a database of
// somebody else.
func identify(ctx context.Context, db *sql.DB) (id identity, err error) {
	var application, version, objects int
	err = db.QueryRowContext(ctx, `SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
		FROM pragma_application_id, pragma_user_version`).Scan(&application, &version, &objects)
	switch {
	case err != nil:
		return identity{}, err
	case application == 0 && version == 0 && objects == 0:
		return identity{empty: true}, nil
	case application != applicationID:
		return identity{}, errForeign
	case version != format:
		return identity{}, fmt.Errorf("it has format %d, and this program knows format %d only: %w", version, format, store.ErrInvalid)
	}
	var tables []byte
	err = db.QueryRowContext(ctx, `SELECT namespace, view, version, build, tables, dropped FROM annals_model`).
		Scan(&id.of, &id.model.View, &id.model.Version, &id.model.Build, &tables, &id.dropped)
	if errors.Is(err, sql.ErrNoRows) {
		return identity{}, fmt.Errorf("it does not say whose it is: %w", store.ErrDamaged)
	}
	if err == nil && json.Unmarshal(tables, &id.tables) != nil {
		err = fmt.Errorf("it does not say which tables it has: %w", store.ErrDamaged)
	}
	return id, err
}

// suits refuses a file that was made for something else.
func (id identity) suits(cfg Config, layout projector.Layout) error {
	switch {
	case id.of != cfg.Namespace || id.model != layout.Model:
		return fmt.Errorf("it keeps %s of namespace %s: %w", id.model, id.of, store.ErrInvalid)
	case len(layout.Tables) > 0 && !slices.Equal(id.tables, layout.Tables):
		return fmt.Errorf("it was made with other tables; other tables need another version or another build: %w", store.ErrInvalid)
	}
	return nil
}
