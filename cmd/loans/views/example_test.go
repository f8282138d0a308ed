package views_test

import (
	"fmt"

	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/cmd/loans/views"
	"github.com/annals-go/annals/store"
)

// A view is two functions: which documents an event touches, and what each is
// after it. An event that ends an application moves it from one document of the
// view outcomes to another.
func Example() {
	declined := store.Recorded[application.Event]{Data: application.Declined{Amount: 15_000}}
	for _, outcome := range views.Outcomes.Keys(declined) {
		before := views.Sum{Count: 4, Amount: 90_000}
		fmt.Println(outcome, views.Outcomes.Fold(outcome, before, declined))
	}
	// Output:
	// open {3 75000}
	// declined {5 105000}
}
