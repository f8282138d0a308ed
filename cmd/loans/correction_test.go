package main

import (
	"strings"
	"testing"
)

// TestCorrection is the example of actor/CORRECTIONS.md: an offer for the wrong
// customer is cancelled with a link to it, and the history shows both ends.
func TestCorrection(t *testing.T) {
	t.Parallel()
	b := startLoans(t)
	send := func(args ...string) {
		t.Helper()
		args = append([]string{"command", "send", "application", "173688"}, args...)
		if code, _, talk := b.run(t, args...); code != 0 {
			t.Fatalf("%s: exit code %d, %s", strings.Join(args, " "), code, talk)
		}
	}
	send("submit", `{"amount": 15000}`)
	for _, command := range []string{"partly-submit", "preaccept", "accept", "select-offer", "finalize", "create-offer"} {
		send(command)
	}
	send("cancel-offer", `{"employee": "112"}`, "--corrects", "7")
	send("select-offer", `{"employee": "112"}`)
	code, out, talk := b.run(t, "aggregate", "history", "application", "173688", "--jq", `[.version, .type, .command.corrects, .corrected_by]`)
	want := `[7,"offer-created",null,[8]]
[8,"offer-cancelled","application/173688/7",null]
[9,"offer-selected",null,null]
`
	if code != 0 || !strings.HasSuffix(out, want) {
		t.Errorf("history: exit code %d, %s, said %s; want it to end with\n%s", code, out, talk, want)
	}
}
