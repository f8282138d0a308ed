package jetstream

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

// orderLeader stands in for the leader of an order, and says what it is told to.
type orderLeader struct {
	mu      sync.Mutex
	name    string
	silence map[string]time.Duration
	asked   int
	removed []string // leaders that were asked to step down
}

// pretend puts the stand-in in the place of the leader.
func pretend(t *testing.T, l *Log) *orderLeader {
	t.Helper()
	f := &orderLeader{name: "a", silence: map[string]time.Duration{}}
	l.names.order.info, l.names.order.stepDown = l.cfg.Namespace+".info", l.cfg.Namespace+".down"
	conn := connect(t, single.use(t)[0])
	for subject, answer := range map[string]func() any{l.names.order.info: f.info, l.names.order.stepDown: f.down} {
		_, err := conn.Subscribe(subject, func(m *nats.Msg) {
			data, err := json.Marshal(answer())
			if err == nil {
				err = m.Respond(data)
			}
			if err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *orderLeader) info() any {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	var sources []any
	for _, name := range slices.Sorted(maps.Keys(f.silence)) {
		sources = append(sources, map[string]any{"name": name, "active": f.silence[name]})
	}
	return map[string]any{"cluster": map[string]any{"leader": f.name}, "sources": sources}
}

func (f *orderLeader) down() any {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.removed = append(f.removed, f.name)
	return map[string]any{"success": true}
}

// TestStall has the order's leader say what it hears of a log stream, and looks
// whether it is replaced.
func TestStall(t *testing.T) {
	t.Parallel()
	l := open(t, &single, several)
	l.replicas = 3
	f := pretend(t, l)
	name := l.names.streams[2].name
	look := func(leader string, silence time.Duration) {
		t.Helper()
		f.mu.Lock()
		f.name, f.silence[name] = leader, silence
		f.mu.Unlock()
		l.order.stall.looked = time.Time{}
		l.order.stall.look(t.Context(), 2)
	}
	const silent = sourceSilence + time.Second
	for _, c := range []struct {
		what    string
		leader  string
		silence time.Duration
		removed []string
	}{
		{"heard of", "a", 0, nil},
		{"quiet for a moment", "a", 2 * time.Second, nil},
		{"silent", "a", silent, []string{"a"}},
		{"a leader that has heard of none yet", "b", -1, []string{"a"}},
		{"another that has not", "c", -1, []string{"a"}},
		{"heard of at last", "c", 0, []string{"a"}},
		{"a leader that has heard of none yet", "d", -1, []string{"a"}},
		{"nor in the next second", "d", -1, []string{"a", "d"}},
		{"the same leader once more", "d", -1, []string{"a", "d"}},
		{"without a leader", "", -1, []string{"a", "d"}},
		{"nor with one", "", silent, []string{"a", "d"}},
	} {
		look(c.leader, c.silence)
		if !slices.Equal(f.removed, c.removed) {
			t.Fatalf("%s: %q are replaced, want %q", c.what, f.removed, c.removed)
		}
	}
	asked := f.asked
	l.order.stall.look(t.Context(), 2)
	l.replicas = 1
	look("c", -1)
	if f.asked != asked {
		t.Errorf("asked %d times too often", f.asked-asked)
	}
}

// TestStallIsLookedInto lets an append wait for a place for longer than it
// should.
func TestStallIsLookedInto(t *testing.T) {
	t.Parallel()
	l := open(t, &single, several)
	l.replicas = 3
	f := pretend(t, l)
	for _, k := range l.names.streams {
		f.silence[k.name] = time.Minute
	}
	v := &vandal{log: l, js: mustJetStream(t, l)}
	sources := v.detach(t)
	done := make(chan error, 1)
	go func() {
		_, err := l.Append(t.Context(), commitOf(stream("1"), store.Head{}, 1))
		done <- err
	}()
	eventually(t, "the leader is replaced", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.removed) > 0
	})
	v.attach(t, sources)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestUneven(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		servers []string
		leaders []string // of streams s0, s1 …
		moves   []string
	}{
		{[]string{"a", "b", "c"}, []string{"a", "a", "a", "a"}, []string{"s3 to b", "s2 to c"}},
		{[]string{"a", "b", "c"}, []string{"a", "b", "c", "a"}, nil},
		{[]string{"a", "b", "c"}, []string{"a", "b", "b", "b", "b"}, []string{"s4 to c", "s3 to a"}},
		{[]string{"a"}, []string{"a", "a"}, nil},
		{[]string{"a", "b"}, []string{"a", "a"}, []string{"s1 to b"}},
	} {
		s := seats{servers: c.servers, leader: map[string]string{}}
		for i, leader := range c.leaders {
			s.leader[fmt.Sprint("s", i)] = leader
		}
		var moves []string
		for stream, server := s.uneven(); stream != ""; stream, server = s.uneven() {
			moves = append(moves, stream+" to "+server)
			s.leader[stream] = server
		}
		if fmt.Sprint(moves) != fmt.Sprint(c.moves) {
			t.Errorf("%v: %v, want %v", c.leaders, moves, c.moves)
		}
	}
}

// TestLeadersAreSpread has every server of a cluster lead about as much, when a
// namespace was created.
func TestLeadersAreSpread(t *testing.T) {
	t.Parallel()
	cluster.use(t)
	l := open(t, &cluster, Config{LogStreams: 5, Partitions: 10, InMemory: true})
	t.Cleanup(func() { demolish(t, l) })
	eventually(t, "each server leads two", func() bool {
		s, err := l.seats(t.Context())
		if err != nil {
			return false
		}
		led := map[string]int{}
		for _, server := range s.leader {
			led[server]++
		}
		return len(led) == clusterLen && slices.Max(slices.Collect(maps.Values(led))) == 2
	})
}
