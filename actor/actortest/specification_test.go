package actortest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/actor/actortest"
	"github.com/annals-go/annals/store"
)

type (
	command interface{ isCommand() }
	event   interface{ isEvent() }

	set     struct{ Value int }
	forget  struct{ note string } // a field that does not survive being sent
	mutate  struct{}
	unnamed struct{}
	wasSet  struct{ Value int }
	stray   struct{} // missing from the table of wire names
	lossy   struct{ note string }
)

func (set) isCommand()     {}
func (forget) isCommand()  {}
func (mutate) isCommand()  {}
func (unnamed) isCommand() {}
func (wasSet) isEvent()    {}
func (stray) isEvent()     {}
func (lossy) isEvent()     {}

var errZero = errors.New("zero is not a value")

type register struct{ Values []int }

var registers = actor.Aggregate[register, command, event]{
	Type: "register",
	Decide: func(r register, c command) ([]event, error) {
		switch c := c.(type) {
		case set:
			switch {
			case c.Value == 0:
				return nil, errZero
			case c.Value == -1:
				return []event{stray{}}, nil
			case c.Value == -2:
				return []event{lossy{note: "lost"}}, nil
			case c.Value == -3:
				return []event{wasSet{}}, errZero
			case len(r.Values) > 0 && r.Values[len(r.Values)-1] == c.Value:
				return nil, nil
			}
			return []event{wasSet(c)}, nil
		case mutate:
			r.Values[0]++
		}
		return nil, nil
	},
	Evolve: func(r register, e event) register {
		if e, ok := e.(wasSet); ok {
			r.Values = append(r.Values, e.Value)
		}
		return r
	},
	Commands: store.NewTypes(map[string]command{"set": set{}, "forget": forget{}, "mutate": mutate{}}),
	Events: store.NewTypes(map[string]event{"was-set": wasSet{}, "lossy": lossy{}},
		store.Split("was-set-to-both", 1, func(b wasSetToBoth) []event { return []event{wasSet{b.First}, wasSet{b.Then}} })),
}

// wasSetToBoth was one event once.
type wasSetToBoth struct{ First, Then int }

type specification = actortest.Specification[register, command, event]

func TestSpecificationThatHolds(t *testing.T) {
	t.Parallel()
	actortest.For(t, registers).When(set{1}).Then(wasSet{1})
	actortest.For(t, registers).When(set{0}).ThenError(errZero)
	actortest.For(t, registers).Given(wasSet{1}).When(set{1}).ThenNothing()
	actortest.For(t, registers).Given(wasSet{1}).When(set{2}).Then(wasSet{2}).
		When(set{2}).ThenNothing().
		ThenState(register{Values: []int{1, 2}})
	actortest.For(t, registers).GivenStored("was-set-to-both", 1, `{"First":1,"Then":2}`).When(set{2}).ThenNothing().
		ThenState(register{Values: []int{1, 2}})
}

// A specification that cannot fail proves nothing: each of these must.
func TestSpecificationThatFails(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		run  func(*specification)
		want string
	}{
		"other events":               {func(s *specification) { s.When(set{1}).Then(wasSet{2}) }, "events (-want +got)"},
		"an event too many":          {func(s *specification) { s.When(set{1}).ThenNothing() }, "want neither"},
		"rejected":                   {func(s *specification) { s.When(set{0}).Then(wasSet{0}) }, "rejected: zero is not a value"},
		"not rejected":               {func(s *specification) { s.When(set{1}).ThenError(errZero) }, "want the rejection"},
		"another state":              {func(s *specification) { s.When(set{1}).ThenState(register{}) }, "state (-want +got)"},
		"Then without When":          {func(s *specification) { s.Given(wasSet{1}).Then(wasSet{1}) }, "a Then without a When"},
		"event without a name":       {func(s *specification) { s.When(set{-1}) }, "stray"},
		"given event without a name": {func(s *specification) { s.Given(stray{}) }, "stray"},
		"stored event unknown":       {func(s *specification) { s.GivenStored("was-set", 2, `{}`) }, `unknown event type "was-set" in schema version 2`},
		"event that loses a field":   {func(s *specification) { s.When(set{-2}) }, "is another after being stored"},
		"command that loses a field": {func(s *specification) { s.When(forget{note: "lost"}) }, "is another after being sent"},
		"command without a name":     {func(s *specification) { s.When(unnamed{}) }, "unnamed"},
		"events and an error":        {func(s *specification) { s.When(set{-3}) }, "both events"},
		"Decide changes the state":   {func(s *specification) { s.Given(wasSet{1}).When(mutate{}) }, "Decide changed the state"},
	}
	for name, test := range tests {
		if got := failureOf(test.run); !strings.Contains(got, test.want) {
			t.Errorf("%s: failed with %q, want %q in it", name, got, test.want)
		}
	}
}

// recorder is a test that ends by a panic with what it was told.
type recorder struct{ testing.TB }

type failure string

func (recorder) Helper()                           {}
func (recorder) Fatalf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }
func (recorder) Fatal(args ...any)                 { panic(failure(fmt.Sprint(args...))) }

func failureOf(run func(*specification)) (text string) {
	defer func() {
		if f, ok := recover().(failure); ok {
			text = string(f)
		}
	}()
	run(actortest.For(recorder{}, registers))
	return "no failure"
}
