package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// What was carried out is answered, also if the view has left the node by then. It
// is not carried out again by the node that has the view now.
func TestAnOperationIsNotRepeatedWhereTheViewGoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ verb, rest, call string }{
		{"projection.promote", ``, "totals promote false"},
		{"projection.rollback", ``, "totals rollback"},
		{"projection.pause", ``, "totals pause"},
		{"projection.rewind", `,"position":7`, "totals rewind 7"},
		{"dlq.edit", `,"id":"0123456789ab","at":3,"data":{"n":2},"by":"ann"`, `totals letters,totals edit 0123456789ab 3 {"n":2} unverified:ann`},
	} {
		t.Run(c.verb, func(t *testing.T) {
			t.Parallel()
			s, r := startServer(t), newRoster("a")
			here, there := newWandering("a", "totals"), newWandering("b", "totals")
			there.run("totals", true)
			r.run("totals", "b")
			letters := []projector.DeadLetter{{ID: "0123456789ab", At: 3}}
			next := &fakeOperators{views: here, letters: letters}
			first := &fakeOperators{views: there, letters: letters, then: func() {
				there.run("totals", false)
				here.run("totals", true)
				r.run("totals", "a")
			}}
			startNode(t, s, r, "a", &fakeActors{}, withOperators(next))
			startNode(t, s, r, "b", &fakeActors{}, withOperators(first))
			m := request(t, connect(t, s), "bank.node.b.ctl."+c.verb, `{"view":"totals"`+c.rest+`}`)
			if status(t, m) != 200 {
				t.Errorf("%s", m.Data)
			}
			if want := `"edited":{"n":2}`; c.verb == "dlq.edit" && !strings.Contains(string(m.Data), want) {
				t.Errorf("got %s, want %s", m.Data, want)
			}
			if got := strings.Join(first.asked(), ","); got != c.call {
				t.Errorf("the first node was asked for %q, want %q", got, c.call)
			}
			if again := next.asked(); len(again) > 0 {
				t.Errorf("the next node was asked for %q", again)
			}
		})
	}
}

// A change that may have been made before the view left is not made elsewhere.
func TestAnUnknownChangeIsNotPassedOn(t *testing.T) {
	t.Parallel()
	f, nc := startPair(t)
	f.err = fmt.Errorf("%w: view totals: %w", store.ErrUnknown, projector.ErrElsewhere)
	if e := errorOf(t, request(t, nc, "bank.node.b.ctl.projection.rollback", `{"view":"totals"}`, "Annals-Deadline", "2s")); e.Code != gateway.CodeUnknownOutcome {
		t.Errorf("%+v", e)
	}
	if got := f.asked(); len(got) != 1 {
		t.Errorf("it was asked for %q", got)
	}
}
