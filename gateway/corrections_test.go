package gateway_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// A history shows a correction from both ends, whichever way the corrected
// event was named, and across pages.
func TestHistoryShowsCorrections(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	c := b.client(t)
	sender := gateway.For(c, accounts)
	id := store.StreamID{Type: "account", ID: "a/b"}
	send := func(corrects string) {
		t.Helper()
		if _, err := sender.SendWith(t.Context(), id.ID, deposit{Cents: 10}, gateway.Options{Corrects: corrects}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sender.Send(t.Context(), id.ID, open{Owner: "Ann"}); err != nil {
		t.Fatal(err)
	}
	send("")
	history := func() (shown []string, ids []string) {
		t.Helper()
		for e, err := range c.History(t.Context(), id, 0) {
			if err != nil {
				t.Fatal(err)
			}
			shown = append(shown, fmt.Sprintf("%d:%s:%v", e.Version, e.Command.Corrects, e.CorrectedBy))
			ids = append(ids, e.ID.String())
		}
		return shown, ids
	}
	_, ids := history()
	send("account/a/b/1")
	send(strings.ToUpper(ids[1]))
	send("account/a/b/1")
	send("account/other/1")
	got, _ := history()
	want := []string{"1::[3 5]", "2::[4]", "3:account/a/b/1:[]", "4:" + ids[1] + ":[]", "5:account/a/b/1:[]", "6:account/other/1:[]"}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("history shows\n%v, want\n%v", got, want)
	}
	m := request(t, b.conn, "bank.ctl.aggregate.history", `{"aggregate":"account","id":"a/b","limit":1}`)
	if !strings.Contains(string(m.Data), `"corrected_by":[3,5]`) {
		t.Errorf("a page of one event: %s", m.Data)
	}
}

func TestCorrectsIsChecked(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	sender := gateway.For(b.client(t), accounts)
	for _, bad := range []string{"account/a/1", "1", "account/a/x"} {
		_, err := sender.SendWith(t.Context(), "a", open{Owner: "Ann"}, gateway.Options{Corrects: bad})
		if failure, is := errors.AsType[*gateway.Error](err); !is || failure.Code != gateway.CodeInvalid {
			t.Errorf("corrects %q: %v", bad, err)
		}
	}
}
