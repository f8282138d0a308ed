package application

import "slices"

// Evolve returns the state after an event. It never fails and leaves a as it
// was: whoever still holds the older state may go on using it.
func (a Application) Evolve(e Event) Application {
	switch e := e.(type) {
	case Submitted:
		a.Status, a.Amount, a.Applicant = StatusSubmitted, e.Amount, e.Applicant
	case PartlySubmitted:
		a.Status = StatusPartlySubmitted
	case Preaccepted:
		a.Status = StatusPreaccepted
	case Accepted:
		a.Status = StatusAccepted
	case Finalized:
		a.Status = StatusFinalized
	case Registered:
		a.Registered = true
	case Approved:
		a.Approved = true
	case Activated:
		a.Activated = true
	case Declined:
		a.Status = StatusDeclined
	case Cancelled:
		a.Status = StatusCancelled
	case OfferSelected:
		a.Draft = StageSelected
	case OfferCreated:
		a.Draft = StageCreated
	case OfferSent:
		a.Draft, a.Offer = "", StageSent
	case OfferReturned:
		a.Offer, a.Answered = StageReturned, true
	case OfferAccepted:
		a.Offer = StageAccepted
	case OfferDeclined:
		a.Offer = StageDeclined
	case OfferCancelled:
		a = a.withdraw()
	case WorkScheduled:
		a.Work = a.workAt(e.Item, StepScheduled)
	case WorkStarted:
		a.Work = a.workAt(e.Item, StepStarted)
	case WorkCompleted:
		a.Work = a.workAt(e.Item, StepCompleted)
	}
	return a
}

// withdraw ends the offer that is out, or else the one in preparation.
func (a Application) withdraw() Application {
	if a.hasOffer() {
		a.Offer = ""
	} else {
		a.Draft = ""
	}
	return a
}

// workAt returns a copy of the work items with one of them at another step.
func (a Application) workAt(item string, step Step) []Work {
	i := a.work(item)
	if i < 0 {
		return append(slices.Clip(a.Work), Work{Item: item, Step: step})
	}
	work := slices.Clone(a.Work)
	work[i].Step = step
	return work
}
