package projector

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/annals-go/annals/store"
)

// Verify compares the live model with the log: it adds up the proof of each
// worker's checkpoint again from the events. With documents it also folds the log
// anew, into memory, and compares all documents at equal positions, each of which
// is to be what the fold gives; that is for views that memory holds. The view goes
// on meanwhile.
//
// Errors: those that operations share, and [store.ErrInvalid] if documents are to
// be compared of a view that has none, or whose definition is not in this process;
// [ErrPaused] for the documents of a view that is.
func (g *Group) Verify(ctx context.Context, view string, documents bool) (Verification, error) {
	f, err := g.family(view)
	if err != nil {
		return Verification{}, err
	}
	p, v, _, err := f.at(ctx, 0)
	if err != nil {
		return Verification{}, err
	}
	if documents && (p.def == nil || p.desc.kind != ofDocuments) {
		return Verification{}, &store.InvalidError{What: "view", Value: p.desc.String(), Reason: "it has no documents that could be folded again here"}
	}
	if documents && p.isHeld() {
		return Verification{}, fmt.Errorf("view %s: %w: documents are compared while it goes on", view, ErrPaused)
	}
	if err := p.readAway(ctx); err != nil {
		return Verification{}, err
	}
	outcome := Verification{Model: p.model}
	var stored []Checkpoint
	for _, w := range p.workers {
		c, err := v.Load(ctx, w.name)
		if err != nil {
			return Verification{}, err
		}
		stored = append(stored, c)
	}
	if outcome.Workers, err = prove(ctx, g.cfg.Log, p.desc.Types, stored); err != nil {
		return Verification{}, fmt.Errorf("verify view %s: %w", view, err)
	}
	if documents {
		if outcome.Documents, err = p.refold(ctx); err != nil {
			return Verification{}, fmt.Errorf("verify documents of view %s: %w", view, err)
		}
	}
	return outcome, nil
}

// prove reads the log once, up to the furthest checkpoint, and adds up all proofs.
func prove(ctx context.Context, log store.Log, types []string, stored []Checkpoint) ([]WorkerVerification, error) {
	all := make([]proving, len(stored))
	from, upTo := stored[0].From, store.Position(0)
	for i, c := range stored {
		all[i].stored = c
		from, upTo = min(from, c.From), max(upTo, c.Position)
	}
	err := scan(ctx, log, types, from, upTo, func(c *store.Commit, e store.Recorded[[]byte]) error {
		for i := range all {
			all[i].add(c, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	outcomes := make([]WorkerVerification, len(all))
	for i := range all {
		outcomes[i] = all[i].outcome()
	}
	return outcomes, nil
}

// scan calls take with all events of the types after from and up to upTo, in the
// order of the log, as far as it goes.
func scan(ctx context.Context, log store.Log, types []string, from, upTo store.Position, take func(*store.Commit, store.Recorded[[]byte]) error) error {
	const batch = 2000
	tip, err := log.Tip(ctx, types...)
	if err != nil || min(tip, upTo) <= from {
		return err
	}
	feed, err := log.Follow(ctx, store.Follow{After: from, Types: types})
	if err != nil {
		return err
	}
	defer func() { _ = feed.Close() }()
	for at := from; at < min(tip, upTo); {
		commits, err := feed.Next(ctx, batch)
		if err != nil {
			return err
		}
		for _, c := range commits {
			at = c.Last()
			for e := range c.Recorded() {
				if e.Position <= from || e.Position > upTo {
					continue
				}
				if err := take(c, e); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// proving adds up the proof of one checkpoint.
type proving struct {
	stored Checkpoint
	log    Proof
	last   store.Position // of the last event added
	commit store.Hash
	count  store.Position // where the log had as many events as the checkpoint says; 0 before
}

func (p *proving) add(c *store.Commit, e store.Recorded[[]byte]) {
	if e.Position <= p.stored.From || e.Position > p.stored.Position {
		return
	}
	p.log.Add(e.Position, e.ID)
	p.last, p.commit = e.Position, c.Hash
	if p.log.Events == p.stored.Events {
		p.count = e.Position
	}
}

func (p *proving) outcome() WorkerVerification {
	o := WorkerVerification{Worker: p.stored.Worker, Stored: p.stored.Proof, Log: p.log}
	o.Equal = o.Stored == o.Log
	c := p.stored
	switch {
	case p.log.Events < c.Events && p.last < c.Position:
		o.Detail = fmt.Sprintf("the log has %d events up to position %d, where it ends for this view; the checkpoint says %d up to position %d", p.log.Events, p.last, c.Events, c.Position)
	case p.log.Events < c.Events:
		o.Detail = fmt.Sprintf("up to position %d the log has %d events, the model %d: some were applied twice", c.Position, p.log.Events, c.Events)
	case p.log.Events > c.Events:
		o.Detail = fmt.Sprintf("up to position %d the log has %d events, the model %d, which the log had at position %d: some were left out", c.Position, p.log.Events, c.Events, p.count)
	case p.last != c.Position && c.Events > 0:
		o.Detail = fmt.Sprintf("the checkpoint is at position %d, where the log has no event of the view; the last before it is at %d", c.Position, p.last)
	case !o.Equal:
		o.Detail = fmt.Sprintf("up to position %d both have %d events, but not the same ones or in another order", c.Position, c.Events)
	case c.Commit != Hash{} && c.Events > 0 && c.Commit != Hash(p.commit):
		o.Detail = fmt.Sprintf("at position %d the log has another commit than the one that was applied", c.Position)
	}
	o.Equal = o.Equal && o.Detail == ""
	return o
}

// refold folds the log into memory, without what was skipped, and compares.
func (p *projection) refold(ctx context.Context) (*Parity, error) {
	cfg := p.cfg
	cfg.Store, cfg.Logger, cfg.Spread = &Memory{}, slog.New(slog.DiscardHandler), false
	if cfg.Keyring != nil {
		cfg.Store = NewSealed(cfg.Store, cfg.Keyring)
	}
	again := newProjection(cfg, p.def, Kept{Model: p.model})
	again.feed = "" // it leaves no trace in the log
	again.meter = newMetrics(nil).meter(p.desc.Name)
	p.mu.Lock()
	upTo := p.least().Position
	for _, w := range p.workers {
		for at, s := range w.skipped {
			again.workers[w.nth].skips[at] = s.Reason
		}
	}
	p.mu.Unlock()
	folding, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		again.run(folding)
	}()
	defer func() {
		stop()
		<-done
	}()
	if _, _, err := again.at(ctx, upTo); err != nil {
		return nil, err
	}
	parity, err := compare(ctx, p, again, -1)
	return &parity, err
}
