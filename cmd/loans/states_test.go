package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/cmd/loans/history"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
)

// realHistory names a file that is not the project's own to give away.
const realHistory = "ANNALS_BPIC2012"

// TestStatesAfterAKill: what a node answers after it was killed and came back
// is, application by application, the fold of the log.
func TestStatesAfterAKill(t *testing.T) {
	t.Parallel()
	path, events := writeSample(t, 300, 12)
	got := checkStates(t, path)
	if got.applications != 300 || got.events != events {
		t.Errorf("compared %d applications with %d events, want 300 with %d", got.applications, got.events, events)
	}
}

// TestStatesOfTheRealHistory does the same with the bank's own event log of
// 2012. It does not run beside other tests: it says how long a restart takes.
func TestStatesOfTheRealHistory(t *testing.T) {
	path := os.Getenv(realHistory)
	if path == "" {
		t.Skipf("SKIPPED, NOT PASSED: no state of the real history was compared with its events; set %s to the path of bpic2012.xes.gz, and allow two minutes", realHistory)
	}
	got := checkStates(t, path)
	if got.applications != 13_087 || got.events != 262_200 {
		t.Errorf("compared %d applications with %d events, want 13087 with 262200", got.applications, got.events)
	}
	if got.ready > 5*time.Second {
		t.Errorf("ready %v after a kill, want at most 5 s", got.ready)
	}
}

// checked is what checkStates looked at.
type checked struct {
	applications int
	events       int64
	ready        time.Duration // of the node that was killed before
}

// checkStates imports a part of the file and stops the node in good order,
// which leaves snapshots; imports the rest, kills the node, and compares what
// the next one answers, from the log and from memory, with a fold of the log.
// In the end it forges the snapshots: if that goes unnoticed, either nothing is
// compared or the states were never taken from there.
func checkStates(t *testing.T, path string) checked {
	t.Helper()
	began := time.Now()
	dir := filepath.Join(t.TempDir(), "data")
	p := startProcess(t, dir)
	file, first := p.importFirst(t, path)
	p.stop()

	p = startProcess(t, dir)
	all := sum(file)
	p.expectImport(t, path, totals{Applications: int64(len(file)), Events: all, Sent: all, Stored: all - first, Duplicate: first})
	p.kill()

	p = startProcess(t, dir)
	log := openLog(t, p.url)
	want, ids := foldLog(t, log), slices.Sorted(maps.Keys(file))
	versions := map[string]uint64{}
	for id, s := range want {
		versions[id] = s.Version
	}
	if d := cmp.Diff(file, versions); d != "" {
		t.Fatalf("events by application (-file +log):\n%s", d)
	}
	kept := loadSnapshots(t, log, ids) // a slow activation is followed by one of its own
	wrong := p.compare(t, want, "the log", fromLog) + p.compare(t, want, "memory", fromMemory)

	tails := 0
	for id, snapshot := range kept {
		if snapshot.Head.Version < want[id].Version {
			tails++
		}
	}
	if tails == 0 || tails == len(kept) || len(kept) == len(ids) {
		t.Errorf("of %d applications %d have a snapshot, and %d of these have events after it: want some of each", len(ids), len(kept), tails)
	}
	p.expectActivations(t, len(kept), len(ids))

	forge(t, log, kept)
	noticed, _ := differences(want, p.ask(t, ids, fromLog))
	if d := cmp.Diff(slices.Sorted(maps.Keys(kept)), noticed); d != "" {
		t.Errorf("applications with a forged snapshot (-forged +noticed):\n%s", d)
	}
	t.Logf("%d applications compared, %d mismatches; %d from a snapshot, %d of them with later events; ready %v after the kill, %v in all",
		len(ids), wrong, len(kept), tails, p.ready.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	return checked{applications: len(ids), events: all, ready: p.ready}
}

// importFirst imports what firstParts yields. It returns how many events each
// application has in the whole file, and how many it sent of them all.
func (p *loansProcess) importFirst(t *testing.T, path string) (file map[string]uint64, sent int64) {
	t.Helper()
	from, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	file = map[string]uint64{}
	i := newImporter(t, p.loanBook, defaultInFlight)
	if err := i.run(t.Context(), firstParts(from, file)); err != nil {
		t.Fatal(err)
	}
	got := i.totals(0)
	if got.Stored == 0 || got.Stored != got.Events {
		t.Fatalf("the first import did %+v", got)
	}
	return file, got.Stored
}

// firstParts yields the traces of a file, all but every third without their
// second half, and notes how many events they had.
func firstParts(file io.Reader, events map[string]uint64) iter.Seq2[*history.Trace, error] {
	return func(yield func(*history.Trace, error) bool) {
		for trace, err := range history.Read(file) {
			if err == nil {
				events[trace.Application] = uint64(len(trace.Events))
				if len(events)%3 != 0 {
					trace.Events = trace.Events[:(len(trace.Events)+1)/2]
				}
			}
			if !yield(trace, err) {
				return
			}
		}
	}
}

func sum(events map[string]uint64) (all int64) {
	for _, n := range events {
		all += int64(n)
	}
	return all
}

func (p *loansProcess) expectImport(t *testing.T, path string, want totals) {
	t.Helper()
	code, got, talk := p.importJSON(t, path)
	want.Seconds = got.Seconds
	if code != 0 || got != want {
		t.Fatalf("import: exit code %d, %+v, said %q; want %+v", code, got, talk, want)
	}
}

// expectActivations looks where the applications in memory were taken from.
func (p *loansProcess) expectActivations(t *testing.T, kept, applications int) {
	t.Helper()
	const from = `annals_actor_activations_total{aggregate="application",source="%s"}`
	snapshot, replay := p.counter(t, fmt.Sprintf(from, "snapshot")), p.counter(t, fmt.Sprintf(from, "replay"))
	if snapshot != kept || snapshot+replay != applications {
		t.Errorf("%d activations from a snapshot and %d without; want %d and %d", snapshot, replay, kept, applications-kept)
	}
}

// question is a way to ask for a state.
type question func(context.Context, *gateway.Client, store.StreamID) (gateway.State, error)

// fromLog asks as "aggregate get" does: a fold that knows no actor.
func fromLog(ctx context.Context, client *gateway.Client, id store.StreamID) (gateway.State, error) {
	return client.State(ctx, id, actor.At{})
}

// fromMemory asks as "aggregate get --live" does, which activates the actor.
func fromMemory(ctx context.Context, client *gateway.Client, id store.StreamID) (gateway.State, error) {
	return client.Read(ctx, id, false)
}

// compare returns how many answers are not as wanted.
func (p *loansProcess) compare(t *testing.T, want map[string]standing, where string, get question) int {
	t.Helper()
	wrong, shown := differences(want, p.ask(t, slices.Collect(maps.Keys(want)), get))
	if len(wrong) > 0 {
		t.Errorf("%d of %d states from %s are not the fold of their events (-fold +answer):\n%s", len(wrong), len(want), where, shown)
	}
	return len(wrong)
}

// ask asks the node for the state of each application.
func (p *loansProcess) ask(t *testing.T, ids []string, get question) map[string]standing {
	t.Helper()
	conn, err := nats.Connect(p.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client, err := gateway.NewClient(gateway.ClientConfig{Conn: conn, Namespace: app.Name, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	return collect(t, ids, func(stream store.StreamID) (standing, error) {
		got, err := get(t.Context(), client, stream)
		if err != nil {
			return standing{}, err
		}
		s := standing{Version: got.Version, Position: got.Position, Time: got.Time}
		decoder := json.NewDecoder(bytes.NewReader(got.State))
		decoder.DisallowUnknownFields()
		return s, decoder.Decode(&s.State)
	})
}

// loadSnapshots returns the snapshots that there are.
func loadSnapshots(t *testing.T, log *jetstream.Log, ids []string) map[string]*store.Snapshot {
	t.Helper()
	kept := collect(t, ids, func(stream store.StreamID) (*store.Snapshot, error) {
		snapshot, err := log.Snapshots().Load(t.Context(), stream)
		if errors.Is(err, store.ErrNotFound) {
			return nil, nil
		}
		return snapshot, err
	})
	maps.DeleteFunc(kept, func(_ string, s *store.Snapshot) bool { return s == nil })
	return kept
}

// forge adds one euro to the state in each snapshot.
func forge(t *testing.T, log *jetstream.Log, kept map[string]*store.Snapshot) {
	t.Helper()
	collect(t, slices.Collect(maps.Keys(kept)), func(stream store.StreamID) (none struct{}, err error) {
		var state application.Application
		forged := *kept[stream.ID]
		if err := log.Codec().Unmarshal(forged.State, &state, true); err != nil {
			return none, err
		}
		state.Amount++
		if forged.State, err = log.Codec().Marshal(state); err != nil {
			return none, err
		}
		return none, log.Snapshots().Save(t.Context(), &forged)
	})
}

// collect calls get for each application, many at once.
func collect[V any](t *testing.T, ids []string, get func(store.StreamID) (V, error)) map[string]V {
	t.Helper()
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(64)
	got := make(map[string]V, len(ids))
	for _, id := range ids {
		group.Go(func() error {
			v, err := get(store.StreamID{Type: application.Applications.Type, ID: id})
			mu.Lock()
			defer mu.Unlock()
			got[id] = v
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return got
}
