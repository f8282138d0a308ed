package projector_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// What older builds stored of clubs: before anything was tagged, and tagged in part.
type (
	enteredV1 struct {
		Owner string `json:"owner"`
		Name  string `json:"name"`
	}
	enteredV2 struct {
		Owner string   `json:"owner"`
		Name  string   `json:"name" personal:"owner"`
		Tags  []string `json:"tags,omitempty"`
	}
)

var olderClubs = store.NewTypes(map[string]club{"joined": joined{}, "met": met{}, "cleaned": cleaned{}},
	store.Upcast("joined", 1, func(e enteredV1) enteredV2 { return enteredV2{Owner: e.Owner, Name: e.Name} }),
	store.Upcast("joined", 2, func(e enteredV2) joined { return joined(e) }))

// An edit in the place of an event of an older schema, whose type does not say what is
// personal, is refused where it would be kept in plain, and taken where it would not.
func TestEditsOfOlderSchemas(t *testing.T) {
	t.Parallel()
	spans := func(paths ...string) []string { return paths }
	for _, c := range []struct {
		name   string
		schema int
		stored string
		sealed []string // what is personal in it
		edit   string
		taken  bool
	}{
		{"no tag then, plain data", 1, `{"owner":"ann","name":"MARK-1"}`, nil, `{"owner":"ann","name":"MARK-2"}`, false},
		{"no tag in the type, sealed data", 1, `{"owner":"ann","name":"MARK-1"}`, spans("name"), `{"owner":"ann","name":"MARK-2"}`, false},
		{"nothing personal is left", 1, `{"owner":"ann","name":"MARK-1"}`, nil, `{"owner":"ann","name":""}`, true},
		{"tagged", 2, `{"owner":"ann","name":"MARK-1"}`, spans("name"), `{"owner":"ann","name":"MARK-2"}`, true},
		{"tagged in part", 2, `{"owner":"ann","name":"MARK-1"}`, spans("name"), `{"owner":"ann","name":"MARK-2","tags":["MARK-3"]}`, false},
		{"tagged in part, sealed data", 2, `{"owner":"ann","name":"MARK-1","tags":["MARK-1"]}`, spans("name", "tags[0]"), `{"owner":"ann","name":"MARK-2"}`, false},
		{"today's", 3, `{"owner":"ann","name":"MARK-1"}`, spans("name"), `{"owner":"ann","name":"MARK-2","tags":["MARK-3"]}`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, healed, kept := newWorld(t), &atomic.Bool{}, &projector.Memory{}
				v := illCards("cards", "ann", false, healed)
				v.Events = olderClubs
				g := w.group(t, projector.Config{Projections: []projector.Definition{v}, Store: &unmarked{Store: kept, t: t}})
				running(t, g)
				last := w.store(store.StreamID{Type: "club", ID: "golf"}, storedAs(t, w.log.Codec(), c.schema, c.stored, c.sealed))
				if err := g.Wait(soon(t), "cards", last); err != nil {
					t.Fatal(err)
				}
				l := onlyLetter(t, g, "cards")
				err := g.Edit(soon(t), "cards", l.ID, 1, json.RawMessage(c.edit), "olive")
				if !c.taken && (!errors.Is(err, store.ErrInvalid) || strings.Contains(err.Error(), marks)) || c.taken && err != nil {
					t.Errorf("edited: %v", err)
				}
				if got := onlyLetter(t, g, "cards"); (got.Edited != nil) != c.taken {
					t.Errorf("it is edited to %s", got.Edited)
				}
			})
		})
	}
}

// storedAs is an event as an older build made it of a JSON object, with personal data at
// the paths of it.
func storedAs(t *testing.T, codec store.Codec, schema int, object string, paths []string) store.Event {
	t.Helper()
	var values map[string]any
	if err := json.Unmarshal([]byte(object), &values); err != nil {
		t.Fatal(err)
	}
	data, err := codec.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	e := store.Event{Type: "joined", Schema: schema, Data: data}
	at := strings.Index(string(data), "name")
	for _, path := range paths {
		value, err := codec.Marshal("MARK-1")
		if err != nil {
			t.Fatal(err)
		}
		if path != "name" {
			at = strings.Index(string(data), "tags")
		}
		begin := at + strings.Index(string(data[at:]), string(value))
		e.Personal = append(e.Personal, store.Personal{Path: path, Start: begin, End: begin + len(value), Subject: "ann"})
	}
	if len(e.Personal) != len(paths) {
		t.Fatal(fmt.Sprint("spans of ", object, ": ", e.Personal))
	}
	return e
}
