//go:build linux

package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// liar answers queries as it is told.
type liar struct {
	position store.Position
	err      error
}

func (l liar) Send(context.Context, gateway.Request) (actor.Result, error) {
	return actor.Result{Position: 10}, nil
}

func (l liar) Get(context.Context, string, string, store.Position) (projector.Document, error) {
	return projector.Document{Position: l.position, Document: []byte(`{"version":1}`)}, l.err
}

func TestLoadCountsWhatMustNotBe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		client        liar
		failed, stale int64
	}{
		{"a right answer", liar{position: 10}, 0, 0},
		{"a later one", liar{position: 11}, 0, 0},
		{"a stale one", liar{position: 9}, 0, 1},
		{"none", liar{err: errors.New("gone")}, 1, 0},
	} {
		l := &load{}
		l.ask(c.client, viewMarked, "a", 10)
		if l.queries.Load() != 1 || l.failed.Load() != c.failed || l.stale.Load() != c.stale {
			t.Errorf("%s: %d queries, %d failed, %d stale", c.name, l.queries.Load(), l.failed.Load(), l.stale.Load())
		}
	}
	l := &load{}
	l.askWithout(liar{position: 9}, viewMarked, "a", 10)
	l.askWithout(liar{err: store.ErrNotFound}, viewMarked, "a", 10)
	l.askWithout(liar{position: 10}, viewMarked, "a", 10)
	if l.tokenless.Load() != 3 || l.behind.Load() != 2 || l.failed.Load() != 0 {
		t.Errorf("without a token: %d asked, %d stale, %d failed", l.tokenless.Load(), l.behind.Load(), l.failed.Load())
	}
}

func TestLoadRunsUntilItIsTold(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	l := &load{clients: []asker{liar{position: 10}}, writers: 2, name: "t"}
	l.run(ctx)
	if l.commands.Load() == 0 || l.queries.Load() < l.commands.Load() {
		t.Errorf("%d commands, %d queries", l.commands.Load(), l.queries.Load())
	}
}

func TestSwitchIsTimedAsReadersSeeIt(t *testing.T) {
	t.Parallel()
	at := func(reader, version int, sent, done int) sighting {
		return sighting{reader: reader, version: version, sent: time.Duration(sent), done: time.Duration(done)}
	}
	for _, c := range []struct {
		name  string
		seen  []sighting
		took  time.Duration
		mixed int
	}{
		{"at once", []sighting{at(0, 2, 101, 102), at(1, 2, 100, 103)}, 3, 0},
		{"one later", []sighting{at(0, 2, 101, 110), at(1, 1, 102, 109), at(1, 2, 120, 125)}, 25, 0},
		{"an old answer on its way", []sighting{at(0, 2, 101, 104), at(1, 1, 102, 109), at(1, 2, 120, 125)}, 25, 0},
		{"two versions at once", []sighting{at(0, 2, 101, 104), at(1, 1, 105, 109), at(1, 2, 120, 125)}, 25, 1},
		{"back and forth", []sighting{at(0, 2, 101, 104), at(0, 1, 105, 109), at(0, 2, 120, 130)}, 30, 1},
	} {
		if took, mixed := switchOf(c.seen, 100, 2); took != c.took || mixed != c.mixed {
			t.Errorf("%s: %d with %d mixed, want %d with %d", c.name, took, mixed, c.took, c.mixed)
		}
	}
}

func TestSettledWantsEveryReader(t *testing.T) {
	t.Parallel()
	var seen []sighting
	for i := range confirmations {
		seen = append(seen, sighting{reader: 0, version: 2, done: time.Duration(i)})
	}
	if settled(seen, 2, 2) {
		t.Error("a reader was not heard")
	}
	for i := range confirmations {
		seen = append(seen, sighting{reader: 1, version: 2, done: time.Duration(i)})
	}
	if !settled(seen, 2, 2) {
		t.Error("all were told the new version")
	}
	seen = append(seen, sighting{reader: 1, version: 1, done: 1000})
	if settled(seen, 2, 2) {
		t.Error("a reader went back")
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	all := options{stores: allStores}
	good := report{outcome: outcome{Queries: 1, Commands: 1, Compared: 1, SwitchMS: 5, RollbackMS: 5, StaleWithout: 1}}
	if err := good.verdict(all); err != nil {
		t.Errorf("all is well: %v", err)
	}
	for name, spoil := range map[string]func(r *report){
		"failed":     func(r *report) { r.Failed = 1 },
		"stale":      func(r *report) { r.Stale = 1 },
		"parity":     func(r *report) { r.ParityDifferences = 1 },
		"fold":       func(r *report) { r.Differences = 1 },
		"mixed":      func(r *report) { r.Mixed = 1 },
		"uncompared": func(r *report) { r.Compared = 0 },
		"idle":       func(r *report) { r.Commands = 0 },
		"slow":       func(r *report) { r.SwitchMS = 1000 },
		"slow back":  func(r *report) { r.RollbackMS = 1000 },
		"blind":      func(r *report) { r.StaleWithout = 0 },
	} {
		r := good
		spoil(&r)
		if r.verdict(all) == nil {
			t.Errorf("%s: no verdict", name)
		}
	}
	if good.verdict(options{stores: []string{"kv"}}) == nil {
		t.Error("a run without all stores passed")
	}
}
