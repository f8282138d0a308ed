package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// namesMark begins the comment of a schema that has names and nothing else.
const namesMark = "annals: names of "

// invalidTableDefinition is the server's answer to a view that is to be replaced
// by one whose columns do not begin with its own.
const invalidTableDefinition = "42P16"

var _ projector.Namer = (*Store)(nil)

// Name implements [projector.Namer]: the schema <namespace>_<view> has one SQL
// view for each table that the model's definition made, or one named documents
// for a view of documents, and all of them change in one transaction. One whose
// columns are only added to is replaced, so that SQL views made from it stay;
// otherwise it is dropped and made anew. Rights, owner, options and comment stay
// either way. While something is made from one that would have to be dropped, and
// where something that was made by others has the name of a table, nothing changes,
// and the error is a [*NameError]. What others made under other names is left alone.
func (s *Store) Name(ctx context.Context, model projector.Model) error {
	doing := "name view " + model.View
	if err := s.validate(model); err != nil {
		return err
	}
	db, err := s.connections()
	if err != nil {
		return failed(doing, err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	n := naming{
		namespace: s.cfg.Namespace, names: schema{name: identifier(s.cfg.Namespace + "_" + model.View), model: model.View},
		of: schemaOf(s.cfg.Namespace, model),
	}
	return failed(doing, n.ensure(ctx, db))
}

// naming lets the names of a view stand for a model.
type naming struct {
	namespace string
	names     schema
	of        schema
}

func (n naming) ensure(ctx context.Context, db *sql.DB) error {
	return inside(ctx, db, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, n.names.name); err != nil {
			return err
		}
		want, err := n.comment(ctx, tx)
		if err != nil {
			return err
		}
		has, there, err := n.found(ctx, tx)
		switch {
		case err != nil || has == want:
			return err
		case there && !strings.HasPrefix(has, namesMark):
			return &store.InvalidError{What: "schema", Value: n.names.name, Reason: "it was made by other means"}
		case !there:
			if _, err := tx.ExecContext(ctx, `CREATE SCHEMA `+n.names.quoted()); err != nil {
				return err
			}
		}
		if err := n.change(ctx, tx, n.before(has)); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `COMMENT ON SCHEMA `+n.names.quoted()+` IS '`+want+`'`)
		return err
	})
}

// comment says which model the names stand for: also which one of that name, for
// a model may be dropped and made again.
func (n naming) comment(ctx context.Context, tx *sql.Tx) (string, error) {
	ours, err := n.of.ours(ctx, tx)
	if err != nil {
		return "", err
	}
	if !ours {
		return "", fmt.Errorf("model %s: %w", n.of.model, store.ErrNotFound)
	}
	var id string
	err = tx.QueryRowContext(ctx, `SELECT id FROM `+n.of.of("meta")).Scan(&id)
	return namesMark + n.names.model + " in " + n.of.model + " " + id, err
}

func (n naming) found(ctx context.Context, tx *sql.Tx) (comment string, there bool, err error) {
	err = tx.QueryRowContext(ctx, `SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = $1`,
		n.names.name).Scan(&comment)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return comment, true, err
}

// before is the schema of the model that a comment says the names stand for.
func (n naming) before(comment string) schema {
	text, ours := strings.CutPrefix(comment, namesMark+n.names.model+" in ")
	model, _, whole := strings.Cut(text, " ")
	if !ours || !whole {
		return schema{}
	}
	return schema{name: identifier(n.namespace + "_" + model), model: model}
}

// change has the names stand for the model, which stood for the one in was.
func (n naming) change(ctx context.Context, tx *sql.Tx, was schema) error {
	wanted, err := n.wanted(ctx, tx)
	if err != nil {
		return err
	}
	has, err := relations(ctx, tx, n.names.name)
	if err != nil {
		return err
	}
	for _, name := range has {
		made, err := n.made(ctx, tx, name, was)
		switch {
		case err != nil:
			return err
		case !made && slices.Contains(wanted, name):
			return &NameError{Name: n.names.name + "." + name}
		case made && !slices.Contains(wanted, name):
			err = n.drop(ctx, tx, name)
		}
		if err != nil {
			return err
		}
	}
	for _, name := range wanted {
		if err := n.view(ctx, tx, name); err != nil {
			return err
		}
	}
	return nil
}

// wanted are the tables that have names, as a model of documents has one.
func (n naming) wanted(ctx context.Context, tx *sql.Tx) ([]string, error) {
	var tables string
	if err := tx.QueryRowContext(ctx, `SELECT coalesce(tables::text, 'null') FROM `+n.of.of("meta")).Scan(&tables); err != nil {
		return nil, err
	}
	if tables == "[]" || tables == "null" {
		return []string{"documents"}, nil
	}
	of, err := relations(ctx, tx, n.of.name)
	return slices.DeleteFunc(of, func(name string) bool {
		return slices.Contains([]string{"checkpoints", "documents", "notes", "meta"}, name)
	}), err
}

// made reports whether a relation was made by an earlier naming: it is an SQL view
// of the table of that name in the model that the names stood for.
func (n naming) made(ctx context.Context, tx *sql.Tx, name string, was schema) (made bool, err error) {
	if was.name == "" {
		return false, nil
	}
	err = tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_depend d
		JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
		WHERE d.refclassid = 'pg_class'::regclass AND r.ev_class = to_regclass($1) AND d.refobjid = to_regclass($2))`,
		n.names.of(name), was.of(name)).Scan(&made)
	return made, err
}

// relations returns the names of the tables and SQL views in a schema.
func relations(ctx context.Context, tx *sql.Tx, schema string) (names []string, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm') ORDER BY c.relname`, schema)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// view lets one name stand for the model's table.
func (n naming) view(ctx context.Context, tx *sql.Tx, name string) error {
	columns := "*"
	if name == "documents" {
		columns = "key, position, document"
	}
	has, err := n.estate(ctx, tx, name)
	if err != nil {
		return err
	}
	as := ` VIEW ` + n.names.of(name) + has.with() + ` AS SELECT ` + columns + ` FROM ` + n.of.of(name)
	if _, err := tx.ExecContext(ctx, `SAVEPOINT named`); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `CREATE OR REPLACE`+as)
	if answer, ok := errors.AsType[*pgconn.PgError](err); !ok || answer.Code != invalidTableDefinition {
		return err
	}
	if _, err := tx.ExecContext(ctx, `ROLLBACK TO named`); err != nil {
		return err
	}
	if err := n.drop(ctx, tx, name); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `CREATE`+as); err != nil {
		return err
	}
	return has.restore(ctx, tx, n.names, name)
}
