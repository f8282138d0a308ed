package application

import (
	"time"

	"github.com/annals-go/annals/store"
)

// Event is something that happened to an application. The interface is sealed:
// this file lists all that it can be. Names in the log are in aggregate.go.
//
//sumtype:decl
type Event interface {
	// Who is the employee who did it, "" if nobody said.
	Who() string
	// When is when it was done, in UTC, the zero time if nobody said.
	When() time.Time
	event()
}

// Submitted: a customer asked for a loan.
type Submitted struct {
	// Amount is in euro.
	Amount int64 `json:"amount"`
	// Customer is who asked, empty if that is not known.
	Customer string `json:"customer,omitempty"`
	// Applicant is who that is; nil if nobody said, or if the customer was forgotten.
	Applicant *Applicant `json:"applicant,omitempty" personal:"customer"`
	// Forgotten says that the customer was.
	Forgotten store.Shredded `json:"-"`
	By
}

// The progress of the application itself.
type (
	// PartlySubmitted: the first part of the form is complete.
	PartlySubmitted struct{ By }
	// Preaccepted: the application is worth a closer look.
	Preaccepted struct{ By }
	// Accepted: the application is worth an offer.
	Accepted struct{ By }
	// Finalized: what to offer has been agreed on.
	Finalized struct{ By }
	// Registered: the loan is in the books.
	Registered struct{ By }
	// Approved: the loan is granted.
	Approved struct{ By }
)

// How an application ends. Such an event repeats the amount, which is what a
// sum over outcomes has to move: a reader of the log then needs nothing but the
// event. The outcome before it is always open, because an outcome is final.
type (
	// Activated: the loan is paid out.
	Activated struct {
		// Amount is what was asked for, in euro.
		Amount int64 `json:"amount"`
		By
	}
	// Declined: the bank said no.
	Declined struct {
		// Amount is what was asked for, in euro.
		Amount int64 `json:"amount"`
		By
	}
	// Cancelled: the application ended without an answer from the bank.
	Cancelled struct {
		// Amount is what was asked for, in euro.
		Amount int64 `json:"amount"`
		By
	}
)

// Offers carry no identity: the bank prepares one at a time and the customer has
// one at most, so a event means that one.
type (
	// OfferSelected: the bank chose what to offer.
	OfferSelected struct{ By }
	// OfferCreated: the selected offer is drawn up.
	OfferCreated struct{ By }
	// OfferSent: the customer has the offer.
	OfferSent struct{ By }
	// OfferReturned: the customer sent the offer back.
	OfferReturned struct{ By }
	// OfferAccepted: the bank accepted what the customer sent back.
	OfferAccepted struct{ By }
	// OfferDeclined: the bank declined what it had offered.
	OfferDeclined struct{ By }
	// OfferCancelled: the offer that was out, or else the one in preparation, is void.
	OfferCancelled struct{ By }
)

// Work items.
type (
	// WorkScheduled: the item is on the list.
	WorkScheduled struct {
		// Item is the name of the work item.
		Item string `json:"item"`
		By
	}
	// WorkStarted: a session of work on the item began.
	WorkStarted struct {
		// Item is the name of the work item.
		Item string `json:"item"`
		By
	}
	// WorkCompleted: a session of work on the item ended.
	WorkCompleted struct {
		// Item is the name of the work item.
		Item string `json:"item"`
		By
	}
)

func (Submitted) event()       {}
func (PartlySubmitted) event() {}
func (Preaccepted) event()     {}
func (Accepted) event()        {}
func (Finalized) event()       {}
func (Registered) event()      {}
func (Approved) event()        {}
func (Activated) event()       {}
func (Declined) event()        {}
func (Cancelled) event()       {}
func (OfferSelected) event()   {}
func (OfferCreated) event()    {}
func (OfferSent) event()       {}
func (OfferReturned) event()   {}
func (OfferAccepted) event()   {}
func (OfferDeclined) event()   {}
func (OfferCancelled) event()  {}
func (WorkScheduled) event()   {}
func (WorkStarted) event()     {}
func (WorkCompleted) event()   {}
