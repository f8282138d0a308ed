package projector_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// The domain of the tests of privacy: clubs, whose members leave marks.
type club interface{ isClub() }

type joined struct {
	Owner string   `json:"owner"`
	Name  string   `json:"name" personal:"owner"`
	Tags  []string `json:"tags,omitempty" personal:"owner"`
}

type met struct {
	Host  string         `json:"host"`
	Guest string         `json:"guest"`
	Gone  store.Shredded `json:"-"`
	Words []words        `json:"words"`
}

type words struct {
	Who  string `json:"who"`
	Text string `json:"text" personal:"who"`
}

type cleaned struct {
	Rooms int `json:"rooms"`
}

func (joined) isClub()  {}
func (met) isClub()     {}
func (cleaned) isClub() {}

var clubs = store.NewTypes(map[string]club{"joined": joined{}, "met": met{}, "cleaned": cleaned{}})

// card is what a view knows of a member or of a club.
type card struct {
	Owner string   `json:"owner,omitempty"`
	Name  string   `json:"name,omitempty" personal:"owner"`
	Tags  []string `json:"tags,omitempty" personal:"owner"`
	Said  []words  `json:"said,omitempty"`
	Rooms int      `json:"rooms"`
	Told  []string `json:"told,omitempty"`
}

// marks begin what is personal in the tests. No encoding of other data has the hyphen.
const marks = "MARK-"

// cards has a document for each club, and one for each member who joined.
func cards(name string) projector.Documents[club, card] {
	return projector.Documents[club, card]{
		Name: name, Types: []string{"club"}, Events: clubs,
		Keys: func(e store.Recorded[club]) []string {
			if data, ok := e.Data.(joined); ok {
				return []string{e.Stream.ID, data.Owner}
			}
			return []string{e.Stream.ID}
		},
		Fold: func(key string, d card, e store.Recorded[club]) card {
			switch data := e.Data.(type) {
			case joined:
				if key == data.Owner {
					d.Owner, d.Name, d.Tags = data.Owner, data.Name, data.Tags
				} else {
					d.Said = append(d.Said, words{Who: data.Owner, Text: data.Name})
				}
			case met:
				d.Said = append(d.Said, data.Words...)
			case cleaned:
				d.Rooms += data.Rooms
			}
			if n := len(d.Said); n > 6 {
				d.Said = d.Said[n-6:]
			}
			return d
		},
	}
}

// told is cards with a handler, which writes down who was forgotten and takes out what is
// left of them.
func told(name string) projector.Documents[club, card] {
	v := cards(name)
	v.Forgotten = func(_ string, d card, n privacy.Notice) card {
		d.Told = append(d.Told, n.Subject)
		d.Said = slices.DeleteFunc(d.Said, func(w words) bool { return w.Who == n.Subject && w.Text == "" })
		return d
	}
	return v
}

// world is a log whose personal data are sealed, and what forgets them.
type world struct {
	t      testing.TB
	keys   *privacy.Memory
	ring   *privacy.Keyring
	memory *store.Memory
	log    *privacy.Log
	groups func() []*projector.Group

	mu    sync.Mutex
	heads map[store.StreamID]store.Head
}

func newWorld(t testing.TB) *world {
	t.Helper()
	path := t.TempDir() + "/keys"
	if err := privacy.GenerateFile(path, "first"); err != nil {
		t.Fatal(err)
	}
	file, err := privacy.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, keys: privacy.NewMemory(), memory: store.NewMemory(store.MemoryConfig{}), heads: map[store.StreamID]store.Head{}}
	w.ring, err = privacy.NewKeyring(privacy.KeyringConfig{Keys: w.keys, Wrapper: file})
	if err != nil {
		t.Fatal(err)
	}
	w.log = privacy.NewLog(w.memory, w.ring)
	w.groups = func() []*projector.Group { return nil }
	return w
}

func (w *world) group(t testing.TB, cfg projector.Config) *projector.Group {
	t.Helper()
	cfg.Log, cfg.Keyring = w.log, w.ring
	if cfg.Store == nil {
		cfg.Store = &unmarked{Store: &projector.Memory{}, t: t}
	}
	g := newGroup(t, cfg)
	before := w.groups
	w.groups = func() []*projector.Group { return append(before(), g) }
	return g
}

func (w *world) append(stream string, es ...club) store.Position {
	w.t.Helper()
	stored := make([]store.Event, len(es))
	for i, e := range es {
		encoded, err := clubs.Encode(w.log.Codec(), e)
		if err != nil {
			w.t.Fatal(err)
		}
		stored[i] = encoded.Event(0)
	}
	return w.store(store.StreamID{Type: "club", ID: stream}, stored...)
}

func (w *world) store(stream store.StreamID, es ...store.Event) store.Position {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &store.Commit{
		Stream: stream, ID: uuid.New(), After: w.heads[stream], Time: time.Now().UTC().Truncate(time.Microsecond),
		Commands: []store.Command{{ID: uuid.NewString(), Name: "test"}}, Events: es,
	}
	head, err := w.log.Append(context.Background(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.heads[stream] = head
	return store.PositionOf(head.Sequence, len(es)-1)
}

// forget forgets a person, and returns where the notice is.
func (w *world) forget(subject string) store.Position {
	w.t.Helper()
	f, err := privacy.NewForgetter(privacy.ForgetterConfig{
		Keys: w.keys,
		Purge: func(ctx context.Context, subject string) error {
			if err := w.ring.Purge(ctx, subject); err != nil {
				return err
			}
			record, err := w.keys.Load(ctx, subject)
			if err != nil {
				return err
			}
			var refs []store.KeyRef
			for _, e := range record.Erased {
				refs = append(refs, store.KeyRef{Subject: subject, ID: e.Key})
			}
			for _, g := range w.groups() {
				if err := g.Forget(ctx, refs); err != nil {
					return err
				}
			}
			return nil
		},
		Notice: func(_ context.Context, e privacy.Erasure, subject string) (store.Position, error) {
			n := privacy.NoticeOf(subject, e)
			event, err := n.Event(w.log.Codec(), 0)
			if err != nil {
				return 0, err
			}
			return w.store(n.Stream(), event), nil
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	receipt, err := f.Forget(ctx, privacy.Request{Subject: subject, By: "test", Why: "asked", ID: uuid.New()})
	if err != nil {
		w.t.Fatal(err)
	}
	return receipt.Notice
}

// unmarked is a store that fails the test when something personal is stored in plain.
type unmarked struct {
	projector.Store
	t testing.TB
}

func (u *unmarked) Open(ctx context.Context, layout projector.Layout) (projector.View, error) {
	v, err := u.Store.Open(ctx, layout)
	return &unmarkedView{View: v, t: u.t}, err
}

type unmarkedView struct {
	projector.View
	t testing.TB
}

func (v *unmarkedView) Commit(ctx context.Context, w projector.Write) (projector.Checkpoint, error) {
	for _, d := range w.Documents {
		if bytes.Contains(d.Document, []byte(marks)) {
			v.t.Errorf("document %q is stored as %s", d.Key, d.Document)
		}
	}
	for _, n := range w.Notes {
		if bytes.Contains(n.Value, []byte(marks)) {
			v.t.Errorf("note %q is stored as %s", n.Key, n.Value)
		}
	}
	return v.View.Commit(ctx, w)
}

func cardOf(t testing.TB, g *projector.Group, view, key string, min store.Position) (card, string) {
	t.Helper()
	d, err := g.Get(soon(t), view, key, min)
	if err != nil {
		t.Fatal(err)
	}
	var c card
	if err := json.Unmarshal(d.Document, &c); err != nil {
		t.Fatal(err)
	}
	return c, string(d.Document)
}

// listed are all documents of a view, as text.
func listed(t testing.TB, g *projector.Group, view string, min store.Position) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, d := range documents(t, g, view, min) {
		texts[d.Key] = string(d.Document)
	}
	return texts
}

func mark(subject string, n int) string { return fmt.Sprintf("%s%s-%d", marks, subject, n) }

func holdsMark(text, subject string) bool { return strings.Contains(text, marks+subject+"-") }
