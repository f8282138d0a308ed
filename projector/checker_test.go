package projector_test

import (
	"errors"
	"testing"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// A checker fails where the view would, and nowhere else.
func TestChecker(t *testing.T) {
	t.Parallel()
	view := balances
	view.Only = []string{"deposited"}
	view.Skip = []projector.SkipEvent{{Stream: store.StreamID{Type: "account", ID: "bad"}, Version: 3, Reason: "a planted one"}}
	c, err := projector.NewChecker(view, store.JSON)
	if err != nil || c.Name() != "balances" {
		t.Fatalf("%v, %v", c, err)
	}
	event := func(typ, id string, version uint64, name, data string) store.Recorded[[]byte] {
		return store.Recorded[[]byte]{Stream: store.StreamID{Type: typ, ID: id}, Version: version, Type: name, Schema: 1, Data: []byte(data)}
	}
	for name, test := range map[string]struct {
		event store.Recorded[[]byte]
		want  error
	}{
		"one that it reads":      {event("account", "a", 1, "deposited", `{"cents":1}`), nil},
		"one that it cannot":     {event("account", "a", 2, "deposited", `{"cents":"one"}`), store.ErrInvalid},
		"another schema":         {store.Recorded[[]byte]{Stream: store.StreamID{Type: "account", ID: "a"}, Type: "deposited", Schema: 9}, store.ErrUnknownType},
		"skipped":                {event("account", "bad", 3, "deposited", `{"cents":"one"}`), nil},
		"beside the skipped":     {event("account", "bad", 4, "deposited", `{"cents":"one"}`), store.ErrInvalid},
		"a type it leaves out":   {event("account", "a", 3, "closed", `?`), nil},
		"of another aggregate":   {event("card", "a", 1, "deposited", `?`), nil},
		"not even a value":       {event("account", "a", 4, "deposited", `{`), store.ErrInvalid},
		"nothing in it, lenient": {event("account", "a", 5, "deposited", `{"more":true}`), nil},
	} {
		if err := c.Check(test.event); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	view.Name = ""
	if _, err := projector.NewChecker(view, store.JSON); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a view without a name: %v", err)
	}
}
