package views

import (
	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/projector"
)

// Activity is a document of the view activities; its key is ACTIVITY/STEP, as
// in A_SUBMITTED/COMPLETE: the names of the bank's own event log, so that the
// two can be laid side by side.
type Activity struct {
	Activity string `json:"activity"`
	Step     string `json:"step"`
	// Count is how often it happened.
	Count int64 `json:"count"`
}

// Activities has a document for each activity and life-cycle step.
var Activities = projector.Documents[application.Event, Activity]{
	Name:       "activities",
	Types:      []string{application.Applications.Type},
	Events:     application.Applications.Events,
	Impersonal: true, // numbers only
	Keys: func(e event) []string {
		activity, step := activityOf(e.Data)
		return []string{activity + "/" + step}
	},
	Fold: func(_ string, d Activity, e event) Activity {
		d.Activity, d.Step = activityOf(e.Data)
		d.Count++
		return d
	},
}

// activityOf returns the bank's own names for what happened.
func activityOf(e application.Event) (activity, step string) {
	switch e := e.(type) {
	case application.WorkScheduled:
		return e.Item, "SCHEDULE"
	case application.WorkStarted:
		return e.Item, "START"
	case application.WorkCompleted:
		return e.Item, "COMPLETE"
	default:
		return completed(e), "COMPLETE"
	}
}

// completed names what is done at once and so only ever complete.
func completed(e application.Event) string {
	switch e.(type) {
	case application.Submitted:
		return "A_SUBMITTED"
	case application.PartlySubmitted:
		return "A_PARTLYSUBMITTED"
	case application.Preaccepted:
		return "A_PREACCEPTED"
	case application.Accepted:
		return "A_ACCEPTED"
	case application.Finalized:
		return "A_FINALIZED"
	case application.Registered:
		return "A_REGISTERED"
	case application.Approved:
		return "A_APPROVED"
	case application.Activated:
		return "A_ACTIVATED"
	case application.Declined:
		return "A_DECLINED"
	case application.Cancelled:
		return "A_CANCELLED"
	case application.OfferSelected:
		return "O_SELECTED"
	case application.OfferCreated:
		return "O_CREATED"
	case application.OfferSent:
		return "O_SENT"
	case application.OfferReturned:
		return "O_SENT_BACK"
	case application.OfferAccepted:
		return "O_ACCEPTED"
	case application.OfferDeclined:
		return "O_DECLINED"
	case application.OfferCancelled:
		return "O_CANCELLED"
	case application.WorkScheduled, application.WorkStarted, application.WorkCompleted:
	}
	panic("views: an event without a name in the bank's event log")
}
