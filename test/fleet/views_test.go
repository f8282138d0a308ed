package fleet

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/fold"
)

// shelf holds documents by view.
type shelf map[string]map[string]projector.Document

func (s shelf) List(_ context.Context, view string, _ store.Position) iter.Seq2[projector.Document, error] {
	return func(yield func(projector.Document, error) bool) {
		if s[view] == nil {
			yield(projector.Document{}, errors.New("it has not come that far"))
			return
		}
		for _, d := range s[view] {
			if !yield(d, nil) {
				return
			}
		}
	}
}

func TestViews(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(s shelf)
		says  string
	}{
		{name: "all is well", spoil: func(shelf) {}},
		{"a document is missing", func(s shelf) { delete(s["applications"], "a") }, "no document a"},
		{"a document too many", func(s shelf) { s["applications"]["z"] = projector.Document{} }, "does not lead to"},
		{"at another position", func(s shelf) {
			d := s["applications"]["a"]
			d.Position++
			s["applications"]["a"] = d
		}, "at position"},
		{"with other contents", func(s shelf) {
			d := s["applications"]["a"]
			d.Document = []byte(`{"state":"declined"}`)
			s["applications"]["a"] = d
		}, "the log as"},
		{"behind for too long", func(s shelf) { delete(s, "outcomes") }, "not within"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := sound(t).book
			s := shelf{}
			all := fold.Loans()
			if err := fold.All(b.commits, all...); err != nil {
				t.Fatal(err)
			}
			for _, v := range all {
				docs, err := v.Documents()
				if err != nil {
					t.Fatal(err)
				}
				s[v.Name()] = docs
			}
			c.spoil(s)
			differences, err := Views(t.Context(), b, s, 100*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if (len(differences) > 0) != (c.says != "") || !strings.Contains(strings.Join(differences, "\n"), c.says) {
				t.Errorf("found %q, want something of %q", differences, c.says)
			}
		})
	}
}
