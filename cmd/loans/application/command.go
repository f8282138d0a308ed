package application

// Command is something that somebody wants done to an application. The
// interface is sealed: this file lists all that it can be.
//
//sumtype:decl
type Command interface {
	// check refuses fields that never make sense, whatever the state.
	check() error
	command()
}

// MaxAmount is the largest amount that can be asked for, in euro: far beyond a
// consumer's loan, and small enough that sums over all applications stay exact.
const MaxAmount = 1_000_000_000

// Submit opens an application: a customer asks for a loan.
type Submit struct {
	// Amount is in euro, in [0, MaxAmount]. 0 means that the customer has not
	// settled on one: the bank's history has such an application.
	Amount int64 `json:"amount"`
	// Customer is who asks, by the bank's own number or name for it; empty where the
	// bank's books do not say. It says whose the personal data are.
	Customer string `json:"customer,omitempty"`
	// Applicant is who that is. It needs a Customer.
	Applicant *Applicant `json:"applicant,omitempty" personal:"customer"`
	By
}

// The progress of the application itself.
type (
	// PartlySubmit completes the first part of the form.
	PartlySubmit struct{ By }
	// Preaccept says that the application is worth a closer look.
	Preaccept struct{ By }
	// Accept says that the application is worth an offer.
	Accept struct{ By }
	// Finalize closes the talk about what to offer.
	Finalize struct{ By }
	// Register enters the loan in the books.
	Register struct{ By }
	// Approve grants the loan.
	Approve struct{ By }
	// Activate pays the loan out.
	Activate struct{ By }
	// Decline says no to the customer.
	Decline struct{ By }
	// Cancel ends the application without an answer from the bank.
	Cancel struct{ By }
)

// Offers carry no identity: the bank prepares one at a time and the customer has
// one at most, so a command means that one.
type (
	// SelectOffer chooses what to offer, perhaps to replace the offer that is out.
	SelectOffer struct{ By }
	// CreateOffer draws the selected offer up.
	CreateOffer struct{ By }
	// SendOffer sends the created offer to the customer.
	SendOffer struct{ By }
	// ReturnOffer notes that the customer sent the offer back.
	ReturnOffer struct{ By }
	// AcceptOffer accepts, for the bank, what the customer sent back.
	AcceptOffer struct{ By }
	// DeclineOffer declines, for the bank, what was offered.
	DeclineOffer struct{ By }
	// CancelOffer withdraws the offer that is out, or else the one in preparation.
	CancelOffer struct{ By }
)

// Work items.
type (
	// ScheduleWork puts an item on the list, or on it once more.
	ScheduleWork struct {
		// Item is the name of the work item: 1 to [MaxNameBytes] bytes of printable text.
		Item string `json:"item"`
		By
	}
	// StartWork begins a session of work on a scheduled item.
	StartWork struct {
		// Item is the name of the work item: 1 to [MaxNameBytes] bytes of printable text.
		Item string `json:"item"`
		By
	}
	// CompleteWork ends a session of work on a scheduled item.
	CompleteWork struct {
		// Item is the name of the work item: 1 to [MaxNameBytes] bytes of printable text.
		Item string `json:"item"`
		By
	}
)

func (Submit) command()       {}
func (PartlySubmit) command() {}
func (Preaccept) command()    {}
func (Accept) command()       {}
func (Finalize) command()     {}
func (Register) command()     {}
func (Approve) command()      {}
func (Activate) command()     {}
func (Decline) command()      {}
func (Cancel) command()       {}
func (SelectOffer) command()  {}
func (CreateOffer) command()  {}
func (SendOffer) command()    {}
func (ReturnOffer) command()  {}
func (AcceptOffer) command()  {}
func (DeclineOffer) command() {}
func (CancelOffer) command()  {}
func (ScheduleWork) command() {}
func (StartWork) command()    {}
func (CompleteWork) command() {}

func (c Submit) check() error {
	if err := checkApplicant(c.Customer, c.Applicant); err != nil {
		return err
	}
	if c.Amount < 0 || c.Amount > MaxAmount {
		return ErrAmount
	}
	return c.By.check()
}

func (c ScheduleWork) check() error { return checkWork(c.Item, c.By) }
func (c StartWork) check() error    { return checkWork(c.Item, c.By) }
func (c CompleteWork) check() error { return checkWork(c.Item, c.By) }

func checkWork(item string, by By) error {
	if err := checkName(item); err != nil {
		return err
	}
	return by.check()
}
