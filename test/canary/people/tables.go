package people

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// Registry is a table with a row for each person, in plain, and a handler that takes
// out whoever was forgotten. SQLite and PostgreSQL take the statements.
var Registry = projector.Tables[Event]{
	Name: "register", Types: []string{Persons.Type}, Events: Persons.Events,
	Tables: []string{
		"CREATE TABLE person (id TEXT PRIMARY KEY, name TEXT NOT NULL, street TEXT NOT NULL, photo BYTEA, number BIGINT NOT NULL, labels TEXT NOT NULL)",
		"CREATE INDEX by_name ON person (name)",
	},
	Apply:     applyRow,
	Forgotten: forgetRow,
	Held:      []projector.Held{projector.RowsOf("person", heldRow)},
	Get:       getRow,
}

func applyRow(ctx context.Context, tx *sql.Tx, e store.Recorded[Event]) error {
	switch d := e.Data.(type) {
	case Registered:
		labels, err := json.Marshal(d.Labels)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO person VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (id) DO UPDATE SET name = excluded.name, street = excluded.street, photo = excluded.photo, number = excluded.number, labels = excluded.labels`,
			e.Stream.ID, d.Name, d.Address.Street, d.Photo, d.Number, string(labels))
		return err
	case Renamed:
		_, err := tx.ExecContext(ctx, `UPDATE person SET name = $1 WHERE id = $2`, d.Name, e.Stream.ID)
		return err
	case Confirmed, Touched, Noted:
	}
	return nil
}

func forgetRow(ctx context.Context, tx *sql.Tx, n privacy.Notice) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM person WHERE id = $1`, n.Subject)
	return err
}

// row is what the table has of a person.
type row struct {
	Name   string          `json:"name" personal:"@id"`
	Street string          `json:"street" personal:"@id"`
	Photo  []byte          `json:"photo,omitempty" personal:"@id"`
	Number int64           `json:"number" personal:"@id"`
	Labels json.RawMessage `json:"labels" personal:"@id"`
}

// heldRow finds the one row that there is.
func heldRow(ctx context.Context, tx *sql.Tx, q projector.HeldQuery) ([]projector.Row[row], error) {
	found := projector.Row[row]{Key: q.Subject}
	var labels string
	err := tx.QueryRowContext(ctx, `SELECT name, street, photo, number, labels FROM person WHERE id = $1 AND id > $2`, q.Subject, q.After).
		Scan(&found.Row.Name, &found.Row.Street, &found.Row.Photo, &found.Row.Number, &labels)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	found.Row.Labels = json.RawMessage(labels)
	return []projector.Row[row]{found}, err
}

func getRow(ctx context.Context, tx *sql.Tx, key string) (any, error) {
	var name, street, labels string
	var photo []byte
	var number int64
	err := tx.QueryRowContext(ctx, `SELECT name, street, photo, number, labels FROM person WHERE id = $1`, key).Scan(&name, &street, &photo, &number, &labels)
	return map[string]any{"name": name, "street": street, "photo": photo, "number": number, "labels": json.RawMessage(labels)}, err
}
