package gateway_test

import (
	"context"
	"encoding/json"
	"iter"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// admitted is a good request to an endpoint, and of which kind it is.
type admitted struct {
	path, body string
	kind       gateway.Kind
}

const (
	aboutView   = `{"view":"totals"}`
	aboutLetter = `{"view":"totals","id":"0123456789ab","at":3,"by":"ann","reason":"x","data":{}}`
	aboutStream = `{"aggregate":"account","id":"x"}`
)

// admissions are all endpoints that clients reach, by the subject that they are
// registered with. One that is missing here, or anything registered that is not here,
// fails the test: whoever adds one has to say who may ask it.
var admissions = map[string]admitted{
	"cmd.>":                 {"cmd.account.x.touch", "", gateway.KindCommand},
	"prt.>":                 {"prt.0.get.account.x", "", gateway.KindInspect},
	"qry.>":                 {"qry.totals.k", "", gateway.KindQuery},
	"watch.>":               {"watch.totals", "", gateway.KindQuery},
	"ctl.info":              {"", "", gateway.KindQuery},
	"ctl.wait":              {"", `{"position":0,"views":["totals"]}`, gateway.KindQuery},
	"ctl.aggregate.get":     {"", aboutStream, gateway.KindInspect},
	"ctl.aggregate.history": {"", aboutStream, gateway.KindInspect},
	"ctl.aggregate.changes": {"", aboutStream, gateway.KindInspect},
	"ctl.aggregate.diff":    {"", aboutStream, gateway.KindInspect},
	"ctl.projection.ls":     {"", "", gateway.KindInspect},
	"ctl.projection.info":   {"", aboutView, gateway.KindInspect},
	"ctl.projection.verify": {"", aboutView, gateway.KindInspect},
	"ctl.dlq.ls":            {"", aboutView, gateway.KindInspect},
	"ctl.dlq.get":           {"", `{"view":"totals","id":"0123456789ab"}`, gateway.KindInspect},
	"ctl.dlq.skipped":       {"", aboutView, gateway.KindInspect},

	"ctl.projection.rebuild":  {"", aboutView, gateway.KindOperate},
	"ctl.projection.promote":  {"", aboutView, gateway.KindOperate},
	"ctl.projection.rollback": {"", aboutView, gateway.KindOperate},
	"ctl.projection.cancel":   {"", aboutView, gateway.KindOperate},
	"ctl.projection.retire":   {"", aboutView, gateway.KindOperate},
	"ctl.projection.pause":    {"", aboutView, gateway.KindOperate},
	"ctl.projection.resume":   {"", aboutView, gateway.KindOperate},
	"ctl.projection.rewind":   {"", `{"view":"totals","position":0}`, gateway.KindOperate},
	"ctl.dlq.retry":           {"", `{"view":"totals","id":"0123456789ab"}`, gateway.KindOperate},
	"ctl.dlq.edit":            {"", strings.Replace(aboutLetter, `"reason":"x",`, "", 1), gateway.KindOperate},
	"ctl.dlq.skip":            {"", strings.Replace(aboutLetter, `,"data":{}`, "", 1), gateway.KindOperate},
	"ctl.audit.record":        {"", `{"id":"1","action":"cluster.drain","outcome":"done","at":"2026-01-01T00:00:00Z"}`, gateway.KindOperate},

	"ctl.subject.forget": {"", `{"subject":"s","why":"x"}`, gateway.KindPersonal},
	"ctl.subject.get":    {"", `{"subject":"s"}`, gateway.KindPersonal},
	"ctl.subject.ls":     {"", "", gateway.KindPersonal},

	"ctl.projection.held": {"", `{"view":"totals","subject":"s"}`, gateway.KindPersonal},
}

// nodesOnly are the endpoints that only nodes may publish to.
const nodesOnly = "node.a.>"

// everyRole knows a token for each role and for a role that there is not.
func everyRole() tokens {
	all := tokens{"boss": {Principal: "boss", Roles: []string{"boss"}}, "none": {Principal: "nobody"}}
	for _, role := range gateway.Roles() {
		all[role] = gateway.Identity{Principal: role, Roles: []string{role}}
	}
	return all
}

// gatekeeper is a gateway that answers everything there is.
func gatekeeper(t *testing.T, change ...func(*gateway.Config)) *nats.Conn {
	t.Helper()
	l := newLive()
	w := watchable{newWandering("a", "totals"), l}
	w.run("totals", true)
	o := &fakeOperators{views: w.wandering, letters: []projector.DeadLetter{{ID: "0123456789ab", At: 3}}}
	s, r := startServer(t), newRoster("a")
	r.run("totals", "a")
	actors := newPrincipals()
	actors.history = func(store.StreamID) iter.Seq2[store.Recorded[any], error] {
		return func(func(store.Recorded[any], error) bool) {}
	}
	startNode(t, s, r, "a", actors, append(change, func(c *gateway.Config) {
		c.Views, c.Watches, c.Operators, c.Recorder, c.Subjects = w, w, o, &notebook{}, &officer{}
	})...)
	return connect(t, s)
}

// endpointsOf are the subjects of all endpoints, without the namespace.
func endpointsOf(t *testing.T, nc *nats.Conn) []string {
	t.Helper()
	var all []string
	for _, name := range []string{"annals-commands", "annals-control", "annals-query"} {
		var info micro.Info
		if err := json.Unmarshal(everybody(t, nc, "$SRV.INFO."+name, 1)[0], &info); err != nil {
			t.Fatal(err)
		}
		for _, e := range info.Endpoints {
			all = append(all, strings.TrimPrefix(e.Subject, "bank."))
		}
	}
	return all
}

// Every endpoint refuses whoever lacks the role, the anonymous where a name is needed,
// and whom the authorizer refuses; it asks nothing else of anybody.
func TestEveryEndpointAsksWhoMay(t *testing.T) {
	t.Parallel()
	known := everyRole()
	open := gatekeeper(t, func(c *gateway.Config) { c.Authentication.Tokens = known })
	strict := gatekeeper(t, func(c *gateway.Config) { c.Authentication = gateway.Authentication{Tokens: known, Required: true} })
	a := &asks{err: func(gateway.Ask) error { return gateway.ErrForbidden }}
	authorized := gatekeeper(t, func(c *gateway.Config) { c.Authorize, c.Authentication.Tokens = a.authorize, known })
	found := endpointsOf(t, open)
	for _, subject := range found {
		c, listed := admissions[subject]
		if !listed && subject != nodesOnly {
			t.Errorf("%s: who may ask that? It is in no list here", subject)
		}
		if !listed {
			continue
		}
		if c.path == "" {
			c.path = subject
		}
		for token, who := range known {
			m := request(t, open, "bank."+c.path, c.body, gateway.HeaderAuthorization, "Bearer "+token)
			if may, code := gateway.Grants(who.Roles, c.kind), m.Header.Get(gateway.HeaderError); may != (code != "FORBIDDEN") || code == "UNAUTHENTICATED" || code == "INVALID" {
				t.Errorf("%s as %s: %s %.200s", c.path, token, code, m.Data)
			}
		}
		if m := request(t, strict, "bank."+c.path, c.body); m.Header.Get(gateway.HeaderError) != "UNAUTHENTICATED" {
			t.Errorf("%s as nobody: %s", c.path, m.Data)
		}
		if m := request(t, open, "bank.as.ann."+c.path, c.body, gateway.HeaderAuthorization, "Bearer none"); m.Header.Get(gateway.HeaderError) != "FORBIDDEN" {
			t.Errorf("%s with a name and a token without roles: %s", c.path, m.Data)
		}
		m := request(t, authorized, "bank."+c.path, c.body, gateway.HeaderAuthorization, "Bearer admin")
		asked := a.take()
		if m.Header.Get(gateway.HeaderError) != "FORBIDDEN" || len(asked) != 1 || asked[0].Kind != c.kind || asked[0].Principal != "admin" {
			t.Errorf("%s, which the authorizer refuses: %+v %s", c.path, asked, m.Data)
		}
	}
	if len(found) != len(admissions)+1 {
		t.Errorf("%d endpoints, %d and one for nodes are listed: %q", len(found), len(admissions), found)
	}
}

// What nodes ask each other has no endpoint that clients reach.
func TestWhatNodesAskIsNotAskedByClients(t *testing.T) {
	t.Parallel()
	nc := gatekeeper(t, func(c *gateway.Config) {
		c.Authentication = gateway.Authentication{Tokens: everyRole(), Required: true}
		c.Authorize = func(context.Context, gateway.Ask) error { return nil }
	})
	for _, subject := range []string{"bank.ctl.subject.purge", "bank.as.ann.ctl.subject.purge", "bank.as.ann.node.a.ctl.info", "bank.as.ann.as.bob.ctl.info"} {
		if !nobody(nc, subject) {
			t.Errorf("%s: somebody answers", subject)
		}
	}
}
