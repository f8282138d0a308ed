package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/annals-go/annals/projector"
)

// measured is the view whose catching up is measured: a document for each
// stream, so that as many documents are written as a view can have.
const measured = "applications"

// rates are events a second of one log, each the median of the rounds.
type rates struct {
	Events   uint64  `json:"events"`
	KV       float64 `json:"kv_per_s"`
	SQLite   float64 `json:"sqlite_per_s"`
	Postgres float64 `json:"postgres_per_s"`
	// Bare is what a consumer reaches that only takes the messages.
	Bare float64 `json:"bare_per_s"`
}

func (r *rates) set(what string, v float64) {
	v = math.Round(v)
	switch what {
	case "kv":
		r.KV = v
	case "sqlite":
		r.SQLite = v
	case "postgres":
		r.Postgres = v
	case roleBare:
		r.Bare = v
	}
}

// measure brings the view from nothing to the log's end, once in each round for
// each store and for the bare consumer, one after the other. What the history led
// to is compared, too.
func (r *runner) measure(ctx context.Context, namespace string, workers, rounds int) (out rates, err error) {
	all := map[string][]float64{}
	for range rounds {
		for _, what := range append([]string{roleBare}, r.options.stores...) {
			done, err := r.catchUp(ctx, what, namespace, workers)
			if err != nil {
				return out, fmt.Errorf("measure %s: %w", what, err)
			}
			rate := float64(done.Events) / done.Seconds
			r.say("%s: %s, %d workers: %d events in %.2f s, %.0f a second", namespace, what, workers, done.Events, done.Seconds, rate)
			all[what] = append(all[what], rate)
			out.Events = done.Events
		}
	}
	for what, v := range all {
		slices.Sort(v)
		out.set(what, v[len(v)/2])
	}
	return out, nil
}

func (r *runner) catchUp(ctx context.Context, what, namespace string, workers int) (caughtUp, error) {
	o := childOptions{role: roleProjector, server: r.bench.server.URL(), namespace: namespace, only: measured, workers: workers}
	if what == roleBare {
		o.role = roleBare
	} else {
		o.address = r.where[what]
	}
	t := &trial{store: what, options: o, dir: r.bench.dir, bench: r.bench, tell: r.tell}
	p, err := startChild(t.dir, o, 0)
	if err != nil {
		return caughtUp{}, err
	}
	done, err := p.finish(ctx)
	if err != nil || what == roleBare {
		return done, err
	}
	if namespace == loans {
		err = t.with(func(keep projector.Store) error {
			differences, _, err := r.book.compare(ctx, keep, workers, measured)
			r.total.Differences += len(differences)
			return err
		})
	}
	return done, errors.Join(err, t.drop(ctx))
}
