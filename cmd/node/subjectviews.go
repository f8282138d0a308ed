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

// heldDocument is a line about a data subject in a view.
type heldDocument struct {
	Kind     string          `json:"kind"` // document
	View     string          `json:"view"`
	Key      string          `json:"key"`
	Position store.Position  `json:"position"`
	Personal []string        `json:"personal"`
	Data     json.RawMessage `json:"data"`
}

// views goes through all documents that may be about the subject, as the nodes serve them. Without
// a node they are passed over: what is in them comes from the events.
func (e *subjectExport) views(ctx context.Context) error {
	client, err := e.session.Client(ctx)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, d := range e.session.app.Projections {
		name := d.Describe().Name
		if !projector.HasPersonal(d) || seen[name] {
			continue
		}
		seen[name] = true
		err := e.view(ctx, client, d, name)
		if errors.Is(err, nats.ErrNoResponders) {
			e.session.Logger().Warn("documents of views are left out: no node serves them")
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *subjectExport) view(ctx context.Context, client *gateway.Client, d projector.Definition, name string) error {
	for doc, err := range client.List(ctx, name, 0) {
		if err != nil {
			return err
		}
		paths, err := projector.AboutSubject(d, doc.Key, doc.Document, e.subject)
		if err != nil {
			return err
		}
		if paths == nil {
			continue
		}
		e.documents++
		if err := e.write(heldDocument{"document", name, doc.Key, doc.Position, paths, doc.Document}); err != nil {
			return err
		}
		e.progress.show("%d documents, at %s of view %s", e.documents, printable(doc.Key), name)
	}
	return nil
}
