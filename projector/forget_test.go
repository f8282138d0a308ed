package projector_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// A forgotten person's fields are gone from documents that were written before, also
// from those that a worker has in memory; everybody else's stay.
func TestAForgottenPersonIsGoneFromDocuments(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		g := w.group(t, projector.Config{Projections: []projector.Definition{cards("cards"), told("told")}})
		running(t, g)
		w.append("golf", joined{Owner: "ann", Name: mark("ann", 1), Tags: []string{mark("ann", 2)}}, joined{Owner: "bob", Name: mark("bob", 1)})
		last := w.append("golf", met{Host: "ann", Guest: "bob", Words: []words{{"ann", mark("ann", 3)}, {"bob", mark("bob", 2)}}})
		if c, text := cardOf(t, g, "cards", "ann", last); c.Name != mark("ann", 1) || c.Tags[0] != mark("ann", 2) || strings.Contains(text, "annals:") {
			t.Errorf("before: %s", text)
		}
		notice := w.forget("ann")
		for _, view := range []string{"cards", "told"} {
			for key, text := range listed(t, g, view, notice) {
				if holdsMark(text, "ann") {
					t.Errorf("%s has document %s: %s", view, key, text)
				}
			}
			if c, text := cardOf(t, g, view, "bob", 0); c.Name != mark("bob", 1) {
				t.Errorf("%s: bob is %s", view, text)
			}
		}
		golf, _ := cardOf(t, g, "told", "golf", notice)
		if len(golf.Told) != 1 || golf.Told[0] != "ann" || len(golf.Said) != 2 {
			t.Errorf("told of golf: %+v", golf)
		}
		// The worker goes on with what it has, and a new life has a new key.
		last = w.append("golf", cleaned{Rooms: 2}, joined{Owner: "ann", Name: mark("ann", 9)})
		golf, text := cardOf(t, g, "cards", "golf", last)
		if golf.Rooms != 2 || len(golf.Said) != 5 || golf.Said[4].Text != mark("ann", 9) || golf.Said[0].Text != "" || golf.Said[3].Text != mark("bob", 2) {
			t.Errorf("golf goes on as %s", text)
		}
	})
}

// Models that are built after a forgetting have what the old one has, by their own
// comparison and by that with the log; and the past is as the view is.
func TestRebuildsAfterForgettingAreTheSame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		registry := &projector.MemoryRegistry{}
		g := w.group(t, projector.Config{Projections: []projector.Definition{cards("cards"), told("told")}, Registry: registry})
		running(t, g)
		var last store.Position
		for i := range 30 {
			who := []string{"ann", "bob", "cid"}[i%3]
			last = w.append("club"+who, joined{Owner: who, Name: mark(who, i)}, met{Words: []words{{"ann", mark("ann", i)}, {who, mark(who, i)}}})
		}
		if err := g.WaitAll(soon(t), last, "cards", "told"); err != nil {
			t.Fatal(err)
		}
		notice := w.forget("ann")
		last = w.append("clubbob", cleaned{Rooms: 1})
		for _, view := range []string{"cards", "told"} {
			before := listed(t, g, view, max(notice, last))
			v, err := g.Verify(soon(t), view, true)
			if err != nil || v.Documents.Differences != 0 || v.Documents.Compared == 0 {
				t.Errorf("verified %s: %+v, %v", view, v.Documents, err)
			}
			past, err := g.GetAt(soon(t), view, "clubbob", projector.Moment{Position: last - 1})
			if err != nil || holdsMark(string(past.Document), "ann") || !holdsMark(string(past.Document), "bob") {
				t.Errorf("the past of %s is %s, %v", view, past.Document, err)
			}
			if _, err := g.Rebuild(soon(t), view, projector.Rebuild{Online: true, Parity: -1, Switch: true}); err != nil {
				t.Fatal(err)
			}
			for {
				e, _, err := registry.Load(soon(t), view)
				if err != nil {
					t.Fatal(err)
				}
				if e.Live.Build == 1 && e.Parity != nil {
					if e.Parity.Differences != 0 || e.Parity.Compared < uint64(len(before)) {
						t.Errorf("parity of %s: %+v", view, e.Parity)
					}
					break
				}
				if e.Parity != nil && e.Parity.Differences > 0 {
					t.Fatalf("parity of %s: %+v", view, e.Parity)
				}
				time.Sleep(time.Second)
			}
			for key, text := range listed(t, g, view, last) {
				if holdsMark(text, "ann") || len(before[key]) == 0 {
					t.Errorf("rebuilt %s has document %s: %s", view, key, text)
				}
			}
		}
	})
}

// What could keep personal data for ever is refused before anything runs.
func TestDefinitionsThatKeepPersonalDataAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	plain := func(name string) projector.Documents[club, total] {
		return projector.Documents[club, total]{
			Name: name, Types: []string{"club"}, Events: clubs,
			Keys: func(e store.Recorded[club]) []string { return []string{e.Stream.ID} },
			Fold: func(_ string, d total, _ store.Recorded[club]) total { d.Count++; return d },
		}
	}
	untagged, said, only, indexed, fine := plain("untagged"), plain("said"), plain("only"), cards("indexed"), cards("fine")
	said.Impersonal = true
	only.Only = []string{"cleaned"}
	indexed.Indexes = []string{"said.text"}
	fine.Indexes = []string{"owner", "said.who"}
	tables := projector.Tables[club]{
		Name: "tables", Types: []string{"club"}, Events: clubs, Tables: []string{"CREATE TABLE t (a text)"},
		Apply: func(context.Context, *sql.Tx, store.Recorded[club]) error { return nil },
	}
	harmless := tables
	harmless.Impersonal = true
	for _, c := range []struct {
		what string
		def  projector.Definition
		says string // empty: it is taken
	}{
		{"documents without tags", untagged, "no personal tags"},
		{"documents that say so", said, ""},
		{"documents of other events", only, ""},
		{"an index on a personal field", indexed, "index"},
		{"other indexes", fine, ""},
		{"tables without handler", tables, "Forgotten"},
		{"tables that say so", harmless, ""},
	} {
		_, err := projector.NewGroup(projector.Config{Log: w.log, Store: &projector.Memory{}, Keyring: w.ring, Projections: []projector.Definition{c.def}})
		if (err == nil) != (c.says == "") || err != nil && (!errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	_, err := projector.NewGroup(projector.Config{Log: w.log, Store: &projector.Memory{}, Projections: []projector.Definition{cards("cards")}})
	if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "Keyring") {
		t.Errorf("without a keyring: %v", err)
	}
}

// A store below is never given something personal in plain, not even by mistake.
func TestStoresRefusePersonalDataInPlain(t *testing.T) {
	t.Parallel()
	v, err := (&projector.Memory{}).Open(t.Context(), projector.Layout{Model: projector.Model{View: "v", Version: 1}})
	if err != nil {
		t.Fatal(err)
	}
	doc := projector.Document{Key: "k", Document: []byte(`{"a":"b"}`), Personal: []store.Personal{{Path: "a", Start: 5, End: 8}}}
	if _, err := v.Commit(t.Context(), projector.Write{Documents: []projector.Document{doc}}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("stored: %v", err)
	}
}

// Who waits for a notice to be handled is answered by the view like by any event, and a
// reaction is told as well.
func TestReactionsAreToldOnceAndInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var heard []string
		r := projector.Reaction[club]{
			Name: "mails", Types: []string{"club"}, Events: clubs,
			React: func(_ context.Context, e store.Recorded[club]) error {
				if data, ok := e.Data.(joined); ok {
					heard = append(heard, data.Owner+" "+data.Name)
				}
				return nil
			},
			Forgotten: func(_ context.Context, n privacy.Notice) error {
				heard = append(heard, "forgotten "+n.Subject)
				return nil
			},
		}
		g := w.group(t, projector.Config{Projections: []projector.Definition{r}})
		w.append("golf", joined{Owner: "ann", Name: mark("ann", 1)}, joined{Owner: "bob", Name: mark("bob", 1)})
		notice := w.forget("ann")
		running(t, g)
		if err := g.Wait(soon(t), "mails", notice); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(heard, ", "); got != "ann , bob "+mark("bob", 1)+", forgotten ann" {
			t.Errorf("heard %q", got)
		}
	})
}

// A node that has not heard of an erasure writes nothing that can be read afterwards: what
// it has in memory is sealed under the key that it came in with, which is gone, and never under
// a new one.
func TestWhoHasNotHeardOfAnErasureBringsNothingBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		g := w.group(t, projector.Config{Projections: []projector.Definition{cards("cards")}})
		running(t, g)
		last := w.append("golf", joined{Owner: "ann", Name: mark("ann", 1)}, joined{Owner: "bob", Name: mark("bob", 1)})
		if c, text := cardOf(t, g, "cards", "golf", last); len(c.Said) != 2 {
			t.Fatalf("golf is %s", text)
		}
		time.Sleep(2 * time.Minute) // what the keyring holds is not fresh any more
		elsewhere := privacy.ForgetterConfig{
			Keys: w.keys, Purge: func(context.Context, string) error { return nil },
			Notice: func(context.Context, privacy.Erasure, string) (store.Position, error) { return 1, nil },
		}
		f, err := privacy.NewForgetter(elsewhere)
		if err == nil {
			_, err = f.Forget(t.Context(), privacy.Request{Subject: "ann"})
		}
		if err != nil {
			t.Fatal(err)
		}
		last = w.append("golf", cleaned{Rooms: 3})
		c, text := cardOf(t, g, "cards", "golf", last)
		if holdsMark(text, "ann") || c.Rooms != 3 || len(c.Said) != 2 || c.Said[1].Text != mark("bob", 1) {
			t.Errorf("golf is %s", text)
		}
		record, err := w.keys.Load(t.Context(), "ann")
		if err != nil || record.Key != (store.KeyID{}) {
			t.Errorf("ann has a key again: %+v, %v", record, err)
		}
	})
}

// A notice that concerns more documents than a page, or a commit, has takes effect once on
// each of them, whatever commits are lost or torn meanwhile.
func TestANoticeForManyDocumentsTakesEffectOnce(t *testing.T) {
	t.Parallel()
	someSeeds(t, max(1, *seeds/5), func(t *testing.T, r *rand.Rand) {
		w, luck := newWorld(t), newDice(r)
		memory := &projector.Memory{}
		faulty := &faults{Store: memory, memory: memory, dice: luck, onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
			if luck.IntN(3) > 0 {
				return none
			}
			return []fault{lost, torn, unheard}[luck.IntN(3)]
		}}
		v := told("told")
		v.Workers = 1 + r.IntN(2)
		const many = 2100
		var es []club
		for i := range many {
			es = append(es, joined{Owner: "ann", Name: mark("ann", i)}, cleaned{Rooms: 1})
			if len(es) == 2*35 {
				for _, e := range es {
					w.append(fmt.Sprintf("golf%d", i), e)
				}
				es = nil
			}
		}
		for i := range many {
			w.append(fmt.Sprintf("club%d", i), joined{Owner: "ann", Name: mark("ann", i)})
		}
		g := w.group(t, projector.Config{Projections: []projector.Definition{v}, Store: &unmarked{Store: faulty, t: t}})
		running(t, g)
		if err := g.Wait(soon(t), "told", 1); err != nil {
			t.Fatal(err)
		}
		notice := w.forget("ann")
		if err := g.Wait(soon(t), "told", notice); err != nil {
			t.Fatal(err)
		}
		docs := listed(t, g, "told", notice)
		if len(docs) < many {
			t.Errorf("%d documents, want %d", len(docs), many)
		}
		for key, text := range docs {
			if strings.Count(text, `"ann"`) != strings.Count(text, `"who":"ann"`)+strings.Count(text, `"owner":"ann"`)+1 {
				t.Errorf("document %s is %s", key, text)
			}
		}
	})
}

// Forgetting waits for who is amidst a handler, and no longer than it may.
func TestForgetWaitsForHandlersInItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		inside, release := make(chan struct{}), make(chan struct{})
		r := projector.Reaction[club]{
			Name: "mails", Types: []string{"club"}, Events: clubs,
			React: func(context.Context, store.Recorded[club]) error {
				close(inside)
				<-release
				return nil
			},
		}
		g := w.group(t, projector.Config{Projections: []projector.Definition{r}})
		running(t, g)
		w.append("golf", joined{Owner: "ann", Name: mark("ann", 1)})
		<-inside
		record, err := w.keys.Load(t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		keys := []store.KeyRef{{Subject: "ann", ID: record.Key}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.Forget(ctx, keys); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while a handler has the event: %v", err)
		}
		close(release)
		if err := g.Forget(soon(t), keys); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// greeting is a view that makes values of its own for persons: from what is theirs, and for whoever
// is named by a meeting.
func greeting(name string) projector.Documents[club, card] {
	v := cards(name)
	v.Fold = func(key string, d card, e store.Recorded[club]) card {
		switch data := e.Data.(type) {
		case joined:
			if key == data.Owner {
				d.Owner, d.Name = data.Owner, "Dear "+data.Name
			}
		case cleaned:
			if data.Rooms > 100 {
				d.Owner, d.Name = "stranger", "Dear stranger"
			}
			d.Rooms += data.Rooms
		}
		return d
	}
	return v
}

func TestAViewThatIsBuiltAgainMakesNoKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.append("golf", joined{Owner: "ann", Name: mark("ann", 1)}, joined{Owner: "bob", Name: mark("bob", 1)})
		notice := w.forget("ann")
		last := w.append("chess", cleaned{Rooms: 1000}) // parks
		g := w.group(t, projector.Config{Projections: []projector.Definition{greeting("greetings")}})
		running(t, g)
		if c, text := cardOf(t, g, "greetings", "ann", max(notice, last)); c.Owner != "ann" || c.Name != "" {
			t.Errorf("ann is %s", text)
		}
		if c, text := cardOf(t, g, "greetings", "bob", 0); c.Name != "Dear "+mark("bob", 1) {
			t.Errorf("bob is %s", text)
		}
		for _, subject := range []string{"ann", "stranger"} {
			if r, err := w.keys.Load(t.Context(), subject); err != nil || r.Key != (store.KeyID{}) {
				t.Errorf("%s has a key: %v, %v", subject, r.Key, err)
			}
		}
		letters, err := g.DeadLetters(soon(t), "greetings")
		if err != nil || len(letters) != 1 || letters[0].Stream.ID != "chess" {
			t.Errorf("dead letters: %+v, %v", letters, err)
		}
	})
}

// grubby is a store whose views answer a request to be cleaned with one error after the other.
type grubby struct {
	projector.Store
	mu      sync.Mutex
	answers []error
	asked   []string // by when and how it was asked
	began   time.Time
}

func (g *grubby) Open(ctx context.Context, layout projector.Layout) (projector.View, error) {
	v, err := g.Store.Open(ctx, layout)
	return &grubbyView{View: v, store: g}, err
}

type grubbyView struct {
	projector.View
	store *grubby
}

func (v *grubbyView) Scrub(_ context.Context, goesOn bool) error {
	err := v.store.answer(goesOn)
	if err != nil {
		time.Sleep(3 * time.Second) // it takes a while, and that is waited for ten times as long
	}
	return err
}

func (g *grubby) answer(goesOn bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, fmt.Sprint(time.Since(g.began).Round(time.Second), " ", goesOn))
	if len(g.answers) == 0 {
		return nil
	}
	err := g.answers[0]
	g.answers = g.answers[1:]
	return err
}

// A store that cannot be cleaned is asked again after a while, to go on; one that did all it can is
// not. Either is told once, and stands in the status until it is over.
func TestStoreThatCannotBeCleaned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, out := newWorld(t), &logged{}
		busy := fmt.Errorf("%w: a transaction is open", store.ErrUnavailable)
		g := &grubby{Store: &projector.Memory{}, began: time.Now(), answers: []error{busy, busy, projector.ErrRemains, nil}}
		group := w.group(t, projector.Config{
			Store: g, Logger: out.logger(), Projections: []projector.Definition{told("told")},
		})
		running(t, group)
		wants := func(uncleaned string, asked ...string) {
			t.Helper()
			g.mu.Lock()
			defer g.mu.Unlock()
			if diff := cmp.Diff(asked, g.asked); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			if got := statusOf(t, group, "told").Uncleaned; got != uncleaned {
				t.Errorf("not cleaned: %q, want %q", got, uncleaned)
			}
		}
		time.Sleep(30 * time.Second)
		wants(busy.Error(), "0s false")
		time.Sleep(time.Hour)
		wants(projector.ErrRemains.Error(), "0s false", "33s true", "1m6s true")
		w.append("golf", joined{Owner: "ann", Name: "Ann"})
		last := w.forget("ann")
		if err := group.WaitAll(soon(t), last, "told"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		wants("", "0s false", "33s true", "1m6s true", "1h0m30s false")
		for text, times := range map[string]int{"a transaction is open": 1, "remains in part": 1} {
			if n := strings.Count(out.String(), text); n != times {
				t.Errorf("%q is logged %d times, want %d:\n%s", text, n, times, out)
			}
		}
	})
}
