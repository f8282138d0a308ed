package projector

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"

	"github.com/annals-go/annals/store"
)

// Held finds what one table of an SQL view holds about a person. [RowsOf] makes it.
type Held struct {
	table  string
	fields []string // the personal ones of a row
	wrong  string
	find   func(ctx context.Context, tx *sql.Tx, q HeldQuery) ([]Row[any], error)
}

// HeldQuery asks for the next rows about a person.
type HeldQuery struct {
	// Subject is the person's id.
	Subject string
	// After is the key that the rows follow; empty: from the first.
	After string
	// Limit is how many rows are wanted at most, at least 1.
	Limit int
}

// Row is a row of a table as an SQL view tells of it.
type Row[R any] struct {
	// Key tells the row from all others of the table: text in UTF-8, not empty.
	Key string
	// Row is what is in it. Its tags say what is personal, and whose: `personal:"@id"` is the key's.
	Row R
}

// RowsOf tells of a table. R has a field for each column that is to be shown, with tags as
// documents have them; a type without personal fields is refused when the view is started. find returns the rows in
// which the person may be, those that stand beside somebody else's included, whose fields are then veiled:
// in the order of their keys, each key once, from the first one behind
// q.After, at most q.Limit; fewer than that say that there are no more. It is called in a transaction that cannot write, once
// for each page. It should find nothing of a person once Forgotten was called.
func RowsOf[R any](table string, find func(ctx context.Context, tx *sql.Tx, q HeldQuery) ([]Row[R], error)) Held {
	h := Held{table: table}
	fields, err := store.PersonalFields(reflect.TypeFor[R]())
	h.fields = fields
	switch {
	case table == "":
		h.wrong = "what it holds is in a table without name"
	case find == nil:
		h.wrong = fmt.Sprintf("what its table %q holds is found by no function", table)
	case err != nil:
		h.wrong = fmt.Sprintf("the rows of its table %q: %v", table, err)
	case len(fields) == 0:
		h.wrong = fmt.Sprintf("the rows of its table %q have no personal tags, so that nobody knows what is about whom", table)
	}
	h.find = func(ctx context.Context, tx *sql.Tx, q HeldQuery) ([]Row[any], error) {
		found, err := find(ctx, tx, q)
		rows := make([]Row[any], len(found))
		for i, r := range found {
			rows[i] = Row[any]{r.Key, r.Row}
		}
		return rows, err
	}
	return h
}

// badHeld is what is wrong with what a view says it holds; empty if nothing is.
func badHeld(held []Held, impersonal bool) string {
	seen := map[string]bool{}
	for _, h := range held {
		switch {
		case impersonal:
			return "it says that it is Impersonal, and what it holds about persons"
		case h.find == nil:
			return "what it holds was not made by RowsOf"
		case h.wrong != "":
			return h.wrong
		case seen[h.table]:
			return fmt.Sprintf("it says twice what its table %q holds", h.table)
		}
		seen[h.table] = true
	}
	return ""
}

// teller is a definition of an SQL view.
type teller interface {
	// holds reports whether the tables may hold something personal; tells is nil if it
	// does not say where.
	holds() (may bool, tells []Held)
}

func (v Tables[E]) holds() (may bool, tells []Held) {
	return len(v.Held) > 0 || !v.Impersonal && len(personalEvents(v.Events, v.Only)) > 0, v.Held
}

// HoldsRows reports whether tables of the view may hold something about persons, for
// [Group.Held].
func HoldsRows(d Definition) bool {
	t, is := d.(teller)
	if !is {
		return false
	}
	may, _ := t.holds()
	return may
}
