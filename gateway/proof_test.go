package gateway_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

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
		c.Authentication.Tokens, c.WatchBeat = known, 20*time.Millisecond
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
		if token := <-begun; token != "stays" {
			t.Errorf("%s goes on", token)
		}
	}
}
