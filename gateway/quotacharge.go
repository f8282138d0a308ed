package gateway

import (
	"time"

	"github.com/annals-go/annals/actor"
)

// charge counts a request on its asker's account and on the namespace's. What
// another node passes on was counted there.
func (g *Gateway) charge(r *request) error {
	if r.endpoint.passed {
		return nil
	}
	size := len(r.msg.Data)
	own := g.accounts.of(r.who.Principal)
	undo := func() {}
	if own != nil {
		var err error
		if undo, err = own.begin(r.began, size); err != nil {
			return err
		}
	}
	if _, err := g.accounts.namespace.begin(r.began, size); err != nil {
		undo()
		return err
	}
	r.charged = []*account{g.accounts.namespace}
	if own != nil {
		r.charged = append(r.charged, own)
	}
	return nil
}

// discharge ends what charge began. It may be called again.
func (r *request) discharge() {
	for _, a := range r.charged {
		a.end()
	}
	r.charged = nil
}

// accountsOf are those that something is counted on where it is done.
func (g *Gateway) accountsOf(r *request) []*account {
	all := []*account{g.accounts.namespace}
	if own := g.accounts.of(r.who.Principal); own != nil {
		all = append(all, own)
	}
	return all
}

// mayCreate refuses a command that may be the first of its stream, while there is
// no room for more streams.
func (g *Gateway) mayCreate(e *errand) error {
	if !g.countsStreams || e.command.HasExpected && e.command.Expected > 0 {
		return nil
	}
	for _, a := range g.accountsOf(e.request) {
		if err := a.mayCreate(time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// noteCreated counts the stream of a command that was its first.
func (g *Gateway) noteCreated(e *errand, r actor.Result) {
	if !g.countsStreams || r.Duplicate || r.Version == 0 || r.Version != uint64(len(r.Events)) {
		return
	}
	for _, a := range g.accountsOf(e.request) {
		a.created(time.Now())
	}
}

// beginWatch counts a watch until end.
func (g *Gateway) beginWatch(r *request) (end func(), err error) {
	var counted []*account
	end = func() {
		for _, a := range counted {
			a.unwatch()
		}
	}
	for _, a := range g.accountsOf(r) {
		if err := a.watch(); err != nil {
			end()
			return nil, err
		}
		counted = append(counted, a)
	}
	return end, nil
}
