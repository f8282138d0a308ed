package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/migrate"
)

// What nothing is done to comes out as it was, with its ids, versions and times.
func TestMigrateUnchanged(t *testing.T) {
	t.Parallel()
	from, to := memory(), memory()
	fill(t, from, 600)
	report, err := run(t, from, to, same, -1)
	if err != nil {
		t.Fatal(err)
	}
	if report.From.Commits != 600 || report.To.Commits != 600 || report.Changed != 0 || report.Dropped != 0 || report.Found != 0 || report.Streams != 5 {
		t.Errorf("%+v", report)
	}
	if diff := cmp.Diff(histories(t, from), histories(t, to)); diff != "" {
		t.Errorf("(-old +new):\n%s", diff)
	}
}

// Split, drop and keep: the new history is what reading the old one through the
// transformation gives, versions without gaps, commands with their events.
func TestMigrateChanged(t *testing.T) {
	t.Parallel()
	from, to := memory(), memory()
	fill(t, from, 600)
	report, err := run(t, from, to, reform, -1)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]told{}
	for id, history := range histories(t, from) {
		for _, e := range history {
			switch e.Type {
			case "moved":
				depart, arrive := e, e
				depart.Type, arrive.Type = "departed", "arrived"
				want[id] = append(want[id], depart, arrive)
			case "sent":
				want[id] = append(want[id], e)
			}
		}
		for i := range want[id] {
			want[id][i].Version = uint64(i) + 1
		}
	}
	got := histories(t, to)
	for id := range got {
		for i := range got[id] {
			want[id][i].ID = got[id][i].ID // which counts the events of a command
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if report.Dropped == 0 || report.Changed == 0 || report.To.Commits != 600-report.Dropped {
		t.Errorf("%+v", report)
	}
}

// Wherever it is interrupted, a migration goes on, and comes to the same bytes.
func TestMigrateResumes(t *testing.T) {
	t.Parallel()
	from, whole := memory(), memory()
	fill(t, from, 300)
	want, err := run(t, from, whole, reform, -1)
	if err != nil {
		t.Fatal(err)
	}
	for stored := 0; stored <= int(want.To.Commits); stored += 1 + stored/3 {
		to := memory()
		if _, err := run(t, from, to, reform, stored); !errors.Is(err, errKilled) && stored < int(want.To.Commits) {
			t.Fatalf("after %d commits: %v", stored, err)
		}
		got, err := run(t, from, to, reform, -1)
		if err != nil {
			t.Fatalf("after %d commits: %v", stored, err)
		}
		if got.Found != uint64(stored) {
			t.Errorf("after %d commits %d were found", stored, got.Found)
		}
		if got.Found = 0; got != want {
			t.Errorf("after %d commits: %+v, want %+v", stored, got, want)
		}
	}
}

// Another transformation than the one that a migration was begun with is
// refused, and so is a log that is somebody else's.
func TestMigrateRefusesAnotherLog(t *testing.T) {
	t.Parallel()
	from := memory()
	fill(t, from, 100)
	begun, strange, longer := memory(), memory(), memory()
	if _, err := run(t, from, begun, same, 50); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	fill(t, strange, 20)
	if _, err := run(t, from, longer, reform, -1); err != nil {
		t.Fatal(err)
	}
	fill(t, longerBy(longer), 1)
	for name, to := range map[string]*store.Memory{"begun by another": begun, "somebody else's": strange, "longer": longer} {
		before, err := to.Tip(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := run(t, from, to, reform, -1); !errors.Is(err, migrate.ErrDiverged) {
			t.Errorf("%s: got %v", name, err)
		}
		if after, err := to.Tip(t.Context()); err != nil || after != before {
			t.Errorf("%s: it was written to: %d, before %d, %v", name, after, before, err)
		}
	}
}

// longerBy puts appends of the harness into streams of another type.
func longerBy(log store.Log) store.Log { return renamed{log} }

type renamed struct{ store.Log }

func (r renamed) Append(ctx context.Context, c *store.Commit) (store.Head, error) {
	c.Stream.Type = "letter"
	return r.Log.Append(ctx, c)
}

// growing is a log that is appended to each time that somebody asks for its end.
type growing struct {
	store.Log
	t     testing.TB
	times int
}

func (g *growing) Tip(ctx context.Context, types ...string) (store.Position, error) {
	if g.times > 0 {
		g.times--
		fill(g.t, nth{g.Log, g.times}, 3)
	}
	return g.Log.Tip(ctx, types...)
}

// nth puts appends of the harness into streams of their own.
type nth struct {
	store.Log
	n int
}

func (n nth) Append(ctx context.Context, c *store.Commit) (store.Head, error) {
	c.Stream.ID = fmt.Sprintf("%s-%d", c.Stream.ID, n.n)
	return n.Log.Append(ctx, c)
}

// What is added to the old log meanwhile is copied too; what never ends is refused.
func TestMigrateWhileTheOldLogGrows(t *testing.T) {
	t.Parallel()
	for times, want := range map[int]error{1: nil, 5: nil, 1000: migrate.ErrMoved} {
		old, to := memory(), memory()
		fill(t, old, 50)
		report, err := run(t, &growing{Log: old, t: t, times: times}, to, same, -1)
		if !errors.Is(err, want) {
			t.Errorf("%d times: %v", times, err)
		}
		if want == nil && report.To.Commits != uint64(50+3*times) {
			t.Errorf("%d times: %+v", times, report)
		}
	}
}

// late is a log that is appended to right after somebody asked for its end.
type late struct {
	store.Log
	t     testing.TB
	times int
}

func (l *late) Tip(ctx context.Context, types ...string) (store.Position, error) {
	tip, err := l.Log.Tip(ctx, types...)
	if l.times > 0 {
		l.times--
		fill(l.t, nth{l.Log, l.times}, 3)
	}
	return tip, err
}

// What is added between the question for the end and the reading is no damage.
func TestMigrateBeyondTheEndThatWasAskedFor(t *testing.T) {
	t.Parallel()
	for times, want := range map[int]error{1: nil, 5: nil, 1000: migrate.ErrMoved} {
		old, to := memory(), memory()
		fill(t, old, 50)
		report, err := run(t, &late{Log: old, t: t, times: times}, to, same, -1)
		if !errors.Is(err, want) {
			t.Errorf("%d times: %v", times, err)
		}
		if want == nil && report.To.Commits != uint64(50+3*times) {
			t.Errorf("%d times: %+v", times, report)
		}
	}
}

// written is a log that is appended to whenever somebody begins to follow it.
type written struct {
	store.Log
	t     testing.TB
	times int
}

func (w *written) Follow(ctx context.Context, f store.Follow) (store.Feed, error) {
	w.times++
	fill(w.t, nth{w.Log, w.times}, 3)
	return w.Log.Follow(ctx, f)
}

// A write while the log is copied or compared is no damage: the migration has to
// be given again, unless only what was there when it began is wanted.
func TestMigrateWhileTheOldLogIsWrittenTo(t *testing.T) {
	t.Parallel()
	for _, prefix := range []bool{false, true} {
		old, to := memory(), memory()
		fill(t, old, 50)
		from := &written{Log: old, t: t}
		for again := range 2 { // which finds what the first has stored
			m, err := migrate.New(migrate.Config{From: from, To: to, Loader: newLoader(t, to, -1), Transform: same, Prefix: prefix})
			if err != nil {
				t.Fatal(err)
			}
			report, err := m.Run(t.Context())
			switch {
			case !prefix && !errors.Is(err, migrate.ErrMoved):
				t.Errorf("run %d: %v", again, err)
			case prefix && (err != nil || report.From.Commits != uint64(50+6*again) || report.To.Commits != report.From.Commits):
				t.Errorf("run %d up to where the log ended: %+v, %v", again, report, err)
			}
		}
	}
}

func TestMigrateNothing(t *testing.T) {
	t.Parallel()
	report, err := run(t, memory(), memory(), same, -1)
	if err != nil || report != (migrate.Report{}) {
		t.Errorf("%+v, %v", report, err)
	}
}

// What cannot be read, transformed or stored names its place and stores nothing more.
func TestMigrateFails(t *testing.T) {
	t.Parallel()
	from := memory()
	fill(t, from, 30)
	bad := errors.New("bad")
	for name, test := range map[string]struct {
		from      store.Log
		transform migrate.Transform
		want      error
	}{
		"the transformation": {from, migrate.Events(func(dst []store.Event, _ store.Codec, _ store.StreamID, e store.Event) ([]store.Event, error) {
			if e.Type == "moved" {
				return nil, bad
			}
			return append(dst, e), nil
		}), bad},
		"a commit that has grown": {from, migrate.Events(func(dst []store.Event, _ store.Codec, _ store.StreamID, e store.Event) ([]store.Event, error) {
			for range store.MaxEvents + 1 {
				dst = append(dst, e)
			}
			return dst, nil
		}), store.ErrTooLarge},
		"a log with a commit left out": {leaving{from, 12}, same, store.ErrDamaged},
	} {
		to := memory()
		if _, err := run(t, test.from, to, test.transform, -1); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
		if tip, err := to.Tip(t.Context()); err != nil || tip.Sequence() > 16 {
			t.Errorf("%s: %d commits stored, %v", name, tip.Sequence(), err)
		}
	}
}

// leaving is a log whose feeds leave out a commit.
type leaving struct {
	store.Log
	sequence uint64
}

func (l leaving) Follow(ctx context.Context, f store.Follow) (store.Feed, error) {
	feed, err := l.Log.Follow(ctx, f)
	return leavingFeed{feed, l.sequence}, err
}

type leavingFeed struct {
	store.Feed
	sequence uint64
}

func (f leavingFeed) Next(ctx context.Context, limit int) ([]*store.Commit, error) {
	commits, err := f.Feed.Next(ctx, limit)
	kept := commits[:0]
	for _, c := range commits {
		if c.Sequence != f.sequence {
			kept = append(kept, c)
		}
	}
	return kept, err
}

// A log that loses or changes something between copying and comparing is found out.
func TestMigrateVerifies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		from, to func(store.Log) store.Log
		want     error
	}{
		"the old log": {func(l store.Log) store.Log { return &second{Log: l} }, func(l store.Log) store.Log { return l }, store.ErrDamaged},
		"the new log": {func(l store.Log) store.Log { return l }, func(l store.Log) store.Log { return leaving{l, 7} }, migrate.ErrDiverged},
	} {
		from, to := memory(), memory()
		fill(t, from, 30)
		m, err := migrate.New(migrate.Config{From: test.from(from), To: test.to(to), Loader: newLoader(t, to, -1), Transform: same})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Run(t.Context()); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

// second is a log whose second feed leaves out a commit.
type second struct {
	store.Log
	feeds int
}

func (s *second) Follow(ctx context.Context, f store.Follow) (store.Feed, error) {
	if s.feeds++; s.feeds > 1 {
		return leaving{s.Log, 7}.Follow(ctx, f)
	}
	return s.Log.Follow(ctx, f)
}

func TestTooManyStreams(t *testing.T) {
	t.Parallel()
	from, to := memory(), memory()
	fill(t, from, 30)
	m, err := migrate.New(migrate.Config{From: from, To: to, Loader: newLoader(t, to, -1), Transform: same, MaxStreams: 4})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Run(t.Context()); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := migrate.Config{From: memory(), To: memory(), Loader: &loader{}, Transform: same}
	for name, change := range map[string]func(*migrate.Config){
		"no old log":        func(c *migrate.Config) { c.From = nil },
		"no new log":        func(c *migrate.Config) { c.To = nil },
		"no loader":         func(c *migrate.Config) { c.Loader = nil },
		"no transformation": func(c *migrate.Config) { c.Transform = nil },
		"another codec":     func(c *migrate.Config) { c.To = store.NewMemory(store.MemoryConfig{}) },
		"a bad bound":       func(c *migrate.Config) { c.MaxStreams = -1 },
	} {
		config := good
		change(&config)
		if _, err := migrate.New(config); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestProgressIsTold(t *testing.T) {
	t.Parallel()
	from, to := memory(), memory()
	fill(t, from, 600)
	var all []migrate.Progress
	m, err := migrate.New(migrate.Config{
		From: from, To: to, Loader: newLoader(t, to, -1), Transform: reform, Progress: func(p migrate.Progress) { all = append(all, p) },
	})
	if err != nil {
		t.Fatal(err)
	}
	report, err := m.Run(t.Context())
	if err != nil || len(all) < 3 {
		t.Fatalf("%v, told %d times", err, len(all))
	}
	last := all[len(all)-1]
	if !last.Verifying || last.Position != last.Tip || last.Events != report.From.Events || last.Stored != report.To.Commits {
		t.Errorf("last %+v", last)
	}
}
