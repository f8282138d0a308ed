package node

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// edit is what a view is given instead of the data of an event, as an operator wanted.
type edit struct {
	view projector.Definition
	data json.RawMessage
}

// letters takes down the edits of dead letters, for when their events are met. What else is in a
// dead letter is in the log.
func (e *subjectExport) letters(ctx context.Context, client *gateway.Client) error {
	e.edits = map[store.Position][]edit{}
	seen := map[string]bool{}
	for _, d := range e.session.app.Projections {
		name := d.Describe().Name
		if seen[name] {
			continue
		}
		seen[name] = true
		err := e.session.lettersOf(ctx, client, name, func(o gateway.Operator, l projector.DeadLetter) error {
			return e.letter(ctx, d, o, l)
		})
		if errors.Is(err, nats.ErrNoResponders) {
			e.session.Logger().Warn("edits of dead letters are left out: no node serves the view", "view", name)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *subjectExport) letter(ctx context.Context, d projector.Definition, o gateway.Operator, l projector.DeadLetter) error {
	whole, err := e.session.fetchLetter(ctx, o, l.ID, 1)
	switch {
	case errors.Is(err, projector.ErrNoLetter): // it was repaired meanwhile
		return nil
	case err == nil && whole.Edited != nil:
		e.edits[whole.Position] = append(e.edits[whole.Position], edit{d, whole.Edited})
	}
	return err
}

// editsOf prints what stands in for the data of an event and is about the subject.
func (e *subjectExport) editsOf(c *store.Commit, r store.Recorded[[]byte], line held) error {
	for _, edit := range e.edits[r.Position] {
		data, spans, err := projector.PersonalInEdit(edit.view, r, edit.data)
		if err != nil {
			return err
		}
		line.Kind, line.View = "edit", edit.view.Describe().Name
		line.Stream, line.Time = c.Stream.String(), c.Time
		if line.extract, err = extractOf(store.JSON, data, spans, c.Stream.ID, e.subject); err != nil {
			return err
		}
		if line.Personal == nil {
			continue
		}
		e.edited++
		if err := e.write(line); err != nil {
			return err
		}
	}
	delete(e.edits, r.Position)
	return nil
}
