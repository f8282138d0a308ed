package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/ledger"
	"github.com/annals-go/annals/store/privacy"
)

var at = time.Date(2026, 11, 30, 23, 59, 59, 999_999_000, time.UTC)

func act(id, outcome string, at time.Time) ledger.Act {
	return ledger.Act{ID: id, Action: "dlq.skip", What: "accounts/17", By: "ann", Why: "it is broken", Outcome: outcome, At: at, Node: "a"}
}

func read(t *testing.T, log store.Log, since, until time.Time) (all []ledger.Act) {
	t.Helper()
	for a, err := range ledger.Acts(t.Context(), log, since, until) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}

// What was said on several lines is kept on one, in whole words.
func TestWordsOfSeveralLinesDoNotJoin(t *testing.T) {
	t.Parallel()
	log := store.NewMemory(store.MemoryConfig{})
	given := act("1", ledger.Begun, at)
	given.Why, given.What = " asked\nfor\r\n\tit\u2028\u00a0on \x07May  3rd\n", "a\nb"
	if err := ledger.New(log).Record(t.Context(), given); err != nil {
		t.Fatal(err)
	}
	want := act("1", ledger.Begun, at)
	want.Why, want.What = "asked for it on May 3rd", "a b"
	if d := cmp.Diff([]ledger.Act{want}, read(t, log, at, at.Add(time.Second))); d != "" {
		t.Error(d)
	}
}

func TestActsAreReadAsTheyWereRecorded(t *testing.T) {
	t.Parallel()
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		log := store.NewMemory(store.MemoryConfig{Codec: codec})
		want := []ledger.Act{
			act("1", ledger.Begun, at), act("1", ledger.Done, at.Add(time.Microsecond)), // in the next month
			act("2", ledger.Begun, at.AddDate(0, 2, 0)), act("2", ledger.Failed+"no such letter", at.AddDate(0, 2, 0)),
		}
		l := ledger.New(log)
		for _, a := range want {
			if err := l.Record(t.Context(), a); err != nil {
				t.Fatal(err)
			}
		}
		if d := cmp.Diff(want, read(t, log, at, at.AddDate(1, 0, 0))); d != "" {
			t.Errorf("%s: %s", codec.Name(), d)
		}
		if d := cmp.Diff(want[1:2], read(t, log, at.Add(time.Microsecond), at.Add(time.Second))); d != "" {
			t.Errorf("%s, part: %s", codec.Name(), d)
		}
	}
}

func TestManyWritersLoseAndRepeatNothing(t *testing.T) {
	t.Parallel()
	log := store.NewMemory(store.MemoryConfig{})
	const writers, each = 8, 20
	var all sync.WaitGroup
	for w := range writers {
		l := ledger.New(log)
		all.Go(func() {
			for i := range each {
				a := act(fmt.Sprintf("%d-%d", w, i), ledger.Begun, at)
				for range 2 { // as somebody who had no answer
					if err := l.Record(t.Context(), a); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	seen := map[string]int{}
	for _, a := range read(t, log, at, at) {
		seen[a.ID]++
	}
	for w := range writers {
		for i := range each {
			if id := fmt.Sprintf("%d-%d", w, i); seen[id] != 1 {
				t.Errorf("act %s was stored %d times", id, seen[id])
			}
		}
	}
}

func TestTextsAreCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	log := store.NewMemory(store.MemoryConfig{})
	a := act("1", ledger.Failed+strings.Repeat("ä", 2000), at)
	if err := ledger.New(log).Record(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	got := read(t, log, at, at)[0].Outcome
	if len(got) > 1024 || len(got) < 1020 || !utf8.ValidString(got) || !strings.HasPrefix(a.Outcome, got) {
		t.Errorf("the outcome has %d bytes: %q", len(got), got)
	}
}

func TestForgettingIsNotedOnce(t *testing.T) {
	t.Parallel()
	log := store.NewMemory(store.MemoryConfig{})
	first := privacy.Erasure{ID: uuid.New(), Key: store.KeyID{1}, At: at, By: "ann"}
	second := privacy.Erasure{ID: uuid.New(), At: at, By: "ben"}
	var places []store.Position
	for _, e := range []privacy.Erasure{first, second, first, second} {
		p, err := ledger.New(log).Forget(t.Context(), "customer 7", e)
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, p)
	}
	if places[0] != places[2] || places[1] != places[3] || places[0] == places[1] || places[0] == 0 {
		t.Errorf("noted at %v", places)
	}
	count := 0
	for c, err := range log.Read(t.Context(), store.StreamID{Type: privacy.SubjectAggregate, ID: "customer 7"}, store.Head{}) {
		if err != nil {
			t.Fatal(err)
		}
		count += len(c.Events)
	}
	if count != 2 {
		t.Errorf("there are %d notices, want 2", count)
	}
}

// lossy stores the first commit, and does not say so.
type lossy struct {
	*store.Memory
	once sync.Once
}

func (l *lossy) Append(ctx context.Context, c *store.Commit) (head store.Head, err error) {
	head, err = l.Memory.Append(ctx, c)
	l.once.Do(func() {
		head, err = store.Head{}, &store.UnknownError{Stream: c.Stream, Reason: context.DeadlineExceeded}
	})
	return head, err
}

func TestALostAcknowledgementIsMadeGood(t *testing.T) {
	t.Parallel()
	log := &lossy{Memory: store.NewMemory(store.MemoryConfig{})}
	l := ledger.New(log)
	a := act("1", ledger.Begun, at)
	if err := l.Record(t.Context(), a); !errors.Is(err, store.ErrUnknown) {
		t.Fatalf("got %v", err)
	}
	if err := l.Record(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if all := read(t, log, at, at); len(all) != 1 {
		t.Errorf("the act is there %d times", len(all))
	}
}
