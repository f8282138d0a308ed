package history_test

import (
	"bytes"
	"fmt"

	"github.com/annals-go/annals/cmd/loans/history"
)

// A file is read as a stream; each of its events becomes a command with an id
// that a second import gives it again.
func Example() {
	var file bytes.Buffer
	if err := history.Write(&file, history.Sample(2, 1)); err != nil {
		fmt.Println(err)
	}
	for trace, err := range history.Read(&file) {
		if err != nil {
			fmt.Println(err)
			return
		}
		command, err := trace.Command(0)
		fmt.Printf("%s: %T %v, error %v\n", trace.CommandID(0), command, trace.Events[0].Time, err)
	}
	// Output:
	// xes-500001-0: application.Submit 2024-10-01 08:10:13.733 +0000 UTC, error <nil>
	// xes-500002-0: application.Submit 2024-10-01 08:33:58.607 +0000 UTC, error <nil>
}
