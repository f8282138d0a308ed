package privacy_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// namesake is a document about a person, from all rosters.
type namesake struct {
	Person string   `json:"person"`
	Names  []string `json:"names" personal:"person"`
}

const (
	viewName = "namesakes"
	// maxNames bounds a document.
	maxNames = 20
)

var namesakes = projector.Documents[event, namesake]{
	Name: viewName, Types: []string{rosters.Type}, Events: rosters.Events,
	Keys: func(e store.Recorded[event]) []string {
		switch d := e.Data.(type) {
		case joined:
			return []string{d.Person}
		case greeted:
			return []string{d.Person}
		case recited:
			var all []string
			for _, p := range d.Present {
				all = append(all, p.Person)
			}
			return all
		case ticked:
		}
		return nil
	},
	Fold: func(key string, n namesake, e store.Recorded[event]) namesake {
		n.Person = key
		switch d := e.Data.(type) {
		case joined:
			n.Names = append(n.Names, d.Name)
		case greeted:
			n.Names = append(n.Names, d.Text)
		case recited:
			for _, p := range d.Present {
				if p.Person == key {
					n.Names = append(n.Names, p.Names...)
				}
			}
		case ticked:
		}
		n.Names = n.Names[max(0, len(n.Names)-maxNames):]
		return n
	},
}

// gallery is a node that has the view, and nothing else.
type gallery struct {
	ring  *privacy.Keyring
	group *projector.Group
}

func (o *office) newGallery(t *testing.T) *gallery {
	t.Helper()
	ring, err := privacy.NewKeyring(privacy.KeyringConfig{Keys: o.keys, Wrapper: o.wrapper, Logger: o.logger()})
	if err != nil {
		t.Fatal(err)
	}
	group, err := projector.NewGroup(projector.Config{
		Log: privacy.NewLog(o.memory, ring), Keyring: ring, Store: &projector.Memory{}, Projections: []projector.Definition{namesakes},
		Logger: o.logger(), FlushEvery: 20 * time.Millisecond, CachedDocuments: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &gallery{ring, group}
}

func (g *gallery) purge(ctx context.Context, subject string, erased []store.KeyRef) error {
	if err := g.ring.Purge(ctx, subject); err != nil {
		return err
	}
	return g.group.Forget(ctx, erased)
}

// rebuildSome has the view built again, in turn beside the live one and in its place.
func (w *world) rebuildSome(times int) {
	g, ctx := w.office.gallery.group, w.t.Context()
	for i := range times {
		w.office.dice.pause(400 * time.Millisecond)
		what := []string{"rebuild beside", "rebuild in place"}[i%2]
		ended := w.office.tally.during(what)
		_, err := g.Rebuild(ctx, viewName, projector.Rebuild{Online: i%2 == 0, Switch: i%2 == 0})
		if errors.Is(err, projector.ErrCandidate) || errors.Is(err, store.ErrUnavailable) {
			continue
		}
		if err != nil {
			w.t.Errorf("%s: %v", what, err)
			continue
		}
		w.office.dice.pause(50 * time.Millisecond)
		ended()
	}
}

// lookAtView looks at all documents, unless the view is just being opened.
func (w *world) lookAtView(dead []string) (found int) {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
	defer cancel()
	docs, _, err := w.office.gallery.group.List(ctx, viewName, "", people+1, 0)
	if err != nil && !errors.Is(err, store.ErrUnavailable) && ctx.Err() == nil {
		w.t.Errorf("list of the view: %v", err)
	}
	for _, d := range docs {
		w.clean("a document", string(d.Document), dead)
	}
	return len(docs)
}

// checkView waits until the view has everything.
func (w *world) checkView() {
	tip, err := w.office.memory.Tip(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if err := w.office.gallery.group.Wait(ctx, viewName, tip); err != nil {
		w.t.Errorf("the view is stuck: %v", err)
	}
	if w.lookAtView(w.deadNow()) == 0 {
		w.t.Error("the view has no documents")
	}
	for _, s := range w.office.gallery.group.Status(ctx) {
		if s.Parked > 0 || s.Error != "" {
			w.t.Errorf("the view is %+v", s)
		}
	}
}
