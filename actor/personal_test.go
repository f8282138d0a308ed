package actor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

const marker = "Zuleika-Dobson"

// rests records what appends rest on.
func (r *reception) rests() (of func() [][]store.KeyRef) {
	var mu sync.Mutex
	var all [][]store.KeyRef
	r.log.intercept(func(ctx context.Context, c *store.Commit, next appendFunc) (store.Head, error) {
		mu.Lock()
		all = append(all, slices.Clone(c.Rests))
		mu.Unlock()
		return next(ctx, c)
	})
	return func() [][]store.KeyRef {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

func (r *reception) keyOf(t *testing.T, subject string) store.KeyRef {
	t.Helper()
	record, err := r.keys.Load(t.Context(), subject)
	if err != nil || record.Key == (store.KeyID{}) {
		t.Fatalf("key of %s: %+v, %v", subject, record, err)
	}
	return store.KeyRef{Subject: subject, ID: record.Key}
}

// Whatever way a state came to its personal data, its commits and snapshots say so.
func TestStateKnowsWhoseDataAreInIt(t *testing.T) {
	t.Parallel()
	r := newReception(t, nil, func(c *actor.Config) { c.SnapshotEvery = 3 })
	stop := r.run(t)
	rests := r.rests()
	r.must(t, "d", ring{})
	r.must(t, "d", checkIn{Person: "ann", Name: marker})
	r.must(t, "d", checkIn{Person: "bob", Name: "Bob"})
	eventually(t, "a snapshot", func() bool { return len(r.snaps.all()) > 0 })
	stop()
	ann, bob := r.keyOf(t, "ann"), r.keyOf(t, "bob")
	for _, way := range []string{"snapshot", "replay"} {
		r.start(t)
		r.must(t, "d", ring{})
		if way == "snapshot" {
			r.must(t, "d", greet{Person: "ann"}) // known already
			if err := r.memory.Delete(t.Context(), deskID("d")); err != nil {
				t.Fatal(err)
			}
		}
	}
	both := []store.KeyRef{ann, bob}
	want := [][]store.KeyRef{nil, nil, {ann}, both, both, both}
	if got := rests(); !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("commits rest on\n%v, want\n%v", got, want)
	}
	if got := r.snaps.all()[0].Keys; !slices.Equal(got, both) {
		t.Errorf("the snapshot has keys %v, want %v", got, both)
	}
	if r.logged.String() != "" {
		t.Errorf("logged: %s", r.logged)
	}
}

// What a stored event was sealed under is in its spans where the stream is the subject.
func TestStateOfItsOwnSubject(t *testing.T) {
	t.Parallel()
	r := newReception(t, nil, nil)
	rests := r.rests()
	r.must(t, "zoe", yell{N: 2, Bytes: 10})
	r.must(t, "zoe", ring{})
	r.start(t)
	r.must(t, "zoe", ring{})
	zoe := []store.KeyRef{r.keyOf(t, "zoe")}
	if got := rests(); !slices.EqualFunc(got, [][]store.KeyRef{nil, zoe, zoe}, slices.Equal) {
		t.Errorf("commits rest on %v", got)
	}
}

// An actor that nobody told notices by itself, and its reader sees what is left.
func TestForgottenIsLoadedAnew(t *testing.T) {
	t.Parallel()
	r := newReception(t, nil, nil)
	r.must(t, "d", checkIn{Person: "ann", Name: marker})
	r.must(t, "d", checkIn{Person: "bob", Name: "Bob"})
	if d := r.read(t, "d"); d.Names["ann"] != marker {
		t.Fatalf("before: %+v", d)
	}
	reads := r.log.reads.Load()
	r.erase(t, "carl") // whom the desk does not know
	if r.read(t, "d"); r.log.reads.Load() != reads {
		t.Error("it was loaded for somebody else's sake")
	}
	r.erase(t, "ann")
	if d := r.read(t, "d"); d.Names["ann"] != "" || d.Names["bob"] != "Bob" || !d.Gone {
		t.Errorf("after: %+v", d)
	}
	reads = r.log.reads.Load()
	r.must(t, "d", greet{Person: "ann"})
	if r.log.reads.Load() != reads {
		t.Error("it was loaded once too often")
	}
	r.must(t, "d", checkIn{Person: "ann", Name: "Ann again"})
	if d := r.read(t, "d"); d.Names["ann"] != "Ann again" || !slices.Equal(d.Said, []string{"hello "}) {
		t.Errorf("seen again: %+v", d)
	}
}

// The erasure comes between the decision and the append: what was decided on the name
// is not stored, neither as hers nor under her next key.
func TestForgottenIsNotWrittenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		r := newReception(t, nil, func(c *actor.Config) { c.Registerer = registry })
		r.must(t, "d", checkIn{Person: "ann", Name: marker})
		tries := 0
		r.log.intercept(func(ctx context.Context, c *store.Commit, next appendFunc) (store.Head, error) {
			if tries++; tries == 1 {
				r.erase(t, "ann")
			}
			return next(ctx, c)
		})
		result := r.must(t, "d", greet{Person: "ann"})
		if tries != 2 || result.Version != 2 {
			t.Errorf("%d tries, %+v", tries, result)
		}
		r.must(t, "d", checkIn{Person: "ann", Name: "new"}) // she has a key again
		if d := r.read(t, "d"); !slices.Equal(d.Said, []string{"hello "}) {
			t.Errorf("it says %q", d.Said)
		}
		if n := metric(t, registry, "annals_append_conflicts_total", "erased"); n != 1 {
			t.Errorf("%v conflicts", n)
		}
	})
}

// A log that calls data erased for ever does not hold a turn for ever.
func TestErasedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReception(t, nil, nil)
		r.must(t, "d", checkIn{Person: "ann", Name: marker})
		r.log.intercept(func(context.Context, *store.Commit, appendFunc) (store.Head, error) {
			return store.Head{}, store.ErrErased
		})
		_, err := r.sender.Execute(t.Context(), "d", greet{Person: "ann"})
		if !errors.Is(err, store.ErrUnavailable) || r.log.appends.Load() != 13 {
			t.Errorf("after %d appends: %v", r.log.appends.Load(), err)
		}
		r.log.intercept(nil)
		r.must(t, "d", greet{Person: "ann"})
	})
}

// Purge waits for the turn under way, and not for others; idle actors go at once.
func TestPurgeWaitsForTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReception(t, nil, nil)
		for _, id := range []string{"idle", "busy", "other"} {
			r.must(t, id, checkIn{Person: "ann-" + id, Name: marker})
		}
		r.must(t, "idle", checkIn{Person: "ann-busy", Name: marker})
		release := make(chan struct{})
		r.log.intercept(func(ctx context.Context, c *store.Commit, next appendFunc) (store.Head, error) {
			if c.Stream.ID == "busy" {
				<-release
			}
			return next(ctx, c)
		})
		greeted := make(chan error, 1)
		go func() {
			_, err := r.sender.Execute(t.Context(), "busy", greet{Person: "ann-busy"})
			greeted <- err
		}()
		synctest.Wait()
		erased := r.erase(t, "ann-busy")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.system.Purge(ctx, erased); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a turn under way: %v", err)
		}
		if n := r.system.Active(); n != 2 {
			t.Errorf("%d actors, want the idle one gone", n)
		}
		purged := make(chan error, 1)
		go func() { purged <- r.system.Purge(t.Context(), erased) }()
		synctest.Wait()
		close(release)
		if err := <-purged; err != nil {
			t.Errorf("purge: %v", err)
		}
		if err := <-greeted; err != nil {
			t.Errorf("greet: %v", err)
		}
		if actor.Hold(r.system, erased) {
			t.Error("a state has them still")
		}
		if d := r.read(t, "busy"); !slices.Equal(d.Said, []string{"hello "}) || d.Names["ann-busy"] != "" {
			t.Errorf("it is %+v", d)
		}
		if err := r.system.Purge(t.Context(), nil); err != nil {
			t.Error(err)
		}
	})
}

// Snapshots that wait are not written any more; one that is being written is waited for.
func TestPurgeDropsSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		r := newReception(t, nil, func(c *actor.Config) { c.SnapshotEvery = 1; c.Registerer = registry })
		for _, id := range []string{"a", "b"} {
			r.must(t, id, checkIn{Person: "ann", Name: marker})
		}
		r.must(t, "c", checkIn{Person: "bob", Name: "Bob"})
		erased := r.erase(t, "ann")
		if err := r.system.Purge(t.Context(), erased); err != nil {
			t.Fatal(err)
		}
		stop := r.run(t)
		synctest.Wait()
		if all := r.snaps.all(); len(all) != 1 || all[0].Stream.ID != "c" {
			t.Errorf("saved were %v", all)
		}
		release := make(chan struct{})
		r.snaps.onSave(func() error { <-release; return nil })
		r.must(t, "c", ring{})
		synctest.Wait()
		erased = r.erase(t, "bob")
		purged := make(chan error, 1)
		go func() { purged <- r.system.Purge(t.Context(), erased) }()
		synctest.Wait()
		if len(purged) > 0 {
			t.Error("purge did not wait for a snapshot that is being written")
		}
		close(release)
		if err := <-purged; err != nil {
			t.Errorf("purge: %v", err)
		}
		if n := metric(t, registry, "annals_snapshot_failures_total", ""); n != 0 {
			t.Errorf("%v failures", n)
		}
		if strings.Contains(r.logged.String(), "not saved") {
			t.Errorf("logged: %s", r.logged)
		}
		r.must(t, "c", ring{})
		stop()
		if d := r.folded(t, "c"); d.Names["bob"] != "" || d.Rings != 2 {
			t.Errorf("it is %+v", d)
		}
	})
}

// folded folds from the log and its snapshots.
func (r *reception) folded(t *testing.T, id string) desk {
	t.Helper()
	d, _, err := r.sender.State(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A fold of a long stream leaves snapshots of its past behind; they die with the key, too.
func TestPastOfTheForgotten(t *testing.T) {
	t.Parallel()
	r := newReception(t, nil, nil)
	r.must(t, "d", checkIn{Person: "ann", Name: marker})
	for range 3 {
		r.must(t, "d", yell{N: 400, Bytes: 1})
	}
	r.start(t)
	r.must(t, "d", ring{})
	marks, err := r.memory.Pasts(t.Context(), deskID("d"))
	if err != nil || len(marks) == 0 {
		t.Fatalf("past snapshots at %v, %v", marks, err)
	}
	raw, err := r.memory.LoadPast(t.Context(), deskID("d"), marks[0])
	if err != nil || strings.Contains(string(raw.State), marker) {
		t.Errorf("a past snapshot in plain, or %v", err)
	}
	snap, err := r.snaps.LoadPast(t.Context(), deskID("d"), marks[0])
	if err != nil || !strings.Contains(string(snap.State), marker) {
		t.Errorf("a past snapshot without the name, or %v", err)
	}
	r.erase(t, "ann")
	if _, err := r.snaps.LoadPast(t.Context(), deskID("d"), marks[0]); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a past snapshot after the erasure: %v", err)
	}
	s, err := r.system.State(t.Context(), deskID("d"), actor.At{Version: snap.Head.Version})
	if err != nil || s.Value.(desk).Names["ann"] != "" {
		t.Errorf("the past is %+v, %v", s, err)
	}
}

// What sealing adds is counted: a turn is split, and only the command that is too
// large by itself is refused.
func TestSealedCommitsFit(t *testing.T) {
	t.Parallel()
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		for _, kept := range []bool{false, true} {
			t.Run(fmt.Sprint(codec.Name(), " kept ", kept), func(t *testing.T) {
				t.Parallel()
				r := newReception(t, codec, func(c *actor.Config) { c.KeepCommands = kept })
				id := strings.Repeat("d", 120) // a subject is in front of each sealed value
				r.must(t, id, ring{})
				blocked, release := make(chan struct{}), make(chan struct{})
				var once sync.Once
				r.log.intercept(func(ctx context.Context, c *store.Commit, next appendFunc) (store.Head, error) {
					once.Do(func() { close(blocked); <-release })
					return next(ctx, c)
				})
				const n = 40
				errs := make(chan error, n+2)
				send := func(c deskCommand) {
					go func() {
						_, err := r.sender.Execute(t.Context(), id, c)
						errs <- err
					}()
				}
				send(ring{})
				<-blocked
				for i := range n {
					switch i {
					case n / 2:
						send(yell{N: 1000, Bytes: 320}) // too large once they are sealed, and not before
					case n / 4:
						send(yell{N: 1, Bytes: 470 << 10})
					default:
						send(yell{N: 100, Bytes: 150})
					}
				}
				close(release)
				tooLarge := 0
				for range n + 1 {
					if err := <-errs; errors.Is(err, store.ErrTooLarge) && !errors.Is(err, store.ErrRefused) {
						tooLarge++
					} else if err != nil {
						t.Error(err)
					}
				}
				if tooLarge != 2 {
					t.Errorf("%d were too large, want 2", tooLarge)
				}
			})
		}
	}
}

// Two bodies that differ in personal fields only are one: nothing is kept that could tell.
func TestBodiesWithoutPersonal(t *testing.T) {
	t.Parallel()
	r := newReception(t, nil, nil)
	send := func(c checkIn) (actor.Result, error) {
		return r.sender.ExecuteWith(t.Context(), "d", c, actor.Command{ID: "once"})
	}
	if _, err := send(checkIn{Person: "ann", Name: marker, Floor: 1}); err != nil {
		t.Fatal(err)
	}
	if got, err := send(checkIn{Person: "ann", Name: "Other", Floor: 1}); err != nil || !got.Duplicate {
		t.Errorf("another name: %+v, %v", got, err)
	}
	if _, err := send(checkIn{Person: "ann", Name: marker, Floor: 2}); !errors.Is(err, actor.ErrDuplicateBody) {
		t.Errorf("another floor: %v", err)
	}
	body, err := store.MsgPack.Marshal(checkIn{Person: "ann", Name: marker, Floor: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{marker, "Other"} {
		spelt := []byte(strings.Replace(string(body), marker, (name + strings.Repeat(" ", len(marker)))[:len(marker)], 1))
		got, err := r.system.Execute(t.Context(), actor.Command{Stream: deskID("d"), Name: "check-in", Body: spelt, ID: "twice"})
		if err != nil || got.Duplicate != (name == "Other") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// Whatever an aggregate with personal fields says when it fails is kept from logs.
func TestPersonalTextIsNotLogged(t *testing.T) {
	t.Parallel()
	r := newReception(t, nil, nil)
	r.must(t, "d", checkIn{Person: "ann", Name: marker})
	for _, c := range []deskCommand{blurt{}, mumble{}} {
		_, err := r.sender.Execute(t.Context(), "d", c)
		p, ok := errors.AsType[*actor.PanicError](err)
		if !ok || strings.Contains(fmt.Sprintf("%+v %v", p, p.Value), marker) || !strings.Contains(string(p.Stack), "desk.") {
			t.Errorf("%T: %+v", c, err)
		}
	}
	_, err := r.sender.Execute(t.Context(), "d", stumbl{})
	if p, ok := errors.AsType[*actor.PanicError](err); !ok || !strings.Contains(fmt.Sprint(p.Value), "out of range") {
		t.Errorf("what the runtime says: %v", err)
	}
	_, err = r.sender.Execute(t.Context(), "d", refuse{})
	if !errors.Is(err, actor.ErrRejected) || !strings.Contains(err.Error(), marker) {
		t.Errorf("the sender is told %v", err)
	}
	if logged := r.logged.String(); strings.Contains(logged, marker) || strings.Count(logged, "aggregate panicked") != 3 {
		t.Errorf("logged: %s", logged)
	}
}

// An event, a state and a kept command that this build cannot read are not quoted.
func TestPersonalBytesAreNotQuoted(t *testing.T) {
	t.Parallel()
	type checkedInToday struct {
		Person string    `json:"person"`
		Name   time.Time `json:"name" personal:"person"` // it was text once
	}
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		r := newReception(t, codec, func(c *actor.Config) { c.SnapshotEvery = 1 })
		stop := r.run(t)
		r.must(t, "d", checkIn{Person: "ann", Name: marker})
		eventually(t, "a snapshot", func() bool { return len(r.snaps.all()) > 0 })
		stop()
		type today struct {
			Names map[string]time.Time `json:"names"`
		}
		r.config.Aggregates = []actor.Definition{actor.Aggregate[today, deskCommand, any]{
			Type: "desk", Commands: desks.Commands, Events: store.NewTypes(map[string]any{"checked-in": checkedInToday{}}),
			Decide: func(today, deskCommand) ([]any, error) { return nil, nil },
			Evolve: func(s today, _ any) today { return s },
		}}
		r.start(t)
		_, err := r.system.Execute(t.Context(), actor.Command{Stream: deskID("d"), Name: "ring"})
		if !errors.Is(err, store.ErrDamaged) || strings.Contains(err.Error(), marker) || !strings.Contains(err.Error(), "withheld") {
			t.Errorf("%s: %v", codec.Name(), err)
		}
		for e, err := range r.system.History(t.Context(), deskID("d"), 0) {
			if err == nil || strings.Contains(err.Error(), marker) {
				t.Errorf("%s: history has %+v, %v", codec.Name(), e, err)
			}
		}
		logged := r.logged.String()
		if strings.Contains(logged, marker) || !strings.Contains(logged, "stream is not served") || !strings.Contains(logged, "snapshot is not used") {
			t.Errorf("%s: logged: %s", codec.Name(), logged)
		}
	}
}

// History and changes say what is missing; a state of the past is without it, too.
func TestHistoryOfTheForgotten(t *testing.T) {
	t.Parallel()
	r := newReception(t, nil, nil)
	r.must(t, "d", ring{})
	r.must(t, "d", checkIn{Person: "ann", Name: marker})
	r.must(t, "d", greet{Person: "ann"})
	r.erase(t, "ann")
	var got []string
	for e, err := range r.system.History(t.Context(), deskID("d"), 0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(e.Type, e.Shredded))
		if in, ok := e.Data.(checkedIn); ok && (in.Name != "" || !in.Gone.Has("name")) {
			t.Errorf("%+v", in)
		}
	}
	want := []string{"rung[]", "checked-in[name]", "greeted[text]"}
	if !slices.Equal(got, want) {
		t.Errorf("history %q, want %q", got, want)
	}
	got = nil
	for e, err := range r.system.Changes(t.Context(), deskID("d"), 0) {
		if err != nil || strings.Contains(fmt.Sprintf("%s", e.Data), marker) {
			t.Fatalf("%s, %v", e.Data, err)
		}
		got = append(got, fmt.Sprint(e.Type, e.Shredded))
	}
	if !slices.Equal(got, want) {
		t.Errorf("changes %q, want %q", got, want)
	}
	diff, err := r.system.Diff(t.Context(), deskID("d"), actor.At{Version: 1}, actor.At{Version: 2})
	if err != nil || strings.Contains(fmt.Sprintf("%+v", diff), marker) || len(diff.Changes) == 0 {
		t.Errorf("%+v, %v", diff, err)
	}
}

func TestReservedTypes(t *testing.T) {
	t.Parallel()
	named := func(name string) actor.Definition {
		return desksWith(func(a *actor.Aggregate[desk, deskCommand, deskEvent]) { a.Type = name })
	}
	memory := store.NewMemory(store.MemoryConfig{})
	for _, test := range []struct {
		users, builtin []actor.Definition
		fails          bool
	}{
		{users: []actor.Definition{named("annals-desk")}, fails: true},
		{builtin: []actor.Definition{named("desk")}, fails: true},
		{users: []actor.Definition{named("annals")}, builtin: []actor.Definition{named("annals-desk")}},
		{builtin: []actor.Definition{named("annals-desk"), named("annals-desk")}, fails: true},
	} {
		s, err := actor.NewSystem(actor.Config{Log: memory, Aggregates: test.users, Builtin: test.builtin})
		if (err != nil) != test.fails {
			t.Errorf("%v and %v: %v", test.users, test.builtin, err)
		}
		if err == nil {
			if _, err := s.Execute(t.Context(), actor.Command{Stream: store.StreamID{Type: "annals-desk", ID: "1"}, Name: "ring"}); err != nil {
				t.Error(err)
			}
			if d := s.Definitions(); len(d) != 1 || d[0].TypeName() != "annals" {
				t.Errorf("it tells of %v", d)
			}
		}
	}
}
