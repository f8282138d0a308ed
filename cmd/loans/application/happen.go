package application

// happens returns what an allowed command leads to. Every command leads to one
// event: what the bank wrote down as one fact stays one.
func (a Application) happens(c Command) Event {
	switch c := c.(type) {
	case Submit:
		return Submitted{Amount: c.Amount, Customer: c.Customer, Applicant: c.Applicant, By: c.kept()}
	case PartlySubmit:
		return PartlySubmitted{By: c.kept()}
	case Preaccept:
		return Preaccepted{By: c.kept()}
	case Accept:
		return Accepted{By: c.kept()}
	case Finalize:
		return Finalized{By: c.kept()}
	case SelectOffer:
		return OfferSelected{By: c.kept()}
	case CreateOffer:
		return OfferCreated{By: c.kept()}
	case SendOffer:
		return OfferSent{By: c.kept()}
	case ReturnOffer:
		return OfferReturned{By: c.kept()}
	case Register:
		return Registered{By: c.kept()}
	case Approve:
		return Approved{By: c.kept()}
	case Activate:
		return Activated{Amount: a.Amount, By: c.kept()}
	case AcceptOffer:
		return OfferAccepted{By: c.kept()}
	case Decline:
		return Declined{Amount: a.Amount, By: c.kept()}
	case Cancel:
		return Cancelled{Amount: a.Amount, By: c.kept()}
	case DeclineOffer:
		return OfferDeclined{By: c.kept()}
	case CancelOffer:
		return OfferCancelled{By: c.kept()}
	case ScheduleWork:
		return WorkScheduled{Item: c.Item, By: c.kept()}
	case StartWork:
		return WorkStarted{Item: c.Item, By: c.kept()}
	case CompleteWork:
		return WorkCompleted{Item: c.Item, By: c.kept()}
	}
	panic("application: a command without an event")
}
