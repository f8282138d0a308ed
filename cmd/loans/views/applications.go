package views

import (
	"slices"
	"time"

	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/projector"
)

// Application is a document of the view applications; its key is the
// application's number.
type Application struct {
	// State is how far the application has come, or how it ended: submitted,
	// partly-submitted, preaccepted, accepted, finalized, registered, approved,
	// activated, declined or cancelled.
	State string `json:"state"`
	// Amount is what was asked for, in euro.
	Amount int64 `json:"amount"`
	// Customer is who asked, and Applicant who that is; absent if nobody said, and once
	// the customer was forgotten.
	Customer  string                 `json:"customer,omitempty"`
	Applicant *application.Applicant `json:"applicant,omitempty" personal:"customer"`
	// Offers counts what became of the offers.
	Offers Offers `json:"offers"`
	// OpenWork are the work items that were scheduled or started and not
	// completed since, oldest first.
	OpenWork []string `json:"open_work"`
	// Submitted and Last are the times of the first and the last event, and
	// Decided that of the one that ended the application, absent until then.
	Submitted time.Time `json:"submitted"`
	Last      time.Time `json:"last"`
	Decided   time.Time `json:"decided,omitzero"`
}

// Offers counts the offers of an application, or of all.
type Offers struct {
	Sent      int `json:"sent"`
	Returned  int `json:"returned"`
	Accepted  int `json:"accepted"`
	Declined  int `json:"declined"`
	Cancelled int `json:"cancelled"`
}

// Applications has a document for each application.
var Applications = projector.Documents[application.Event, Application]{
	Name:   "applications",
	Types:  []string{application.Applications.Type},
	Events: application.Applications.Events,
	Keys:   func(e event) []string { return []string{e.Stream.ID} },
	Fold: func(_ string, d Application, e event) Application {
		d.Last = when(e)
		return d.fold(e)
	},
}

func (d Application) fold(e event) Application {
	switch data := e.Data.(type) {
	case application.Submitted:
		d.State, d.Amount, d.Submitted, d.OpenWork = "submitted", data.Amount, when(e), []string{}
		d.Customer, d.Applicant = data.Customer, data.Applicant
	case application.PartlySubmitted:
		d.State = "partly-submitted"
	case application.Preaccepted:
		d.State = "preaccepted"
	case application.Accepted:
		d.State = "accepted"
	case application.Finalized:
		d.State = "finalized"
	case application.Registered:
		d.State = d.granted("registered")
	case application.Approved:
		d.State = d.granted("approved")
	case application.Activated:
		d.State, d.Decided = "activated", when(e)
	case application.Declined:
		d.State, d.Decided = "declined", when(e)
	case application.Cancelled:
		d.State, d.Decided = "cancelled", when(e)
	case application.OfferSelected, application.OfferCreated:
	case application.OfferSent:
		d.Offers.Sent++
	case application.OfferReturned:
		d.Offers.Returned++
	case application.OfferAccepted:
		d.Offers.Accepted++
	case application.OfferDeclined:
		d.Offers.Declined++
	case application.OfferCancelled:
		d.Offers.Cancelled++
	case application.WorkScheduled:
		d.OpenWork = opened(d.OpenWork, data.Item)
	case application.WorkStarted:
		d.OpenWork = opened(d.OpenWork, data.Item)
	case application.WorkCompleted:
		d.OpenWork = slices.DeleteFunc(d.OpenWork, func(item string) bool { return item == data.Item })
	}
	return d
}

// granted: the acts that grant a loan come in any order, and none of them takes
// an activated loan back to an earlier state.
func (d Application) granted(state string) string {
	if d.State == "activated" {
		return d.State
	}
	return state
}

func opened(work []string, item string) []string {
	if slices.Contains(work, item) {
		return work
	}
	return append(work, item)
}
