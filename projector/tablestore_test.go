package projector_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// tableStore is a store as databases are: nothing is ever torn, deleted documents
// are forgotten, and an SQL view has its rows, here a map that Apply changes by
// way of the store, for there is no database behind the transaction.
type tableStore struct {
	*projector.Memory
	faults *faults // nil: nothing fails

	mu   sync.Mutex
	rows map[string][]string // committed
	open map[string][]string // of the transaction that is applied
}

func newTableStore() *tableStore {
	return &tableStore{Memory: &projector.Memory{}, rows: map[string][]string{}}
}

// add is what handlers call: it appends to a row.
func (s *tableStore) add(key, value string) { s.open[key] = append(slices.Clone(s.open[key]), value) }

func (s *tableStore) committed() map[string][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.rows)
}

func (s *tableStore) Open(ctx context.Context, layout projector.Layout) (projector.View, error) {
	layout.Tables = nil
	v, err := s.Memory.Open(ctx, layout)
	return &tableView{View: v, store: s}, err
}

type tableView struct {
	projector.View
	store *tableStore
}

func (v *tableView) Torn() bool { return false }

func (v *tableView) Commit(ctx context.Context, w projector.Write) (projector.Checkpoint, error) {
	v.store.mu.Lock()
	defer v.store.mu.Unlock()
	for i := range w.Documents {
		w.Documents[i].Late = projector.Late{}
	}
	v.store.open = maps.Clone(v.store.rows)
	if w.Apply != nil {
		if err := w.Apply(ctx, nil); err != nil {
			return projector.Checkpoint{}, fmt.Errorf("commit: %w", err)
		}
	}
	w.Apply = nil
	kind := none
	if v.store.faults != nil {
		if kind = v.store.faults.onCommit(v.View, w.Checkpoint, w.Documents); kind == torn {
			kind = lost
		}
	}
	gone := fmt.Errorf("%w: %w", store.ErrUnknown, errFault)
	if kind == lost {
		return projector.Checkpoint{}, gone
	}
	c, err := v.View.Commit(ctx, w)
	if err == nil {
		v.store.rows = v.store.open
	}
	if err == nil && kind == unheard {
		return projector.Checkpoint{}, gone
	}
	return c, err
}

// Get forgets what was deleted, as databases do.
func (v *tableView) Get(ctx context.Context, keys []string, since ...projector.Checkpoint) ([]projector.Document, error) {
	docs, err := v.View.Get(ctx, keys, since...)
	return slices.DeleteFunc(docs, func(d projector.Document) bool { return d.Document == nil }), err
}

func (v *tableView) Query(_ context.Context, read func(*sql.Tx) error, _ ...projector.Checkpoint) error {
	v.store.mu.Lock()
	defer v.store.mu.Unlock()
	return read(nil)
}

// rowsOf is an SQL view that keeps the history of each stream in a row.
func rowsOf(s *tableStore, workers int, ill func(store.Recorded[event]) bool) projector.Tables[event] {
	return projector.Tables[event]{
		Name: "rows", Types: []string{"counter"}, Events: events, Workers: workers,
		Tables: []string{"create table rows (key text primary key, seen text)"},
		Apply: func(_ context.Context, _ *sql.Tx, e store.Recorded[event]) error {
			s.add(e.Stream.ID, said(e))
			if ill(e) {
				return fmt.Errorf("row of %s is ill", e.Stream.ID)
			}
			return nil
		},
		Get: func(_ context.Context, _ *sql.Tx, key string) (any, error) {
			if row, ok := s.rows[key]; ok {
				return map[string]any{"seen": row}, nil
			}
			return nil, sql.ErrNoRows
		},
	}
}

// said names an event and what it holds.
func said(e store.Recorded[event]) string {
	data, err := json.Marshal(e.Data)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s %s", e.Version, e.Type, data)
}
