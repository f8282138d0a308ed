package privacy_test

import (
	"fmt"
	"testing"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// plainCopy is a commit whose data are the same, and not personal.
func plainCopy(c *store.Commit) *store.Commit {
	plain := *c
	plain.Events = append([]store.Event(nil), c.Events...)
	plain.Events[0].Personal = nil
	return &plain
}

func twoFields(b *testing.B, codec store.Codec, n int, after store.Head) *store.Commit {
	b.Helper()
	id := store.StreamID{Type: "application", ID: fmt.Sprint(n)}
	return commitOf(b, codec, id, after, field{"email", "ann.smith@example.org", ""}, field{"name", "Ann Alexandra Smith", ""})
}

// BenchmarkAppend appends one event of two fields, personal or not.
func BenchmarkAppend(b *testing.B) {
	for _, codec := range codecs {
		for _, kind := range []string{"bare", "plain", "personal"} {
			b.Run(codec.Name()+"/"+kind, func(b *testing.B) {
				m := store.NewMemory(store.MemoryConfig{Codec: codec})
				k, _ := newRing(b)
				var log store.Log = privacy.NewLog(m, k)
				if kind == "bare" {
					log = m
				}
				c := twoFields(b, codec, 1, store.Head{})
				if kind != "personal" {
					c = plainCopy(c)
				}
				b.ReportAllocs()
				for b.Loop() {
					head, err := log.Append(b.Context(), c)
					if err != nil {
						b.Fatal(err)
					}
					c.After = head
				}
			})
		}
	}
}

// BenchmarkLoad reads a stream of 100 events of two fields, personal or not, with the
// key at hand.
func BenchmarkLoad(b *testing.B) {
	const events = 100
	for _, codec := range codecs {
		for _, kind := range []string{"bare", "plain", "personal"} {
			b.Run(codec.Name()+"/"+kind, func(b *testing.B) {
				m := store.NewMemory(store.MemoryConfig{Codec: codec})
				k, _ := newRing(b)
				var log store.Log = privacy.NewLog(m, k)
				var head store.Head
				for range events {
					c := twoFields(b, codec, 1, head)
					if kind != "personal" {
						c = plainCopy(c)
					}
					head = mustAppend(b, log, c)
				}
				if kind == "bare" {
					log = m
				}
				id := store.StreamID{Type: "application", ID: "1"}
				b.ReportAllocs()
				for b.Loop() {
					if got := mustRead(b, log, id); len(got) != events {
						b.Fatalf("%d commits", len(got))
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
			})
		}
	}
}

// BenchmarkReplay follows a log of 2,000 subjects whose keys are not at hand.
func BenchmarkReplay(b *testing.B) {
	const subjects = 2000
	m := store.NewMemory(store.MemoryConfig{})
	keys, w := privacy.NewMemory(), wrapper(b)
	log := privacy.NewLog(m, ringOf(b, keys, w))
	for n := range subjects {
		mustAppend(b, log, twoFields(b, store.MsgPack, n, store.Head{}))
	}
	for b.Loop() {
		feed, err := privacy.NewLog(m, ringOf(b, keys, w)).Follow(b.Context(), store.Follow{})
		if err != nil {
			b.Fatal(err)
		}
		for got := 0; got < subjects; {
			commits, err := feed.Next(b.Context(), 256)
			if err != nil {
				b.Fatal(err)
			}
			got += len(commits)
		}
		_ = feed.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/subjects, "ns/subject")
}
