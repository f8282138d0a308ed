package store_test

import (
	"fmt"

	"github.com/annals-go/annals/store"
)

// A stream is one aggregate instance's history; its id may be any text that
// can be seen.
func ExampleStreamID() {
	id, err := store.ParseStreamID("application/173688")
	fmt.Println(id, err)
	fmt.Println(id.Partition(128))

	token, _ := store.EncodeToken("Ann's order #7")
	back, _ := store.DecodeToken(token)
	fmt.Println(token, "=", back)

	_, err = store.EncodeToken("an id\nwith two lines")
	fmt.Println(err)
	// Output:
	// application/173688 <nil>
	// 96
	// Ann=27s=20order=20=237 = Ann's order #7
	// invalid id "an id\nwith two lines": the character U+000A cannot be seen
}

// Positions order all events of a log; those of one commit stand side by side.
func ExamplePosition() {
	first, second := store.PositionOf(7, 0), store.PositionOf(7, 1)
	next := store.PositionOf(8, 0)
	fmt.Println(first < second, second < next)
	fmt.Println(second.Sequence(), second.Index())
	// Output:
	// true true
	// 7 1
}
