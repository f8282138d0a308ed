package views

import (
	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/projector"
)

// Unassigned is the key, in the view workload, of what nobody is named for.
const Unassigned = "unassigned"

// Employee is a document of the view workload; its key is the employee, or
// [Unassigned].
type Employee struct {
	// Events is how many events name the employee, and the other fields how many
	// of them are about what: the application itself, an offer, a work item.
	Events      int64 `json:"events"`
	Application int64 `json:"application"`
	Offer       int64 `json:"offer"`
	Work        int64 `json:"work"`
}

// Workload has a document for each employee.
var Workload = projector.Documents[application.Event, Employee]{
	Name:       "workload",
	Types:      []string{application.Applications.Type},
	Events:     application.Applications.Events,
	Impersonal: true, // numbers only
	Keys: func(e event) []string {
		if who := e.Data.Who(); who != "" {
			return []string{who}
		}
		return []string{Unassigned}
	},
	Fold: func(_ string, d Employee, e event) Employee {
		d.Events++
		switch e.Data.(type) {
		case application.Submitted, application.PartlySubmitted, application.Preaccepted, application.Accepted,
			application.Finalized, application.Registered, application.Approved, application.Activated,
			application.Declined, application.Cancelled:
			d.Application++
		case application.OfferSelected, application.OfferCreated, application.OfferSent, application.OfferReturned,
			application.OfferAccepted, application.OfferDeclined, application.OfferCancelled:
			d.Offer++
		case application.WorkScheduled, application.WorkStarted, application.WorkCompleted:
			d.Work++
		}
		return d
	},
}
