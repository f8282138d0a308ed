package store_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// A commit builds on the head that its writer knew. Whoever comes second gets
// a conflict; whoever sends the same commit again gets the first answer.
func ExampleMemory() {
	ctx := context.Background()
	log := store.NewMemory(store.MemoryConfig{Codec: store.JSON})
	lamp := store.StreamID{Type: "lamp", ID: "hall"}

	light := &store.Commit{
		Stream:   lamp,
		ID:       uuid.New(),
		Time:     time.Now(),
		Commands: []store.Command{{ID: "c-1", Name: "light"}},
		Events:   []store.Event{{Type: "lit", Schema: 1, Data: []byte(`{"percent":40}`)}},
	}
	head, err := log.Append(ctx, light)
	fmt.Println("version", head.Version, err)

	again, err := log.Append(ctx, light)
	fmt.Println("the same commit again:", again == head, err)

	rival := *light
	rival.ID = uuid.New()
	_, err = log.Append(ctx, &rival)
	fmt.Println(err, errors.Is(err, store.ErrConflict))

	for commit, err := range log.Read(ctx, lamp, store.Head{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		for event := range commit.Recorded() {
			fmt.Printf("%s@%d %s %s\n", event.Stream, event.Version, event.Type, event.Data)
		}
	}
	// Output:
	// version 1 <nil>
	// the same commit again: true <nil>
	// conflict: lamp/hall is at version 1, expected 0 true
	// lamp/hall@1 lit {"percent":40}
}
