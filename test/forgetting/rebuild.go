//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/test/harness"
)

// views are those of the application.
var views = []string{"people", "letters", "counts", "troubled"}

const (
	// buildLimit bounds a rebuild, with a node that is lost at the wrong moment.
	buildLimit = 90 * time.Second
	// buildPause lies between two.
	buildPause = 500 * time.Millisecond
)

// rebuild builds one view after the other again, beside the live one and in its place, until ctx
// ends.
func (s *stage) rebuild(ctx context.Context) {
	for n := 0; harness.Pause(ctx, buildPause) == nil; n++ {
		view, online := views[n/2%len(views)], n%2 == 0
		err := s.rebuildOnce(context.WithoutCancel(ctx), view, online) // what is begun is ended
		switch {
		case errors.Is(err, errNotBegun):
		case err != nil:
			s.stuck("rebuild of %s (online %v): %v", view, online, err)
		case online:
			s.count(func(r *report) { r.Rebuilds++ })
		default:
			s.count(func(r *report) { r.InPlace++ })
		}
	}
}

// errNotBegun says that nobody took the request for certain, which happens while nodes are gone.
var errNotBegun = errors.New("not begun")

func (s *stage) rebuildOnce(ctx context.Context, view string, online bool) error {
	o := s.asks[0].Operator(view)
	r := projector.Rebuild{Online: online}
	if r.Switch = online; online && view != "troubled" { // where streams wait, and are released when somebody is forgotten
		r.Parity = -1
	}
	built, err := o.Rebuild(ctx, r)
	if err != nil {
		_, _ = o.Cancel(ctx) // it may have been begun
		return errNotBegun
	}
	err = harness.Until(ctx, buildLimit, built.String()+" is served", func() error {
		p, err := o.Info(ctx)
		if err != nil {
			return err
		}
		return s.served(p, built)
	})
	return errors.Join(err, s.alone(ctx, o))
}

// alone drops a candidate that differs, and the model that was live before.
func (s *stage) alone(ctx context.Context, o gateway.Operator) error {
	return harness.Until(ctx, buildLimit, "the live model is the only one", func() error {
		p, err := o.Info(ctx)
		if err != nil {
			return err
		}
		for _, m := range p.Models {
			switch m.Role {
			case projector.RoleCandidate:
				_, err = o.Cancel(ctx)
			case projector.RolePrevious:
				_, err = o.Retire(ctx)
			}
		}
		if err == nil && len(p.Models) > 1 {
			err = fmt.Errorf("there are %d models", len(p.Models))
		}
		return err
	})
}

// served returns nil if the model that was built is the live one, and has caught up.
func (s *stage) served(p gateway.Projection, built projector.Model) error {
	var all strings.Builder
	for _, m := range p.Models {
		if m.Role == projector.RoleCandidate && m.Parity != nil && m.Parity.Differences > 0 {
			s.count(func(r *report) { r.Parity += m.Parity.Differences })
			s.say("PARITY: %s differs: %+v", built, m.Parity)
			return nil
		}
		if m.Role == projector.RoleLive && m.Build == built.Build && m.State == projector.StateLive {
			return nil
		}
		fmt.Fprintf(&all, "[build %d %s %s lag %d %s]", m.Build, m.Role, m.State, m.LagEvents, m.Error)
	}
	return fmt.Errorf("the models are %s", all.String())
}
