package fleet

import (
	"context"
	"iter"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/fold"
)

// Lister is what the audit of the views needs of a client.
type Lister interface {
	// List yields the documents of a view that has reached min.
	List(ctx context.Context, view string, min store.Position) iter.Seq2[projector.Document, error]
}

// Views compares each view, once it has reached the end of the log, with the
// fold of the log by the view's own definition. It waits at most until limit is
// over, and returns every difference that is left then.
func Views(ctx context.Context, b *Book, c Lister, limit time.Duration) ([]string, error) {
	return ViewsOf(ctx, b, c, limit, fold.Loans()...)
}

// ViewsOf compares these views, likewise.
func ViewsOf(ctx context.Context, b *Book, c Lister, limit time.Duration, all ...fold.View) ([]string, error) {
	var differences []string
	deadline := time.Now().Add(limit)
	if err := fold.All(b.commits, all...); err != nil {
		return nil, err
	}
	for _, v := range all {
		want, err := v.Documents()
		if err != nil {
			return nil, err
		}
		var got map[string]projector.Document
		err = Until(ctx, time.Until(deadline), "view "+v.Name(), func() (err error) {
			got, err = list(ctx, c, v.Name(), b.tip)
			return err
		})
		if err != nil {
			differences = append(differences, err.Error())
			continue
		}
		differences = append(differences, fold.Compare(v.Name(), want, got)...)
	}
	return differences, ctx.Err()
}

func list(ctx context.Context, c Lister, view string, min store.Position) (map[string]projector.Document, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	docs := map[string]projector.Document{}
	for d, err := range c.List(ctx, view, min) {
		if err != nil {
			return nil, err
		}
		docs[d.Key] = d
	}
	return docs, nil
}
