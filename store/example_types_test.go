package store_test

import (
	"fmt"

	"github.com/annals-go/annals/store"
)

// LampEvent is one of the things that happen to a lamp.
type LampEvent interface{ isLampEvent() }

// Lit says that the lamp went on.
type Lit struct {
	Percent int `json:"percent"`
}

// Doused says that it went out.
type Doused struct{}

func (Lit) isLampEvent()    {}
func (Doused) isLampEvent() {}

// Wire names are given once, beside the types that they stand for.
func ExampleTypes() {
	events := store.NewTypes(map[string]LampEvent{"lit": Lit{}, "doused": Doused{}})
	fmt.Println(events.Names())

	lit, err := events.Encode(store.JSON, Lit{Percent: 40})
	fmt.Printf("%s %d %s %v\n", lit.Name, lit.Schema, lit.Data, err)

	event, err := events.Decode(store.JSON, lit.Name, lit.Schema, lit.Data)
	fmt.Printf("%#v %v\n", event, err)

	_, err = events.DecodeStrict(store.JSON, "lit", 0, []byte(`{"percent":40,"colour":"red"}`))
	fmt.Println(err)
	_, err = events.Decode(store.JSON, "smashed", 1, lit.Data)
	fmt.Println(err)
	// Output:
	// [doused lit]
	// lit 1 {"percent":40} <nil>
	// store_test.Lit{Percent:40} <nil>
	// decode lit: invalid field "colour": it is not known
	// unknown event type "smashed" in schema version 1
}
