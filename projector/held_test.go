package projector_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// guestbook is an SQL view over personal events whose rows a test makes up.
func guestbook(name string, held ...projector.Held) projector.Tables[club] {
	return projector.Tables[club]{
		Name: name, Types: []string{"club"}, Events: clubs, Tables: []string{"create table words (who text)"},
		Apply:     func(context.Context, *sql.Tx, store.Recorded[club]) error { return nil },
		Forgotten: func(context.Context, *sql.Tx, privacy.Notice) error { return nil },
		Held:      held,
	}
}

// finding answers every question with the same rows.
func finding(keys ...string) func(context.Context, *sql.Tx, projector.HeldQuery) ([]projector.Row[words], error) {
	return func(_ context.Context, _ *sql.Tx, q projector.HeldQuery) (rows []projector.Row[words], err error) {
		for _, key := range keys {
			rows = append(rows, projector.Row[words]{Key: key, Row: words{Who: q.Subject, Text: mark(q.Subject, 1)}})
		}
		return rows, nil
	}
}

// A view that may hold something and cannot say where says that, and one that holds nothing
// does not.
func TestViewsThatCannotTellSaySo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		harmless := guestbook("harmless")
		harmless.Impersonal = true
		empty := guestbook("empty")
		empty.Held = []projector.Held{}
		unaware := guestbook("unaware")
		unaware.Only = []string{"cleaned"}
		defs := []projector.Definition{guestbook("mute"), empty, harmless, unaware, guestbook("tells", projector.RowsOf("words", finding())), cards("cards")}
		g := w.group(t, projector.Config{Projections: defs, Store: newTableStore()})
		running(t, g)
		last := w.append("golf", joined{Owner: "ann", Name: mark("ann", 1)})
		for _, c := range []struct {
			view          string
			untold, holds bool
			err           error
		}{
			{"mute", true, true, nil},
			{"empty", true, true, nil},
			{"harmless", false, false, nil},
			{"unaware", false, false, nil},
			{"tells", false, true, nil},
			{"cards", false, false, projector.ErrNoTables},
			{"nothing", false, false, projector.ErrNoView},
		} {
			page, err := g.Held(soon(t), c.view, "ann", "", 0, last)
			if !errors.Is(err, c.err) || page.Untold != c.untold || len(page.Rows) > 0 || page.Next != "" {
				t.Errorf("%s: %+v, %v", c.view, page, err)
			}
			for _, d := range defs {
				if d.Describe().Name == c.view && projector.HoldsRows(d) != c.holds {
					t.Errorf("%s holds rows: %v", c.view, !c.holds)
				}
			}
		}
		if _, err := g.Held(soon(t), "tells", "", "", 0, last); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("of nobody: %v", err)
		}
	})
}

// What a view answers that does not page as it should is refused, and not told for ever; what it says of
// its failing is told to nobody.
func TestViewsThatTellBadlyAreRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, secret := newWorld(t), errors.New(mark("ann", 7))
		failing := func(context.Context, *sql.Tx, projector.HeldQuery) ([]projector.Row[words], error) {
			return nil, fmt.Errorf("scan: %w", secret)
		}
		panicking := func(context.Context, *sql.Tx, projector.HeldQuery) ([]projector.Row[words], error) {
			panic(mark("ann", 8))
		}
		nobodys := func(context.Context, *sql.Tx, projector.HeldQuery) ([]projector.Row[words], error) {
			return []projector.Row[words]{{Key: "1", Row: words{Text: mark("ann", 9)}}}, nil
		}
		panicked := new(projector.PanicError)
		for i, c := range []struct {
			what string
			find func(context.Context, *sql.Tx, projector.HeldQuery) ([]projector.Row[words], error)
			is   func(error) bool
		}{
			{"more than asked for", finding("1", "2", "3"), func(err error) bool { return errors.Is(err, store.ErrInvalid) }},
			{"the same for ever", finding("1", "2"), func(err error) bool { return errors.Is(err, store.ErrInvalid) }},
			{"one key twice", finding("1", "1"), func(err error) bool { return errors.Is(err, store.ErrInvalid) }},
			{"no text", finding("\xff"), func(err error) bool { return errors.Is(err, store.ErrInvalid) }},
			{"no key", finding(""), func(err error) bool { return errors.Is(err, store.ErrInvalid) }},
			{"a value that is nobody's", nobodys, func(err error) bool { return errors.Is(err, store.ErrInvalid) }},
			{"an error", failing, func(err error) bool { return errors.Is(err, secret) }},
			{"a panic", panicking, func(err error) bool { return errors.As(err, &panicked) }},
		} {
			g := w.group(t, projector.Config{
				Projections: []projector.Definition{guestbook(fmt.Sprintf("book%d", i), projector.RowsOf("words", c.find))}, Store: newTableStore(),
			})
			running(t, g)
			var err error
			pages := 0
			for cursor := ""; err == nil && pages < 5; pages++ {
				var page projector.HeldPage
				if page, err = g.Held(soon(t), fmt.Sprintf("book%d", i), "ann", cursor, 2, 0); page.Next == "" {
					break
				}
				cursor = page.Next
			}
			if err == nil || !c.is(err) || strings.Contains(err.Error(), marks) {
				t.Errorf("%s, after %d pages: %v", c.what, pages, err)
			}
		}
	})
}

// A view that says something about its tables that cannot be is refused before it runs.
func TestDefinitionsThatTellNonsenseAreRefused(t *testing.T) {
	t.Parallel()
	type plain struct {
		Text string `json:"text"`
	}
	type lost struct {
		Text string `json:"text" personal:"who"`
	}
	untagged := projector.RowsOf("t", func(context.Context, *sql.Tx, projector.HeldQuery) ([]projector.Row[plain], error) { return nil, nil })
	astray := projector.RowsOf("t", func(context.Context, *sql.Tx, projector.HeldQuery) ([]projector.Row[lost], error) { return nil, nil })
	fine := projector.RowsOf("t", finding())
	harmless := guestbook("harmless", fine)
	harmless.Impersonal = true
	for says, v := range map[string]projector.Definition{
		"":                   guestbook("fine", fine, projector.RowsOf("u", finding())),
		"no personal tags":   guestbook("untagged", untagged),
		"who":                guestbook("astray", astray),
		"Impersonal":         harmless,
		"twice":              guestbook("twice", fine, fine),
		"without name":       guestbook("unnamed", projector.RowsOf("", finding())),
		"no function":        guestbook("unfound", projector.RowsOf[words]("t", nil)),
		"not made by RowsOf": guestbook("empty", projector.Held{}),
	} {
		w := newWorld(t)
		_, err := projector.NewGroup(projector.Config{Log: w.log, Store: &projector.Memory{}, Keyring: w.ring, Projections: []projector.Definition{v}})
		if (err == nil) != (says == "") || err != nil && (!errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s, want %q: %v", v.Describe(), says, err)
		}
	}
}
