package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/ledger"
)

// metered counts what is read, and lets only so much be read at once: then time is over.
type metered struct {
	*store.Memory
	read, most int
}

func (l *metered) Read(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
	return func(yield func(*store.Commit, error) bool) {
		count := 0
		for c, err := range l.Memory.Read(ctx, id, after) {
			if count++; count > l.most {
				yield(nil, store.ErrUnavailable)
				return
			}
			l.read++
			if !yield(c, err) {
				return
			}
		}
	}
}

// many is how many entries a month has in which much is done.
const many = 200_000

func record(t *testing.T, l *ledger.Ledger, id string) {
	t.Helper()
	if err := l.Record(t.Context(), act(id, ledger.Begun, at)); err != nil {
		t.Fatal(err)
	}
}

func TestAnActIsRecordedAtOnceInAMonthOfManyActs(t *testing.T) {
	t.Parallel()
	log := store.NewMemory(store.MemoryConfig{})
	l := ledger.New(log)
	for i := range many {
		record(t, l, fmt.Sprint(i))
	}
	for _, id := range []string{"new", "0", "17", fmt.Sprint(many - 1)} {
		m := &metered{Memory: log, most: many}
		record(t, ledger.New(m), id)
		if m.read > many/100 {
			t.Errorf("a fresh node read %d entries to record one", m.read)
		}
	}
	all := read(t, log, at, at)
	if len(all) != many+1 {
		t.Fatalf("there are %d entries, want %d", len(all), many+1)
	}
	for i, a := range all[:many] {
		if a.ID != fmt.Sprint(i) {
			t.Fatalf("entry %d is %s: not in the order of the log", i, a.ID)
		}
	}
}

// older has one stream a month, as logs once had.
type older struct{ *store.Memory }

func (l older) Append(ctx context.Context, c *store.Commit) (store.Head, error) {
	c.Stream.ID = c.Stream.ID[:len("2026-11")]
	return l.Memory.Append(ctx, c)
}

func (l older) Read(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
	id.ID = id.ID[:len("2026-11")]
	return l.Memory.Read(ctx, id, after)
}

func TestStreamsOfWholeMonthsAreReadToo(t *testing.T) {
	t.Parallel()
	log := store.NewMemory(store.MemoryConfig{})
	var want, got []string
	for i := range 30 {
		l := ledger.New(log)
		if i%3 > 0 {
			l = ledger.New(older{log})
		}
		id := fmt.Sprint(i)
		record(t, l, id)
		want = append(want, id)
	}
	for _, a := range read(t, log, at, at) {
		got = append(got, a.ID)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestWhatWasReadIsKeptWhenTheTimeEnds(t *testing.T) {
	t.Parallel()
	log := store.NewMemory(store.MemoryConfig{})
	const repeated, most = 40, 15
	record(t, ledger.New(log), "long")
	fill(t, log, repeated)
	m := &metered{Memory: log, most: most}
	fresh := ledger.New(m)
	tries := 0
	for err := store.ErrUnavailable; err != nil; tries++ {
		if tries > repeated/most+1 {
			t.Fatalf("not recorded after %d tries", tries)
		}
		err = fresh.Record(t.Context(), act("long", ledger.Done, at))
		if err != nil && !errors.Is(err, store.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if tries < 2 {
		t.Errorf("recorded at try %d: nothing was interrupted", tries)
	}
}

// fill makes the stream of the act "long" as long as that.
func fill(t *testing.T, log *store.Memory, length int) {
	t.Helper()
	f, err := log.Follow(t.Context(), store.Follow{Types: []string{ledger.AuditType}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	first, err := f.Next(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	c := first[0]
	for i := range length {
		again := &store.Commit{Stream: c.Stream, ID: [16]byte{byte(i + 1)}, After: c.Head(), Time: c.Time, Events: c.Events}
		again.Commands = []store.Command{{ID: fmt.Sprint("other ", i), Name: "act"}}
		if _, err := log.Append(t.Context(), again); err != nil {
			t.Fatal(err)
		}
		c = again
	}
}
