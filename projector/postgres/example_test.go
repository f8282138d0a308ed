package postgres_test

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/postgres"
)

// A group writes to the store; whoever may read the database asks for documents
// with SQL, here through the store itself. An index of the layout answers for
// the member that it names.
func Example() {
	kept := postgres.New(postgres.Config{URL: "postgres://annals@db1,db2/shop?target_session_attrs=read-write", Namespace: "shop"})
	defer func() { _ = kept.Close() }()

	ctx := context.Background()
	view, err := kept.Open(ctx, projector.Layout{Model: projector.Model{View: "orders", Version: 1}, Indexes: []string{"customer.city"}})
	if err != nil {
		panic(err)
	}
	err = view.(projector.Querier).Query(ctx, func(tx *sql.Tx) error {
		// From elsewhere the table is "shop_orders_v1".documents.
		row := tx.QueryRowContext(ctx, `SELECT count(*) FROM documents WHERE document #>> '{customer,city}' = $1`, "Lisbon")
		var orders int
		if err := row.Scan(&orders); err != nil {
			return err
		}
		fmt.Println(orders)
		return nil
	})
	if err != nil {
		panic(err)
	}
}
