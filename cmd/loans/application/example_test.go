package application_test

import (
	"fmt"

	"github.com/annals-go/annals/cmd/loans/application"
)

// The domain needs no server and no library: a command leads to events, and
// events make the next state.
func Example() {
	var loan application.Application
	do := func(c application.Command) {
		events, err := loan.Decide(c)
		if err != nil {
			fmt.Printf("%T: %v\n", c, err)
			return
		}
		for _, e := range events {
			loan = loan.Evolve(e)
			fmt.Printf("%T: %s, %s\n", c, loan.Status, loan.Outcome())
		}
	}
	do(application.Approve{})
	do(application.Submit{Amount: 15_000})
	do(application.Decline{})
	do(application.Approve{})
	// Output:
	// application.Approve: the application has not been submitted
	// application.Submit: submitted, open
	// application.Decline: declined, declined
	// application.Approve: the application has been declined
}
