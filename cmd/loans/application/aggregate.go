package application

import (
	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// Applications is the domain as the library runs it. The names on the left
// stand in the log and in the clients' calls for ever.
var Applications = actor.Aggregate[Application, Command, Event]{
	Type:   "application",
	Decide: Application.Decide,
	Evolve: Application.Evolve,
	Commands: store.NewTypes(map[string]Command{
		"submit":        Submit{},
		"partly-submit": PartlySubmit{},
		"preaccept":     Preaccept{},
		"accept":        Accept{},
		"finalize":      Finalize{},
		"register":      Register{},
		"approve":       Approve{},
		"activate":      Activate{},
		"decline":       Decline{},
		"cancel":        Cancel{},
		"select-offer":  SelectOffer{},
		"create-offer":  CreateOffer{},
		"send-offer":    SendOffer{},
		"return-offer":  ReturnOffer{},
		"accept-offer":  AcceptOffer{},
		"decline-offer": DeclineOffer{},
		"cancel-offer":  CancelOffer{},
		"schedule-work": ScheduleWork{},
		"start-work":    StartWork{},
		"complete-work": CompleteWork{},
	}),
	Events: store.NewTypes(map[string]Event{
		"submitted":        Submitted{},
		"partly-submitted": PartlySubmitted{},
		"preaccepted":      Preaccepted{},
		"accepted":         Accepted{},
		"finalized":        Finalized{},
		"registered":       Registered{},
		"approved":         Approved{},
		"activated":        Activated{},
		"declined":         Declined{},
		"cancelled":        Cancelled{},
		"offer-selected":   OfferSelected{},
		"offer-created":    OfferCreated{},
		"offer-sent":       OfferSent{},
		"offer-returned":   OfferReturned{},
		"offer-accepted":   OfferAccepted{},
		"offer-declined":   OfferDeclined{},
		"offer-cancelled":  OfferCancelled{},
		"work-scheduled":   WorkScheduled{},
		"work-started":     WorkStarted{},
		"work-completed":   WorkCompleted{},
	}),
}
