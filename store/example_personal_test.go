package store_test

import (
	"fmt"

	"github.com/annals-go/annals/store"
)

// LoanEvent is one of the things that happen to a loan.
type LoanEvent interface{ isLoanEvent() }

// Applied says who wants a loan. Name and phones are about the applicant, whose id is
// in Applicant; the reference is about the person whose id is in it.
type Applied struct {
	Applicant string         `json:"applicant"`
	Name      string         `json:"name" personal:"applicant"`
	Phones    []string       `json:"phones,omitempty" personal:"applicant"`
	Reference Reference      `json:"reference"`
	Cents     int64          `json:"cents"`
	Gone      store.Shredded `json:"-"`
}

// Reference is somebody who speaks for the applicant.
type Reference struct {
	Person int64  `json:"person"`
	Name   string `json:"name" personal:"person"`
}

func (Applied) isLoanEvent() {}

// Tags say what is personal, and whose it is. When a person is forgotten the event is
// still there, without what was theirs.
func ExampleTypes_Encode() {
	events := store.NewTypes(map[string]LoanEvent{"applied": Applied{}})
	fmt.Println(events.Personal("applied"))

	encoded, err := events.Encode(store.JSON, Applied{Applicant: "c-1", Name: "Ann", Reference: Reference{Person: 7, Name: "Bob"}, Cents: 500})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range encoded.Personal {
		fmt.Printf("%s of %s: %s\n", p.Path, p.Subject, encoded.Data[p.Start:p.End])
	}

	// A log that keeps personal data apart has put this in the place of Bob's name,
	// and finds that Bob's key is erased.
	sealed, err := store.ReplaceSpans(store.JSON, encoded.Data, encoded.Personal[1:], func(int, []byte) ([]byte, error) {
		return store.SealedForm(store.JSON, []byte("secret")), nil
	})
	fmt.Printf("%s %v\n", sealed, err)
	opened, _, _, err := store.OpenSealed(store.JSON, sealed, func(string, []byte) ([]byte, store.Personal, error) { return nil, store.Personal{}, nil })
	fmt.Printf("%s %v\n", opened, err)
	event, err := events.Decode(store.JSON, "applied", 1, opened)
	fmt.Printf("%q %v\n", event.(Applied).Gone.Paths(), err)
	// Output:
	// [name of applicant phones of applicant reference.name of person]
	// name of c-1: "Ann"
	// reference.name of 7: "Bob"
	// {"applicant":"c-1","name":"Ann","reference":{"person":7,"name":{"annals:sealed":"c2VjcmV0"}},"cents":500} <nil>
	// {"applicant":"c-1","name":"Ann","reference":{"person":7},"cents":500,"annals:shredded":["reference.name"]} <nil>
	// ["reference.name"] <nil>
}
