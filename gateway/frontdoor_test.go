package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/micro"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// frontAndBack are a node that takes requests in and one, inner, that runs the view; each has a notebook.
func frontAndBack(t *testing.T, change ...func(*gateway.Config)) (front, back *notebook, o *fakeOperators, b *bank) {
	t.Helper()
	s, r := startServer(t), newRoster("a")
	there := newWandering("b", "totals")
	there.run("totals", true)
	r.run("totals", "b")
	front, back = &notebook{}, &notebook{}
	o = &fakeOperators{views: there, letters: []projector.DeadLetter{{ID: "0123456789ab", At: 3}}}
	taking := []func(*gateway.Config){withOperators(&fakeOperators{views: newWandering("a", "totals")}), func(c *gateway.Config) { c.Recorder, c.Subjects = front, &officer{} }}
	startNode(t, s, r, "a", &fakeActors{}, append(taking, change...)...)
	startNode(t, s, r, "b", &fakeActors{}, withOperators(o), func(c *gateway.Config) { c.Recorder, c.Inner = back, true })
	return front, back, o, &bank{server: s, conn: connect(t, s)}
}

// The node that runs a view need not be able to append to the log: whoever took a request in writes down
// what was asked for, by whom, and what came of it.
func TestAnOperationIsRecordedWhereItIsTakenIn(t *testing.T) {
	t.Parallel()
	front, back, o, b := frontAndBack(t)
	for _, c := range []struct{ verb, body, act, outcome string }{
		{"projection.pause", `{"view":"totals"}`, "projection.pause|totals|ann|", "done"},
		{"dlq.skip", `{"view":"totals","id":"0123456789ab","at":4,"by":"the boss","reason":"bad"}`, "dlq.skip|totals/0123456789ab|ann|bad", "failed: CONFLICT"},
	} {
		m := request(t, b.conn, "bank.as.ann.ctl."+c.verb, c.body)
		if good := status(t, m) == 200; good != (c.outcome == "done") {
			t.Errorf("%s: %s", c.verb, m.Data)
		}
		if c.outcome == "done" && !strings.Contains(string(m.Data), `"node":"b"`) {
			t.Errorf("%s: the answer of the node that runs the view is %s", c.verb, m.Data)
		}
		want := []string{c.act + "|begun|a", c.act + "|" + c.outcome + "|a"}
		if got := front.take(); !slices.Equal(got, want) {
			t.Errorf("%s: recorded %q, want %q", c.verb, got, want)
		}
	}
	if got := back.take(); got != nil {
		t.Errorf("the node behind recorded %q", got)
	}
	if got := o.asked(); len(got) == 0 {
		t.Error("nothing was asked of the node that runs the view")
	}
	front.err = fmt.Errorf("%w: no log", store.ErrUnavailable)
	before := len(o.asked())
	if e := errorOf(t, request(t, b.conn, "bank.as.ann.ctl.projection.resume", `{"view":"totals"}`)); e.Code != gateway.CodeUnavailable || len(o.asked()) != before {
		t.Errorf("what cannot be recorded: %+v, asked %q", e, o.asked())
	}
}

// A node behind that is gone is waited for, and nothing is said to be done.
func TestAnOperationWaitsForTheNodeThatIsGone(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	n := &notebook{}
	r.run("totals", "gone")
	startNode(t, s, r, "a", &fakeActors{}, withOperators(&fakeOperators{views: newWandering("a", "totals")}), func(c *gateway.Config) { c.Recorder = n })
	e := errorOf(t, request(t, connect(t, s), "bank.ctl.projection.pause", `{"view":"totals"}`, "Annals-Deadline", "1s"))
	if e.Code != gateway.CodeUnavailable {
		t.Errorf("%+v", e)
	}
	if got := n.take(); len(got) != 2 || !strings.HasSuffix(got[1], "|failed: UNAVAILABLE|a") {
		t.Errorf("recorded %q", got)
	}
}

// Whoever may publish below a node's subjects says who asks. So nobody is forgotten there, and nothing is
// written into the audit log.
func TestWhatNodesDoNotAskEachOtherFor(t *testing.T) {
	t.Parallel()
	front, _, _, b := frontAndBack(t)
	for verb, body := range map[string]string{
		"subject.forget": `{"subject":"c-7","why":"asked"}`, "subject.get": `{"subject":"c-7"}`, "subject.ls": `{}`,
		"audit.record": `{"id":"1","action":"cluster.drain","outcome":"begun","at":"2026-01-01T00:00:00Z"}`,
	} {
		e := errorOf(t, request(t, b.conn, "bank.node.a.ctl."+verb, body, "Annals-Principal", "queen"))
		if e.Code != gateway.CodeInvalid || !strings.Contains(e.Description, "nothing of the kind") {
			t.Errorf("%s: %+v", verb, e)
		}
	}
	if got := front.take(); got != nil {
		t.Errorf("recorded %q", got)
	}
}

// With roles for those whom subjects name, a name alone is a client's, and so is none.
func TestNamedAskersMayDoWhatTheirRolesAllow(t *testing.T) {
	t.Parallel()
	named := map[string][]string{"olga": {gateway.RoleOperator}, "petra": {gateway.RolePrivacyOfficer}, "nick": {}}
	_, _, _, b := frontAndBack(t, func(c *gateway.Config) { c.Authentication = gateway.Authentication{Tokens: known, Named: named} })
	for _, c := range []struct {
		verb, body string
		may        string // with spaces around each
	}{
		{"info", ``, " ann olga petra "},
		{"projection.pause", `{"view":"totals"}`, " olga "},
		{"projection.ls", ``, " olga petra "},
		{"subject.forget", `{"subject":"c-7","why":"asked"}`, " petra "},
		{"subject.ls", `{}`, " petra "},
	} {
		for _, who := range []string{"ann", "olga", "petra", "nick"} {
			m := request(t, b.conn, "bank.as."+who+".ctl."+c.verb, c.body)
			if refused := status(t, m) == 403; refused == strings.Contains(c.may, " "+who+" ") {
				t.Errorf("%s by %s: %s", c.verb, who, m.Data)
			}
		}
		if m := request(t, b.conn, "bank.ctl."+c.verb, c.body); (status(t, m) == 403) == (c.verb == "info") {
			t.Errorf("%s by nobody: %s", c.verb, m.Data)
		}
	}
	m := request(t, b.conn, "bank.as.ann.ctl.projection.pause", `{"view":"totals"}`, "Annals-Authorization", "Bearer t-operator")
	if status(t, m) != 200 {
		t.Errorf("a token counts more than a name: %s", m.Data)
	}
}

// Those who grant permissions go by the list: it has what is answered, and nothing else.
func TestControlVerbsAreThoseThatAreAnswered(t *testing.T) {
	t.Parallel()
	b, _, _, _ := office(t)
	var answered, listed []string
	for _, data := range everybody(t, b.conn, "$SRV.INFO.annals-control", 1) {
		var info micro.Info
		if err := json.Unmarshal(data, &info); err != nil {
			t.Fatal(err)
		}
		for _, e := range info.Endpoints {
			if verb, is := strings.CutPrefix(e.Subject, "bank.ctl."); is {
				answered = append(answered, verb)
			}
		}
	}
	for _, v := range gateway.ControlVerbs() {
		listed = append(listed, v.Verb)
	}
	slices.Sort(answered)
	if len(answered) == 0 || !slices.Equal(answered, listed) {
		t.Errorf("answered\n%q\nlisted\n%q", answered, listed)
	}
}

// The kind that the list says is the one that an authorizer is asked about.
func TestControlVerbsHaveTheirKinds(t *testing.T) {
	t.Parallel()
	kinds := make(chan gateway.Ask, 1)
	_, _, _, b := frontAndBack(t, func(c *gateway.Config) {
		c.Authorize = func(_ context.Context, a gateway.Ask) error {
			kinds <- a
			return gateway.ErrForbidden
		}
	})
	bodies := map[string]string{
		"projection.held": `{"view":"totals","subject":"c-7"}`, "info": ``, "wait": `{"position":0,"views":["totals"]}`, "projection.ls": ``, "subject.ls": ``, "projection.rewind": `{"view":"totals","position":0}`,
		"subject.get": `{"subject":"c-7"}`, "subject.forget": `{"subject":"c-7","why":"asked"}`,
	}
	for _, v := range gateway.ControlVerbs() {
		if v.Verb == "audit.record" || strings.HasPrefix(v.Verb, "aggregate.") { // whose bodies have tests of their own
			continue
		}
		body, special := bodies[v.Verb]
		if !special {
			body = `{"view":"totals"}`
		}
		if m := request(t, b.conn, "bank.ctl."+v.Verb, body); status(t, m) != 403 {
			t.Errorf("%s: %s", v.Verb, m.Data)
			continue
		}
		if a := <-kinds; a.Kind != v.Kind {
			t.Errorf("%s is of kind %s, and %s in the list", v.Verb, a.Kind, v.Kind)
		}
	}
}
