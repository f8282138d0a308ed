package kv_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/store"
)

func storages(b *testing.B, run func(b *testing.B, v projector.View)) {
	for _, name := range []string{"file", "unsynced", "memory"} {
		b.Run(name, func(b *testing.B) {
			server := startServer(b)
			cfg := kv.Config{Conn: connect(b, server), Namespace: "bench", InMemory: name == "memory"}
			if name == "file" {
				cfg.Barrier = server.Barrier()
			}
			v, err := kv.New(cfg).Open(context.Background(), projector.Layout{Model: projector.Model{View: "v", Version: 1}})
			if err != nil {
				b.Fatal(err)
			}
			run(b, v)
		})
	}
}

func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{0, 1, 10, 100, 999} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			storages(b, func(b *testing.B, v projector.View) {
				c := projector.Checkpoint{Worker: "0"}
				docs := make([]projector.Document, n)
				for i := range docs {
					docs[i] = projector.Document{Key: fmt.Sprintf("key-%d", i), Position: 1, Document: json.RawMessage(`{"state":"accepted","amount":12000,"offers":[{"id":"1","amount":1}]}`)}
				}
				var err error
				for b.Loop() {
					c.Position += 1024
					if c, err = v.Commit(context.Background(), projector.Write{Checkpoint: c, Documents: docs}); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func BenchmarkGet(b *testing.B) {
	storages(b, func(b *testing.B, v projector.View) {
		c := projector.Checkpoint{Worker: "0"}
		docs := make([]projector.Document, 500)
		for i := range docs {
			docs[i] = projector.Document{Key: fmt.Sprintf("key-%d", i), Position: store.Position(i + 1), Document: json.RawMessage(`{"state":"accepted"}`)}
		}
		c, err := v.Commit(context.Background(), projector.Write{Checkpoint: c, Documents: docs})
		if err != nil {
			b.Fatal(err)
		}
		for _, n := range []int{1, 500} {
			keys := make([]string, n)
			for i := range keys {
				keys[i] = docs[i].Key
			}
			b.Run(fmt.Sprint(n), func(b *testing.B) {
				for b.Loop() {
					if got, err := v.Get(context.Background(), keys, c); err != nil || len(got) != n {
						b.Fatal(len(got), err)
					}
				}
			})
		}
		b.Run("list-500", func(b *testing.B) {
			for b.Loop() {
				if got, _, err := v.List(context.Background(), "", 500, c); err != nil || len(got) != 500 {
					b.Fatal(len(got), err)
				}
			}
		})
	})
}
