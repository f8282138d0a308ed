package node

import (
	"context"
	"errors"
	"iter"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// heldDocument is a line about a data subject in a view.
type heldDocument struct {
	Kind     string         `json:"kind"` // document
	View     string         `json:"view"`
	Key      string         `json:"key"`
	Position store.Position `json:"position"`
	extract
}

// views goes through all documents that may be about the subject, as the nodes serve them. Without
// a node they are passed over: what is in them comes from the events.
func (e *subjectExport) views(ctx context.Context, client *gateway.Client) error {
	for name, d := range e.viewsThat(projector.HasPersonal) {
		err := e.view(ctx, client, d, name)
		if errors.Is(err, nats.ErrNoResponders) {
			e.session.Logger().Warn("documents of a view are left out: no node serves them", "view", name)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// viewsThat yields the application's views of a kind, each once: a view may have several versions.
func (e *subjectExport) viewsThat(are func(projector.Definition) bool) iter.Seq2[string, projector.Definition] {
	return func(yield func(string, projector.Definition) bool) {
		seen := map[string]bool{}
		for _, d := range e.session.app.Projections {
			name := d.Describe().Name
			if !are(d) || seen[name] {
				continue
			}
			seen[name] = true
			if !yield(name, d) {
				return
			}
		}
	}
}

func (e *subjectExport) view(ctx context.Context, client *gateway.Client, d projector.Definition, name string) error {
	for doc, err := range client.List(ctx, name, 0) {
		if err != nil {
			return err
		}
		data, spans, err := projector.PersonalInDocument(d, doc.Key, doc.Document)
		if err != nil {
			return err
		}
		about, err := extractOf(store.JSON, data, spans, doc.Key, e.subject)
		if err != nil {
			return err
		}
		if about.Personal == nil {
			continue
		}
		e.documents++
		if err := e.write(heldDocument{"document", name, doc.Key, doc.Position, about}); err != nil {
			return err
		}
		e.progress.Show("%d documents, at %s of view %s", e.documents, console.Printable(doc.Key), name)
	}
	return nil
}
