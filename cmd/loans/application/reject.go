package application

// Rejection is the domain's no, in words for the person who asked. The reasons
// below are compared with errors.Is.
type Rejection string

func (r Rejection) Error() string { return string(r) }

// The reasons for a no.
const (
	ErrNotSubmitted  Rejection = "the application has not been submitted"
	ErrSubmitted     Rejection = "the application has been submitted already"
	ErrDeclined      Rejection = "the application has been declined"
	ErrCancelled     Rejection = "the application has been cancelled"
	ErrGranted       Rejection = "the loan has been granted"
	ErrDone          Rejection = "this has been done already"
	ErrDraft         Rejection = "an offer is in preparation"
	ErrNotSelected   Rejection = "no offer has been selected"
	ErrNotCreated    Rejection = "no offer has been created"
	ErrOffer         Rejection = "the customer still has an offer, which must be cancelled first"
	ErrNoOffer       Rejection = "the customer has no offer"
	ErrReturned      Rejection = "the customer has sent the offer back already"
	ErrNotAnswered   Rejection = "the customer has not sent an offer back"
	ErrOfferDeclined Rejection = "the offer has been declined, so the application can only be declined"
	ErrNotScheduled  Rejection = "the work item has not been scheduled"
	ErrTooMuchWork   Rejection = "the application has too many work items"
	ErrAmount        Rejection = "the amount must be from 0 to 1000000000 euro"
	ErrTime          Rejection = "the time must be in the years 1 to 9999"
	ErrNoCustomer    Rejection = "an applicant needs the number of a customer"
	ErrName          Rejection = "a name must be 1 to 60 bytes of printable text in Unicode normal form C"
)

// StatusError is a no because the application is not as far as it must be, or
// is further.
type StatusError struct {
	Is    Status
	Needs Status
}

func (e StatusError) Error() string {
	return "the application is " + string(e.Is) + " and must be " + string(e.Needs)
}
