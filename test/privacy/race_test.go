package privacy_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sync/semaphore"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

var (
	seed  = flag.Uint64("seed", 0, "the seed to run, 0 for new ones")
	seeds = flag.Int("seeds", 12, "how many new seeds to run")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	people  = 4
	streams = 3
	nodes   = 2
)

// world is what the test knows: which names were given, and which of them nobody must
// see any more.
type world struct {
	t      *testing.T
	office *office
	people [people]person

	mu   sync.Mutex
	dead []string
}

// person guards the names of one: they are given side by side, and forgotten alone.
// Not by a mutex: a bubble's time stands still while somebody waits for one.
type person struct {
	turns *semaphore.Weighted
	id    string
	names sync.Map // of this life; true: that it was given was acknowledged
	given int
	count sync.Mutex
}

const everybody = 1 << 10

func (w *world) enter(p *person, n int64) {
	if err := p.turns.Acquire(w.t.Context(), n); err != nil {
		w.t.Error(err)
	}
}

// name returns a name that nobody ever had.
func (p *person) name() string {
	p.count.Lock()
	defer p.count.Unlock()
	p.given++
	name := fmt.Sprintf("<%s the %dth>", p.id, p.given)
	p.names.Store(name, false)
	return name
}

// TestForgettingRaces forgets people while others join, are copied, read, saved and
// passivated, on two nodes that write the same streams.
func TestForgettingRaces(t *testing.T) {
	t.Parallel()
	todo := []uint64{*seed}
	if *seed == 0 {
		todo = nil
		for range *seeds {
			todo = append(todo, rand.Uint64())
		}
	}
	all := &counts{seen: map[string]int{}}
	if *seed == 0 { // one run alone need not have everything in it
		t.Cleanup(func() { all.check(t, len(todo)) }) // when all have ended
	}
	for i, seed := range todo {
		codec := []store.Codec{store.MsgPack, store.JSON}[i%2]
		t.Run(fmt.Sprintf("-seed=%d %s", seed, codec.Name()), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { race(t, seed, codec, all) })
		})
	}
}

func race(t *testing.T, seed uint64, codec store.Codec, counts *counts) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background()) // what cleans up outlives the test's
	w := &world{t: t, office: newOffice(ctx, t, newDice(seed), codec, nodes, counts)}
	defer func() { cancel(); w.office.closed() }()
	for i := range w.people {
		w.people[i].id, w.people[i].turns = fmt.Sprintf("person-%d", i), semaphore.NewWeighted(everybody)
	}
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() { w.work(60) })
	}
	for range 2 {
		all.Go(func() { w.forgetSome(6) })
	}
	all.Go(func() { w.rebuildSome(12) })
	all.Go(func() { w.crashSome(ctx, 6) })
	all.Wait()
	w.checkAll()
}

// work does so many things, one after the other.
func (w *world) work(times int) {
	d := w.office.dice
	for range times {
		d.pause(40 * time.Millisecond)
		if d.below(20) == 0 {
			d.pause(time.Second) // long enough to be passivated
		}
		w.do(w.office.node(d.below(nodes)), fmt.Sprintf("roster-%d", d.below(streams)), &w.people[d.below(people)], d.below(10))
	}
}

func (w *world) do(n *node, id string, p *person, what int) {
	before := w.deadNow()
	defer w.office.tally.during([]string{"join", "join", "greet", "greet", "recite", "tick", "refuse", "look", "look", "look"}[what])()
	switch what {
	case 0, 1:
		w.enter(p, 1)
		name := p.name()
		if w.send(n, id, join{Person: p.id, Name: name}) == nil {
			p.names.Store(name, true)
		}
		p.turns.Release(1)
	case 2, 3:
		_ = w.send(n, id, greet{Person: p.id}) // it is tolerable
	case 4:
		_ = w.send(n, id, recite{})
	case 5:
		_ = w.send(n, id, tick{})
	case 6:
		ctx, cancel := n.during(w.t.Context())
		defer cancel()
		_, err := n.sender.Execute(ctx, id, refuse{})
		if !errors.Is(err, actor.ErrRejected) && !n.tolerable(err) {
			w.t.Errorf("refuse: %v", err)
		}
		w.clean("a rejection", fmt.Sprint(err), before)
	default:
		w.look(n, id, before)
	}
}

// tolerable are the answers of a system that is not the only one that writes a stream, and
// whatever one says that has crashed: nobody hears it.
func (n *node) tolerable(err error) bool {
	return n.crashed.Load() || err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound)
}

func (w *world) send(n *node, id string, c command) error {
	ctx, cancel := n.during(w.t.Context())
	defer cancel()
	_, err := n.sender.Execute(ctx, id, c)
	if !n.tolerable(err) {
		w.t.Errorf("%T: %v", c, err)
	}
	return err
}

// look reads a stream in every way that there is. A node that has crashed meanwhile answers nobody.
func (w *world) look(n *node, id string, before []string) {
	ctx, cancel := n.during(w.t.Context())
	defer cancel()
	w.lookAtView(before)
	clean := func(what, text string) {
		if !n.crashed.Load() {
			w.clean(what, text, before)
		}
	}
	if s, err := n.system.Read(ctx, stream(id), true); n.tolerable(err) {
		clean("the live state", fmt.Sprint(s.Value))
	} else if !errors.Is(err, store.ErrUnavailable) { // it lost a race too often
		w.t.Errorf("read: %v", err)
	}
	s, err := n.system.State(ctx, stream(id), actor.At{})
	if !n.tolerable(err) {
		w.t.Errorf("state: %v", err)
	}
	clean("the state", fmt.Sprint(s.Value))
	for e, err := range n.system.History(ctx, stream(id), 0) {
		if err != nil && !n.crashed.Load() {
			w.t.Errorf("history: %v", err)
		}
		clean("history", fmt.Sprint(e.Data))
	}
	for c, err := range n.log.Read(ctx, stream(id), store.Head{}) {
		if err != nil {
			if !n.crashed.Load() {
				w.t.Errorf("read the log: %v", err)
			}
			break
		}
		for _, m := range c.Commands {
			clean("a kept command", string(m.Data))
		}
	}
	if snap, err := n.snaps.Load(ctx, stream(id)); n.tolerable(err) && snap != nil {
		clean("a snapshot", string(snap.State))
	} else if !n.tolerable(err) {
		w.t.Errorf("snapshot: %v", err)
	}
}

func (w *world) deadNow() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.dead)
}

func (w *world) clean(what, text string, dead []string) {
	for _, name := range dead {
		if strings.Contains(text, name) {
			w.t.Errorf("%s has %s, who was forgotten: %s", what, name, text)
			return
		}
	}
}

func (w *world) forgetSome(times int) {
	d := w.office.dice
	for range times {
		d.pause(400 * time.Millisecond)
		w.forgetOne(&w.people[d.below(people)], d.below(3))
	}
}

// crashSome has nodes crash.
func (w *world) crashSome(ctx context.Context, times int) {
	for range times {
		w.office.dice.pause(400 * time.Millisecond)
		w.office.crash(ctx, w.t, w.office.dice.below(nodes))
	}
}

// forgetOne forgets a person: simply, twice at once, or after having given up half way.
func (w *world) forgetOne(p *person, how int) {
	w.enter(p, everybody) // who joins meanwhile would be somebody new
	defer p.turns.Release(everybody)
	defer w.office.tally.forgetting()()
	switch how {
	case 1:
		defer w.office.tally.during("the same forgotten twice at once")()
		var other sync.WaitGroup
		other.Go(func() { w.forget(w.t.Context(), p, true) })
		defer other.Wait()
	case 2:
		defer w.office.tally.during("forgotten after it was broken off")()
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Duration(1+w.office.dice.below(20))*time.Millisecond)
		defer cancel()
		w.forget(ctx, p, false)
	}
	w.forget(w.t.Context(), p, true)
	var gone []string
	p.names.Range(func(name, _ any) bool { gone = append(gone, name.(string)); return true })
	p.names.Clear()
	w.mu.Lock()
	w.dead = append(w.dead, gone...)
	dead := slices.Clone(w.dead)
	w.mu.Unlock()
	for i := range streams {
		for _, n := range w.office.all() {
			w.look(n, fmt.Sprintf("roster-%d", i), dead)
		}
	}
}

func (w *world) forget(ctx context.Context, p *person, must bool) {
	_, err := w.office.forget.Forget(ctx, privacy.Request{Subject: p.id, By: "officer", Why: "asked"})
	if err != nil && must {
		w.t.Errorf("forget %s: %v", p.id, err)
	}
}

// checkAll looks at what is left when all is over.
func (w *world) checkAll() {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	o := w.office
	fresh := o.newNode(ctx, w.t)
	w.checkView()
	var everything strings.Builder
	for i := range streams {
		id := fmt.Sprintf("roster-%d", i)
		for _, n := range append(o.all(), fresh) {
			w.look(n, id, w.deadNow())
			if _, err := n.sender.Execute(ctx, id, tick{}); err != nil {
				w.t.Errorf("%s does not serve any more: %v", id, err)
			}
		}
		for e, err := range fresh.system.History(ctx, stream(id), 0) {
			if err != nil {
				w.t.Fatal(err)
			}
			fmt.Fprint(&everything, e.Data)
		}
		w.nothingInPlain(id)
	}
	for i := range w.people {
		w.people[i].names.Range(func(name, acknowledged any) bool {
			if acknowledged.(bool) && !strings.Contains(everything.String(), name.(string)) {
				w.t.Errorf("%s was not forgotten and is not there", name)
			}
			return true
		})
	}
	for line := range strings.Lines(o.logged.String()) {
		if strings.Contains(line, "<person-") || strings.Contains(line, "not saved") && !strings.Contains(line, errCrashed.Error()) {
			w.t.Errorf("logged: %s", line)
		}
	}
}

// nothingInPlain looks at the bytes below.
func (w *world) nothingInPlain(id string) {
	ctx, m := w.t.Context(), w.office.memory
	const name = "<person-"
	for c, err := range m.Read(ctx, stream(id), store.Head{}) {
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range c.Events {
			if strings.Contains(string(e.Data), name) {
				w.t.Errorf("event in plain: %q", e.Data)
			}
		}
		for _, k := range c.Commands {
			if strings.Contains(string(k.Data), name) {
				w.t.Errorf("command in plain: %q", k.Data)
			}
		}
	}
	if snap, err := m.Load(ctx, stream(id)); err == nil && strings.Contains(string(snap.State), name) {
		w.t.Errorf("snapshot in plain: %q", snap.State)
	}
}
