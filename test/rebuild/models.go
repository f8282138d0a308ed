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
	"github.com/annals-go/annals/test/fleet"
)

// rebuildSame builds the view applications again, from the same definition, has
// all documents compared, and rolls back.
func (s *stage) rebuildSame(ctx context.Context) error {
	o := s.clients.All[0].Operator(viewApplications)
	began := time.Now()
	built, err := o.Rebuild(ctx, projector.Rebuild{Online: true, Parity: -1, Switch: true})
	if err != nil {
		return fmt.Errorf("rebuild %s: %w", viewApplications, err)
	}
	var parity *projector.Parity
	err = s.until(ctx, buildLimit, o, built.String()+" is served", func(p gateway.Projection) error {
		live := role(p, projector.RoleLive)
		if live == nil || live.Build != built.Build {
			return fmt.Errorf("the models are %s", models(p))
		}
		parity = live.Parity
		return nil
	})
	if err != nil {
		return err
	}
	if parity == nil {
		return fmt.Errorf("%s is served and says nothing of a comparison", built)
	}
	s.outcome.Rebuilds++
	s.outcome.Compared += parity.Compared
	s.outcome.ParityDifferences += parity.Differences
	s.say("%s built and switched to in %s, %d documents compared, %d differ", built, time.Since(began).Round(time.Millisecond), parity.Compared, parity.Differences)
	if _, err := o.Rollback(ctx); err != nil {
		return fmt.Errorf("roll %s back: %w", viewApplications, err)
	}
	return s.retire(ctx, o)
}

// retire drops the model that nobody goes back to.
func (s *stage) retire(ctx context.Context, o gateway.Operator) error {
	if _, err := o.Retire(ctx); err != nil {
		return fmt.Errorf("retire the previous model: %w", err)
	}
	return s.until(ctx, switchLimit, o, "the previous model is gone", func(p gateway.Projection) error {
		if role(p, projector.RolePrevious) != nil {
			return fmt.Errorf("the models are %s", models(p))
		}
		return nil
	})
}

// switchVersions builds the other version of the view marked, switches to it and
// back, and times both as readers see it.
func (s *stage) switchVersions(ctx context.Context, r *readers) error {
	o := s.clients.All[0].Operator(viewMarked)
	now, err := o.Info(ctx)
	if err != nil {
		return err
	}
	live := role(now, projector.RoleLive)
	if live == nil {
		return fmt.Errorf("view %s has no live model", viewMarked)
	}
	from, to := live.Version, 3-live.Version
	if _, err := o.Rebuild(ctx, projector.Rebuild{Online: true, Version: to}); err != nil {
		return fmt.Errorf("rebuild %s: %w", viewMarked, err)
	}
	err = s.until(ctx, buildLimit, o, "the candidate has caught up", func(p gateway.Projection) error {
		c := role(p, projector.RoleCandidate)
		if c == nil || c.State != projector.StateLive {
			return fmt.Errorf("the models are %s", models(p))
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.outcome.Rebuilds++
	there, err := s.timed(ctx, r, to, func() error { _, err := o.Promote(ctx, true); return err })
	if err != nil {
		return fmt.Errorf("promote %s version %d: %w", viewMarked, to, err)
	}
	back, err := s.timed(ctx, r, from, func() error { _, err := o.Rollback(ctx); return err })
	if err != nil {
		return fmt.Errorf("roll %s back to version %d: %w", viewMarked, from, err)
	}
	s.outcome.SwitchMS = max(s.outcome.SwitchMS, milliseconds(there))
	s.outcome.RollbackMS = max(s.outcome.RollbackMS, milliseconds(back))
	s.say("%s: version %d to %d in %.1f ms, back in %.1f ms", viewMarked, from, to, milliseconds(there), milliseconds(back))
	return s.retire(ctx, o)
}

// timed does something and returns how long after its begin all readers had the
// version, for good.
func (s *stage) timed(ctx context.Context, r *readers, version int, do func() error) (time.Duration, error) {
	began := time.Since(r.began)
	if err := do(); err != nil {
		return 0, err
	}
	err := fleet.Until(ctx, switchLimit, fmt.Sprintf("all readers have version %d", version), func() error {
		if !settled(r.since(began), len(s.clients.All), version) {
			return errors.New("some have not")
		}
		return nil
	})
	took, mixed := switchOf(r.since(began), began, version)
	s.outcome.Mixed += mixed
	return took, err
}

// until looks at the view's models until holds does.
func (s *stage) until(ctx context.Context, limit time.Duration, o gateway.Operator, what string, holds func(gateway.Projection) error) error {
	return fleet.Until(ctx, limit, what, func() error {
		p, err := o.Info(ctx)
		if err != nil {
			return err
		}
		return holds(p)
	})
}

// role returns the model that has a role, nil if none has.
func role(p gateway.Projection, role string) *projector.Status {
	for i := range p.Models {
		if p.Models[i].Role == role {
			return &p.Models[i]
		}
	}
	return nil
}

// models tells in words how the models of a view stand.
func models(p gateway.Projection) string {
	var text strings.Builder
	for _, m := range p.Models {
		fmt.Fprintf(&text, "[version %d build %d %s %s lag %d %s]", m.Version, m.Build, m.Role, m.State, m.LagEvents, m.Error)
	}
	return text.String()
}
