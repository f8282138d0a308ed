package actor_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// A diary has pages that are about persons.
type (
	diaryCommand interface{ isDiaryCommand() }
	diaryEvent   interface{ isDiaryEvent() }
	noteDown     struct {
		Text string `json:"text" personal:"@id"`
	}
	noted struct {
		By   string  `json:"by"`
		Text string  `json:"text" personal:"@id"`
		Met  []guest `json:"met"`
		Day  int     `json:"day"`
	}
	guest struct {
		ID    int64    `json:"id"`
		Name  string   `json:"name" personal:"id"`
		Mails []string `json:"mails,omitempty" personal:"id"`
	}
)

func (noteDown) isDiaryCommand() {}
func (noted) isDiaryEvent()      {}

var diaries = actor.Aggregate[int, diaryCommand, diaryEvent]{
	Type: "diary",
	Decide: func(days int, c diaryCommand) ([]diaryEvent, error) {
		return []diaryEvent{noted{By: "me", Text: c.(noteDown).Text, Day: days + 1}}, nil
	},
	Evolve:   func(days int, _ diaryEvent) int { return days + 1 },
	Commands: store.NewTypes(map[string]diaryCommand{"note-down": noteDown{}}),
	Events:   store.NewTypes(map[string]diaryEvent{"noted": noted{}}),
}

func TestTypesSayWhatIsPersonal(t *testing.T) {
	t.Parallel()
	m, err := actor.NewModel(diaries, store.MsgPack)
	if err != nil {
		t.Fatal(err)
	}
	want := []actor.Type{{Name: "noted", Schema: 1, Fields: []actor.Field{
		{Name: "by", Type: "string"},
		{Name: "text", Type: "string", Personal: "of @id"},
		{Name: "met", Type: "[]actor_test.guest", Personal: "[].mails of id, [].name of id"},
		{Name: "day", Type: "int"},
	}}}
	if diff := cmp.Diff(want, m.Types(actor.EventType)); diff != "" {
		t.Errorf("the types of events (-want +got):\n%s", diff)
	}
}

// On a log that seals nothing no personal data are stored: the command fails, and says why.
func TestPersonalDataNeedALogThatSeals(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{false, true} {
		log := store.NewMemory(store.MemoryConfig{})
		system, err := actor.NewSystem(actor.Config{Log: log, Aggregates: []actor.Definition{diaries}, KeepCommands: keep})
		if err != nil {
			t.Fatal(err)
		}
		_, err = actor.For(system, diaries).Execute(t.Context(), "ann", noteDown{Text: "dear diary"})
		if !errors.Is(err, store.ErrInvalid) {
			t.Errorf("keeping commands %v: %v, want it invalid", keep, err)
		}
		if _, err := actor.For(system, diaries).Execute(t.Context(), "ann", noteDown{}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("keeping commands %v, an empty text of somebody: %v, want it invalid", keep, err)
		}
	}
}
