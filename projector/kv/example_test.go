package kv_test

import (
	"context"
	"fmt"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
)

// A store keeps what a group gives it; `nats kv get ANNALS_shop_view_orders_v1
// d.42` shows the same document. Usually a [projector.Group] is the only caller.
func Example() {
	server, err := embedded.Start(embedded.Config{Logger: quiet})
	if err != nil {
		panic(err)
	}
	defer server.Shutdown()
	conn, err := server.Connect()
	if err != nil {
		panic(err)
	}
	defer conn.Close()

	ctx := context.Background()
	view, err := kv.New(kv.Config{Conn: conn, Namespace: "shop", InMemory: true}).Open(ctx, projector.Layout{Model: projector.Model{View: "orders", Version: 1}})
	if err != nil {
		panic(err)
	}
	checkpoint, err := view.Load(ctx, "0")
	if err != nil {
		panic(err)
	}
	checkpoint.Position = 1024
	order := projector.Document{Key: "42", Position: 1024, Document: []byte(`{"status":"shipped"}`)}
	if checkpoint, err = view.Commit(ctx, projector.Write{Checkpoint: checkpoint, Documents: []projector.Document{order}}); err != nil {
		panic(err)
	}
	found, err := view.Get(ctx, []string{"42"}, checkpoint)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s %s\n", found[0].Key, found[0].Document)
	// Output:
	// 42 {"status":"shipped"}
}
