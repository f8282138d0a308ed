package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// tokens are those that a test knows.
type tokens map[string]gateway.Identity

var errElsewhereIsDown = fmt.Errorf("%w: no keys yet", store.ErrUnavailable)

func (k tokens) Verify(token string) (gateway.Identity, error) {
	who, ok := k[token]
	switch {
	case token == "later":
		return who, errElsewhereIsDown
	case !ok:
		return who, fmt.Errorf("%w: an unknown token", gateway.ErrUnauthenticated)
	}
	return who, nil
}

var known = tokens{
	"t-bob":      {Principal: "bob", Roles: []string{gateway.RoleClient}},
	"t-viewer":   {Principal: "vera", Roles: []string{gateway.RoleViewer}},
	"t-operator": {Principal: "otto", Roles: []string{gateway.RoleOperator}},
	"t-admin":    {Principal: "adam", Roles: []string{gateway.RoleAdmin}},
	"t-stranger": {Principal: "sid", Roles: []string{"boss"}},
	"t-nobody":   {},
	"t-broken":   {Principal: "a\nb", Roles: []string{gateway.RoleAdmin}},
}

func verifying(c *gateway.Config) { c.Authentication.Tokens = known }

func requiring(c *gateway.Config) {
	c.Authentication = gateway.Authentication{Tokens: known, Required: true}
}

// principals notes who sent what was submitted.
type principals struct {
	fakeActors
	mu   sync.Mutex
	sent []string
}

func newPrincipals() *principals {
	p := &principals{}
	p.submit = func(_ context.Context, c actor.Command, reply func(actor.Result, error)) {
		p.mu.Lock()
		p.sent = append(p.sent, c.Principal)
		p.mu.Unlock()
		reply(actor.Result{Version: 1, Position: 1024}, nil)
	}
	return p
}

func (p *principals) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.sent) == 0 {
		return "(nothing was submitted)"
	}
	last := p.sent[len(p.sent)-1]
	p.sent = nil
	return last
}

// Who asks is told by the subject or by a token, on the node that is asked and on
// the one that it passes the request on to.
func TestWhoAsks(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("b")
	p := newPrincipals()
	startNode(t, s, r, "a", notHere(t), verifying)
	startNode(t, s, r, "b", p, verifying)
	nc := connect(t, s)
	const nothing = "(nothing was submitted)"
	for _, c := range []struct {
		what, subject, token, want string
		status                     int
	}{
		{"nobody", "bank.cmd.account.x.touch", "", "", 200},
		{"by the subject", "bank.as.ann.cmd.account.x.touch", "", "ann", 200},
		{"by the subject, to the owner", "bank.as.ann.prt.3.cmd.account.x.touch", "", "ann", 200},
		{"a name with a space", "bank.as.=20ann=20.cmd.account.x.touch", "", " ann ", 200},
		{"by a token", "bank.cmd.account.x.touch", "Bearer t-bob", "bob", 200},
		{"in another spelling", "bank.cmd.account.x.touch", "bearer  t-bob ", "bob", 200},
		{"a token on another's behalf", "bank.as.ann.cmd.account.x.touch", "Bearer t-bob", "bob", 200},
		{"an unknown token", "bank.cmd.account.x.touch", "Bearer x", nothing, 401},
		{"an unknown token of somebody known", "bank.as.ann.cmd.account.x.touch", "Bearer x", nothing, 401},
		{"a token that cannot be verified now", "bank.cmd.account.x.touch", "Bearer later", nothing, 503},
		{"a token of nobody", "bank.cmd.account.x.touch", "Bearer t-nobody", nothing, 401},
		{"a token of a name that cannot be", "bank.cmd.account.x.touch", "Bearer t-broken", nothing, 401},
		{"no bearer", "bank.cmd.account.x.touch", "Basic t-bob", nothing, 401},
		{"no token", "bank.cmd.account.x.touch", "Bearer ", nothing, 401},
		{"a long token", "bank.cmd.account.x.touch", "Bearer " + strings.Repeat("x", 9<<10), nothing, 401},
		{"a name that is no token", "bank.as.a=2eb.cmd.account.x.touch", "", nothing, 400},
		{"a name twice", "bank.as.ann.as.bob.cmd.account.x.touch", "", "", 503}, // nobody listens there
		{"a token that may not", "bank.cmd.account.x.touch", "Bearer t-viewer", nothing, 403},
		{"a token of an unknown role", "bank.cmd.account.x.touch", "Bearer t-stranger", nothing, 403},
	} {
		var headers []string
		if c.token != "" {
			headers = []string{"Annals-Authorization", c.token}
		}
		if c.status == 503 && c.token == "" {
			if !nobody(nc, c.subject) {
				t.Errorf("%s: somebody listens", c.what)
			}
			continue
		}
		m := request(t, nc, c.subject, "", headers...)
		if got := status(t, m); got != c.status {
			t.Errorf("%s: %d, want %d: %s", c.what, got, c.status, m.Data)
		}
		if got := p.last(); got != c.want {
			t.Errorf("%s: sent by %q, want %q", c.what, got, c.want)
		}
	}
	m := request(t, nc, "bank.cmd.account.x.touch", "", "Annals-Authorization", "Bearer t-bob", "annals-authorization", "Bearer t-operator")
	if status(t, m) != 400 {
		t.Errorf("two tokens: %s", m.Data)
	}
}

// Whoever says in a header who it is, is refused.
func TestNobodySaysInAHeaderWhoItIs(t *testing.T) {
	t.Parallel()
	b := startBank(t, verifying)
	for _, header := range []string{"Annals-Principal", "annals-principal", "ANNALS-PRINCIPAL", "Annals-Until", "Annals-Roles"} {
		for _, subject := range []string{"bank.cmd.account.a.open", "bank.as.ann.cmd.account.a.open", "bank.ctl.aggregate.get", "bank.ctl.info"} {
			m := request(t, b.conn, subject, "", header, "root")
			if status(t, m) != 400 {
				t.Errorf("%s on %s: %s", header, subject, m.Data)
			}
		}
	}
	if tip, err := b.log.Tip(t.Context()); err != nil || tip != 0 {
		t.Errorf("something was stored: %v %v", tip, err)
	}
}

// A gateway that wants to know everybody serves nobody else, and what nodes ask
// each other.
func TestTheAnonymousAreRefused(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("b")
	p := newPrincipals()
	startNode(t, s, r, "a", notHere(t), requiring)
	startNode(t, s, r, "b", p, requiring)
	nc := connect(t, s)
	for _, subject := range []string{"bank.cmd.account.x.touch", "bank.prt.0.cmd.account.x.touch", "bank.prt.0.get.account.x", "bank.ctl.info", "bank.ctl.aggregate.get"} {
		m := request(t, nc, subject, "")
		if status(t, m) != 401 || m.Header.Get("Annals-Error") != "UNAUTHENTICATED" {
			t.Errorf("%s: %s", subject, m.Data)
		}
	}
	for range 8 { // over either node
		if m := request(t, nc, "bank.as.ann.cmd.account.x.touch", ""); status(t, m) != 200 || p.last() != "ann" {
			t.Errorf("ann: %s", m.Data)
		}
	}
}

// The Go client asks under its name, or with the token of the call.
func TestAClientSaysWhoItIs(t *testing.T) {
	t.Parallel()
	p := newPrincipals()
	s, r := startServer(t), newRoster("a")
	startNode(t, s, r, "a", p, requiring)
	id := store.StreamID{Type: "account", ID: "x"}
	for _, c := range []struct {
		what   string
		change func(*gateway.ClientConfig)
		token  string // of the call
		want   string
	}{
		{"by name", func(c *gateway.ClientConfig) { c.Principal = "ann b." }, "", "ann b."},
		{"by token", func(c *gateway.ClientConfig) { c.Token = func() string { return "t-bob" } }, "", "bob"},
		{
			"by the token of the call", func(c *gateway.ClientConfig) { c.Token = func() string { return "t-bob" } },
			"t-operator", "otto",
		},
	} {
		client, ctx := newClient(t, connect(t, s), c.change), t.Context()
		if c.token != "" {
			ctx = gateway.WithToken(ctx, c.token)
		}
		for range 2 { // the second goes straight to the owner
			if _, err := client.Send(ctx, gateway.Request{Stream: id, Name: "touch"}); err != nil {
				t.Fatalf("%s: %v", c.what, err)
			}
			if got := p.last(); got != c.want {
				t.Errorf("%s: sent by %q", c.what, got)
			}
		}
		if info, err := client.Info(ctx); err != nil || info.Node != "a" {
			t.Errorf("%s: %+v %v", c.what, info, err)
		}
		if _, err := client.State(ctx, id, actor.At{}); !errors.Is(err, store.ErrNotFound) && !errors.Is(err, gateway.ErrForbidden) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	_, err := newClient(t, connect(t, s)).Send(t.Context(), gateway.Request{Stream: id, Name: "touch"})
	if e, ok := errors.AsType[*gateway.Error](err); !ok || e.Status != 401 || !errors.Is(err, gateway.ErrUnauthenticated) || e.Retryable {
		t.Errorf("without a name: %+v", err)
	}
	if _, err := gateway.NewClient(gateway.ClientConfig{Conn: connect(t, s), Namespace: namespace, Principal: "a\x00"}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a name that cannot be: %v", err)
	}
}

// A watch ends when the token does that it was begun with.
func TestAWatchEndsWithItsToken(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(c *gateway.Config) {
		c.Authentication.Tokens = tokens{"short": {Principal: "ann", Roles: []string{gateway.RoleClient}, Until: time.Now().Add(2 * time.Second)}}
	})
	s.put("k/1", "old")
	client := newClient(t, connect(t, s.server))
	seen := 0
	for d, err := range client.Watch(gateway.WithToken(t.Context(), "short"), "totals", projector.Watch{}) {
		if err == nil {
			seen++
			continue
		}
		if !errors.Is(err, gateway.ErrUnauthenticated) || d.Key != "" {
			t.Errorf("it ended with %v", err)
		}
	}
	if seen != 1 {
		t.Errorf("%d documents came", seen)
	}
}

// asks notes what an authorizer is asked.
type asks struct {
	mu  sync.Mutex
	all []gateway.Ask
	err func(gateway.Ask) error
}

func (a *asks) authorize(_ context.Context, ask gateway.Ask) error {
	a.mu.Lock()
	a.all = append(a.all, ask)
	a.mu.Unlock()
	if a.err == nil {
		return nil
	}
	return a.err(ask)
}

func (a *asks) take() []gateway.Ask {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := a.all
	a.all = nil
	return all
}

// The authorizer is asked once for each request, wherever that is answered, and
// knows what it is about.
func TestWhatAnAuthorizerIsAsked(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("b")
	r.run("totals", "b")
	a := &asks{}
	here, there := newWandering("a", "totals"), newWandering("b", "totals")
	there.run("totals", true)
	authorized := func(c *gateway.Config) { c.Authorize = a.authorize }
	startNode(t, s, r, "a", notHere(t), authorized, verifying, withOperators(&fakeOperators{views: here}))
	startNode(t, s, r, "b", &fakeActors{submit: succeed}, authorized, verifying, withOperators(&fakeOperators{views: there}))
	nc := connect(t, s)
	for _, c := range []struct {
		path, body string
		want       gateway.Ask
	}{
		{"cmd.account.x.touch", "", gateway.Ask{Kind: gateway.KindCommand, Aggregate: "account", ID: "x", Name: "touch"}},
		{"prt.3.get.account.a=20b", "", gateway.Ask{Kind: gateway.KindInspect, Aggregate: "account", ID: "a b", Name: "get"}},
		{"qry.totals.k", "", gateway.Ask{Kind: gateway.KindQuery, View: "totals", ID: "k", Name: "query"}},
		{"qry.totals", "", gateway.Ask{Kind: gateway.KindQuery, View: "totals", Name: "query"}},
		{"ctl.aggregate.get", `{"aggregate":"account","id":"x"}`, gateway.Ask{Kind: gateway.KindInspect, Aggregate: "account", ID: "x", Name: "aggregate.get"}},
		{"ctl.aggregate.diff", `{"aggregate":"account","id":"x"}`, gateway.Ask{Kind: gateway.KindInspect, Aggregate: "account", ID: "x", Name: "aggregate.diff"}},
		{"ctl.aggregate.changes", `{"aggregate":"account","id":"x"}`, gateway.Ask{Kind: gateway.KindInspect, Aggregate: "account", ID: "x", Name: "aggregate.changes"}},
		{"ctl.info", "", gateway.Ask{Kind: gateway.KindQuery, Name: "info"}},
		{"ctl.projection.ls", "", gateway.Ask{Kind: gateway.KindInspect, Name: "projection.ls"}},
		{"ctl.projection.info", `{"view":"totals"}`, gateway.Ask{Kind: gateway.KindInspect, View: "totals", Name: "projection.info"}},
		{"ctl.projection.pause", `{"view":"totals"}`, gateway.Ask{Kind: gateway.KindOperate, View: "totals", Name: "projection.pause"}},
		{"ctl.dlq.retry", `{"view":"totals","id":"l7"}`, gateway.Ask{Kind: gateway.KindOperate, View: "totals", ID: "l7", Name: "dlq.retry"}},
		{"ctl.wait", `{"position":0,"views":["totals"]}`, gateway.Ask{Kind: gateway.KindQuery, View: "totals", Name: "wait"}},
	} {
		request(t, nc, "bank.as.ann."+c.path, c.body)
		c.want.Tenant, c.want.Principal = "bank", "ann"
		if diff := cmp.Diff([]gateway.Ask{c.want}, a.take()); diff != "" {
			t.Errorf("%s, by name (-want +got):\n%s", c.path, diff)
		}
		request(t, nc, "bank."+c.path, c.body, "Annals-Authorization", "Bearer t-operator")
		c.want.Principal, c.want.Roles = "otto", []string{gateway.RoleOperator}
		if diff := cmp.Diff([]gateway.Ask{c.want}, a.take()); diff != "" {
			t.Errorf("%s, by token (-want +got):\n%s", c.path, diff)
		}
	}
}

// What an authorizer refuses is not done, and told as a refusal whatever its error
// looks like.
func TestWhatAnAuthorizerRefuses(t *testing.T) {
	t.Parallel()
	a := &asks{err: func(ask gateway.Ask) error {
		switch ask.ID {
		case "unknown":
			return fmt.Errorf("%w: log in first", gateway.ErrUnauthenticated)
		case "away":
			return fmt.Errorf("%w: the rules cannot be read", store.ErrUnavailable)
		case "panic":
			panic("secret")
		case "sly":
			return fmt.Errorf("a no that looks like something else: %w", actor.ErrRejected)
		}
		return fmt.Errorf("%w: %s is not yours", gateway.ErrForbidden, ask.ID)
	}}
	b := startBank(t, func(c *gateway.Config) { c.Authorize = a.authorize })
	for id, want := range map[string]string{
		"x":       `"code":403,"err_code":"FORBIDDEN","description":"forbidden: x is not yours","retryable":false`,
		"unknown": `"code":401,"err_code":"UNAUTHENTICATED","description":"unauthenticated: log in first","retryable":false`,
		"away":    `"code":503,"err_code":"UNAVAILABLE","description":"unavailable: the rules cannot be read","retryable":true`,
		"panic":   `"code":403,"err_code":"FORBIDDEN","description":"forbidden","retryable":false`,
		"sly":     `"code":403,"err_code":"FORBIDDEN","description":"forbidden: a no that looks like something else: rejected","retryable":false`,
	} {
		m := request(t, b.conn, "bank.cmd.account."+id+".open", `{"owner":"Ann"}`)
		if !strings.Contains(string(m.Data), want) {
			t.Errorf("%s: %s, want %s", id, m.Data, want)
		}
	}
	if tip, err := b.log.Tip(t.Context()); err != nil || tip != 0 {
		t.Errorf("something was stored: %v %v", tip, err)
	}
	_, err := b.client(t).Send(t.Context(), gateway.Request{Stream: store.StreamID{Type: "account", ID: "x"}, Name: "open", Body: []byte(`{}`), Codec: store.JSON})
	if !errors.Is(err, gateway.ErrForbidden) || errors.Is(err, store.ErrUnknown) {
		t.Errorf("the client's error: %v", err)
	}
}

// What the roles of a token may do, kind by kind.
func TestWhatRolesGrant(t *testing.T) {
	t.Parallel()
	kinds := []gateway.Kind{gateway.KindCommand, gateway.KindQuery, gateway.KindInspect, gateway.KindOperate, gateway.KindPersonal}
	want := map[string]string{
		"client": "++---", "viewer": "-++--", "operator": "++++-", "privacy-officer": "-++-+", "admin": "+++++", "boss": "-----", "": "-----",
	}
	for role, row := range want {
		for i, kind := range kinds {
			if got := gateway.Grants([]string{role}, kind); got != (row[i] == '+') {
				t.Errorf("%q, %s: %v", role, kind, got)
			}
		}
	}
	for _, role := range gateway.Roles() {
		if want[role] == "" {
			t.Errorf("role %s is not in this table", role)
		}
	}
}
