package views

import (
	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/projector"
)

// Sum is a document of the view outcomes; its key is the outcome: open,
// activated, declined or cancelled.
type Sum struct {
	// Count is how many applications have the outcome.
	Count int64 `json:"count"`
	// Amount is what they asked for, all together, in euro.
	Amount int64 `json:"amount"`
}

// Outcomes has a document for each outcome that any application has, or had.
// An application begins open and moves once: the event that ends it touches two
// documents, and carries the amount that it moves.
var Outcomes = projector.Documents[application.Event, Sum]{
	Name:       "outcomes",
	Types:      []string{application.Applications.Type},
	Events:     application.Applications.Events,
	Impersonal: true, // numbers only
	Keys: func(e event) []string {
		outcome, _ := outcomeOf(e.Data)
		switch outcome {
		case "":
			return nil
		case application.OutcomeOpen:
			return []string{string(outcome)}
		}
		return []string{string(application.OutcomeOpen), string(outcome)}
	},
	Fold: func(key string, d Sum, e event) Sum {
		outcome, amount := outcomeOf(e.Data)
		if key == string(outcome) {
			return Sum{Count: d.Count + 1, Amount: d.Amount + amount}
		}
		return Sum{Count: d.Count - 1, Amount: d.Amount - amount}
	},
}

// outcomeOf returns the outcome that an event leads to and the amount of its
// application; "" if it does not change the outcome.
func outcomeOf(e application.Event) (application.Outcome, int64) {
	switch e := e.(type) {
	case application.Submitted:
		return application.OutcomeOpen, e.Amount
	case application.Activated:
		return application.OutcomeActivated, e.Amount
	case application.Declined:
		return application.OutcomeDeclined, e.Amount
	case application.Cancelled:
		return application.OutcomeCancelled, e.Amount
	default:
		return "", 0
	}
}
