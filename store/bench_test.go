package store_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/annals-go/annals/store"
)

// usualCommit has one command and one event of about 200 bytes.
func usualCommit(b *testing.B, codec store.Codec) *store.Commit {
	b.Helper()
	c := fullCommit(b, codec)
	data, err := codec.Marshal(map[string]string{"note": strings.Repeat("x", 190)})
	if err != nil {
		b.Fatal(err)
	}
	c.Commands, c.Events = c.Commands[:1], c.Events[:1]
	c.Events[0].Data = data
	return c
}

func BenchmarkEncodeCommit(b *testing.B) {
	for _, codec := range codecs {
		b.Run(codec.Name(), func(b *testing.B) {
			c := usualCommit(b, codec)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := store.EncodeCommit(codec, c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecodeCommit(b *testing.B) {
	for _, codec := range codecs {
		b.Run(codec.Name(), func(b *testing.B) {
			stored := mustEncode(b, codec, usualCommit(b, codec))
			b.ReportAllocs()
			b.ReportMetric(float64(len(stored)), "bytes")
			for b.Loop() {
				if _, err := store.DecodeCommit(codec, stored, sequence); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkHashOf(b *testing.B) {
	stored := mustEncode(b, store.MsgPack, usualCommit(b, store.MsgPack))
	for b.Loop() {
		store.HashOf(stored)
	}
}

// tenFields is an event of ten fields.
type tenFields struct {
	ID       string  `json:"id"`
	Employee string  `json:"employee"`
	Amount   int     `json:"amount"`
	Rate     float64 `json:"rate"`
	Open     bool    `json:"open"`
	Product  string  `json:"product"`
	Months   int     `json:"months"`
	Channel  string  `json:"channel"`
	Branch   string  `json:"branch"`
	Score    int     `json:"score"`
}

func BenchmarkTypes(b *testing.B) {
	types := store.NewTypes(map[string]any{"submitted": tenFields{}})
	v := tenFields{"42", "emp-7", 15_000, 4.25, true, "consumer", 60, "web", "utrecht", 812}
	for _, codec := range codecs {
		b.Run("encode/"+codec.Name(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := types.Encode(codec, v); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("decode/"+codec.Name(), func(b *testing.B) {
			encoded, err := types.Encode(codec, v)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := types.Decode(codec, "submitted", 1, encoded.Data); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("guarded strict decode/"+codec.Name(), func(b *testing.B) {
			encoded, err := types.Encode(codec, v)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := types.DecodeStrict(codec, "submitted", 0, encoded.Data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGuardMsgPack(b *testing.B) {
	data, err := store.MsgPack.Marshal(tenFields{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := store.GuardMsgPack(data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFitsMsgPack includes the guard.
func BenchmarkFitsMsgPack(b *testing.B) {
	data, err := store.MsgPack.Marshal(tenFields{})
	if err != nil {
		b.Fatal(err)
	}
	var v tenFields
	b.ReportAllocs()
	for b.Loop() {
		if err := store.FitsMsgPack(data, &v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeToken(b *testing.B) {
	for _, id := range []string{"173688", "order 17/é"} {
		b.Run(id, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := store.EncodeToken(id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMemoryAppend(b *testing.B) {
	for _, spread := range []string{"one stream", "stream per writer"} {
		b.Run(spread, func(b *testing.B) {
			m, ctx := store.NewMemory(store.MemoryConfig{}), context.Background()
			var writers atomic.Int64
			b.ReportAllocs()
			if spread == "one stream" {
				appendAll(b, m, ctx, store.StreamID{Type: "application", ID: "1"}, b.Loop)
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				id := store.StreamID{Type: "application", ID: fmt.Sprint(writers.Add(1))}
				appendAll(b, m, ctx, id, pb.Next)
			})
		})
	}
}

func appendAll(b *testing.B, m *store.Memory, ctx context.Context, id store.StreamID, next func() bool) {
	c := usualCommit(b, store.MsgPack)
	c.Stream, c.After = id, store.Head{}
	for next() {
		head, err := m.Append(ctx, c)
		if err != nil {
			b.Error(err)
			return
		}
		c.After = head
	}
}

func BenchmarkMemoryFollow(b *testing.B) {
	const commits = 10_000
	m, ctx := store.NewMemory(store.MemoryConfig{}), context.Background()
	left := commits
	appendAll(b, m, ctx, store.StreamID{Type: "application", ID: "1"}, func() bool { left--; return left >= 0 })
	b.ReportAllocs()
	for b.Loop() {
		feed, err := m.Follow(ctx, store.Follow{})
		if err != nil {
			b.Fatal(err)
		}
		for got := 0; got < commits; {
			batch, err := feed.Next(ctx, 500)
			if err != nil {
				b.Fatal(err)
			}
			got += len(batch)
		}
	}
	b.ReportMetric(float64(b.N)*commits/b.Elapsed().Seconds(), "commits/s")
}
