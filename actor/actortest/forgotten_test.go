package actortest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/actor/actortest"
	"github.com/annals-go/annals/store"
)

type (
	signed struct {
		Witness string         `json:"witness"`
		Name    string         `json:"name" personal:"@id"`
		Heard   []string       `json:"heard,omitempty" personal:"witness"`
		Gone    store.Shredded `json:"-"`
	}
	book struct {
		Names []string
		Gone  []string
	}
	countNames struct{}
)

func (signed) isEvent()       {}
func (countNames) isCommand() {}

var books = actor.Aggregate[book, command, event]{
	Type: "book",
	Decide: func(b book, _ command) ([]event, error) {
		if slices.Contains(b.Names, "") {
			return nil, errZero
		}
		return []event{wasSet{Value: len(b.Names)}}, nil
	},
	Evolve: func(b book, e event) book {
		if e, ok := e.(signed); ok {
			b.Names, b.Gone = append(b.Names, e.Name), append(b.Gone, e.Gone.Paths()...)
		}
		return b
	},
	Commands: store.NewTypes(map[string]command{"count": countNames{}}),
	Events:   store.NewTypes(map[string]event{"signed": signed{}, "was-set": wasSet{}}),
}

func TestForgotten(t *testing.T) {
	t.Parallel()
	whole := signed{Witness: "7", Name: "Ann", Heard: []string{"a", "b"}}
	for _, test := range []struct {
		subjects []string
		name     string
		heard    int
		gone     []string
	}{
		{nil, "", 0, []string{"name", "heard"}},
		{[]string{"@id"}, "", 2, []string{"name"}},
		{[]string{"7", "8"}, "Ann", 0, []string{"heard"}},
	} {
		got := actortest.Forgotten(whole, test.subjects...)
		if got.Witness != "7" || got.Name != test.name || len(got.Heard) != test.heard || !slices.Equal(got.Gone.Paths(), test.gone) {
			t.Errorf("without %q it is %+v", test.subjects, got)
		}
	}
	if whole.Name != "Ann" || whole.Gone.Any() {
		t.Errorf("the event itself became %+v", whole)
	}
	actortest.For(t, books).
		Given(whole, actortest.Forgotten(event(whole), "@id")).
		When(countNames{}).
		ThenError(errZero).
		ThenState(book{Names: []string{"Ann", ""}, Gone: []string{"name"}})
}

func TestForgottenNothing(t *testing.T) {
	t.Parallel()
	says := func(f func()) (text string) {
		defer func() { text = fmt.Sprint(recover()) }()
		f()
		return ""
	}
	for name, f := range map[string]func(){
		"nothing personal": func() { actortest.Forgotten(wasSet{Value: 1}) },
		"somebody else":    func() { actortest.Forgotten(signed{Name: "Ann"}, "8") },
		"no struct":        func() { actortest.Forgotten(7) },
	} {
		if got := says(f); !strings.Contains(got, "forgotten") {
			t.Errorf("%s: it says %q", name, got)
		}
	}
}
