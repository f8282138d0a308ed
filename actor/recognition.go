package actor

import (
	"context"
	"fmt"

	"github.com/annals-go/annals/store"
)

// recognize looks for an earlier command with the request's id: in this turn,
// among the remembered results, and where the filter suspects it, in the log.
func (s *System) recognize(a *actor, t *draft, r *request, o *outcome) (known bool, err error) {
	if r.bodyHash == 0 {
		return false, nil
	}
	if i, ok := t.find(r); ok {
		o.repeats = i
		return true, sameBody(r, t.outcomes[i].request.bodyHash)
	}
	if m := a.live.recall.find(r.key); m != nil {
		o.result = m.result()
		return true, sameBody(r, m.bodyHash)
	}
	for _, section := range a.live.recall.suspects(r.key) {
		result, hash, found, err := s.confirm(a.stream, section, r.command.ID)
		if err != nil {
			return false, fmt.Errorf("look up command id: %w", err)
		}
		if found {
			o.result = result
			return true, sameBody(r, hash)
		}
	}
	return false, nil
}

// find returns the outcome in this turn that stores events under the same id.
func (t *draft) find(r *request) (int, bool) {
	for i := range t.outcomes {
		o := &t.outcomes[i]
		if o.request.key == r.key && o.end > o.first {
			return i, true
		}
	}
	return 0, false
}

func sameBody(r *request, hash uint64) error {
	if r.bodyHash == hash {
		return nil
	}
	return &DuplicateBodyError{Stream: r.command.Stream, ID: r.command.ID}
}

// confirm searches the log where a section of the filter points.
func (s *System) confirm(stream store.StreamID, where *section, id string) (_ Result, hash uint64, found bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.config.ActivateTimeout)
	defer cancel()
	for c, err := range s.config.Log.Read(ctx, stream, where.after) {
		if err != nil {
			return Result{}, 0, false, err
		}
		if c.After.Version >= where.last {
			break
		}
		for i := range c.Commands {
			if c.Commands[i].ID == id && c.Commands[i].BodyHash != 0 {
				return resultIn(c, i), c.Commands[i].BodyHash, true, nil
			}
		}
	}
	return Result{}, 0, false, nil
}

// resultIn rebuilds the result of a commit's command.
func resultIn(c *store.Commit, command int) Result {
	r := Result{Duplicate: true}
	for i, e := range c.Events {
		if e.Command == command {
			r.Events = append(r.Events, e.Type)
			r.Version = c.After.Version + uint64(i) + 1
			r.Position = store.PositionOf(c.Sequence, i)
		}
	}
	return r
}
