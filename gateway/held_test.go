package gateway_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// rowsOf are rows of which each is so large.
func rowsOf(sizes ...int) (rows []projector.HeldRow) {
	for i, size := range sizes {
		data := json.RawMessage(`"` + strings.Repeat("x", size) + `"`)
		rows = append(rows, projector.HeldRow{Table: "people", Key: fmt.Sprint(i), Personal: []string{"name"}, Data: data})
	}
	return rows
}

// What a view holds about a person is asked of the node that runs it, and told in pages that fit, with each
// row once; one that fits into no answer is named.
func TestRowsAreToldInPagesThatFit(t *testing.T) {
	t.Parallel()
	f, nc := startPair(t)
	f.held = rowsOf(200<<10, 10, 300<<10, 200<<10, 200<<10, 900<<10, 10, 10)
	c, want := newClient(t, nc), 0
	for cursor := ""; ; {
		page, err := c.Held(t.Context(), "totals", "ann", cursor, 0, 7)
		if err != nil || page.Model.Version != 2 || page.Untold {
			t.Fatalf("%+v, %v", page, err)
		}
		for _, r := range page.Rows {
			tooLarge := want == 5
			if r.Key != fmt.Sprint(want) || r.Table != "people" || r.Omitted != tooLarge || (len(r.Data) == 0 || string(r.Data) == "null") != tooLarge {
				t.Errorf("row %d is %s, %d bytes, omitted: %v", want, r.Key, len(r.Data), r.Omitted)
			}
			want++
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if want != len(f.held) {
		t.Errorf("%d rows of %d", want, len(f.held))
	}
	if calls := f.asked(); calls[0] != `totals held ann "" 500 7` {
		t.Errorf("asked for %q", calls)
	}
}

// A view that cannot tell says so in the answer, and what is wrong is refused.
func TestRowsThatCannotBeTold(t *testing.T) {
	t.Parallel()
	f, nc := startPair(t)
	const empty = `{"type":"io.annals.api.v1.projection_held_response","model":{"view":"totals","version":2,"build":0},"rows":[],"next":""}`
	if m := request(t, nc, "bank.ctl.projection.held", `{"view":"totals","subject":"ann"}`); string(m.Data) != empty {
		t.Errorf("nothing is told as %s", m.Data)
	}
	for body, want := range map[string]gateway.Code{
		`{"view":"nothing","subject":"ann"}`:             gateway.CodeUnknownView,
		`{"view":"Totals","subject":"ann"}`:              gateway.CodeInvalid,
		`{"view":"totals"}`:                              gateway.CodeInvalid,
		`{"view":"totals","subject":"ann","limit":1001}`: gateway.CodeInvalid,
		`{"view":"totals","subject":"ann","limit":-1}`:   gateway.CodeInvalid,
		`{"view":"totals","subject":"ann","all":true}`:   gateway.CodeInvalid,
	} {
		if e := errorOf(t, request(t, nc, "bank.ctl.projection.held", body)); e.Code != want {
			t.Errorf("%s: %+v, want %s", body, e, want)
		}
	}
	f.set(func() { f.err = fmt.Errorf("held in view totals: %w", projector.ErrNoTables) })
	if _, err := newClient(t, nc).Held(t.Context(), "totals", "ann", "", 0, 0); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a view without tables: %v", err)
	}
}
