package application_test

import (
	"errors"
	"fmt"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	. "github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/store"
)

func TestOutcome(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		given events
		want  Outcome
	}{
		{none, OutcomeOpen},
		{returned, OutcomeOpen},
		{approved, OutcomeOpen},
		{approved.then(Activated{}), OutcomeActivated},
		{returned.then(Activated{}, Registered{}), OutcomeActivated},
		{declined, OutcomeDeclined},
		{cancelled, OutcomeCancelled},
	} {
		if got := state(c.given).Outcome(); got != c.want {
			t.Errorf("outcome after %T is %q, want %q", c.given, got, c.want)
		}
	}
}

// TestRandomHistories sends random commands and holds the domain to what the
// library asks of it: Decide is deterministic and changes nothing, Evolve does
// not change the older state, no command leads to more than one event, no is
// always said in the domain's own words, and a state that went through a
// snapshot decides as one that did not.
func TestRandomHistories(t *testing.T) {
	t.Parallel()
	commands := rapid.SampledFrom(allCommands(By{Employee: "112"}))
	items := rapid.SampledFrom([]string{leads, "W_Nabellen offertes", "", "a\nb"})
	rapid.Check(t, func(t *rapid.T) {
		var a Application
		// Beginning with submit lets more of the random commands be accepted.
		if rapid.Bool().Draw(t, "submitted") {
			a = a.Evolve(Submitted{Amount: 10})
		}
		for i := range rapid.IntRange(0, 60).Draw(t, "commands") {
			c := commands.Draw(t, fmt.Sprint(i))
			switch work := c.(type) {
			case ScheduleWork:
				work.Item = items.Draw(t, "item")
				c = work
			case StartWork:
				work.Item = items.Draw(t, "item")
				c = work
			}
			a = step(t, a, c)
		}
	})
}

func step(t *rapid.T, a Application, c Command) Application {
	before := fingerprint(t, a)
	decided, err := a.Decide(c)
	again, errAgain := fromSnapshot(t, a).Decide(c)
	if fingerprint(t, a) != before {
		t.Fatalf("Decide of %T changed the state", c)
	}
	if d := cmp.Diff(decided, again, cmpopts.EquateComparable(store.Shredded{})); d != "" || !errors.Is(errAgain, err) {
		t.Fatalf("Decide of %T after a snapshot: %v instead of %v, events %s", c, errAgain, err, d)
	}
	if err != nil {
		_, byReason := errors.AsType[Rejection](err)
		_, byStatus := errors.AsType[StatusError](err)
		if !byReason && !byStatus || len(decided) > 0 {
			t.Fatalf("Decide of %T: error %v, events %v", c, err, decided)
		}
		return a
	}
	if len(decided) != 1 {
		t.Fatalf("Decide of %T led to %d events, want 1", c, len(decided))
	}
	next := a.Evolve(decided[0])
	if fingerprint(t, a) != before {
		t.Fatalf("Evolve of %T changed the older state", decided[0])
	}
	if a.Outcome() != OutcomeOpen && next.Outcome() != a.Outcome() {
		t.Fatalf("%T took a final outcome, %s, to %s", decided[0], a.Outcome(), next.Outcome())
	}
	return next
}

// TestEvolveTakesAnything: Evolve never fails, whatever the order of events.
func TestEvolveTakesAnything(t *testing.T) {
	t.Parallel()
	names := rapid.SampledFrom(Applications.Events.Names())
	rapid.Check(t, func(t *rapid.T) {
		var a Application
		for _, name := range rapid.SliceOf(names).Draw(t, "events") {
			e, err := Applications.Events.Decode(store.JSON, name, 1, []byte(`{}`))
			if err != nil {
				t.Fatal(err)
			}
			a = a.Evolve(e)
		}
	})
}

// TestStateIsSmall: a million applications are to fit in memory.
func TestStateIsSmall(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(Application{}); size > 104 {
		t.Errorf("a state takes %d bytes before its work items, want at most 104", size)
	}
}

func fromSnapshot(t *rapid.T, a Application) Application {
	var back Application
	if err := store.MsgPack.Unmarshal([]byte(fingerprint(t, a)), &back, true); err != nil {
		t.Fatal(err)
	}
	return back
}

func fingerprint(t *rapid.T, a Application) string {
	data, err := store.MsgPack.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
