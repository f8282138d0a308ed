package gateway_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
)

// revocable are tokens that a test takes back.
type revocable struct {
	mu    sync.Mutex
	known tokens
}

func (r *revocable) Verify(token string) (gateway.Identity, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known.Verify(token)
}

// Proof implements [gateway.Prover]; a signed token has none.
func (r *revocable) Proof(token string) string {
	if token == "signed" {
		return ""
	}
	return hex.EncodeToString([]byte(token))
}

// Proven implements [gateway.Prover].
func (r *revocable) Proven(proof string) (gateway.Identity, error) {
	token, err := hex.DecodeString(proof)
	if err != nil {
		return gateway.Identity{}, err
	}
	return r.Verify(string(token))
}

func (r *revocable) set(f func(tokens)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r.known)
}

// A watch ends when its token is taken back, or may not query any more, on whichever
// node the view runs; others go on, also while tokens cannot be verified.
func TestAWatchEndsWhenItsTokenIsTakenBack(t *testing.T) {
	t.Parallel()
	client := []string{gateway.RoleClient}
	known := &revocable{known: tokens{
		"gone": {Principal: "ann", Roles: client}, "less": {Principal: "bob", Roles: client}, "other": {Principal: "cy", Roles: client}, "stays": {Principal: "dan", Roles: client},
	}}
	s := newStage(t, func(c *gateway.Config) {
		c.Authentication.Tokens, c.WatchBeat = known, 300*time.Millisecond // a watcher that a busy machine keeps from confirming is none
	})
	s.put("k/1", "old")
	nc := newClient(t, connect(t, s.server))
	begun, ended := make(chan string, 64), make(chan error, 64)
	watch := func(token string) {
		for _, err := range nc.Watch(gateway.WithToken(t.Context(), token), "totals", projector.Watch{}) {
			if err == nil {
				begun <- token
				continue
			}
			ended <- fmt.Errorf("%s: %w", token, err)
		}
	}
	const each = 6 // enough for both nodes to have some
	want := map[string]error{"gone": gateway.ErrUnauthenticated, "less": gateway.ErrForbidden, "other": gateway.ErrUnauthenticated}
	for range each {
		for token := range want {
			go watch(token)
		}
		go watch("stays")
	}
	for range 4 * each {
		<-begun
	}
	known.set(func(all tokens) {
		delete(all, "gone")
		all["less"] = gateway.Identity{Principal: "bob", Roles: []string{"none"}}
		all["other"] = gateway.Identity{Principal: "mallory", Roles: client}
	})
	for range 3 * each {
		err := <-ended
		fits := false
		for token, kind := range want {
			fits = fits || errors.Is(err, kind) && err.Error()[:len(token)] == token
		}
		if !fits {
			t.Errorf("ended with %v", err)
		}
	}
	s.put("k/2", "new")
	for range each {
		select {
		case token := <-begun:
			if token != "stays" {
				t.Errorf("%s goes on", token)
			}
		case err := <-ended:
			t.Fatal("another ended:", err)
		}
	}
}

// A token is none of what nodes tell each other, and one that cannot be taken back has no proof.
func TestTokensStayAtTheNodeThatTookThemIn(t *testing.T) {
	t.Parallel()
	known := &revocable{known: tokens{"secret": {Principal: "ann", Roles: []string{gateway.RoleClient}}, "signed": {Principal: "bob", Roles: []string{gateway.RoleClient}, Until: time.Now().Add(time.Hour)}}}
	s := newStage(t, func(c *gateway.Config) { c.Authentication.Tokens = known })
	nc := connect(t, s.server)
	for _, subject := range []string{"bank.node.a.watch.totals", "bank.node.b.ctl.info", "bank.node.b.qry.totals.k"} {
		for _, name := range []string{gateway.HeaderAuthorization, "annals-authorization"} {
			if m := request(t, nc, subject, "", name, "Bearer secret"); m.Header.Get(gateway.HeaderError) != string(gateway.CodeInvalid) {
				t.Errorf("%s with %s: %s", subject, name, m.Data)
			}
		}
	}
	passed, err := nc.SubscribeSync("bank.node.b.watch.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]string{"secret": hex.EncodeToString([]byte("secret")), "signed": ""} {
		m := nats.NewMsg("bank.watch.totals.k")
		m.Reply, m.Header[gateway.HeaderAuthorization] = nc.NewInbox(), []string{"Bearer " + token}
		for got := (*nats.Msg)(nil); got == nil; { // until the node that does not run the view has one
			if err := nc.PublishMsg(m); err != nil {
				t.Fatal(err)
			}
			if got, err = passed.NextMsg(100 * time.Millisecond); errors.Is(err, nats.ErrTimeout) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Header.Get(gateway.HeaderProof) != want {
				t.Errorf("%s: proof %q, want %q", token, got.Header.Get(gateway.HeaderProof), want)
			}
			for name, values := range got.Header {
				if strings.EqualFold(name, gateway.HeaderAuthorization) || strings.Contains(strings.Join(values, " "), token) {
					t.Errorf("%s: nodes tell each other %s: %q", token, name, values)
				}
			}
		}
	}
}
