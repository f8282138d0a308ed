package actor_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// The aggregate of the tests with personal data: a desk where people check in, each
// with a name, and are greeted by it.

type (
	deskCommand interface{ isDeskCommand() }
	deskEvent   interface{ isDeskEvent() }

	checkIn struct {
		Person string `json:"person"`
		Name   string `json:"name" personal:"person"`
		Floor  int    `json:"floor"`
	}
	greet struct { // copies the name out of the state
		Person string `json:"person"`
	}
	ring   struct{}               // nothing personal
	refuse struct{}               // with everybody's name
	blurt  struct{}               // panics with everybody's name
	stumbl struct{}               // panics as the runtime does
	mumble struct{}               // decides what Evolve panics on, with everybody's name
	yell   struct{ N, Bytes int } // decides N long personal events

	checkedIn struct {
		Person string         `json:"person"`
		Name   string         `json:"name" personal:"person"`
		Gone   store.Shredded `json:"-"`
	}
	greeted struct {
		Person string `json:"person"`
		Text   string `json:"text" personal:"person"`
	}
	rung    struct{}
	mumbled struct {
		Text string `json:"text" personal:"@id"`
	}
	yelled struct {
		Text string `json:"text" personal:"@id"`
	}
)

func (checkIn) isDeskCommand() {}
func (greet) isDeskCommand()   {}
func (ring) isDeskCommand()    {}
func (refuse) isDeskCommand()  {}
func (blurt) isDeskCommand()   {}
func (stumbl) isDeskCommand()  {}
func (mumble) isDeskCommand()  {}
func (yell) isDeskCommand()    {}
func (checkedIn) isDeskEvent() {}
func (greeted) isDeskEvent()   {}
func (rung) isDeskEvent()      {}
func (mumbled) isDeskEvent()   {}
func (yelled) isDeskEvent()    {}

type desk struct {
	Names map[string]string `json:"names"` // by person
	Said  []string          `json:"said"`
	Gone  bool              `json:"gone"`
	Rings int               `json:"rings"`
}

func (d desk) everybody() string {
	var all string
	for _, name := range d.Names {
		all += name
	}
	return all
}

func (d desk) decide(c deskCommand) ([]deskEvent, error) {
	switch c := c.(type) {
	case checkIn:
		return []deskEvent{checkedIn{Person: c.Person, Name: c.Name}}, nil
	case greet:
		return []deskEvent{greeted{Person: c.Person, Text: "hello " + d.Names[c.Person]}}, nil
	case ring:
		return []deskEvent{rung{}}, nil
	case refuse:
		return nil, errors.New("no room for " + d.everybody())
	case blurt:
		panic("who is " + d.everybody())
	case stumbl:
		return []deskEvent{nil, nil}[len(d.everybody()):], nil
	case mumble:
		return []deskEvent{mumbled{Text: d.everybody()}}, nil
	case yell:
		events := make([]deskEvent, c.N)
		for i := range events {
			events[i] = yelled{Text: string(bytes.Repeat([]byte("a"), c.Bytes))}
		}
		return events, nil
	}
	return nil, nil
}

func (d desk) evolve(e deskEvent) desk {
	switch e := e.(type) {
	case checkedIn:
		if d.Names == nil {
			d.Names = map[string]string{}
		}
		d.Names[e.Person] = e.Name
		d.Gone = d.Gone || e.Gone.Has("name")
	case greeted:
		d.Said = append(d.Said, e.Text)
	case rung:
		d.Rings++
	case mumbled:
		if d.everybody() != "" {
			panic("mumbled of " + d.everybody())
		}
	}
	return d
}

func desksWith(change func(*actor.Aggregate[desk, deskCommand, deskEvent])) actor.Aggregate[desk, deskCommand, deskEvent] {
	a := actor.Aggregate[desk, deskCommand, deskEvent]{
		Type: "desk", Decide: desk.decide, Evolve: desk.evolve,
		Commands: store.NewTypes(map[string]deskCommand{
			"check-in": checkIn{}, "greet": greet{}, "ring": ring{}, "refuse": refuse{}, "blurt": blurt{}, "stumble": stumbl{},
			"mumble": mumble{}, "yell": yell{},
		}),
		Events: store.NewTypes(map[string]deskEvent{
			"checked-in": checkedIn{}, "greeted": greeted{}, "rung": rung{}, "mumbled": mumbled{}, "yelled": yelled{},
		}),
	}
	if change != nil {
		change(&a)
	}
	return a
}

var desks = desksWith(nil)

// desk is a system on a log that seals, in memory.
type reception struct {
	memory *store.Memory
	keys   *privacy.Memory
	ring   *privacy.Keyring
	log    *interceptedLog // above the one that seals
	snaps  *interceptedSnapshots
	system *actor.System
	sender actor.Sender[desk, deskCommand, deskEvent]
	logged *lockedBuffer
	config actor.Config
}

func newReception(t *testing.T, codec store.Codec, change func(*actor.Config)) *reception {
	t.Helper()
	path := t.TempDir() + "/keys"
	if err := privacy.GenerateFile(path, "first"); err != nil {
		t.Fatal(err)
	}
	wrapper, err := privacy.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := &reception{memory: store.NewMemory(store.MemoryConfig{Codec: codec}), keys: privacy.NewMemory(), logged: &lockedBuffer{}}
	logger := slog.New(slog.NewTextHandler(r.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.ring, err = privacy.NewKeyring(privacy.KeyringConfig{Keys: r.keys, Wrapper: wrapper, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	r.log = &interceptedLog{Log: privacy.NewLog(r.memory, r.ring)}
	r.snaps = &interceptedSnapshots{PastSnapshots: privacy.NewSnapshots(r.memory, r.ring)}
	r.config = actor.Config{Log: r.log, Snapshots: r.snaps, Aggregates: []actor.Definition{desks}, Keyring: r.ring, Logger: logger}
	if change != nil {
		change(&r.config)
	}
	r.start(t)
	return r
}

// start makes a system, which nobody runs.
func (r *reception) start(t *testing.T) {
	t.Helper()
	var err error
	if r.system, err = actor.NewSystem(r.config); err != nil {
		t.Fatal(err)
	}
	r.sender = actor.For(r.system, desks)
}

// run runs the system until the returned function is called.
func (r *reception) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	system := r.system
	go func() { done <- system.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func (r *reception) must(t *testing.T, id string, c deskCommand) actor.Result {
	t.Helper()
	result, err := r.sender.Execute(t.Context(), id, c)
	if err != nil {
		t.Fatalf("%T: %v", c, err)
	}
	return result
}

func (r *reception) read(t *testing.T, id string) desk {
	t.Helper()
	s, err := r.system.Read(t.Context(), deskID(id), false)
	if err != nil {
		t.Fatalf("read %s: %v", id, err)
	}
	return s.Value.(desk)
}

// erase takes a person's key away, as the log and the keyring see it, and returns it.
// Nobody has told the system.
func (r *reception) erase(t *testing.T, subject string) []store.KeyRef {
	t.Helper()
	f, err := privacy.NewForgetter(privacy.ForgetterConfig{
		Keys: r.keys, Purge: r.ring.Purge,
		Notice: func(context.Context, privacy.Erasure, string) (store.Position, error) { return 1, nil },
	})
	if err == nil {
		_, err = f.Forget(t.Context(), privacy.Request{Subject: subject, By: "officer", Why: "asked"})
	}
	if err != nil {
		t.Fatalf("forget %s: %v", subject, err)
	}
	record, err := r.keys.Load(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	var refs []store.KeyRef
	for _, e := range record.Erased {
		refs = append(refs, store.KeyRef{Subject: subject, ID: e.Key})
	}
	return refs
}

func deskID(id string) store.StreamID { return store.StreamID{Type: "desk", ID: id} }

// interceptedSnapshots let a test stand between a system and its snapshots.
type interceptedSnapshots struct {
	store.PastSnapshots
	mu    sync.Mutex
	saved []*store.Snapshot // as the system asked for them
	save  func() error      // called before each
}

func (s *interceptedSnapshots) Save(ctx context.Context, snap *store.Snapshot) error {
	s.mu.Lock()
	s.saved = append(s.saved, snap)
	before := s.save
	s.mu.Unlock()
	if before != nil {
		if err := before(); err != nil {
			return err
		}
	}
	return s.PastSnapshots.Save(ctx, snap)
}

func (s *interceptedSnapshots) onSave(f func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.save = f
}

func (s *interceptedSnapshots) all() []*store.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*store.Snapshot(nil), s.saved...)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
