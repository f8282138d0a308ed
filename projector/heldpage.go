package projector

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// HeldRow is a row of an SQL view that says something about a person.
type HeldRow struct {
	Table string `json:"table"`
	Key   string `json:"key"`
	// Personal are the paths of what is about the person, Others of what is about others:
	// in the place of that Data have [privacy.Veiled].
	Personal []string        `json:"personal"`
	Others   []string        `json:"others,omitempty"`
	Data     json.RawMessage `json:"data"`
	// Omitted is set when Data are null because they are too large for an answer.
	Omitted bool `json:"omitted,omitempty"`
}

// HeldPage is a page of what a view holds about a person.
type HeldPage struct {
	// Model is the one whose rows these are, the live one.
	Model Model `json:"model"`
	// Rows may be fewer than were asked for, even none, without being the last.
	Rows []HeldRow `json:"rows"`
	// Next is what to ask for next; empty: these were the last.
	Next string `json:"next"`
	// Untold says that the tables may hold something about persons, and the view does
	// not say where ([Tables.Held]). There are no rows then.
	Untold bool `json:"untold,omitempty"`
}

// Held returns a page of the rows that the live model of an SQL view holds about a person, as they
// are after the event at min or later, and the cursor of the next page: "" begins, ""
// ends. What in them is personal to others is veiled. A row that changes between pages may come again, or as it was;
// one that keeps its key is not missed. After another model became the live
// one a cursor begins again. limit is cut to [MaxPage]; 0 or less means 500. Models that are
// built or kept beside the live one have copies that are not looked at.
//
// Errors: those of [Group.Wait], [store.ErrInvalid] for a foreign cursor or a view that
// does not page as [RowsOf] says, [ErrNoTables], [store.ErrUnavailable].
func (g *Group) Held(ctx context.Context, view, subject, cursor string, limit int, min store.Position) (page HeldPage, err error) {
	f, err := g.family(view)
	if err != nil {
		return HeldPage{}, err
	}
	if _, err := store.EncodeToken(subject); err != nil {
		return HeldPage{}, fmt.Errorf("data subject: %w", err)
	}
	of, inner, err := parseCursor(view, cursor)
	if err != nil {
		return HeldPage{}, err
	}
	err = f.read(ctx, min, func(p *projection, v View, since []Checkpoint) (err error) {
		place := heldPlace{}
		if of == p.model {
			if place, err = parseHeldPlace(inner); err != nil {
				return err
			}
		}
		page, err = p.holding(ctx, v, heldReader{subject: subject, place: place, left: pageSize(limit)}, since)
		return err
	})
	if err != nil {
		return HeldPage{}, fmt.Errorf("held in view %s: %w", view, err)
	}
	return page, nil
}

func (p *projection) holding(ctx context.Context, v View, r heldReader, since []Checkpoint) (HeldPage, error) {
	if p.def == nil {
		return HeldPage{}, fmt.Errorf("%w: the definition, version %d, is not here", store.ErrUnavailable, p.model.Version)
	}
	querier, can := v.(Querier)
	tables, is := p.def.(teller)
	if !can || !is {
		return HeldPage{}, ErrNoTables
	}
	page := HeldPage{Model: p.model, Rows: []HeldRow{}}
	may, tells := tables.holds()
	if len(tells) == 0 {
		page.Untold = may
		return page, nil
	}
	err := querier.Query(ctx, func(tx *sql.Tx) (err error) {
		again := r // the store may have to repeat the transaction
		page.Rows, page.Next, err = again.page(ctx, tx, tells)
		return err
	}, since...)
	page.Next = cursorOf(p.model, page.Next)
	return page, err
}

// heldPlace is a place within what is held: behind a key of a table.
type heldPlace struct {
	table int
	after string
}

func (p heldPlace) String() string { return strconv.Itoa(p.table) + "." + p.after }

func parseHeldPlace(text string) (heldPlace, error) {
	nth, after, _ := strings.Cut(text, ".")
	table, err := strconv.Atoi(nth)
	if err != nil || table < 0 {
		return heldPlace{}, &store.InvalidError{What: "cursor", Value: text, Reason: "it was not made by this view"}
	}
	return heldPlace{table, after}, nil
}

// heldReader reads one page. What it looks at, and so what it has in memory, is bounded
// by left, however much of it is shown.
type heldReader struct {
	subject string
	place   heldPlace
	left    int
	rows    []HeldRow
}

func (r *heldReader) page(ctx context.Context, tx *sql.Tx, tables []Held) ([]HeldRow, string, error) {
	r.rows = []HeldRow{}
	for r.place.table < len(tables) {
		if r.left == 0 {
			return r.rows, r.place.String(), nil
		}
		if err := r.table(ctx, tx, tables[r.place.table]); err != nil {
			return nil, "", err
		}
	}
	return r.rows, "", nil
}

// table reads on in one table, as far as there is room.
func (r *heldReader) table(ctx context.Context, tx *sql.Tx, h Held) error {
	q := HeldQuery{Subject: r.subject, After: r.place.after, Limit: r.left}
	found, err := h.ask(ctx, tx, q)
	if err != nil {
		return fmt.Errorf("table %s: %w", h.table, err)
	}
	for _, row := range found {
		if err := r.take(h.table, row); err != nil {
			return fmt.Errorf("row of table %s: %w", h.table, err)
		}
	}
	if r.left -= len(found); len(found) < q.Limit {
		r.place = heldPlace{table: r.place.table + 1}
		return nil
	}
	r.place.after = found[len(found)-1].Key
	return nil
}

// take keeps the person's share of a row, if it has any.
func (r *heldReader) take(table string, row Row[any]) error {
	data, spans, err := spansIn(row.Row)
	if err != nil {
		return withhold(err)
	}
	share, err := privacy.ShareOf(store.JSON, data, saying(spans, data), row.Key, r.subject)
	if err != nil {
		return withhold(err)
	}
	if share.Personal != nil {
		r.rows = append(r.rows, HeldRow{Table: table, Key: row.Key, Personal: share.Personal, Others: share.Others, Data: share.Data})
	}
	return nil
}

// ask calls the view's function. What that says of its failing may tell a value.
func (h Held) ask(ctx context.Context, tx *sql.Tx, q HeldQuery) (rows []Row[any], err error) {
	defer func() {
		if r := recover(); r != nil {
			rows, err = nil, withhold(panicked(r))
		}
	}()
	if rows, err = h.find(ctx, tx, q); err != nil {
		return nil, withhold(err)
	}
	return rows, h.check(rows, q)
}

// check refuses rows that do not page as they should: they would be told for ever, or
// passed over.
func (h Held) check(rows []Row[any], q HeldQuery) error {
	wrong := func(reason string) error {
		return &store.InvalidError{What: "rows", Value: h.table, Reason: reason}
	}
	if len(rows) > q.Limit {
		return wrong("they are more than were asked for")
	}
	seen := map[string]bool{"": true, q.After: true}
	for _, row := range rows {
		if seen[row.Key] || !utf8.ValidString(row.Key) {
			return wrong("a key is empty, is no text, or comes again")
		}
		seen[row.Key] = true
	}
	return nil
}
