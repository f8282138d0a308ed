package gateway_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
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

// For corrections a page looks so far ahead and no further, however long the stream is.
func TestHistoryLooksAheadForCorrections(t *testing.T) {
	t.Parallel()
	const ahead, limit = 2000, 3
	s, seen := startServer(t), new(atomic.Int64)
	actors := &fakeActors{history: func(id store.StreamID) iter.Seq2[store.Recorded[any], error] {
		return func(yield func(store.Recorded[any], error) bool) {
			seen.Store(0)
			for v := uint64(1); ; v++ {
				e := store.Recorded[any]{Stream: id, Version: v, Type: "moved", Data: moved{1}, Command: store.Command{ID: fmt.Sprint(v)}}
				if v == limit+ahead || v == limit+ahead+10 {
					e.Command.Corrects = "account/a/2"
				}
				if seen.Add(1); !yield(e, nil) {
					return
				}
			}
		}
	}}
	startGateway(t, gateway.Config{Conn: connect(t, s), Actors: actors})
	m := request(t, connect(t, s), "bank.ctl.aggregate.history", fmt.Sprintf(`{"aggregate":"account","id":"a","limit":%d}`, limit))
	var page struct{ Events []gateway.Event }
	if err := json.Unmarshal(m.Data, &page); err != nil || len(page.Events) != limit {
		t.Fatalf("%s, %v", m.Data, err)
	}
	if by := page.Events[1].CorrectedBy; len(by) != 1 || by[0] != limit+ahead {
		t.Errorf("corrected by %v, want %d", by, limit+ahead)
	}
	if n := seen.Load(); n != limit+ahead+1 {
		t.Errorf("%d events were read, want %d", n, limit+ahead+1)
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
