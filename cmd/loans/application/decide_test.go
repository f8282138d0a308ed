package application_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/actor/actortest"
	. "github.com/annals-go/annals/cmd/loans/application"
)

// events is a history to begin from.
type events []Event

// then returns the history with more events behind it.
func (e events) then(more ...Event) events { return append(append(events{}, e...), more...) }

// Histories that the rules start from, each going on from an earlier one.
var (
	none        = events{}
	submitted   = none.then(Submitted{Amount: 15_000})
	partly      = submitted.then(PartlySubmitted{})
	preaccepted = partly.then(Preaccepted{})
	accepted    = preaccepted.then(Accepted{})
	finalized   = accepted.then(Finalized{})
	selected    = finalized.then(OfferSelected{})
	created     = selected.then(OfferCreated{})
	sent        = created.then(OfferSent{})
	returned    = sent.then(OfferReturned{})
	approved    = returned.then(Approved{})
	declined    = partly.then(Declined{Amount: 15_000})
	cancelled   = sent.then(Cancelled{Amount: 15_000})
	noOffer     = sent.then(OfferDeclined{})
	scheduled   = partly.then(WorkScheduled{Item: leads})
)

const leads = "W_Afhandelen leads"

func TestAccepts(t *testing.T) {
	t.Parallel()
	for _, rule := range []struct {
		name  string
		given events
		when  Command
		then  Event
	}{
		{"a customer asks for a loan", none, Submit{Amount: 15_000}, Submitted{Amount: 15_000}},
		{"without an amount yet", none, Submit{}, Submitted{}},
		{
			"somebody the bank knows", none,
			Submit{Customer: "c-7", Applicant: &Applicant{Name: "Ada", Email: "ada@example.org"}},
			Submitted{Customer: "c-7", Applicant: &Applicant{Name: "Ada", Email: "ada@example.org"}},
		},
		{"the form's first part", submitted, PartlySubmit{}, PartlySubmitted{}},
		{"a first yes", partly, Preaccept{}, Preaccepted{}},
		{"a second yes", preaccepted, Accept{}, Accepted{}},
		{"the talk ends before an offer is selected", accepted, Finalize{}, Finalized{}},
		{"or after", accepted.then(OfferSelected{}), Finalize{}, Finalized{}},

		{"an offer is selected", finalized, SelectOffer{}, OfferSelected{}},
		{"or before the talk ends", accepted, SelectOffer{}, OfferSelected{}},
		{"and created", selected, CreateOffer{}, OfferCreated{}},
		{"and sent", created, SendOffer{}, OfferSent{}},
		{"and sent back", sent, ReturnOffer{}, OfferReturned{}},
		{"and withdrawn", sent, CancelOffer{}, OfferCancelled{}},
		{"a returned one is withdrawn too", returned, CancelOffer{}, OfferCancelled{}},
		{"a replacement is selected while an offer is out", sent, SelectOffer{}, OfferSelected{}},
		{"and created once the offer is withdrawn", sent.then(OfferSelected{}, OfferCancelled{}), CreateOffer{}, OfferCreated{}},
		{"a selected offer is withdrawn", selected, CancelOffer{}, OfferCancelled{}},
		{"an offer is selected again after that", selected.then(OfferCancelled{}), SelectOffer{}, OfferSelected{}},

		{"the bank accepts", returned, AcceptOffer{}, OfferAccepted{}},
		{"and approves", returned, Approve{}, Approved{}},
		{"and registers", returned, Register{}, Registered{}},
		{"and pays", returned, Activate{}, Activated{Amount: 15_000}},
		{"in any order", approved.then(OfferAccepted{}, Activated{Amount: 15_000}), Register{}, Registered{}},
		{"a replacement need not come back", returned.then(OfferCancelled{}, OfferSelected{}, OfferCreated{}, OfferSent{}), AcceptOffer{}, OfferAccepted{}},

		{"the bank says no at once", submitted, Decline{}, Declined{Amount: 15_000}},
		{"or after the offer came back", returned, Decline{}, Declined{Amount: 15_000}},
		{"a declined offer leads to it", noOffer, Decline{}, Declined{Amount: 15_000}},
		{"or follows from it", sent.then(Declined{Amount: 15_000}), DeclineOffer{}, OfferDeclined{}},
		{"the customer leaves", sent, Cancel{}, Cancelled{Amount: 15_000}},
		{"then the offer is withdrawn", cancelled, CancelOffer{}, OfferCancelled{}},

		{"work is scheduled", partly, ScheduleWork{Item: leads}, WorkScheduled{Item: leads}},
		{"and once more", scheduled, ScheduleWork{Item: leads}, WorkScheduled{Item: leads}},
		{"and started", scheduled, StartWork{Item: leads}, WorkStarted{Item: leads}},
		{"and started by two", scheduled.then(WorkStarted{Item: leads}), StartWork{Item: leads}, WorkStarted{Item: leads}},
		{"and completed, though nobody wrote down the start", scheduled, CompleteWork{Item: leads}, WorkCompleted{Item: leads}},
		{"and completed after the application was declined", scheduled.then(Declined{}), CompleteWork{Item: leads}, WorkCompleted{Item: leads}},
		{"and started after it was cancelled", scheduled.then(Cancelled{}), StartWork{Item: leads}, WorkStarted{Item: leads}},
		{"contracts are changed after the loan is granted", approved, ScheduleWork{Item: "W_Wijzigen contractgegevens"}, WorkScheduled{Item: "W_Wijzigen contractgegevens"}},
	} {
		t.Run(rule.name, func(t *testing.T) {
			t.Parallel()
			actortest.For(t, Applications).Given(rule.given...).When(rule.when).Then(rule.then)
		})
	}
}

func TestRejects(t *testing.T) {
	t.Parallel()
	for _, rule := range []struct {
		name  string
		given events
		when  Command
		no    error
	}{
		{"a second submit", submitted, Submit{Amount: 15_000}, ErrSubmitted},
		{"a submit after the end", declined, Submit{Amount: 15_000}, ErrSubmitted},
		{"a customer without a person", none, Submit{Customer: "c-7", Applicant: &Applicant{}}, ErrName},
		{"a customer whose number does not print", none, Submit{Customer: "c\n7"}, ErrName},
		{"a name that does not print", none, Submit{Customer: "c-7", Applicant: &Applicant{Name: "A\x00"}}, ErrName},
		{"less than nothing", none, Submit{Amount: -1}, ErrAmount},
		{"more than a bank has", none, Submit{Amount: MaxAmount + 1}, ErrAmount},

		{"a step left out", submitted, Preaccept{}, StatusError{Is: StatusSubmitted, Needs: StatusPartlySubmitted}},
		{"a step done twice", accepted, Accept{}, StatusError{Is: StatusAccepted, Needs: StatusPreaccepted}},
		{"a step back", finalized, PartlySubmit{}, StatusError{Is: StatusFinalized, Needs: StatusSubmitted}},
		{"a yes after a no", declined, Preaccept{}, ErrDeclined},
		{"a yes to one who left", preaccepted.then(Cancelled{}), Accept{}, ErrCancelled},

		{"an offer before the application is accepted", preaccepted, SelectOffer{}, StatusError{Is: StatusPreaccepted, Needs: StatusAccepted}},
		{"two offers in preparation", selected, SelectOffer{}, ErrDraft},
		{"an offer created before the talk ends", accepted.then(OfferSelected{}), CreateOffer{}, StatusError{Is: StatusAccepted, Needs: StatusFinalized}},
		{"an offer created that nobody selected", finalized, CreateOffer{}, ErrNotSelected},
		{"an offer created twice", created, CreateOffer{}, ErrNotSelected},
		{"two offers at the customer", sent.then(OfferSelected{}), CreateOffer{}, ErrOffer},
		{"an offer sent that nobody created", selected, SendOffer{}, ErrNotCreated},
		{"an offer sent twice", sent, SendOffer{}, ErrNotCreated},
		{"an offer sent to one who left", created.then(Cancelled{}), SendOffer{}, ErrCancelled},
		{"an offer back that was not sent", created, ReturnOffer{}, ErrNoOffer},
		{"an offer back twice", returned, ReturnOffer{}, ErrReturned},
		{"an offer back after it was declined", noOffer, ReturnOffer{}, ErrOfferDeclined},
		{"a new offer after one was declined", noOffer, SelectOffer{}, ErrOfferDeclined},
		{"a new offer after the loan is granted", approved, SelectOffer{}, ErrGranted},
		{"no offer to withdraw", finalized, CancelOffer{}, ErrNoOffer},
		{"withdrawing what was accepted", returned.then(OfferAccepted{}), CancelOffer{}, ErrGranted},
		{"withdrawing from a declined application", sent.then(Declined{}), CancelOffer{}, ErrDeclined},
		{"declining what is not out", finalized, DeclineOffer{}, ErrNoOffer},
		{"declining an offer twice", noOffer, DeclineOffer{}, ErrNoOffer},
		{"declining an offer of one who left", cancelled, DeclineOffer{}, ErrCancelled},
		{"declining an offer of a granted loan", approved, DeclineOffer{}, ErrGranted},

		{"approving what was declined", declined, Approve{}, ErrDeclined},
		{"registering what was declined", declined, Register{}, ErrDeclined},
		{"activating what was declined", declined, Activate{}, ErrDeclined},
		{"approving what was cancelled", cancelled, Approve{}, ErrCancelled},
		{"registering what was cancelled", cancelled, Register{}, ErrCancelled},
		{"activating what was cancelled", cancelled, Activate{}, ErrCancelled},
		{"accepting the offer of a cancelled application", cancelled, AcceptOffer{}, ErrCancelled},
		{"approving after the offer was declined", noOffer, Approve{}, ErrOfferDeclined},
		{"approving without an offer", finalized, Approve{}, ErrNoOffer},
		{"approving before the customer answered", sent, Approve{}, ErrNotAnswered},
		{"accepting before the customer answered", sent, AcceptOffer{}, ErrNotAnswered},
		{"activating what was withdrawn", returned.then(OfferCancelled{}), Activate{}, ErrNoOffer},
		{"registering while a replacement is in preparation", returned.then(OfferSelected{}), Register{}, ErrDraft},
		{"approving twice", approved, Approve{}, ErrDone},
		{"registering twice", returned.then(Registered{}), Register{}, ErrDone},
		{"paying twice", returned.then(Activated{}), Activate{}, ErrDone},
		{"accepting twice", returned.then(OfferAccepted{}), AcceptOffer{}, ErrDone},

		{"declining twice", declined, Decline{}, ErrDeclined},
		{"declining what was cancelled", cancelled, Decline{}, ErrCancelled},
		{"declining a granted loan", approved, Decline{}, ErrGranted},
		{"declining once the offer is accepted", returned.then(OfferAccepted{}), Decline{}, ErrGranted},
		{"cancelling twice", cancelled, Cancel{}, ErrCancelled},
		{"cancelling what was declined", declined, Cancel{}, ErrDeclined},
		{"cancelling a granted loan", approved, Cancel{}, ErrGranted},
		{"cancelling after the bank declined the offer", noOffer, Cancel{}, ErrOfferDeclined},

		{"work that nobody scheduled", partly, StartWork{Item: leads}, ErrNotScheduled},
		{"the end of work that nobody scheduled", scheduled, CompleteWork{Item: "W_Beoordelen fraude"}, ErrNotScheduled},
		{"new work on a declined application", declined, ScheduleWork{Item: leads}, ErrDeclined},
		{"new work on a cancelled application", cancelled, ScheduleWork{Item: leads}, ErrCancelled},
		{"work begun on a declined application", scheduled.then(Declined{}), StartWork{Item: leads}, ErrDeclined},
		{"more work than anybody can do", muchWork(), ScheduleWork{Item: leads}, ErrTooMuchWork},

		{"work without a name", partly, ScheduleWork{}, ErrName},
		{"work with too long a name", partly, ScheduleWork{Item: strings.Repeat("w", MaxNameBytes+1)}, ErrName},
		{"a name that does not print", partly, ScheduleWork{Item: "a\u202eb"}, ErrName},
		{"a name in another spelling", partly, ScheduleWork{Item: "e\u0301"}, ErrName},
		{"an employee who does not print", none, Submit{By: By{Employee: "\x00"}}, ErrName},
	} {
		t.Run(rule.name, func(t *testing.T) {
			t.Parallel()
			actortest.For(t, Applications).Given(rule.given...).When(rule.when).ThenError(rule.no)
		})
	}
}

// TestNothingBeforeSubmit: every other command is rejected by an application
// that nobody has submitted.
func TestNothingBeforeSubmit(t *testing.T) {
	t.Parallel()
	for _, c := range allCommands(By{}) {
		if _, ok := c.(Submit); ok {
			continue
		}
		actortest.For(t, Applications).When(c).ThenError(ErrNotSubmitted)
	}
}

func TestEventsKeepWhoAndWhen(t *testing.T) {
	t.Parallel()
	moment := time.Date(2011, 10, 1, 0, 38, 44, 546e6, time.UTC)
	by := By{Employee: "112", Time: moment}
	for _, c := range allCommands(by) {
		_, first := c.(Submit)
		for _, given := range []events{none, submitted, partly, preaccepted, accepted, finalized, selected, created, sent, returned, scheduled} {
			if first != (len(given) == 0) {
				continue
			}
			decided, err := state(given).Decide(c)
			if err != nil {
				continue
			}
			if len(decided) != 1 || decided[0].Who() != "112" || !decided[0].When().Equal(moment) {
				t.Errorf("%T led to %+v, want one event by 112 at %s", c, decided, moment)
			}
		}
	}
}

func TestTimesBecomeUTC(t *testing.T) {
	t.Parallel()
	amsterdam := time.FixedZone("CEST", 2*60*60)
	local := time.Date(2011, 10, 1, 0, 38, 44, 0, amsterdam)
	decided, err := Application{}.Decide(Submit{By: By{Time: local}})
	if err != nil {
		t.Fatal(err)
	}
	if at := decided[0].(Submitted).Time; !at.Equal(local) || at.Location() != time.UTC {
		t.Errorf("kept the time as %v, want %v in UTC", at, local)
	}
}

// A year that JSON has no text for comes in MessagePack all the same, and would
// stop a read model.
func TestRejectsYearsThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for _, year := range []int{-1, 0, 10_000} {
		c := Submit{By: By{Time: time.Date(year, time.June, 1, 0, 0, 0, 0, time.UTC)}}
		if _, err := (Application{}).Decide(c); !errors.Is(err, ErrTime) {
			t.Errorf("year %d: error %v, want %v", year, err, ErrTime)
		}
	}
}

func muchWork() events {
	history := partly
	for i := range MaxWork {
		history = history.then(WorkScheduled{Item: "item " + strconv.Itoa(i)})
	}
	return history
}

// state folds a history.
func state(history events) Application {
	var a Application
	for _, e := range history {
		a = a.Evolve(e)
	}
	return a
}

// allCommands has one command of each type.
func allCommands(by By) []Command {
	return []Command{
		Submit{Amount: 15_000, By: by},
		PartlySubmit{by},
		Preaccept{by},
		Accept{by},
		Finalize{by},
		Register{by},
		Approve{by},
		Activate{by},
		Decline{by},
		Cancel{by},
		SelectOffer{by},
		CreateOffer{by},
		SendOffer{by},
		ReturnOffer{by},
		AcceptOffer{by},
		DeclineOffer{by},
		CancelOffer{by},
		ScheduleWork{leads, by},
		StartWork{leads, by},
		CompleteWork{leads, by},
	}
}

// Such a command cannot even be stored, where commands are kept.
func TestSomebodyOfNoCustomer(t *testing.T) {
	t.Parallel()
	_, err := Application{}.Decide(Submit{Applicant: &Applicant{Name: "Ada"}})
	if !errors.Is(err, ErrNoCustomer) {
		t.Errorf("got %v", err)
	}
}
