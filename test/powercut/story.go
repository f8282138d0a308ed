//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// step is one command of an application's life.
type step struct {
	name string
	body string
}

// errands are work items with names as long as the domain allows: they make
// documents large, so that the views' storage is rewritten within a short load.
const errands = 8

func errand(i int) string { return fmt.Sprintf("errand %d %s", i, strings.Repeat("-", 50)) }

// story returns the commands of one application, in the order in which the
// domain accepts them.
func story(random *rand.Rand) []step {
	by := fmt.Sprintf(`"employee":"employee-%d"`, random.IntN(20))
	plain := func(names ...string) (steps []step) {
		for _, n := range names {
			steps = append(steps, step{n, "{" + by + "}"})
		}
		return steps
	}
	work := func(item string, names ...string) (steps []step) {
		for _, n := range names {
			steps = append(steps, step{n, fmt.Sprintf(`{"item":%q,%s}`, item, by)})
		}
		return steps
	}
	s := []step{{"submit", fmt.Sprintf(`{"amount":%d,%s}`, 100*(1+random.IntN(500)), by)}}
	for i := range errands {
		s = append(s, work(errand(i), "schedule-work")...)
	}
	s = append(s, plain("partly-submit", "preaccept")...)
	s = append(s, work("complete the request", "schedule-work", "start-work", "complete-work")...)
	s = append(s, plain("accept", "finalize", "select-offer", "create-offer", "send-offer")...)
	s = append(s, work("call after the offer", "schedule-work", "start-work", "complete-work")...)
	switch random.IntN(4) {
	case 0:
		return append(s, plain("cancel-offer", "cancel")...)
	case 1:
		return append(s, plain("return-offer", "decline-offer", "decline")...)
	case 2:
		return s // left open
	}
	return append(s, plain("return-offer", "accept-offer", "approve", "register", "activate")...)
}

// rush is the one command that every client sends to the applications that
// all of them share: it is accepted any number of times.
func rush(random *rand.Rand) step {
	return step{"schedule-work", fmt.Sprintf(`{"item":"everybody","employee":"employee-%d"}`, random.IntN(20))}
}
