package node

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// heldRow is a line about a data subject in a table of a view.
type heldRow struct {
	Kind    string `json:"kind"` // row
	View    string `json:"view"`
	Version int    `json:"version"` // of the view's model
	projector.HeldRow
}

// untold is a line about a view that may hold something about the data subject which the export
// does not have.
type untold struct {
	Kind string `json:"kind"` // untold
	View string `json:"view"`
	Why  string `json:"why"`
}

// rows goes through what SQL views hold, as the nodes that serve them tell. A view of which nothing can be
// told is named: its tables may have what nobody else knows is about the subject.
func (e *subjectExport) rows(ctx context.Context, client *gateway.Client) error {
	for name := range e.viewsThat(projector.HoldsRows) {
		err := e.rowsOf(ctx, client, name, e.tip)
		if errors.Is(err, projector.ErrTimeout) || errors.Is(err, projector.ErrPaused) {
			e.session.Logger().Warn("a view is behind the log: its rows are exported as they are", "view", name)
			err = e.rowsOf(ctx, client, name, 0)
		}
		if errors.Is(err, nats.ErrNoResponders) {
			err = e.cannotTell(name, "no node serves it")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rowsOf reads page by page once the view has reached min, which what was forgotten before is below.
func (e *subjectExport) rowsOf(ctx context.Context, client *gateway.Client, view string, min store.Position) error {
	for cursor := ""; ; {
		page, err := client.Held(ctx, view, e.subject, cursor, 0, min)
		if err != nil {
			return err
		}
		if page.Untold {
			return e.cannotTell(view, "it does not say which rows hold whom")
		}
		for _, r := range page.Rows {
			e.rowsHeld++
			if err := e.write(heldRow{"row", view, page.Model.Version, r}); err != nil {
				return err
			}
		}
		e.progress.Show("%d rows of tables, in view %s", e.rowsHeld, view)
		if cursor = page.Next; cursor == "" {
			return nil
		}
	}
}

func (e *subjectExport) cannotTell(view, why string) error {
	e.session.Logger().Warn("rows of a view are left out", "view", view, "why", why)
	return e.write(untold{"untold", view, why})
}
