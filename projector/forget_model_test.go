package projector_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// lethe is a run of everything that may happen around forgettings, and what must hold.
type lethe struct {
	*world
	t        *testing.T
	dice     *dice
	registry *projector.MemoryRegistry
	log      *logged
	ill      atomic.Bool // handlers fail at some events

	acting sync.Mutex // held until what was marked is in the log
	lives  sync.Mutex
	marked map[string]int // the last mark of each person; guarded by acting
	dead   map[string]int // those up to this one are to be gone
}

var people = []string{"ann", "bob", "cid", "dee"}

func (d *lethe) views() []projector.Definition {
	a, b := cards("cards"), told("told")
	for _, v := range []*projector.Documents[club, card]{&a, &b} {
		fold := v.Fold
		v.Fold = func(key string, c card, e store.Recorded[club]) card {
			if d.ill.Load() && e.Position%7 == 3 && e.Position%2 == 1 {
				panic(fmt.Sprintf("cannot bear %v with %v", e.Data, c))
			}
			return fold(key, c, e)
		}
	}
	b.Workers = 2
	return []projector.Definition{a, b}
}

// mark makes a new mark of a person, for who acts.
func (d *lethe) mark(who string) string {
	d.marked[who]++
	return mark(who, d.marked[who])
}

func (d *lethe) act() {
	d.acting.Lock()
	defer d.acting.Unlock()
	who, club := people[d.dice.IntN(len(people))], fmt.Sprintf("club%d", d.dice.IntN(5))
	switch d.dice.IntN(3) {
	case 0:
		d.append(club, joined{Owner: who, Name: d.mark(who), Tags: []string{d.mark(who)}})
	case 1:
		other := people[d.dice.IntN(len(people))]
		d.append(club, met{Host: who, Guest: other, Words: []words{{who, d.mark(who)}, {other, d.mark(other)}}})
	default:
		d.append(club, cleaned{Rooms: 1}, joined{Owner: who, Name: d.mark(who)})
	}
}

// forgets forgets a person; whatever was marked before is dead when it returns.
func (d *lethe) forgets(who string) store.Position {
	d.acting.Lock()
	upTo := d.marked[who]
	d.acting.Unlock()
	notice := d.forget(who)
	d.lives.Lock()
	d.dead[who] = max(d.dead[who], upTo)
	d.lives.Unlock()
	return notice
}

// died returns what is to be gone by now: it is asked before the answer that is looked at.
func (d *lethe) died() map[string]int {
	d.lives.Lock()
	defer d.lives.Unlock()
	return maps.Clone(d.dead)
}

// look fails the test if a text has a mark that was to be gone.
func (d *lethe) look(what, text string, died map[string]int) {
	for at := range len(text) {
		var who string
		var n int
		if _, err := fmt.Sscanf(text[at:min(len(text), at+40)], marks+"%3s-%d", &who, &n); err == nil && n <= died[who] {
			d.t.Errorf("%s tells %s%s-%d, all up to %d are forgotten: %s", what, marks, who, n, died[who], text)
		}
	}
}

// ask looks at all that a group answers.
func (d *lethe) ask(g *projector.Group, view string) {
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Second)
	defer cancel()
	died := d.died()
	for cursor, first := "", true; first || cursor != ""; first = false {
		page, next, err := g.List(ctx, view, cursor, 3, 0)
		if err != nil {
			return // it is just being opened, or switched
		}
		for _, doc := range page {
			d.look("list of "+view, string(doc.Document), died)
		}
		cursor = next
	}
	key := append(slices.Clone(people), "club1", "club2")[d.dice.IntN(6)]
	tip, _ := d.log2().Tip(ctx)
	if past, err := g.GetAt(ctx, view, key, projector.Moment{Position: max(1, tip-store.Position(d.dice.IntN(20)))}); err == nil {
		d.look("past of "+view, string(past.Document), died)
	}
	letters, err := g.DeadLetters(ctx, view)
	if err != nil {
		return
	}
	for _, l := range letters {
		text, _ := json.Marshal(l)
		d.look("letter of "+view, string(text), died)
		events, err := g.LetterEvents(ctx, view, l.ID, 3)
		if err != nil || len(events) == 0 {
			continue
		}
		text, _ = json.Marshal(events)
		d.look("events of a letter of "+view, string(text), died)
		switch d.dice.IntN(4) {
		case 0: // the same data again: sealed beside the letter
			_ = g.Edit(ctx, view, l.ID, events[0].At, events[0].Data, "olive")
		case 1:
			_, _ = g.Retry(ctx, view, l.ID)
		}
	}
}

func (d *lethe) log2() store.Log { return d.world.log }

// watch follows a view for ever and looks at what comes.
func (d *lethe) watch(ctx context.Context, g *projector.Group, view string) {
	for ctx.Err() == nil {
		died := d.died()
		for doc, err := range g.Watch(ctx, view, projector.Watch{}) {
			if err != nil {
				break
			}
			d.look("watch of "+view, string(doc.Document), died)
			died = d.died()
		}
		linger(ctx, 10*time.Millisecond)
	}
}

func linger(ctx context.Context, t time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(t):
	}
}

// Forgettings race appends, rebuilds, retries, edits, torn commits and restarts: what is
// stored never has anything in plain, no answer has what was forgotten before it was asked for, and in the
// end nothing is stuck and nobody else has lost anything.
func TestForgettingHoldsWhateverHappens(t *testing.T) {
	t.Parallel()
	someSeeds(t, max(1, *seeds/5), playLethe)
}

func playLethe(t *testing.T, r *rand.Rand) {
	d := &lethe{world: newWorld(t), t: t, dice: newDice(r), registry: &projector.MemoryRegistry{}, log: &logged{}, marked: map[string]int{}, dead: map[string]int{}}
	d.ill.Store(true)
	memory := &projector.Memory{}
	calm := atomic.Bool{}
	faulty := &faults{Store: memory, memory: memory, dice: d.dice, onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
		if calm.Load() || d.dice.IntN(12) > 0 {
			return none
		}
		return []fault{lost, torn, unheard}[d.dice.IntN(3)]
	}}
	keyring, stopKeyring := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() { _ = d.ring.Run(keyring) })
	defer following.Wait()
	defer stopKeyring()
	begin := func() (*projector.Group, func()) {
		d.groups = func() []*projector.Group { return nil }
		g := d.group(t, projector.Config{
			Projections: d.views(), Store: &unmarked{Store: faulty, t: t}, Registry: d.registry, Logger: d.log.logger(),
			CachedDocuments: 1 + d.dice.IntN(10), FlushEvery: time.Duration(1+d.dice.IntN(50)) * time.Millisecond, BatchCommits: 1 + d.dice.IntN(20),
		})
		return g, running(t, g)
	}
	g, stop := begin()
	for range 4 {
		ctx, cancel := context.WithCancel(t.Context())
		var busy sync.WaitGroup
		for _, view := range []string{"cards", "told"} {
			busy.Go(func() { d.watch(ctx, g, view) })
			busy.Go(func() {
				for range 20 {
					d.ask(g, view)
					linger(ctx, time.Duration(d.dice.IntN(30))*time.Millisecond)
				}
			})
		}
		busy.Go(func() {
			for range 60 {
				d.act()
				linger(ctx, time.Duration(d.dice.IntN(20))*time.Millisecond)
			}
		})
		busy.Go(func() {
			for range 3 {
				linger(ctx, time.Duration(d.dice.IntN(400))*time.Millisecond)
				d.forgets(people[d.dice.IntN(len(people))])
			}
		})
		if view := []string{"cards", "told"}[d.dice.IntN(2)]; d.dice.IntN(2) == 0 {
			_, err := g.Rebuild(t.Context(), view, projector.Rebuild{Online: true, Switch: true})
			if err != nil && !errors.Is(err, projector.ErrCandidate) && !errors.Is(err, store.ErrUnavailable) {
				t.Error(err)
			}
		}
		linger(ctx, 3*time.Second)
		if d.dice.IntN(3) == 0 {
			stop()
			g, stop = begin()
		}
		cancel()
		busy.Wait()
	}
	calm.Store(true)
	d.settle(g)
	stop()
}

// settle heals all, and sees that nothing is stuck and nobody else has lost anything.
func (d *lethe) settle(g *projector.Group) {
	t := d.t
	d.ill.Store(false)
	last := d.append("club1", cleaned{Rooms: 1})
	for _, who := range people[:2] {
		last = d.forgets(who)
	}
	for _, view := range []string{"cards", "told"} {
		for {
			if err := g.Wait(soon(t), view, last); err != nil {
				t.Fatal(err)
			}
			letters, err := g.DeadLetters(soon(t), view)
			if err != nil {
				t.Fatal(err)
			}
			if len(letters) == 0 {
				break
			}
			for _, l := range letters {
				if _, err := g.Retry(soon(t), view, l.ID); err != nil && !errors.Is(err, projector.ErrUnfinished) && !errors.Is(err, projector.ErrNoLetter) {
					t.Fatalf("retry %+v: %v", l, err)
				}
			}
		}
		d.ask(g, view)
	}
	for key, want := range d.expected() {
		if got, text := cardOf(t, g, "cards", key, last); cmp.Diff(want, got) != "" {
			t.Errorf("document %s is %s, want (-want +got):\n%s", key, text, cmp.Diff(want, got))
		}
	}
	if holdsAnything(d.log.String()) {
		t.Errorf("logged: %s", d.log)
	}
	for _, view := range []string{"cards", "told"} {
		e, _, err := d.registry.Load(soon(t), view)
		if text, _ := json.Marshal(e); err != nil || holdsAnything(string(text)) {
			t.Errorf("registry: %s, %v", text, err)
		}
	}
}

func holdsAnything(text string) bool {
	return slices.ContainsFunc(people, func(who string) bool { return holdsMark(text, who) })
}

// expected folds the log as it can be read now, for the clubs: each has one stream.
func (d *lethe) expected() map[string]card {
	v, docs := cards("expected"), map[string]card{}
	for e := range recorded(d.t, d.world.log, "club") {
		data, err := clubs.Decode(d.world.log.Codec(), e.Type, e.Schema, e.Data)
		if err != nil {
			d.t.Fatal(err)
		}
		typed := store.WithData(e, data)
		docs[e.Stream.ID] = v.Fold(e.Stream.ID, docs[e.Stream.ID], typed)
	}
	return docs
}
