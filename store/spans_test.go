package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
)

type (
	guestV1 struct {
		Room string `json:"room"`
		Name string `json:"name,omitempty"`
	}
	guest struct {
		Room string `json:"room"`
		Name string `json:"name,omitempty" personal:"room"`
	}
)

func guests() store.Types[any] {
	return store.NewTypes(map[string]any{"came": guest{}},
		store.Upcast("came", 1, func(g guestV1) guest { return guest(g) }))
}

// What is personal in data that somebody else has written is found by the type, in whatever case it is named;
// where an older type has no tags, it is refused.
func TestSpans(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		schema int
		data   string
		want   string
		fails  bool
	}{
		{schema: 2, data: `{"room":"7","name":"Ann"}`, want: `"Ann"`},
		{schema: 2, data: `{"room":"7","NAME":"Ann"}`, want: `"Ann"`},
		{schema: 2, data: `{"room":"7"}`},
		{schema: 2, data: `{"name":"Ann"}`, fails: true},
		{schema: 2, data: `{"room":"7","name":{"annals:sealed":"AAAA"}}`, fails: true},
		{schema: 1, data: `{"room":"7"}`},
		{schema: 1, data: `{"room":"7","name":"Ann"}`, fails: true},
		{schema: 3, data: `{}`, fails: true},
	} {
		spans, err := guests().Spans(store.JSON, "came", c.schema, []byte(c.data))
		if c.fails {
			if !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrUnknownType) {
				t.Errorf("%s: error %v, spans %v", c.data, err, spans)
			}
			continue
		}
		var got strings.Builder
		for _, s := range spans {
			got.WriteString(c.data[s.Start:s.End])
		}
		if err != nil || got.String() != c.want {
			t.Errorf("%s: personal is %q, %v; want %q", c.data, got.String(), err, c.want)
		}
	}
}
