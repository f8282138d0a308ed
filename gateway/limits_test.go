package gateway_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/annals-go/annals/gateway"
)

// The limits of LIMITS.md that are settings of the gateway and have no test of
// their own elsewhere.
func TestLimitsAreSettings(t *testing.T) {
	t.Parallel()
	b := startBank(t, func(c *gateway.Config) {
		c.MaxHeaders, c.MaxHeaderBytes, c.MaxCommandBytes, c.MaxHistoryPage = 3, 100, 50, 2
	})
	many := []string{"X-1", "y", "X-2", "y", "X-3", "y"}
	for what, c := range map[string]struct {
		headers []string
		body    string
		want    gateway.Code
	}{
		"three headers":     {many, `{"owner":"Ann"}`, ""},
		"four headers":      {append(many, "X-4", "y"), `{"owner":"Ann"}`, gateway.CodeInvalid},
		"100 bytes of them": {[]string{"X", strings.Repeat("y", 99)}, `{"owner":"Ann"}`, ""},
		"101 bytes of them": {[]string{"X", strings.Repeat("y", 100)}, `{"owner":"Ann"}`, gateway.CodeInvalid},
		"50 bytes of body":  {nil, `{"owner":"` + strings.Repeat("x", 38) + `"}`, ""},
		"51 bytes of body":  {nil, `{"owner":"` + strings.Repeat("x", 39) + `"}`, gateway.CodeTooLarge},
	} {
		id := fmt.Sprintf("a%d", len(what)*1000+len(c.body)+len(c.headers))
		m := request(t, b.conn, "bank.cmd.account."+id+".open", c.body, c.headers...)
		if got := m.Header.Get(gateway.HeaderError); got != string(c.want) {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
	request(t, b.conn, "bank.cmd.account.h.open", `{"owner":"Ann"}`)
	for range 4 {
		request(t, b.conn, "bank.cmd.account.h.deposit", `{"cents":1}`)
	}
	for _, verb := range []string{"history", "changes"} {
		var page struct {
			Events []json.RawMessage
			Next   uint64
		}
		m := request(t, b.conn, "bank.ctl.aggregate."+verb, `{"aggregate":"account","id":"h","limit":1000}`)
		if err := json.Unmarshal(m.Data, &page); err != nil || len(page.Events) != 2 || page.Next != 2 {
			t.Errorf("%s: %s", verb, m.Data)
		}
	}
	for _, bad := range []func(*gateway.Config){
		func(c *gateway.Config) { c.MaxPage = 1001 }, func(c *gateway.Config) { c.MaxHistoryPage = -1 },
		func(c *gateway.Config) { c.MaxHeaders = -1 }, func(c *gateway.Config) { c.MaxHeaders = 49 }, func(c *gateway.Config) { c.MaxOperations = -1 },
	} {
		c := gateway.Config{Conn: b.conn, Namespace: "bank", Actors: &fakeActors{}}
		bad(&c)
		if _, err := gateway.New(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

func TestPagesAndOperationsAreBounded(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}, 2), make(chan struct{})
	f := &fakeOperators{views: totals(5, 0), then: func() {
		entered <- struct{}{}
		<-leave
	}}
	b := startBank(t, withOperators(f), func(c *gateway.Config) { c.MaxPage, c.MaxOperations = 2, 1 })
	var page struct {
		Documents []json.RawMessage
		Next      string
	}
	m := request(t, b.conn, "bank.qry.totals", `{"limit":1000}`)
	if err := json.Unmarshal(m.Data, &page); err != nil || len(page.Documents) != 2 || page.Next == "" {
		t.Errorf("a page: %s", m.Data)
	}
	if m := request(t, b.conn, "bank.qry.totals", `{"limit":1001}`); status(t, m) != 400 {
		t.Errorf("a page over the most: %s", m.Data)
	}
	done := make(chan int, 1)
	go func() { done <- status(t, request(t, b.conn, "bank.ctl.projection.pause", `{"view":"totals"}`)) }()
	receive(t, entered)
	if m := request(t, b.conn, "bank.ctl.projection.info", `{"view":"totals"}`); status(t, m) != 429 {
		t.Errorf("a second operation: %s", m.Data)
	}
	if m := request(t, b.conn, "bank.ctl.info", ""); status(t, m) != 200 {
		t.Errorf("something else: %s", m.Data)
	}
	close(leave)
	if got := receive(t, done); got != 200 {
		t.Errorf("the first operation: %d", got)
	}
}
