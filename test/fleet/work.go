package fleet

import (
	"fmt"
	"math/rand/v2"

	"github.com/annals-go/annals/cmd/loans/application"
)

// choose returns what a writer does next. Most of it is always accepted once
// the application is submitted; the rest is often rejected, for a reason that
// the application's state must justify: it is never declined, cancelled or
// granted, so that work can be scheduled for ever.
func choose(random *rand.Rand, by string) application.Command {
	who := application.By{Employee: by}
	if random.IntN(3) > 0 {
		return sure(random, by)
	}
	item := item(random)
	all := []application.Command{
		application.Submit{Amount: 1000, By: who},
		application.PartlySubmit{By: who},
		application.Preaccept{By: who},
		application.Accept{By: who},
		application.Finalize{By: who},
		application.SelectOffer{By: who},
		application.CreateOffer{By: who},
		application.SendOffer{By: who},
		application.ReturnOffer{By: who},
		application.CancelOffer{By: who},
		application.StartWork{Item: item, By: who},
		application.CompleteWork{Item: item, By: who},
	}
	return all[random.IntN(len(all))]
}

// sure returns a command that a submitted application always accepts.
func sure(random *rand.Rand, by string) application.Command {
	return application.ScheduleWork{Item: item(random), By: application.By{Employee: by}}
}

// items is below the number of work items that an application may have.
const items = 6

func item(random *rand.Rand) string { return fmt.Sprintf("item %d", random.IntN(items)) }
