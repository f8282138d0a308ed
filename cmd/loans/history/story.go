package history

// firstLook: a machine declines some, people look at others first.
func (s *story) firstLook() {
	switch {
	case s.chance(0.26):
		s.do("A_DECLINED")
	case s.chance(0.01):
		s.schedule(fraud)
		s.sessions(fraud, 2)
		s.decline(fraud)
	case s.chance(0.48):
		s.schedule(leads)
		s.sessions(leads, 1)
		if s.chance(0.47) {
			s.decline(leads)
			return
		}
		s.start(leads)
		s.do("A_PREACCEPTED")
		s.schedule(completing)
		s.complete(leads)
		s.completion()
	default:
		s.do("A_PREACCEPTED")
		s.schedule(completing)
		s.completion()
	}
}

// completion: missing papers are asked for, then there is an offer or a no.
func (s *story) completion() {
	s.sessions(completing, 4)
	switch {
	case s.chance(0.15):
		s.decline(completing)
	case s.chance(0.15):
		s.cancel(completing)
	default:
		s.start(completing)
		s.do("A_ACCEPTED")
		s.firstOffer()
		s.complete(completing)
		s.negotiation()
	}
}

func (s *story) firstOffer() {
	if s.chance(0.6) {
		s.do("O_SELECTED")
		s.do("A_FINALIZED")
	} else {
		s.do("A_FINALIZED")
		s.do("O_SELECTED")
	}
	s.sendOffer()
}

func (s *story) sendOffer() {
	s.do("O_CREATED")
	s.do("O_SENT")
	s.schedule(calling)
}

// negotiation: the customer is called about the offer, gets another one
// perhaps, and answers or leaves.
func (s *story) negotiation() {
	s.sessions(calling, 3)
	for s.chance(0.25) {
		s.start(calling)
		s.replaceOffer()
		s.complete(calling)
		s.sessions(calling, 2)
	}
	switch {
	case s.chance(0.08):
		return // still waiting when the books were copied
	case s.chance(0.3):
		s.cancelWithOffer(calling)
	default:
		s.start(calling)
		s.do("O_SENT_BACK")
		s.schedule(validating)
		s.complete(calling)
		s.validation()
	}
}

// replaceOffer withdraws the offer that is out and sends another; the two
// entries in the middle come in either order.
func (s *story) replaceOffer() {
	if s.chance(0.5) {
		s.do("O_SELECTED")
		s.do("O_CANCELLED")
	} else {
		s.do("O_CANCELLED")
		s.do("O_SELECTED")
	}
	s.sendOffer()
}

// validation: what came back is checked, and checked again when papers miss.
func (s *story) validation() {
	s.sessions(validating, 1)
	for s.chance(0.35) {
		s.start(validating)
		s.schedule(incomplete)
		s.complete(validating)
		s.sessions(incomplete, 6)
		s.start(incomplete)
		s.schedule(validating)
		s.complete(incomplete)
	}
	switch {
	case s.chance(0.05):
		s.cancelWithOffer(validating)
	case s.chance(0.24):
		s.declineOffer()
	default:
		s.grant()
	}
}

// grant does the four acts that grant a loan in any order.
func (s *story) grant() {
	s.start(validating)
	acts := []string{"A_APPROVED", "A_REGISTERED", "A_ACTIVATED", "O_ACCEPTED"}
	s.random.Shuffle(len(acts), func(i, j int) { acts[i], acts[j] = acts[j], acts[i] })
	for _, act := range acts {
		s.do(act)
	}
	s.complete(validating)
	if s.chance(0.01) {
		s.schedule(changing)
	}
}

func (s *story) declineOffer() {
	s.start(validating)
	if s.chance(0.5) {
		s.do("A_DECLINED")
		s.do("O_DECLINED")
	} else {
		s.do("O_DECLINED")
		s.do("A_DECLINED")
	}
	s.complete(validating)
}

func (s *story) decline(during string) {
	s.start(during)
	s.do("A_DECLINED")
	s.complete(during)
}

func (s *story) cancel(during string) {
	s.start(during)
	s.do("A_CANCELLED")
	s.complete(during)
}

func (s *story) cancelWithOffer(during string) {
	s.start(during)
	if s.chance(0.5) {
		s.do("A_CANCELLED")
		s.do("O_CANCELLED")
	} else {
		s.do("O_CANCELLED")
		s.do("A_CANCELLED")
	}
	s.complete(during)
}
