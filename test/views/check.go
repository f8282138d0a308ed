package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/fold"
)

func newBook(commits []*store.Commit) (*book, error) {
	all := fold.Loans()
	if err := fold.All(commits, all...); err != nil {
		return nil, err
	}
	b := &book{commits: commits, want: map[string]map[string]projector.Document{}}
	for _, v := range all {
		docs, err := v.Documents()
		if err != nil {
			return nil, err
		}
		b.want[v.Name()] = docs
	}
	return b, nil
}

// compare returns in what the views of a store, all unless some are named, differ from the log, and how
// many documents it looked at. Each worker of a document view passes all events.
func (b *book) compare(ctx context.Context, keep projector.Store, workers int, names ...string) (differences []string, documents int, err error) {
	chain := fold.ChainOf(b.commits, nil)
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(b.want))
	}
	for _, name := range names {
		v, err := keep.Open(ctx, projector.Layout{Model: modelOf(name)})
		if err != nil {
			return nil, 0, err
		}
		var since []projector.Checkpoint
		for w := range workers {
			c, err := v.Load(ctx, strconv.Itoa(w))
			if err != nil {
				return nil, 0, err
			}
			differences = append(differences, chain.Verify(name, c)...)
			since = append(since, c)
		}
		got, err := listAll(ctx, v, since)
		if err != nil {
			return nil, 0, err
		}
		documents += len(got)
		differences = append(differences, fold.Compare(name, b.want[name], got)...)
	}
	return differences, documents, nil
}

func listAll(ctx context.Context, v projector.View, since []projector.Checkpoint) (map[string]projector.Document, error) {
	all := map[string]projector.Document{}
	for cursor := ""; ; {
		docs, next, err := v.List(ctx, cursor, projector.MaxPage, since...)
		if err != nil {
			return nil, err
		}
		for _, d := range docs {
			all[d.Key] = d
		}
		if next == "" {
			return all, nil
		}
		cursor = next
	}
}

// spoil changes one document, and the count of the checkpoint beside it.
func spoil(ctx context.Context, keep projector.Store) error {
	v, err := keep.Open(ctx, projector.Layout{Model: modelOf("applications")})
	if err != nil {
		return err
	}
	c, err := v.Load(ctx, "0")
	if err != nil {
		return err
	}
	docs, _, err := v.List(ctx, "", 1, c)
	if err != nil {
		return err
	}
	if len(docs) == 0 {
		return fmt.Errorf("there is no document to spoil")
	}
	docs[0].Document = json.RawMessage(`{"state":"planted"}`)
	c.Events++
	_, err = v.Commit(ctx, projector.Write{Checkpoint: c, Documents: docs[:1]})
	return err
}
