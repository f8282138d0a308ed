package application

// Application is the state of one loan application: what the rules need to
// know and little more, since a million of them may be in memory. Its zero
// value is the application that nobody has submitted yet.
type Application struct {
	// Amount is what the customer asked for, in euro.
	Amount int64 `json:"amount"`
	// Status is how far the application has come.
	Status Status `json:"status"`
	// Registered, Approved and Activated are the three acts that grant the loan.
	// The bank does them in any order, each once.
	Registered bool `json:"registered,omitempty"`
	Approved   bool `json:"approved,omitempty"`
	Activated  bool `json:"activated,omitempty"`
	// Draft is the stage of the offer in preparation, selected or created.
	// Empty: none is.
	Draft Stage `json:"draft,omitempty"`
	// Offer is the stage of the offer that the customer has. Empty: none.
	Offer Stage `json:"offer,omitempty"`
	// Answered is set once the customer has sent any offer back.
	Answered bool `json:"answered,omitempty"`
	// Work are the work items, in the order in which they were first scheduled,
	// at most [MaxWork].
	Work []Work `json:"work,omitempty"`
	// Applicant is who asked, nil if that is not known or not known any more. It is never changed.
	Applicant *Applicant `json:"applicant,omitempty"`
}

// Status is how far an application has come on the way to an offer, or the no
// that ended it.
type Status string

// The statuses in the order in which they are passed. Declined and cancelled
// end an application from any of the others.
const (
	StatusSubmitted       Status = "submitted"
	StatusPartlySubmitted Status = "partly-submitted"
	StatusPreaccepted     Status = "preaccepted"
	StatusAccepted        Status = "accepted"
	StatusFinalized       Status = "finalized"
	StatusDeclined        Status = "declined"
	StatusCancelled       Status = "cancelled"
)

// Stage is how far an offer has come.
type Stage string

// The stages of an offer: two while the bank prepares it, then those of an
// offer that the customer has.
const (
	StageSelected Stage = "selected"
	StageCreated  Stage = "created"
	StageSent     Stage = "sent"
	StageReturned Stage = "returned"
	StageAccepted Stage = "accepted"
	StageDeclined Stage = "declined"
)

// Work is a work item: something that employees have to do for an application,
// often in several sessions.
type Work struct {
	Item string `json:"item"`
	Step Step   `json:"step"`
}

// Step is the last life-cycle step of a work item.
type Step string

// The steps of a work item.
const (
	StepScheduled Step = "scheduled"
	StepStarted   Step = "started"
	StepCompleted Step = "completed"
)

// Outcome is how an application ended, or that it has not.
type Outcome string

// The outcomes. All but open are final.
const (
	OutcomeOpen      Outcome = "open"
	OutcomeActivated Outcome = "activated"
	OutcomeDeclined  Outcome = "declined"
	OutcomeCancelled Outcome = "cancelled"
)

// Outcome says how the application ended. A loan that was paid out has its
// outcome even while its registration or its approval is not written down yet.
func (a Application) Outcome() Outcome {
	switch {
	case a.Activated:
		return OutcomeActivated
	case a.Status == StatusDeclined:
		return OutcomeDeclined
	case a.Status == StatusCancelled:
		return OutcomeCancelled
	}
	return OutcomeOpen
}

// granted reports whether the bank has said yes in any of the ways it does.
func (a Application) granted() bool {
	return a.Registered || a.Approved || a.Activated || a.Offer == StageAccepted
}

// hasOffer reports whether the customer has an offer that nobody has answered
// for the bank yet.
func (a Application) hasOffer() bool {
	return a.Offer == StageSent || a.Offer == StageReturned
}

// work returns the index of the item in a.Work, or -1.
func (a Application) work(item string) int {
	for i, w := range a.Work {
		if w.Item == item {
			return i
		}
	}
	return -1
}
