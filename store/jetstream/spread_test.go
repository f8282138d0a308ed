package jetstream

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/annals-go/annals/store"
)

func BenchmarkSpread(b *testing.B) {
	l := open(b, &single, Config{})
	data := eventData(b)
	// 300 rounds, 2000 other streams each
	id := stream("x")
	heads := []store.Head{{}}
	const rounds = 300
	between, _ := strconv.Atoi(os.Getenv("BETWEEN"))
	fillOthers2 := func(r int) {
		for w := 0; w < 1; w++ {
		}
		fillOthers(b, l, fmt.Sprintf("o%d", r), between, data)
	}
	t0 := time.Now()
	for r := range rounds {
		h, err := l.Append(context.Background(), largeCommit(id, heads[len(heads)-1], data))
		if err != nil {
			b.Fatal(err)
		}
		heads = append(heads, h)
		fillOthers2(r)
	}
	fmt.Fprintln(os.Stderr, "filled", time.Since(t0))
	for _, n := range []int{1, 2, 4, 10, 30, 100, 250} {
		after := heads[rounds-n]
		for _, how := range []string{"auto", "walk", "batch"} {
			best := time.Hour
			for range 7 {
				t0 := time.Now()
				got := 0
				r := &reading{log: l, id: id, head: after, subject: l.names.subject(id, id.ID), yield: func(*store.Commit, error) bool { got++; return true }}
				end, err := r.end(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				switch how {
				case "walkleader":
					r.leaderOnly = true
					fallthrough
				case "walk":
					tail, ok := r.walk(context.Background(), end)
					if !ok && how == "walk" {
						break
					}
					if !ok {
						b.Fatal("walk")
					}
					err = r.emitReversed(tail)
				case "auto":
					if n == 0 {
						break
					}
					if tail, ok := r.walk(context.Background(), end); ok {
						err = r.emitReversed(tail)
					} else {
						err = r.forward(context.Background(), end)
					}
				case "batch":
					err = r.forward(context.Background(), end)
				case "single":
					for err == nil && r.head.Sequence < end.sequence {
						err = r.step(context.Background(), end)
					}
				}
				if err != nil || got != n {
					b.Fatal(err, got)
				}
				best = min(best, time.Since(t0))
			}
			fmt.Fprintf(os.Stderr, "n=%d %s best %v per %v\n", n, how, best, best/time.Duration(n))
		}
	}
}
