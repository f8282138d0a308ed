package projectortest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// guest is a row of two persons, of whom each is to be told only what is about him.
type guest struct {
	Who   string `json:"who"`
	Name  string `json:"name" personal:"who"`
	Host  string `json:"host"`
	Thank string `json:"thank" personal:"host"`
	Nth   int64  `json:"nth"`
}

// known is a row under the person's own id.
type known struct {
	Name string `json:"name" personal:"@id"`
}

// visitors is a view of two tables, with keys of different kinds, in which a person is
// in many rows, beside others.
var visitors = projector.Tables[member]{
	Name: viewName, Types: []string{"member"}, Events: members,
	Tables: []string{
		`CREATE TABLE guests (nth BIGINT PRIMARY KEY, who TEXT, name TEXT, host TEXT, thank TEXT)`,
		`CREATE TABLE known (who TEXT PRIMARY KEY, name TEXT)`,
	},
	Apply: func(ctx context.Context, tx *sql.Tx, e store.Recorded[member]) error {
		data := e.Data.(enrolled)
		_, err := tx.ExecContext(ctx, `INSERT INTO guests (nth, who, name, host, thank) SELECT count(*) + 1, $1, $2, 'bob', '' FROM guests`, data.Who, data.Name)
		if err == nil && data.Who == "bob" { // who thanks those that came before him
			_, err = tx.ExecContext(ctx, `UPDATE guests SET thank = $1 WHERE thank = ''`, data.Name)
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, `INSERT INTO known (who, name) VALUES ($1, $2) ON CONFLICT (who) DO UPDATE SET name = excluded.name`, data.Who, data.Name)
		}
		return err
	},
	Forgotten: func(ctx context.Context, tx *sql.Tx, n privacy.Notice) error {
		for _, statement := range []string{
			`UPDATE guests SET name = '' WHERE who = $1`, `UPDATE guests SET thank = '' WHERE host = $1`, `DELETE FROM known WHERE who = $1`,
		} {
			if _, err := tx.ExecContext(ctx, statement, n.Subject); err != nil {
				return err
			}
		}
		return nil
	},
	Held: []projector.Held{projector.RowsOf("guests", guestsOf), projector.RowsOf("known", knownOf)},
}

func guestsOf(ctx context.Context, tx *sql.Tx, q projector.HeldQuery) (found []projector.Row[guest], err error) {
	after := int64(0)
	if q.After != "" {
		if after, err = strconv.ParseInt(q.After, 10, 64); err != nil {
			return nil, err
		}
	}
	rows, err := tx.QueryContext(ctx, `SELECT nth, who, name, host, thank FROM guests
		WHERE nth > $1 AND (who = $2 OR host = $2) ORDER BY nth LIMIT $3`, after, q.Subject, q.Limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var g guest
		if err := rows.Scan(&g.Nth, &g.Who, &g.Name, &g.Host, &g.Thank); err != nil {
			return nil, err
		}
		found = append(found, projector.Row[guest]{Key: strconv.FormatInt(g.Nth, 10), Row: g})
	}
	return found, rows.Err()
}

func knownOf(ctx context.Context, tx *sql.Tx, q projector.HeldQuery) ([]projector.Row[known], error) {
	r := projector.Row[known]{Key: q.Subject}
	err := tx.QueryRowContext(ctx, `SELECT name FROM known WHERE who = $1 AND who > $2`, q.Subject, q.After).Scan(&r.Row.Name)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return []projector.Row[known]{r}, err
}

// rowsHeld has two persons in the rows of a view: each is told, page by page, what is
// about him, and after ann was forgotten nothing is about her.
func rowsHeld(t *testing.T, h Harness) {
	if !h.Tables {
		return
	}
	s := sealingOver(t, h.Open(t))
	log := privacy.NewLog(store.NewMemory(store.MemoryConfig{}), s.ring)
	g := s.serving(t, log, visitors)
	var want []string
	const visits = 40
	for i := range visits {
		who := []string{"ann", "cid", "ann"}[i%3]
		enrol(t, log, uuid.NewString(), enrolled{Who: who, Name: fmt.Sprintf("%s %d", who, i)})
		if who == "ann" {
			want = append(want, fmt.Sprintf(`guests %d [name] [thank] {"who":"ann","name":"ann %d","host":"bob","thank":"[personal]","nth":%d}`, i+1, i, i+1))
		}
	}
	last := enrol(t, log, uuid.NewString(), enrolled{Who: "bob", Name: "bob"})
	want = append(want, fmt.Sprintf(`known ann [name] [] {"name":"ann %d"}`, visits-1))
	for _, limit := range []int{0, 1, 2, 7, projector.MaxPage} {
		if diff := cmp.Diff(want, heldOf(t, g, "ann", limit, last)); diff != "" {
			t.Errorf("ann, in pages of %d (-want +got):\n%s", limit, diff)
		}
	}
	of := heldOf(t, g, "bob", 9, last)
	if text := strings.Join(of, "\n"); len(of) != visits+2 || strings.Contains(text, "ann 0") || strings.Contains(text, "cid 1") {
		t.Errorf("bob has %d rows:\n%s", len(of), text)
	}
	if none := heldOf(t, g, "nobody", 0, last); len(none) > 0 {
		t.Errorf("nobody has %q", none)
	}

	s.forget(t, "ann", func(n privacy.Notice) store.Position {
		event, err := n.Event(log.Codec(), 0)
		if err != nil {
			t.Fatal(err)
		}
		last = appendTo(t, log, n.Stream(), event)
		return last
	})
	if left := heldOf(t, g, "ann", 5, last); len(left) > 0 {
		t.Errorf("of ann is told after she was forgotten:\n%s", strings.Join(left, "\n"))
	}
	if after := heldOf(t, g, "bob", 5, last); len(after) != len(of) {
		t.Errorf("bob has %d rows after ann was forgotten, before %d", len(after), len(of))
	}
	if _, err := g.Held(within(t), viewName, "ann", "nonsense", 0, 0); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a foreign cursor: %v", err)
	}
}

// heldOf reads what is held about a person, in pages that look at limit rows each.
func heldOf(t *testing.T, g *projector.Group, subject string, limit int, min store.Position) (lines []string) {
	t.Helper()
	var cursors []string
	for cursor := ""; ; {
		page, err := g.Held(within(t), viewName, subject, cursor, limit, min)
		if err != nil {
			t.Fatal(err)
		}
		if page.Untold || page.Model.View != viewName || page.Model.Version != 1 || limit > 0 && len(page.Rows) > limit {
			t.Fatalf("asked for %d rows: %+v", limit, page)
		}
		for _, r := range page.Rows {
			lines = append(lines, fmt.Sprintf("%s %s %v %v %s", r.Table, r.Key, r.Personal, r.Others, r.Data))
		}
		if cursor = page.Next; cursor == "" {
			return lines
		}
		if slices.Contains(cursors, cursor) {
			t.Fatalf("the cursor %q comes again", cursor)
		}
		cursors = append(cursors, cursor)
	}
}
