package projector_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// tardy is a store that takes a while for each commit, and a person who was told of is out when
// the commit is stored. It writes down in which order that and the cleaning happen.
type tardy struct {
	*tableStore
	ill  func() error  // what the handler answers; nil: nothing ails it
	more time.Duration // that each commit takes

	mu        sync.Mutex
	telling   []string // of whom the handler was told in the commit that is under way
	happened  []string
	uncleaned func() string // what the status says
	dirty     bool          // somebody is out, and no cleaning that began since has ended
	hung      bool          // cleaning does not end before it is told to
}

func (s *tardy) Open(ctx context.Context, layout projector.Layout) (projector.View, error) {
	v, err := s.tableStore.Open(ctx, layout)
	if err != nil {
		return nil, err
	}
	return &tardyView{tableView: v.(*tableView), store: s}, nil
}

func (s *tardy) forgotten(subject string) error {
	if s.ill != nil {
		if err := s.ill(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.telling = append(s.telling, subject)
	return nil
}

func (s *tardy) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.happened = append(s.happened, what)
}

// history is what happened since it was asked the last time.
func (s *tardy) history() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.happened
	s.happened = nil
	return was
}

type tardyView struct {
	*tableView
	store *tardy
}

func (v *tardyView) Commit(ctx context.Context, w projector.Write) (projector.Checkpoint, error) {
	time.Sleep(20*time.Millisecond + v.store.more)
	c, err := v.tableView.Commit(ctx, w)
	s := v.store
	s.mu.Lock()
	told := s.telling
	s.telling = nil
	s.mu.Unlock()
	if err != nil || len(told) == 0 {
		return c, err
	}
	for _, who := range told {
		s.note(who + " is out")
		s.dirty = true
	}
	if s.uncleaned() == "" {
		s.note("the status says that files are clean")
	}
	return c, err
}

func (v *tardyView) Scrub(ctx context.Context, _ bool) error {
	s := v.store
	s.note("cleaned")
	if s.hung {
		<-ctx.Done()
	}
	time.Sleep(50 * time.Millisecond)
	if s.dirty && s.uncleaned() == "" {
		s.note("the status says that files are clean before they are")
	}
	if ctx.Err() == nil {
		s.dirty = false
	}
	return ctx.Err()
}

// members is a view of tables, or of documents, that is told of who was forgotten.
func (s *tardy) members(tables bool) projector.Definition {
	if !tables {
		v := told("members")
		below := v.Forgotten
		v.Forgotten = func(key string, d card, n privacy.Notice) card {
			if err := s.forgotten(n.Subject); err != nil {
				panic(err)
			}
			return below(key, d, n)
		}
		return v
	}
	return projector.Tables[club]{
		Name: "members", Types: []string{"club"}, Events: clubs, Tables: []string{"create table members (who text)"},
		Apply: func(_ context.Context, _ *sql.Tx, e store.Recorded[club]) error {
			s.add(e.Stream.ID, e.Type)
			return nil
		},
		Forgotten: func(_ context.Context, _ *sql.Tx, n privacy.Notice) error { return s.forgotten(n.Subject) },
	}
}

// running runs the view and has the store ask for its status.
func (s *tardy) running(t *testing.T, w *world, tables bool) (*projector.Group, func()) {
	t.Helper()
	g := w.group(t, projector.Config{Store: s, Attempts: 3, Projections: []projector.Definition{s.members(tables)}})
	s.uncleaned = func() string { return statusOf(t, g, "members").Uncleaned }
	return g, running(t, g)
}

// load has others be written all the time, until it is told to end.
func (w *world) load() (end func()) {
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-time.After(4 * time.Millisecond): // of which several wait for each write
				w.append(fmt.Sprint("load", n), cleaned{Rooms: n})
			}
		}
	}()
	return func() { close(stop); <-ended }
}

// cleanedAfter wants the last that happened to be a cleaning after the person was taken out.
func (s *tardy) cleanedAfter(t *testing.T, who string) {
	t.Helper()
	time.Sleep(5 * time.Second)
	h := s.history()
	out := slices.Index(h, who+" is out")
	if out < 0 || !slices.Contains(h[out:], "cleaned") {
		t.Errorf("it happened that %q: no cleaning after %s is out", h, who)
	}
	for _, what := range h {
		if what != "cleaned" && what != who+" is out" {
			t.Error(what)
		}
	}
	if why := s.uncleaned(); why != "" {
		t.Errorf("status after cleaning: %s", why)
	}
}

// Under load, when writes are put off, files are cleaned after a person was taken out of
// them, and until then the status says that they are not clean.
func TestFilesAreCleanedAfterTheForgottenAreOut(t *testing.T) {
	t.Parallel()
	errIll := errors.New("ill")
	for name, c := range map[string]struct {
		tables bool
		fails  int  // so often, one after the other, when it is told of somebody
		parks  bool // the notice is, and is retried by hand
	}{
		"tables":                        {tables: true},
		"documents":                     {},
		"tables, alone":                 {tables: true, fails: 1},
		"tables, alone, more than once": {tables: true, fails: 2},
		"documents, after a failure":    {fails: 1},
		"tables, late":                  {tables: true, fails: 4, parks: true},
		"documents, late":               {fails: 4, parks: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, s := newWorld(t), &tardy{tableStore: newTableStore()}
				fails := 0
				s.ill = func() error {
					if fails == 0 {
						return nil
					}
					fails--
					return errIll
				}
				g, _ := s.running(t, w, c.tables)
				people := []string{"ann", "bob", "cid", "dan", "eve"}
				var last store.Position
				for _, who := range people {
					last = w.append("golf", joined{Owner: who, Name: mark(who, 1)})
				}
				if err := g.Wait(soon(t), "members", last); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				s.history()
				defer w.load()()
				for i, who := range people {
					time.Sleep(time.Second + time.Duration(7*i)*time.Millisecond)
					fails = c.fails
					w.forget(who)
					if c.parks {
						retryOnly(t, g, &fails)
					}
					s.cleanedAfter(t, who)
				}
			})
		})
	}
}

// retryOnly waits for the letter and has it applied, with nothing that ails the handler.
func retryOnly(t *testing.T, g *projector.Group, fails *int) {
	t.Helper()
	time.Sleep(10 * time.Second)
	l := onlyLetter(t, g, "members")
	*fails = 0
	if l, err := g.Retry(soon(t), "members", l.ID); err != nil || l.ID != "" {
		t.Fatalf("retried: %+v, %v", l, err)
	}
}

// Where there is not room for all in one write, the notice in the last of them, which is put
// off again, is cleaned after as well.
func TestFilesAreCleanedAfterWritesInParts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := newWorld(t), &tardy{tableStore: newTableStore(), more: 2 * time.Second}
		g, _ := s.running(t, w, true)
		for n := range 6 { // so slow that fewer and fewer are written at once
			last := w.append("golf", joined{Owner: "ann", Name: mark("ann", n)})
			if err := g.Wait(soon(t), "members", last); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		s.history()
		for range 5 {
			w.append("golf", cleaned{Rooms: 1})
		}
		n := privacy.NoticeOf("ann", privacy.Erasure{ID: uuid.New(), At: time.Now().UTC()})
		event, err := n.Event(w.log.Codec(), 0)
		if err != nil {
			t.Fatal(err)
		}
		w.store(n.Stream(), event)
		time.Sleep(time.Minute)
		s.cleanedAfter(t, "ann")
	})
}

// Who comes after one that ended between taking somebody out and cleaning does the cleaning,
// and says until then that it is not known to be done.
func TestCleaningIsMadeUpForAfterACrash(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := newWorld(t), &tardy{tableStore: newTableStore()}
		s.hung = true
		_, stop := s.running(t, w, true)
		w.append("golf", joined{Owner: "ann", Name: mark("ann", 1)})
		time.Sleep(time.Second)
		s.history()
		w.forget("ann")
		time.Sleep(time.Second)
		stop()
		if h := s.history(); slices.Contains(h, "cleaned") && !slices.Contains(h, "ann is out") {
			t.Fatalf("it happened that %q", h)
		}
		s.hung = false
		s.running(t, w, true)
		time.Sleep(30 * time.Millisecond)
		if why := s.uncleaned(); why == "" {
			t.Error("status before cleaning: clean")
		}
		time.Sleep(time.Second)
		if h := s.history(); !slices.Equal(h, []string{"cleaned"}) {
			t.Errorf("it happened that %q", h)
		}
		if why := s.uncleaned(); why != "" {
			t.Errorf("status after cleaning: %s", why)
		}
	})
}
