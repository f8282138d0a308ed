package people_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/canary/people"
)

// Whatever field is added to the details is personal, or is known to be none.
func TestDetailsArePersonal(t *testing.T) {
	t.Parallel()
	fields, err := store.PersonalFields(reflect.TypeFor[people.Entry]())
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(fields, "\n") + "\n"
	for _, want := range []string{"name", "address.street", "phones[].number", "rooms[].number", "labels", "aliases", "photo", "number"} {
		if !strings.Contains(all, "details."+want+" of ") {
			t.Errorf("%s is not personal; these are:\n%s", want, all)
		}
	}
	if n := reflect.TypeFor[people.Details]().NumField(); n != 8 {
		t.Errorf("there are %d fields: is the new one personal?", n)
	}
}

func TestConfirmCopiesTheState(t *testing.T) {
	t.Parallel()
	p := people.Person{}.Evolve(people.Registered{Details: people.Details{Name: "a"}}).Evolve(people.Renamed{Name: "b"})
	events, err := p.Decide(people.Confirm{})
	if err != nil || !reflect.DeepEqual(events, []people.Event{people.Confirmed{Name: "b", Names: []string{"b"}}}) {
		t.Errorf("%+v, %v", events, err)
	}
	if _, err := p.Decide(people.Refuse{}); err == nil {
		t.Error("nothing is refused")
	}
}
