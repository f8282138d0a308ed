package application

import "cmp"

// Decide answers a command with the one event that it leads to, or with the
// domain's no: a [Rejection] or a [StatusError]. It changes nothing.
//
// The rules are the bank's: each holds throughout the 262,200 events of its
// history, so that none of them may be rejected.
func (a Application) Decide(c Command) ([]Event, error) {
	if err := cmp.Or(c.check(), a.allows(c)); err != nil {
		return nil, err
	}
	return []Event{a.happens(c)}, nil
}

// MaxWork is how many different work items an application may have. The bank
// knows seven.
const MaxWork = 16

// allows says why a command cannot be done now; nil if it can. Of several
// reasons it gives the first.
func (a Application) allows(c Command) error {
	if _, first := c.(Submit); !first && a.Status == "" {
		return ErrNotSubmitted
	}
	switch c := c.(type) {
	// The way to an offer is one way, and no step of it is left out or done twice.
	case Submit:
		return refuse(a.Status != "", ErrSubmitted)
	case PartlySubmit:
		return a.needs(StatusSubmitted)
	case Preaccept:
		return a.needs(StatusPartlySubmitted)
	case Accept:
		return a.needs(StatusPreaccepted)
	case Finalize:
		return a.needs(StatusAccepted)

	// One offer is prepared at a time. A replacement may be selected while the
	// customer has an offer, but that one is withdrawn before it is drawn up.
	case SelectOffer:
		return cmp.Or(a.negotiable(), a.needsAcceptance(), refuse(a.Draft != "", ErrDraft))
	case CreateOffer:
		return cmp.Or(a.negotiable(), a.needs(StatusFinalized),
			refuse(a.Draft != StageSelected, ErrNotSelected), refuse(a.Offer != "", ErrOffer))
	case SendOffer:
		return cmp.Or(a.negotiable(), refuse(a.Draft != StageCreated, ErrNotCreated))
	case ReturnOffer:
		return cmp.Or(a.negotiable(), refuse(a.Offer == "", ErrNoOffer), refuse(a.Offer == StageReturned, ErrReturned))

	// The acts that grant a loan come in any order.
	case Register:
		return cmp.Or(refuse(a.Registered, ErrDone), a.grantable())
	case Approve:
		return cmp.Or(refuse(a.Approved, ErrDone), a.grantable())
	case Activate:
		return cmp.Or(refuse(a.Activated, ErrDone), a.grantable())
	case AcceptOffer:
		return cmp.Or(refuse(a.Offer == StageAccepted, ErrDone), a.grantable())

	// Until then either side may say no. A declined offer ends in a declined
	// application, a withdrawn one need not end in a cancelled one; which of the
	// two is written down first is open.
	case Decline:
		return a.undecided()
	case Cancel:
		return a.negotiable()
	case DeclineOffer:
		return cmp.Or(refuse(a.Status == StatusCancelled, ErrCancelled), refuse(a.granted(), ErrGranted), refuse(!a.hasOffer(), ErrNoOffer))
	case CancelOffer:
		return cmp.Or(refuse(a.Status == StatusDeclined, ErrDeclined), refuse(a.granted(), ErrGranted), refuse(!a.hasOffer() && a.Draft == "", ErrNoOffer))

	// Work is scheduled, once or more, and then done in any number of sessions.
	// The bank's books miss starts and hold sessions that overlap, so starts and
	// completions need not alternate. Nobody begins work on what was declined,
	// but customers are still called after they cancelled.
	case ScheduleWork:
		return cmp.Or(a.going(), refuse(a.work(c.Item) < 0 && len(a.Work) == MaxWork, ErrTooMuchWork))
	case StartWork:
		return cmp.Or(refuse(a.Status == StatusDeclined, ErrDeclined), refuse(a.work(c.Item) < 0, ErrNotScheduled))
	case CompleteWork:
		return refuse(a.work(c.Item) < 0, ErrNotScheduled)
	}
	panic("application: a command without a rule")
}

// refuse says no, for a reason, if something is so.
func refuse(so bool, reason Rejection) error {
	if so {
		return reason
	}
	return nil
}

// going: neither side has said no.
func (a Application) going() error {
	return cmp.Or(refuse(a.Status == StatusDeclined, ErrDeclined), refuse(a.Status == StatusCancelled, ErrCancelled))
}

// undecided: nobody has said yes or no.
func (a Application) undecided() error {
	return cmp.Or(a.going(), refuse(a.granted(), ErrGranted))
}

// negotiable: undecided, and not bound to be declined.
func (a Application) negotiable() error {
	return cmp.Or(a.undecided(), refuse(a.Offer == StageDeclined, ErrOfferDeclined))
}

// grantable: the customer has an offer, has sent one back, and no other is in
// preparation. The one sent back may be an earlier one: the bank then accepts
// the replacement without waiting for its return.
func (a Application) grantable() error {
	return cmp.Or(a.going(), refuse(a.Offer == StageDeclined, ErrOfferDeclined), refuse(a.Offer == "", ErrNoOffer),
		refuse(!a.Answered, ErrNotAnswered), refuse(a.Draft != "", ErrDraft))
}

// needs: the application is exactly so far.
func (a Application) needs(status Status) error {
	if err := a.going(); err != nil || a.Status == status {
		return err
	}
	return StatusError{Is: a.Status, Needs: status}
}

// needsAcceptance: the application is accepted or beyond.
func (a Application) needsAcceptance() error {
	if a.Status == StatusFinalized {
		return nil
	}
	return a.needs(StatusAccepted)
}
