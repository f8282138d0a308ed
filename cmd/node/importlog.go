package node

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// importLog is a log that a file may not put everything into. What the system of another
// namespace kept about itself is passed over, or a file could say who did what here. Plain personal
// data are refused: what is appended from a file is not sealed.
type importLog struct {
	store.Log
	aggregates map[string]actor.Definition // that have personal fields
	left       atomic.Int64                // events that were passed over
}

func newImportLog(log store.Log, app App) (*importLog, error) {
	l := &importLog{Log: log, aggregates: map[string]actor.Definition{}}
	personal, err := app.personal()
	if err != nil {
		return nil, err
	}
	for _, d := range app.Aggregates {
		for _, name := range personal {
			if d.TypeName() == name {
				l.aggregates[name] = d
			}
		}
	}
	return l, nil
}

// Append implements [store.Log].
func (l *importLog) Append(ctx context.Context, c *store.Commit) (store.Head, error) {
	if actor.Reserved(c.Stream.Type) {
		l.left.Add(int64(len(c.Events)))
		return store.Head{Version: c.After.Version + uint64(len(c.Events))}, nil
	}
	if err := l.check(c); err != nil {
		return store.Head{}, err
	}
	return l.Log.Append(ctx, c)
}

// check refuses events that have something about a person, in plain. Commands that the file has
// beside events with personal fields are refused with them.
func (l *importLog) check(c *store.Commit) error {
	d := l.aggregates[c.Stream.Type]
	if d == nil {
		return nil
	}
	for _, e := range c.Events {
		upcast, err := d.Upcast(nil, l.Codec(), e)
		if err != nil {
			return fmt.Errorf("look for personal data in %s of %s: %w", e.Type, c.Stream, err)
		}
		for _, u := range upcast {
			if len(u.Personal) > 0 {
				return plainFailure(c.Stream, e.Type)
			}
		}
	}
	for _, m := range c.Commands {
		if len(m.Data) > 0 {
			return plainFailure(c.Stream, "command "+m.Name)
		}
	}
	return nil
}

func plainFailure(stream store.StreamID, what string) error {
	return &Failure{
		Code: codePlain, Exit: exitConflict, What: fmt.Sprintf("%s of %s has personal data in plain, or may have", what, stream),
		Why: "what is imported is not sealed, and could not be forgotten", Fix: "export without --kek: personal data are left out then; to move a namespace with them, use backup and restore",
	}
}
