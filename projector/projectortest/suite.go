package projectortest

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Harness says how to get at the store that is tested, and how to harm it.
type Harness struct {
	// Open returns a store that nothing was ever kept in. What it needs is
	// released by t.Cleanup.
	Open func(t *testing.T) projector.Store
	// Tear stores documents of a view without a checkpoint, as a commit that a
	// power cut tore leaves them. Nil for stores that cannot be torn.
	Tear func(t *testing.T, s projector.Store, view string, version int, docs []projector.Document)
	// Tables says that the store keeps the tables of SQL views: its views are then
	// [projector.Querier], and its SQL is what the cases of tables.go are written in.
	// A store without has to refuse them.
	Tables bool
	// LoseAnswer makes the next commit of s be stored and its answer be lost. Nil
	// for stores that answer always.
	LoseAnswer func(t *testing.T, s projector.Store)
	// LoseRequest makes the next commit of s be lost on its way. Nil for stores
	// that are always reached.
	LoseRequest func(t *testing.T, s projector.Store)
	// Files returns the folder of everything that s has written, which is searched for
	// what must not be there. Nil where it is not at hand.
	Files func(t *testing.T, s projector.Store) string
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	t.Helper()
	groups := [][]testCase{
		checkpointCases, workerCases, documentCases, deletionCases, noteCases, pageCases, modelCases, faultCases, tableCases,
		personalCases,
	}
	for _, group := range groups {
		for _, c := range group {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.run(t, h)
			})
		}
	}
}

// testCase is one promise of the contract.
type testCase struct {
	name string
	run  func(t *testing.T, h Harness)
}

// The view that cases use unless they need several.
const (
	viewName    = "cases"
	viewVersion = 1
	worker      = "0"
)

// theModel is the first build of that view.
var theModel = projector.Model{View: viewName, Version: viewVersion}

func open(t *testing.T, s projector.Store) projector.View {
	t.Helper()
	return openAs(t, s, projector.Layout{Model: theModel})
}

func openAs(t *testing.T, s projector.Store, layout projector.Layout) projector.View {
	t.Helper()
	v, err := s.Open(within(t), layout)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// within is a context that is long enough for everything that is to succeed.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func doc(key string, position store.Position, n int) projector.Document {
	return projector.Document{Key: key, Position: position, Document: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))}
}

// valueOf reads what doc wrote.
func valueOf(t *testing.T, d projector.Document) int {
	t.Helper()
	var v struct{ N int }
	if err := json.Unmarshal(d.Document, &v); err != nil {
		t.Fatalf("document %q is %q: %v", d.Key, d.Document, err)
	}
	return v.N
}

func load(t *testing.T, v projector.View) projector.Checkpoint {
	t.Helper()
	return loadOf(t, v, worker)
}

func loadOf(t *testing.T, v projector.View, worker string) projector.Checkpoint {
	t.Helper()
	c, err := v.Load(within(t), worker)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// commit stores the documents and moves the checkpoint to their highest position.
func commit(t *testing.T, v projector.View, c projector.Checkpoint, docs ...projector.Document) projector.Checkpoint {
	t.Helper()
	return write(t, v, projector.Write{Checkpoint: moved(c, docs...), Documents: docs})
}

func write(t *testing.T, v projector.View, w projector.Write) projector.Checkpoint {
	t.Helper()
	next, err := v.Commit(within(t), w)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func moved(c projector.Checkpoint, docs ...projector.Document) projector.Checkpoint {
	c.Version, c.Types = viewVersion, []string{"counter"}
	c.Position++
	for _, d := range docs {
		c.Position = max(c.Position, d.Position)
	}
	return c
}

func get(t *testing.T, v projector.View, since projector.Checkpoint, keys ...string) map[string]projector.Document {
	t.Helper()
	docs, err := v.Get(within(t), keys, since)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]projector.Document{}
	for _, d := range docs {
		if _, twice := found[d.Key]; twice {
			t.Fatalf("document %q came twice", d.Key)
		}
		found[d.Key] = d
	}
	return found
}

// list reads all pages and returns the keys in the order they came.
func list(t *testing.T, v projector.View, since projector.Checkpoint, limit int, between func(page int)) []string {
	t.Helper()
	return listSince(t, v, limit, between, since)
}

func listSince(t *testing.T, v projector.View, limit int, between func(page int), since ...projector.Checkpoint) []string {
	t.Helper()
	var keys []string
	cursor := ""
	for page := 1; ; page++ {
		docs, next, err := v.List(within(t), cursor, limit, since...)
		if err != nil {
			t.Fatal(err)
		}
		if len(docs) > limit {
			t.Fatalf("page of %d documents, limit %d", len(docs), limit)
		}
		for _, d := range docs {
			keys = append(keys, d.Key)
		}
		if next == "" {
			return keys
		}
		if next == cursor {
			t.Fatalf("cursor %q leads to itself", cursor)
		}
		cursor = next
		if between != nil {
			between(page)
		}
	}
}
