package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/annals-go/annals/store"
)

// dependentObjects is the server's answer to a drop of what others are made from.
const dependentObjects = "2BP01"

// NameError says why the names of a view cannot stand for another model: what was
// made by others is in the way. It matches [store.ErrInvalid].
type NameError struct {
	// Name is the full name of the SQL view that would have to change.
	Name string
	// By is the full name of what is made from it, which dropping it would take
	// along. Empty: Name itself was made by others.
	By string
}

// Error says what to do.
func (e *NameError) Error() string {
	if e.By == "" {
		return e.Name + " was not made by this view, which has a table of that name: rename it"
	}
	return fmt.Sprintf("%s is made from %s, whose columns change or go: drop it, and make it again afterwards", e.By, e.Name)
}

// Unwrap returns [store.ErrInvalid].
func (e *NameError) Unwrap() error { return store.ErrInvalid }

// drop removes a name from which nothing is made.
func (n naming) drop(ctx context.Context, tx *sql.Tx, name string) error {
	full := n.names.name + "." + name
	var by string
	err := tx.QueryRowContext(ctx, `SELECT coalesce(min(o.nspname || '.' || v.relname), '') FROM pg_depend d
		JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
		JOIN pg_class v ON v.oid = r.ev_class JOIN pg_namespace o ON o.oid = v.relnamespace
		WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass($1) AND v.oid <> d.refobjid`, n.names.of(name)).Scan(&by)
	if err != nil {
		return err
	}
	if by != "" {
		return &NameError{Name: full, By: by}
	}
	_, err = tx.ExecContext(ctx, `DROP VIEW `+n.names.of(name))
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok && answer.Code == dependentObjects {
		return &NameError{Name: full, By: answer.Detail} // a function, a policy, ...
	}
	return err
}

// estate is what others gave to an SQL view, and what it would lose if it were made
// anew. The zero value is nothing.
type estate struct {
	owner   string // empty: whoever makes it
	comment string
	options []string
	grants  []string // what follows GRANT, with %s where the view goes
}

// with is the clause that keeps the options: a replaced view would lose them, too.
func (e estate) with() string {
	if len(e.options) == 0 {
		return ""
	}
	return ` WITH (` + strings.Join(e.options, ", ") + `)`
}

// estate reads that of a name; nothing if it is not there.
func (n naming) estate(ctx context.Context, tx *sql.Tx, name string) (e estate, err error) {
	var options string
	err = tx.QueryRowContext(ctx, `SELECT CASE WHEN pg_get_userbyid(relowner) = current_user THEN '' ELSE pg_get_userbyid(relowner) END,
		coalesce(obj_description(oid, 'pg_class'), ''), coalesce(array_to_string(reloptions, ' '), '')
		FROM pg_class WHERE oid = to_regclass($1)`, n.names.of(name)).Scan(&e.owner, &e.comment, &options)
	if errors.Is(err, sql.ErrNoRows) {
		return e, nil
	}
	if err != nil {
		return e, err
	}
	e.options = strings.Fields(options) // those of views have no spaces
	e.grants, err = n.grants(ctx, tx, name)
	return e, err
}

// grants reads the rights to a name that are not its owner's, also those to columns
// that the new one has.
func (n naming) grants(ctx context.Context, tx *sql.Tx, name string) (grants []string, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT a.privilege_type, '', CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee) END, a.is_grantable
		FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = to_regclass($1) AND a.grantee <> c.relowner
		UNION ALL SELECT a.privilege_type, t.attname, CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee) END, a.is_grantable
		FROM pg_attribute t, aclexplode(t.attacl) a WHERE t.attrelid = to_regclass($1) AND t.attnum > 0
		AND EXISTS (SELECT FROM pg_attribute m WHERE m.attrelid = to_regclass($2) AND m.attname = t.attname AND NOT m.attisdropped)`,
		n.names.of(name), n.of.of(name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var right, column, to string
		var further bool
		if err := rows.Scan(&right, &column, &to, &further); err != nil {
			return nil, err
		}
		grants = append(grants, grant(right, column, to, further))
	}
	return grants, rows.Err()
}

func grant(right, column, to string, further bool) string {
	escaped := func(name string) string { return strings.ReplaceAll(pgx.Identifier{name}.Sanitize(), "%", "%%") }
	if column != "" {
		right += " (" + escaped(column) + ")"
	}
	if to == "" {
		to = "PUBLIC"
	} else {
		to = escaped(to)
	}
	if further {
		to += " WITH GRANT OPTION"
	}
	return right + " ON %s TO " + to
}

// restore gives a view that was made anew what the one before it had. The owner
// comes last: who is not it any more may not be allowed the rest.
func (e estate) restore(ctx context.Context, tx *sql.Tx, in schema, name string) error {
	var all []string
	for _, g := range e.grants {
		all = append(all, `GRANT `+fmt.Sprintf(g, in.of(name)))
	}
	if e.comment != "" {
		all = append(all, `COMMENT ON VIEW `+in.of(name)+` IS '`+strings.ReplaceAll(e.comment, "'", "''")+`'`)
	}
	if e.owner != "" {
		all = append(all, `ALTER VIEW `+in.of(name)+` OWNER TO `+pgx.Identifier{e.owner}.Sanitize())
	}
	for _, statement := range all {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
