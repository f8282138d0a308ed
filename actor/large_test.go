package actor_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// A book is an aggregate whose state grows by what is written.
type (
	bookCommand interface{ isBookCommand() }
	bookEvent   interface{ isBookEvent() }
	book        struct {
		Pages []string `json:"pages"`
	}
	writePage struct {
		Page string `json:"page"`
	}
	pageWritten struct {
		Page string `json:"page"`
	}
)

func (writePage) isBookCommand() {}
func (pageWritten) isBookEvent() {}

var books = actor.Aggregate[book, bookCommand, bookEvent]{
	Type:     "book",
	Decide:   func(_ book, c bookCommand) ([]bookEvent, error) { return []bookEvent{pageWritten(c.(writePage))}, nil },
	Evolve:   func(b book, e bookEvent) book { return book{Pages: append(b.Pages, e.(pageWritten).Page)} },
	Commands: store.NewTypes(map[string]bookCommand{"write": writePage{}}),
	Events:   store.NewTypes(map[string]bookEvent{"written": pageWritten{}}),
}

// TestStateOfManyMebibytes: a state far above what one message holds is saved
// and loaded, whatever the codec, and decided on.
func TestStateOfManyMebibytes(t *testing.T) {
	t.Parallel()
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		t.Run(codec.Name(), func(t *testing.T) {
			t.Parallel()
			const pages = 24
			memory := store.NewMemory(store.MemoryConfig{Codec: codec})
			id := store.StreamID{Type: "book", ID: "1"}
			first, stop := runBooks(t, memory, prometheus.NewRegistry())
			var want book
			for n := range pages {
				page := strings.Repeat(string(rune('a'+n)), 256<<10)
				want.Pages = append(want.Pages, page)
				if _, err := actor.For(first, books).Execute(t.Context(), "1", writePage{Page: page}); err != nil {
					t.Fatal(err)
				}
			}
			stop()
			snap, err := memory.Load(t.Context(), id)
			if err != nil || snap.Head.Version <= pages-8 || len(snap.State) < int(snap.Head.Version)*256<<10 {
				t.Fatalf("no snapshot near the end: %v", err)
			}
			registry := prometheus.NewRegistry()
			again, stop := runBooks(t, memory, registry)
			defer stop()
			r, err := actor.For(again, books).Execute(t.Context(), "1", writePage{Page: "end"})
			if err != nil || r.Version != pages+1 {
				t.Fatal(r, err)
			}
			got, err := again.Read(t.Context(), id, false)
			if err != nil {
				t.Fatal(err)
			}
			want.Pages = append(want.Pages, "end")
			if !cmp.Equal(want, got.Value) {
				t.Error("the state is another one")
			}
			if n := counted(t, registry, "annals_actor_replayed_events_total"); n != float64(pages-snap.Head.Version) {
				t.Errorf("%v events were replayed, the snapshot is at version %d of %d", n, snap.Head.Version, pages)
			}
		})
	}
}

func runBooks(t *testing.T, memory *store.Memory, registry *prometheus.Registry) (s *actor.System, stop func()) {
	t.Helper()
	s, err := actor.NewSystem(actor.Config{Log: memory, Snapshots: memory, Aggregates: []actor.Definition{books}, Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return s, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// counted is the sum of a counter.
func counted(t *testing.T, registry *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
