package actortest

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/annals-go/annals/store"
)

// Forgotten returns an event as it is read once these data subjects were forgotten, or
// all of them if none is named: their personal fields have zero values, and a field of
// type [store.Shredded] says which. Data of the stream's own subject, tagged
// personal:"@id", are named by "@id".
//
//	actortest.For(t, Accounts).
//		Given(actortest.Forgotten(Opened{Owner: "7", Name: "Ann"})).
//		When(Rename{…}).
//
// It panics if there is nothing in the event to forget: the specification would say
// nothing.
func Forgotten[E any](event E, subjects ...string) E {
	data, err := store.MsgPack.Marshal(event)
	if err != nil {
		panic(fmt.Sprintf("forgotten %T: %v", event, err))
	}
	spans, err := store.PersonalSpans(store.MsgPack, event, data)
	if err != nil {
		panic(fmt.Sprintf("forgotten %T: %v", event, err))
	}
	spans = slices.DeleteFunc(spans, func(p store.Personal) bool {
		subject := p.Subject
		if subject == "" {
			subject = "@id"
		}
		return len(subjects) > 0 && !slices.Contains(subjects, subject)
	})
	if len(spans) == 0 {
		panic(fmt.Sprintf("forgotten %T: nothing in it is personal, or of %q", event, subjects))
	}
	left, err := store.ReplaceSpans(store.MsgPack, data, spans, func(int, []byte) ([]byte, error) { return nil, nil })
	read := reflect.New(reflect.TypeOf(event))
	if err == nil {
		err = store.MsgPack.Unmarshal(left, read.Interface(), false)
	}
	if err != nil {
		panic(fmt.Sprintf("forgotten %T: %v", event, err))
	}
	return read.Elem().Interface().(E)
}
