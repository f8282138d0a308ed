package projector_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// trio is three groups that share the workers of views, as nodes do: who has which
// duty is said here.
type trio struct {
	t        *testing.T
	duties   []string
	start    func(i int) (*projector.Group, *projector.Assignment)
	groups   [3]*projector.Group
	assigned [3]*projector.Assignment
	stops    [3]func()
	who      map[string]int
}

// newTrio starts three groups, and gives the duties out in turn.
func newTrio(t *testing.T, f *fixture, registry projector.Registry, config func(i int) projector.Config, views ...projector.Definition) *trio {
	t.Helper()
	x := &trio{t: t, duties: projector.Duties(true, views...), who: map[string]int{}}
	x.start = func(i int) (*projector.Group, *projector.Assignment) {
		cfg := config(i)
		cfg.Registry, cfg.Spread = registry, true
		if cfg.Projections == nil {
			cfg.Projections = views
		}
		return f.assigned(t, cfg)
	}
	for i := range x.groups {
		x.groups[i], x.assigned[i] = x.start(i)
		x.stops[i] = running(t, x.groups[i])
	}
	for i, duty := range x.duties {
		x.give(duty, i%3)
	}
	return x
}

func plainly(int) projector.Config { return projector.Config{} }

// give has one of the groups do a duty that nobody does.
func (x *trio) give(duty string, to int) {
	x.who[duty] = to
	x.assigned[to].Assign(duty)
}

// move hands a duty over, with or without waiting for the end.
func (x *trio) move(duty string, to int, waits bool) {
	from := x.who[duty]
	x.assigned[from].Withdraw(duty)
	if waits {
		stopped(x.t, x.groups[from], duty)
	}
	x.give(duty, to)
}

// restart ends one of the groups, and has the others do what it did.
func (x *trio) restart(i int) {
	for _, duty := range x.duties {
		if x.who[duty] == i {
			x.move(duty, (i+1)%3, false)
		}
	}
	x.stops[i]()
	x.groups[i], x.assigned[i] = x.start(i)
	x.stops[i] = running(x.t, x.groups[i])
}

func (x *trio) home(view string) *projector.Group { return x.groups[x.who[view]] }

// route asks the view's home, and whoever that names, as a gateway does.
func (x *trio) route(ctx context.Context, view string, ask func(g *projector.Group) error) error {
	for duty := view; ; {
		err := ask(x.groups[x.who[duty]])
		var elsewhere *projector.ElsewhereError
		switch {
		case !errors.Is(err, projector.ErrElsewhere) || errors.Is(err, store.ErrUnknown) || ctx.Err() != nil:
			return err
		case errors.As(err, &elsewhere):
			duty = elsewhere.Duty
		default:
			duty = view
		}
		rest(10 * time.Millisecond)
	}
}

func (x *trio) DeadLetters(ctx context.Context, view string) ([]projector.DeadLetter, error) {
	return x.home(view).DeadLetters(ctx, view)
}

func (x *trio) Retry(ctx context.Context, view, id string) (l projector.DeadLetter, err error) {
	err = x.route(ctx, view, func(g *projector.Group) (err error) { l, err = g.Retry(ctx, view, id); return err })
	return l, err
}

func (x *trio) Edit(ctx context.Context, view, id string, at uint64, data json.RawMessage, by string) error {
	return x.route(ctx, view, func(g *projector.Group) error { return g.Edit(ctx, view, id, at, data, by) })
}

func (x *trio) Skip(ctx context.Context, view, id string, at uint64, reason, by string) (l projector.DeadLetter, err error) {
	err = x.route(ctx, view, func(g *projector.Group) (err error) { l, err = g.Skip(ctx, view, id, at, reason, by); return err })
	return l, err
}
