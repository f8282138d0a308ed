package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/sqlite"
)

// A store keeps what a group gives it, and answers questions in SQL; so does
//
//	sqlite3 shop_orders_v1.db "select key, document from documents"
//
// while the view is kept up to date. Usually a [projector.Group] is the only one
// that commits.
func Example() {
	dir, err := os.MkdirTemp("", "views")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	views := sqlite.New(sqlite.Config{Dir: dir, Namespace: "shop"})
	defer func() { _ = views.Close() }()

	ctx := context.Background()
	view, err := views.Open(ctx, projector.Layout{
		Model:   projector.Model{View: "orders", Version: 1},
		Indexes: []string{"status"},
	})
	if err != nil {
		panic(err)
	}
	checkpoint, err := view.Load(ctx, "0")
	if err != nil {
		panic(err)
	}
	checkpoint.Position = 1024
	orders := []projector.Document{
		{Key: "42", Position: 1023, Document: []byte(`{"status":"shipped"}`)},
		{Key: "43", Position: 1024, Document: []byte(`{"status":"open"}`)},
	}
	if checkpoint, err = view.Commit(ctx, projector.Write{Checkpoint: checkpoint, Documents: orders}); err != nil {
		panic(err)
	}
	var open string
	err = view.(projector.Querier).Query(ctx, func(tx *sql.Tx) error {
		const question = `SELECT key FROM documents WHERE json_extract(document, '$.status') = 'open'`
		return tx.QueryRowContext(ctx, question).Scan(&open)
	}, checkpoint)
	if err != nil {
		panic(err)
	}
	fmt.Println("open:", open)
	// Output:
	// open: 43
}
