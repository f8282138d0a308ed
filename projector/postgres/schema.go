package postgres

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// format is the layout of a schema; another one is refused.
const format = 1

// schema names the schema of a model, and what is in it.
type schema struct {
	name  string // as it is
	model string
}

func schemaOf(namespace string, model projector.Model) schema {
	return schema{name: identifier(namespace + "_" + model.String()), model: model.String()}
}

// identifier shortens what is longer than the server's names may be, to what is
// different for different names; the server itself would cut off the end.
func identifier(name string) string {
	const most, digits = 63, 12
	if len(name) <= most {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:most-digits-1] + "_" + hex.EncodeToString(sum[:])[:digits]
}

// of returns the full name of something in the schema.
func (s schema) of(name string) string { return pgx.Identifier{s.name, name}.Sanitize() }

// literal writes the full name so that it can stand between single quotes.
func (s schema) literal(name string) string { return strings.ReplaceAll(s.of(name), "'", "''") }

func (s schema) quoted() string { return pgx.Identifier{s.name}.Sanitize() }

// path is where unqualified names are looked up: in the schema, and then in
// what is there for all, such as extensions.
func (s schema) path() string { return s.quoted() + ", public" }

// statements make the tables that every model has. Keys are compared byte by
// byte, as everywhere else.
func (s schema) statements() []string {
	return []string{
		`CREATE SCHEMA ` + s.quoted(),
		`CREATE TABLE ` + s.of("meta") + ` (id uuid PRIMARY KEY, format integer NOT NULL, model text NOT NULL,
			tables json NOT NULL, made timestamptz NOT NULL DEFAULT now())`,
		`CREATE SEQUENCE ` + s.of("commits"),
		`CREATE TABLE ` + s.of("checkpoints") + ` (worker text COLLATE "C" PRIMARY KEY, revision bigint NOT NULL,
			position bigint NOT NULL, checkpoint json NOT NULL, written timestamptz NOT NULL)`,
		`CREATE TABLE ` + s.of("documents") + ` (key text COLLATE "C" PRIMARY KEY, position bigint NOT NULL,
			revision bigint NOT NULL, document jsonb NOT NULL, exact bytea)`,
		`CREATE INDEX documents_revision ON ` + s.of("documents") + ` (revision)`,
		`CREATE TABLE ` + s.of("notes") + ` (worker text COLLATE "C", key text COLLATE "C", value json NOT NULL,
			PRIMARY KEY (worker, key))`,
	}
}

// ensure creates the schema, or makes sure that what is there is the model, and
// returns the id that tells it from one of that name that was dropped.
func (s schema) ensure(ctx context.Context, db *sql.DB, layout projector.Layout) (id string, err error) {
	err = inside(ctx, db, func(tx *sql.Tx) error {
		// One at a time: of several that find nothing one creates it.
		if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, s.name); err != nil {
			return err
		}
		var there bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)`, s.name).Scan(&there); err != nil {
			return err
		}
		if there {
			id, err = s.check(ctx, tx, layout)
		} else {
			id, err = s.create(ctx, tx, layout)
		}
		if err != nil {
			return err
		}
		return s.index(ctx, tx, layout.Indexes)
	})
	return id, err
}

func (s schema) create(ctx context.Context, tx *sql.Tx, layout projector.Layout) (string, error) {
	for _, statement := range s.statements() {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return "", err
		}
	}
	tables, err := json.Marshal(layout.Tables)
	if err != nil {
		return "", err
	}
	id := uuid.NewString()
	if _, err := tx.ExecContext(ctx, `INSERT INTO `+s.of("meta")+` (id, format, model, tables) VALUES ($1, $2, $3, $4)`,
		id, format, s.model, string(tables)); err != nil {
		return "", err
	}
	if _, err := tx.ExecContext(ctx, `SELECT set_config('search_path', $1, true)`, s.path()); err != nil {
		return "", err
	}
	for _, statement := range layout.Tables {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			if gone(err) {
				return "", err
			}
			return "", &store.InvalidError{What: "statement", Value: statement, Reason: err.Error()}
		}
	}
	return id, nil
}

// check makes sure that the schema is the model, made with the same tables.
func (s schema) check(ctx context.Context, tx *sql.Tx, layout projector.Layout) (string, error) {
	invalid := func(reason string) error {
		return &store.InvalidError{What: "schema", Value: s.name, Reason: reason}
	}
	if ours, err := s.ours(ctx, tx); err != nil {
		return "", err
	} else if !ours {
		return "", invalid("it was made by other means")
	}
	var id, model, tables string
	var was int
	row := tx.QueryRowContext(ctx, `SELECT id, format, model, tables FROM `+s.of("meta"))
	if err := row.Scan(&id, &was, &model, &tables); err != nil {
		return "", err
	}
	var made []string
	if err := json.Unmarshal([]byte(tables), &made); err != nil {
		return "", fmt.Errorf("%w: tables of schema %s: %w", store.ErrDamaged, s.name, err)
	}
	switch {
	case was != format:
		return "", invalid(fmt.Sprintf("it has format %d, this build knows %d", was, format))
	case model != s.model:
		return "", invalid("it holds the model " + model)
	case !slices.Equal(made, layout.Tables):
		return "", invalid("its tables were made by other statements: give the view a new version")
	}
	return id, nil
}

func (s schema) ours(ctx context.Context, tx *sql.Tx) (ours bool, err error) {
	err = tx.QueryRowContext(ctx, `SELECT to_regclass($1) IS NOT NULL`, s.of("meta")).Scan(&ours)
	return ours, err
}

// index makes the indexes that are not there yet. Others stay: a process with
// another build of the application may want them.
func (s schema) index(ctx context.Context, tx *sql.Tx, members []string) error {
	for _, member := range members {
		path := strings.Split(member, ".")
		if slices.Contains(path, "") || strings.ContainsRune(member, 0) {
			return &store.InvalidError{What: "index", Value: member, Reason: "it does not name a member"}
		}
		name := pgx.Identifier{identifier("documents_by_" + strings.Join(path, "_") + "_" + digest(member))}.Sanitize()
		statement := fmt.Sprintf(`CREATE INDEX IF NOT EXISTS %s ON %s ((document #>> %s))`, name, s.of("documents"), pathOf(path))
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// digest tells "a.b" from "a_b", whose indexes would have one name.
func digest(member string) string {
	sum := sha256.Sum256([]byte(member))
	return hex.EncodeToString(sum[:4])
}

// pathOf writes names as a literal of an array, as in '{"offers","sent"}'.
func pathOf(names []string) string {
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = `"` + quote.Replace(name) + `"`
	}
	return `'` + strings.ReplaceAll("{"+strings.Join(quoted, ",")+"}", `'`, `''`) + `'`
}

// drop locks the checkpoints first, as commits do, so that none of them waits
// for this one while this one waits for it.
func (s schema) drop(ctx context.Context, db *sql.DB) error {
	return inside(ctx, db, func(tx *sql.Tx) error {
		var there bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)`, s.name).Scan(&there); err != nil || !there {
			return err
		}
		if ours, err := s.ours(ctx, tx); err != nil {
			return err
		} else if !ours {
			return &store.InvalidError{What: "schema", Value: s.name, Reason: "it was made by other means"}
		}
		if _, err := tx.ExecContext(ctx, `LOCK TABLE `+s.of("checkpoints")+` IN ACCESS EXCLUSIVE MODE`); err != nil {
			return err
		}
		if err := s.unused(ctx, tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DROP SCHEMA `+s.quoted()+` CASCADE`)
		return err
	})
}

// unused refuses while an SQL view elsewhere is made from the schema, as the view's
// own name may be: CASCADE would drop it, and what others made from it.
func (s schema) unused(ctx context.Context, tx *sql.Tx) error {
	var by string
	err := tx.QueryRowContext(ctx, `SELECT coalesce(min(n.nspname || '.' || v.relname), '') FROM pg_depend d
		JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
		JOIN pg_class v ON v.oid = r.ev_class JOIN pg_namespace n ON n.oid = v.relnamespace
		JOIN pg_class t ON d.refclassid = 'pg_class'::regclass AND t.oid = d.refobjid JOIN pg_namespace s ON s.oid = t.relnamespace
		WHERE s.nspname = $1 AND n.nspname <> $1`, s.name).Scan(&by)
	if err == nil && by != "" {
		err = &store.InvalidError{What: "schema", Value: s.name, Reason: "SQL view " + by + " is made from it"}
	}
	return err
}
