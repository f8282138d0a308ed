package actor_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

func (b *bench) snapshot(t *testing.T, id string) (*store.Snapshot, bool) {
	t.Helper()
	snap, err := b.memory.Load(t.Context(), stream(id))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return snap, err == nil
}

func (b *bench) fill(t *testing.T, id string, events int) {
	t.Helper()
	b.must(t, id, open{Owner: "Ann"})
	for range events - 1 {
		b.must(t, id, deposit{Cents: 1})
	}
}

func TestSnapshotEveryNEvents(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *actor.Config) { c.SnapshotEvery = 10 })
	b.fill(t, "a", 35)
	// A snapshot that is due while the last one is being written waits for the next event.
	eventually(t, "a snapshot close behind", func() bool {
		version := b.must(t, "a", deposit{Cents: 1}).Version
		snap, ok := b.snapshot(t, "a")
		return ok && version-snap.Head.Version <= 11
	})
}

func TestSnapshotAndTailEqualFullReplay(t *testing.T) {
	t.Parallel()
	for _, events := range []int{1, 9, 10, 11, 40, 300} {
		t.Run(fmt.Sprint(events), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(c *actor.Config) { c.SnapshotEvery = 10 })
			b.fill(t, "a", events)
			b.stop()
			with, _ := newBenchOn(t, b.memory, nil).state(t, "a")
			without, version := newBenchOn(t, b.memory, func(c *actor.Config) { c.Snapshots = nil }).state(t, "a")
			if d := cmp.Diff(without, with); d != "" || version != uint64(events) {
				t.Fatalf("version %d, state (-replay +snapshot):\n%s", version, d)
			}
		})
	}
}

func TestUnusableSnapshotCostsOnlyAReplay(t *testing.T) {
	t.Parallel()
	damages := map[string]func(*store.Snapshot){
		"alien state schema":         func(s *store.Snapshot) { s.Schema = 7 },
		"state of noise":             func(s *store.Snapshot) { s.State = []byte("noise") },
		"memory of noise":            func(s *store.Snapshot) { s.Memory = []byte("noise") },
		"hash of another past":       func(s *store.Snapshot) { s.Head.Hash[0] ^= 1 },
		"version too low":            func(s *store.Snapshot) { s.Head.Version-- },
		"sequence of another stream": func(s *store.Snapshot) { s.Head.Sequence--; s.Position = store.PositionOf(s.Head.Sequence, 0) },
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nil)
			b.must(t, "other", open{Owner: "Bea"})
			b.fill(t, "a", 20)
			b.stop()
			snap, ok := b.snapshot(t, "a")
			if !ok || snap.Head.Version != 20 {
				t.Fatalf("no snapshot on passivation: %+v", snap)
			}
			damage(snap)
			if err := b.memory.Save(t.Context(), snap); err != nil {
				t.Fatal(err)
			}
			b = newBenchOn(t, b.memory, nil)
			if got := b.must(t, "a", withdraw{Cents: 19}); got.Version != 21 {
				t.Fatalf("got %+v", got)
			}
			if a, _ := b.state(t, "a"); a.Cents != 0 {
				t.Fatalf("state %+v", a)
			}
		})
	}
}

func TestSnapshotAheadOfTheLogIsNotServed(t *testing.T) {
	t.Parallel()
	long := newBench(t, nil)
	long.fill(t, "a", 20)
	long.stop()
	snap, _ := long.snapshot(t, "a")

	for _, events := range []int{0, 5} { // the log lost its end, or the whole stream
		short := newBench(t, nil)
		if events > 0 {
			short.fill(t, "a", events)
		}
		short.stop()
		if err := short.memory.Save(t.Context(), snap); err != nil {
			t.Fatal(err)
		}
		b := newBenchOn(t, short.memory, nil)
		if _, err := b.sender.Execute(t.Context(), "a", deposit{Cents: 1}); !errors.Is(err, store.ErrAhead) {
			t.Fatalf("command on a log of %d events: %v", events, err)
		}
		if _, err := b.system.State(t.Context(), stream("a"), actor.At{}); !errors.Is(err, store.ErrAhead) {
			t.Fatalf("state on a log of %d events: %v", events, err)
		}
		b.must(t, "b", open{Owner: "Bea"})
	}
}

func TestIdleActorIsPassivated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *actor.Config) { c.PassivateAfter = time.Minute })
		defer b.stop()
		b.fill(t, "long", 20)
		b.fill(t, "short", 2)
		for range 4 { // one stays awake
			time.Sleep(20 * time.Second)
			b.must(t, "short", deposit{Cents: 1})
		}
		synctest.Wait()
		if n := b.system.Active(); n != 1 {
			t.Fatalf("%d actors after 80 s, want 1", n)
		}
		if snap, ok := b.snapshot(t, "long"); !ok || snap.Head.Version != 20 {
			t.Fatalf("snapshot %+v", snap)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := b.system.Active(); n != 0 {
			t.Fatalf("%d actors at the end", n)
		}
		if _, ok := b.snapshot(t, "short"); ok {
			t.Fatal("a snapshot of six events is not worth its write")
		}
		if got := b.must(t, "long", deposit{Cents: 1}); got.Version != 21 {
			t.Fatalf("got %+v", got)
		}
	})
}

func TestLongestIdleLeaveFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *actor.Config) { c.MaxActors = 8; c.PassivateAfter = time.Hour })
		defer b.stop()
		for i := range 10 {
			b.must(t, fmt.Sprint(i), open{Owner: "Ann"})
			time.Sleep(time.Second)
		}
		if _, err := b.sender.Execute(t.Context(), "one too many", open{Owner: "Ann"}); !errors.Is(err, actor.ErrBusy) {
			t.Fatalf("beyond the limit by a quarter: %v", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := b.system.Active(); n != 8 {
			t.Fatalf("%d actors, want 8", n)
		}
		reads := b.log.reads.Load()
		b.must(t, "9", deposit{Cents: 1})
		if b.log.reads.Load() != reads {
			t.Fatal("the one used last was passivated")
		}
		b.must(t, "0", deposit{Cents: 1})
		if b.log.reads.Load() == reads {
			t.Fatal("the one idle longest was kept")
		}
	})
}

func TestDrainAnswersWhatIsUnderWayAndTakesNoMore(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.fill(t, "a", 20)
	entered, release := b.hold()
	inTurn := b.submit(t, deposited1("1"))
	<-entered
	queued := b.submit(t, deposited1("2"))
	stopped := make(chan struct{})
	go func() { b.stop(); close(stopped) }()
	eventually(t, "the intake is closed", func() bool {
		_, err := b.sender.Execute(context.Background(), "b", open{Owner: "Bea"})
		return errors.Is(err, store.ErrUnavailable)
	})
	release()
	if one, two := <-inTurn, <-queued; one.err != nil || two.err != nil || two.result.Version != 22 {
		t.Fatalf("got %+v and %+v", one, two)
	}
	<-stopped
	if snap, ok := b.snapshot(t, "a"); !ok || snap.Head.Version != 22 {
		t.Fatalf("snapshot %+v", snap)
	}
}

func TestStateAt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *actor.Config) { c.SnapshotEvery = 10 })
		defer b.stop()
		began := time.Now()
		b.must(t, "a", open{Owner: "Ann"})
		for range 10 {
			time.Sleep(time.Minute)
			b.must(t, "a", scatter{N: 3})
		}
		for version := uint64(1); version <= 31; version++ {
			got, err := b.system.State(t.Context(), stream("a"), actor.At{Version: version})
			if err != nil || got.Version != version || got.Value.(account).Cents != int64(version)-1 {
				t.Fatalf("at version %d: %+v, %v", version, got, err)
			}
		}
		for minute := range 11 {
			got, err := b.system.State(t.Context(), stream("a"), actor.At{Time: began.Add(time.Duration(minute)*time.Minute + time.Second)})
			if err != nil || got.Version != uint64(1+3*minute) {
				t.Fatalf("after %d min: %+v, %v", minute, got, err)
			}
		}
		for name, test := range map[string]struct {
			id   string
			at   actor.At
			want error
		}{
			"before the first event": {"a", actor.At{Time: began.Add(-time.Second)}, store.ErrNotFound},
			"no such stream":         {"b", actor.At{}, store.ErrNotFound},
			"version to come":        {"a", actor.At{Version: 32}, store.ErrInvalid},
			"bad id":                 {"", actor.At{}, store.ErrInvalid},
		} {
			if _, err := b.system.State(t.Context(), stream(test.id), test.at); !errors.Is(err, test.want) {
				t.Errorf("%s: got %v, want %v", name, err, test.want)
			}
		}
	})
}

func TestHistory(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.must(t, "a", open{Owner: "Ann"})
	b.must(t, "a", scatter{N: 2})
	var types []string
	for r, err := range b.system.History(t.Context(), stream("a"), 0) {
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, fmt.Sprintf("%d %s %+v by %s", r.Version, r.Type, r.Data, r.Command.Name))
	}
	for r, err := range b.system.History(t.Context(), stream("a"), 2) {
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, fmt.Sprint(r.Version, " again"))
	}
	want := []string{"1 opened {Owner:Ann} by open", "2 deposited {Cents:1} by scatter", "3 deposited {Cents:1} by scatter", "3 again"}
	if d := cmp.Diff(want, types); d != "" {
		t.Fatal(d)
	}
}

func TestEventThatDoesNotDecodeIsDamage(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.must(t, "a", open{Owner: "Ann"})
	head := b.commits(t, "a")[0].Head()
	_, err := b.memory.Append(t.Context(), &store.Commit{
		Stream: stream("a"), ID: uuid.New(), After: head, Time: time.Now().UTC(),
		Commands: []store.Command{{ID: "c", Name: "deposit"}},
		Events:   []store.Event{{Type: "deposited", Schema: 1, Data: []byte{0x81, 0xa5, 'c', 'e', 'n', 't', 's', 0xa1, 'x'}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	b = newBenchOn(t, b.memory, nil)
	_, err = b.sender.Execute(t.Context(), "a", deposit{Cents: 1})
	if d, ok := errors.AsType[*store.DamageError](err); !ok || d.Stream != stream("a") || d.Version != 2 {
		t.Fatalf("got %v", err)
	}
}

func TestActorThatOutlivesTheDrainDoesNoHarm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *actor.Config) { c.SnapshotEvery = 1; c.DrainTimeout = 10 * time.Millisecond })
		b.must(t, "a", open{Owner: "Ann"})
		entered, release := b.hold()
		late := b.submit(t, deposited1("1"))
		<-entered
		b.stop() // gives up waiting for the append
		release()
		if got := <-late; got.err != nil || got.result.Version != 2 {
			t.Fatalf("got %+v", got)
		}
	})
}

// An actor that others may have to activate is saved early, but not at each
// turn.
func TestSnapshotSoonKeepsTheTailShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *actor.Config) { c.SnapshotSoon = 3 })
		saved := func() uint64 {
			synctest.Wait()
			snap, ok := b.snapshot(t, "a")
			if !ok {
				return 0
			}
			return snap.Head.Version
		}
		b.must(t, "a", open{Owner: "Ann"})
		for i, want := range []uint64{0, 3, 3, 3, 3} { // no second is over
			b.must(t, "a", deposit{Cents: 1})
			if got := saved(); got != want {
				t.Fatalf("after %d events the snapshot is at %d, want %d", i+2, got, want)
			}
		}
		time.Sleep(time.Second)
		b.must(t, "a", deposit{Cents: 1})
		if got := saved(); got != 7 {
			t.Errorf("a second later the snapshot is at %d, want 7", got)
		}
		b.stop()
	})
}
