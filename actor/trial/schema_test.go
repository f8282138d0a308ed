package trial_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/actor/trial"
	"github.com/annals-go/annals/store"
)

func schemaOf(t *testing.T, c *trial.Trial) trial.Report {
	t.Helper()
	r, err := c.Schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A log that this build wrote has no failures, in however many passes it is read.
func TestSchemaCountsEverything(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec store.Codec) {
		l := newLedger(codec, false)
		moves := l.fill(t, 50, 400)
		want := schemaOf(t, newTrial(t, l.log, nil, build()))
		var events uint64
		for _, h := range l.heads {
			events += h.Version
		}
		if want.Events != events || want.Streams != uint64(len(l.heads)) || want.Failures != 0 || len(want.Failed) != 0 {
			t.Fatalf("%+v, want %d events in %d streams", want, events, len(l.heads))
		}
		withdrawals := want.Types[1]
		if withdrawals.Type != "withdrawn" || withdrawals.Schema != 1 || withdrawals.Events != uint64(len(moves)) {
			t.Errorf("%+v, want %d withdrawals", withdrawals, len(moves))
		}
		for _, states := range []int{1, 7, 49, 50, 51} {
			passes := 0
			c := newTrial(t, l.log, func(c *trial.Config) {
				c.States = states
				c.Progress = func(p trial.Progress) { passes = p.Pass }
			}, build())
			if diff := cmp.Diff(want, schemaOf(t, c)); diff != "" {
				t.Errorf("%d states at once (-all +so many):\n%s", states, diff)
			}
			if most := (len(l.heads) + states - 1) / states; passes != most {
				t.Errorf("%d states at once: %d passes, want %d", states, passes, most)
			}
		}
	})
}

func TestSchemaOfAnEmptyLog(t *testing.T) {
	t.Parallel()
	want := trial.Report{Types: []trial.TypeCount{}, Failed: []trial.Failed{}}
	if diff := cmp.Diff(want, schemaOf(t, newTrial(t, newLedger(store.MsgPack, false).log, nil, build()))); diff != "" {
		t.Error(diff)
	}
}

// pickyView cannot read what has a certain type.
type pickyView struct{ bad string }

func (v pickyView) Name() string { return "totals" }

func (v pickyView) Check(e store.Recorded[[]byte]) error {
	if e.Type == v.bad {
		return errors.New("no such column")
	}
	return nil
}

// Everything that would fail is reported by type and version, with the first
// place, and counted; what can be read beside it is not.
func TestSchemaReportsWhatWouldFail(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec store.Codec) {
		l := newLedger(codec, false)
		l.add(t, id(1), deposits(10))
		text := entry{command: "deposit", event: "deposited", happened: map[string]string{"cents": "ten"}}
		first := l.add(t, id(2), deposits(10), text)
		l.add(t, id(2), text, deposits(1))
		later := l.add(t, id(3), entry{command: "deposit", event: "deposited", schema: 2, happened: deposited{1}})
		gone := l.add(t, id(3), entry{command: "close", event: "closed", happened: struct{}{}})
		cards := store.StreamID{Type: "card", ID: "1"}
		alien := l.add(t, cards, entry{command: "issue", event: "issued", happened: struct{}{}})
		boom := l.add(t, id(4), deposits(666))
		for _, states := range []int{1, 2, 100} {
			c := newTrial(t, l.log, func(c *trial.Config) {
				c.States, c.Views = states, []trial.View{pickyView{bad: "closed"}}
			}, build(func(a *accounts) {
				a.Evolve = func(s account, e event) account {
					if d, ok := e.(deposited); ok && d.Cents == 666 {
						panic("beast")
					}
					return s.evolve(e)
				}
			}))
			got := schemaOf(t, c)
			for i := range got.Failed {
				if got.Failed[i].Reason == "" {
					t.Errorf("no reason: %+v", got.Failed[i])
				}
			}
			if reasons := got.Failed[2].Reason + got.Failed[3].Reason; !strings.Contains(reasons, "decode deposited") || !strings.Contains(reasons, "beast") {
				t.Errorf("reasons %s", reasons)
			}
			for i := range got.Failed {
				got.Failed[i].Reason = ""
			}
			want := []trial.Failed{
				{In: "aggregate account", Aggregate: "account", Type: "closed", Schema: 1, Count: 1, Position: gone.Last(), Stream: "account/3", Version: 2},
				{In: "view totals", Aggregate: "account", Type: "closed", Schema: 1, Count: 1, Position: gone.Last(), Stream: "account/3", Version: 2},
				{In: "aggregate account", Aggregate: "account", Type: "deposited", Schema: 1, Count: 2, Position: first.Last(), Stream: "account/2", Version: 2},
				{In: "fold of account", Aggregate: "account", Type: "deposited", Schema: 1, Count: 1, Position: boom.Last(), Stream: "account/4", Version: 1},
				{In: "aggregate account", Aggregate: "account", Type: "deposited", Schema: 2, Count: 1, Position: later.Last(), Stream: "account/3", Version: 1},
				{In: "aggregate card", Aggregate: "card", Type: "issued", Schema: 1, Count: 1, Position: alien.Last(), Stream: "card/1", Version: 1},
			}
			if diff := cmp.Diff(want, got.Failed); diff != "" {
				t.Errorf("%d states at once (-want +got):\n%s", states, diff)
			}
			if got.Failures != 7 || got.Events != 9 || got.Streams != 5 {
				t.Errorf("%d failures in %d events of %d streams, want 7 in 9 of 5", got.Failures, got.Events, got.Streams)
			}
		}
	})
}

// holedLog leaves a commit out of what it delivers.
type holedLog struct {
	store.Log
	without uint64
}

func (l holedLog) Follow(ctx context.Context, f store.Follow) (store.Feed, error) {
	feed, err := l.Log.Follow(ctx, f)
	return holedFeed{feed, l.without}, err
}

type holedFeed struct {
	store.Feed
	without uint64
}

func (f holedFeed) Next(ctx context.Context, limit int) ([]*store.Commit, error) {
	commits, err := f.Feed.Next(ctx, limit)
	var kept []*store.Commit
	for _, c := range commits {
		if c.Sequence != f.without {
			kept = append(kept, c)
		}
	}
	return kept, err
}

// A stream with a hole is damage, not a history of which something fails.
func TestSchemaRefusesAHole(t *testing.T) {
	t.Parallel()
	l := newLedger(store.MsgPack, false)
	for range 3 {
		l.add(t, id(1), deposits(1))
	}
	_, err := newTrial(t, holedLog{l.log, 2}, nil, build()).Schema(t.Context())
	if damage, ok := errors.AsType[*store.DamageError](err); !ok || damage.Stream != id(1) || damage.Version != 2 {
		t.Errorf("a hole: %v, want damage of %s at version 2", err, id(1))
	}
}

func TestCheckEnds(t *testing.T) {
	t.Parallel()
	l := newLedger(store.MsgPack, false)
	l.add(t, id(1), deposits(1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newTrial(t, l.log, nil, build()).Schema(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := trial.New(trial.Config{}); err == nil {
		t.Error("a check without a log was made")
	}
}

// A hundred thousand streams, a third of whose states fit at once.
func TestSchemaOfManyStreams(t *testing.T) {
	t.Parallel()
	const streams = 100_000
	l := newLedger(store.MsgPack, false)
	for n := range streams {
		l.add(t, id(n), deposits(1))
	}
	for n := 0; n < streams; n += 10 {
		l.add(t, id(n), deposits(2))
	}
	passes := 0
	got := schemaOf(t, newTrial(t, l.log, func(c *trial.Config) {
		c.States = streams/3 + 1
		c.Progress = func(p trial.Progress) { passes = p.Pass }
	}, build()))
	if got.Events != streams+streams/10 || got.Streams != streams || got.Failures != 0 || passes != 3 {
		t.Errorf("%d passes: %+v", passes, got)
	}
}
