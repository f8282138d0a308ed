package evolution

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/projector/sqlite"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
)

var (
	quiet = slog.New(slog.DiscardHandler)
	seed  = flag.Uint64("seed", 0, "of the story; 0: another one each time")
)

// world is what outlives the builds.
type world struct {
	log       store.Log
	snapshots store.Snapshots
	views     projector.Store // documents, and where reactions keep their checkpoints
	tables    projector.Store
	registry  projector.Registry
}

func inMemory(t *testing.T, codec store.Codec) world {
	t.Helper()
	memory := store.NewMemory(store.MemoryConfig{Codec: codec})
	return world{log: memory, snapshots: memory, views: &projector.Memory{}, tables: files(t), registry: &projector.MemoryRegistry{}}
}

func onServer(t *testing.T, codec store.Codec) world {
	t.Helper()
	server, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	conn, err := server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	log, err := jetstream.Open(t.Context(), jetstream.Config{Conn: conn, Namespace: "post", Codec: codec, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	views := kv.New(kv.Config{Conn: conn, Namespace: "post"})
	return world{log: log, snapshots: log.Snapshots(), views: views, tables: files(t), registry: &projector.MemoryRegistry{}}
}

func files(t *testing.T) projector.Store {
	t.Helper()
	s := sqlite.New(sqlite.Config{Dir: t.TempDir(), Namespace: "post"})
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// run runs a system until stop, which ends with all snapshots written.
func (w world) run(t *testing.T, aggregate actor.Definition) (system *actor.System, stop func()) {
	t.Helper()
	system, err := actor.NewSystem(actor.Config{
		Log: w.log, Snapshots: w.snapshots, Aggregates: []actor.Definition{aggregate}, SnapshotEvery: 3, Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = system.Run(ctx) })
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); running.Wait() }) }
	t.Cleanup(stop)
	return system, stop
}

// project runs views until they have everything, and then calls look.
func (w world) project(t *testing.T, in projector.Store, look func(*projector.Group), views ...projector.Definition) {
	t.Helper()
	group, err := projector.NewGroup(projector.Config{Log: w.log, Store: in, Registry: w.registry, Projections: views, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	var running sync.WaitGroup
	running.Go(func() { _ = group.Run(ctx) })
	defer running.Wait()
	defer cancel()
	end, err := w.log.Tip(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range views {
		if err := group.Wait(ctx, v.Describe().Name, end); err != nil {
			t.Fatalf("%s: %v", v.Describe(), err)
		}
	}
	if look != nil {
		look(group)
	}
}

func TestThreeBuilds(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(*testing.T, store.Codec) world{"memory": inMemory, "server": onServer} {
		for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
			t.Run(name+"/"+codec.Name(), func(t *testing.T) {
				t.Parallel()
				from := *seed
				if from == 0 {
					from = rand.Uint64()
				}
				t.Logf("-seed=%d", from)
				threeBuilds(t, begin(t, codec), newStory(from))
			})
		}
	}
}

func threeBuilds(t *testing.T, w world, s *story) {
	const acts = 300
	system, stop := w.run(t, ParcelsV1)
	v1 := actor.For(system, ParcelsV1)
	for range acts {
		a := s.next(1)
		_, err := v1.Execute(t.Context(), a.parcel, a.v1())
		a.check(t, err)
	}
	stop()
	mustHaveSnapshot(t, w, s, 1)
	w.project(t, w.views, nil, PlacesV1) // its checkpoint is where the third build goes on

	system, stop = w.run(t, ParcelsV2)
	v2 := actor.For(system, ParcelsV2)
	for range acts {
		a := s.next(2)
		_, err := v2.Execute(t.Context(), a.parcel, a.v2())
		a.check(t, err)
	}
	stop()

	system, stop = w.run(t, Parcels)
	v3 := actor.For(system, Parcels)
	checkStates(t, system, s)
	for i := range acts {
		a := s.next(3)
		var err error
		if i%2 == 0 {
			_, err = v3.Execute(t.Context(), a.parcel, a.v3())
		} else {
			_, err = system.Execute(t.Context(), a.old(t))
		}
		a.check(t, err)
	}
	checkStates(t, system, s)
	checkHistory(t, system, s)
	stop()
	mustHaveSnapshot(t, w, s, Parcels.StateSchema)
	checkViews(t, w, s)
}

// old is the act as a client of the first build sends it.
func (a act) old(t *testing.T) actor.Command {
	t.Helper()
	command, err := ParcelsV1.Commands.Encode(store.JSON, a.v1())
	if err != nil {
		t.Fatal(err)
	}
	return actor.Command{Stream: store.StreamID{Type: "parcel", ID: a.parcel}, Name: command.Name, Schema: command.Schema, Body: command.Data, Codec: store.JSON}
}

func mustHaveSnapshot(t *testing.T, w world, s *story, schema int) {
	t.Helper()
	for _, name := range s.names {
		snap, err := w.snapshots.Load(t.Context(), store.StreamID{Type: "parcel", ID: name})
		if err == nil && snap.Schema == schema {
			return
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
	}
	t.Fatalf("no parcel has a snapshot of state schema %d", schema)
}

// checkStates compares the live state, and the one that is folded from the log, with
// what has to be. Snapshots of the builds before are of another shape.
func checkStates(t *testing.T, system *actor.System, s *story) {
	t.Helper()
	for _, name := range s.names {
		id := store.StreamID{Type: "parcel", ID: name}
		live, err := system.Read(t.Context(), id, false)
		if err != nil {
			t.Fatal(err)
		}
		folded, err := system.State(t.Context(), id, actor.At{})
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range []actor.State{live, folded} {
			if diff := cmp.Diff(s.parcels[name].state, got.Value); diff != "" || got.Version != s.version[name] {
				t.Fatalf("%s at version %d, want %d (-want +got):\n%s", name, got.Version, s.version[name], diff)
			}
		}
	}
}

// checkHistory also folds each parcel as it was at each version: a split event is one.
func checkHistory(t *testing.T, system *actor.System, s *story) {
	t.Helper()
	for _, name := range s.names {
		id := store.StreamID{Type: "parcel", ID: name}
		var steps []Step
		state := State{}
		for e, err := range system.History(t.Context(), id, 0) {
			if err != nil {
				t.Fatal(err)
			}
			steps = append(steps, Step{Version: e.Version, Part: e.Part, Name: e.Type})
			state = e.Data.(Event).evolveV3(state)
			s.parcels[name].at = append(s.parcels[name].at, e.Position)
		}
		if diff := cmp.Diff(s.parcels[name].steps, steps); diff != "" {
			t.Fatalf("history of %s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(s.parcels[name].state, state); diff != "" {
			t.Fatalf("%s folded from its history (-want +got):\n%s", name, diff)
		}
	}
	name := s.names[0]
	half := s.version[name] / 2
	at, err := system.State(t.Context(), store.StreamID{Type: "parcel", ID: name}, actor.At{Version: half})
	legs := 0
	for _, step := range s.parcels[name].steps {
		if step.Version <= half && step.Name == "arrived" {
			legs++
		}
	}
	if err != nil || at.Version != half || at.Value.(State).Legs != legs {
		t.Fatalf("%s at version %d: %+v, %v, want %d legs", name, half, at, err, legs)
	}
}

func checkViews(t *testing.T, w world, s *story) {
	t.Helper()
	again := w
	again.registry = &projector.MemoryRegistry{}
	w.project(t, w.views, func(g *projector.Group) {
		compare(t, g, "places", s.places)
		compare(t, g, "arrivals", s.arrivals)
		tracks := map[string]Track{}
		for name, p := range s.parcels {
			tracks[name] = p.track
		}
		compare(t, g, "tracks", tracks)
		checkPast(t, g, s)
	}, Places, Arrivals, Tracks)
	again.project(t, &projector.Memory{}, func(g *projector.Group) { compare(t, g, "places", s.places) }, Places)

	notices := &Notices{}
	w.project(t, w.tables, func(g *projector.Group) {
		for _, name := range s.names {
			d, err := g.Get(t.Context(), "steps", name, 0)
			if err != nil {
				t.Fatal(err)
			}
			var rows []Step
			if err := json.Unmarshal(d.Document, &rows); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s.parcels[name].steps, withoutIDs(t, rows)); diff != "" {
				t.Fatalf("steps of %s (-want +got):\n%s", name, diff)
			}
			if diff := cmp.Diff(rows, notices.Of(name)); diff != "" {
				t.Fatalf("notices of %s (-steps +notices):\n%s", name, diff)
			}
		}
	}, Steps, notices.Reaction())
}

// checkPast compares tracks as they were after each event of one parcel: both parts
// of a move are there, or neither.
func checkPast(t *testing.T, g *projector.Group, s *story) {
	t.Helper()
	p := s.parcels[s.names[0]]
	for i, at := range p.at {
		d, err := g.GetAt(t.Context(), "tracks", s.names[0], projector.Moment{Position: at})
		var got Track
		if err == nil {
			err = json.Unmarshal(d.Document, &got)
		}
		end := i + 1
		for end < len(p.at) && p.at[end] == at {
			end++
		}
		want := 0
		for _, step := range p.steps[:end] {
			if want++; step.Name == "handed-over" {
				want++ // and the hand
			}
		}
		if err != nil || len(got.Steps) != want {
			t.Fatalf("after position %d the track is %+v, %v, want %d steps", at, got, err, want)
		}
	}
}

// withoutIDs also compares them: an event has one, whatever it is split into.
func withoutIDs(t *testing.T, steps []Step) []Step {
	t.Helper()
	ids := map[string]uint64{}
	var bare []Step
	for _, s := range steps {
		if version, known := ids[s.Event]; known != (s.Part > 0) || known && version != s.Version {
			t.Fatalf("the id of %+v is that of version %d", s, version)
		}
		ids[s.Event] = s.Version
		s.Event = ""
		bare = append(bare, s)
	}
	return bare
}

func compare[D any](t *testing.T, g *projector.Group, view string, want map[string]D) {
	t.Helper()
	got := map[string]D{}
	for cursor := ""; ; {
		page, next, err := g.List(t.Context(), view, cursor, 100, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page {
			var v D
			if err := json.Unmarshal(d.Document, &v); err != nil {
				t.Fatal(err)
			}
			got[d.Key] = v
		}
		if cursor = next; next == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("view %s (-want +got):\n%s", view, diff)
	}
}
