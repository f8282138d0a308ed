package projector

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/annals-go/annals/store"
)

// answer returns what the open view has under key.
func (p *projection) answer(ctx context.Context, v View, key string, since []Checkpoint) (Document, error) {
	switch p.desc.kind {
	case ofTables:
		return p.ask(ctx, v, key, since)
	case ofReactions:
		return Document{}, fmt.Errorf("get from view %s: %w", p.desc.Name, ErrNoDocuments)
	}
	docs, err := v.Get(ctx, []string{key}, since...)
	if err != nil {
		return Document{}, err
	}
	if len(docs) == 0 || docs[0].Document == nil {
		return Document{}, p.notFound(key)
	}
	return docs[0], nil
}

func (p *projection) notFound(key string) error {
	return fmt.Errorf("document %q of view %s: %w", key, p.desc.Name, store.ErrNotFound)
}

// ask has the definition of an SQL view answer.
func (p *projection) ask(ctx context.Context, v View, key string, since []Checkpoint) (Document, error) {
	if p.def == nil {
		return Document{}, fmt.Errorf("%w: the definition of view %s, version %d, is not here", store.ErrUnavailable, p.desc.Name, p.model.Version)
	}
	tables, ok := p.def.(answerer)
	querier, can := v.(Querier)
	if !ok || !can || !tables.answers() {
		return Document{}, fmt.Errorf("get from view %s: %w", p.desc.Name, ErrNoDocuments)
	}
	d := Document{Key: key, Position: since[0].Position}
	for _, c := range since {
		d.Position = min(d.Position, c.Position)
	}
	err := querier.Query(ctx, func(tx *sql.Tx) (err error) {
		d.Document, err = tables.answer(ctx, tx, key)
		return err
	}, since...)
	if err != nil {
		return Document{}, err
	}
	if d.Document == nil {
		return Document{}, p.notFound(key)
	}
	return d, nil
}
