package projector

import (
	"context"
	"slices"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// What the run does when somebody was forgotten: it drops what it holds of them, and
// when the notice comes, it tells the view's handler.

// forgotten ends the attempt if there is something in memory that was forgotten and
// cannot be dropped by itself.
func (r *run) forgotten() error { return r.holds.look(r.drop) }

func (r *run) drop(erased func([]store.KeyRef) bool) bool {
	for _, c := range r.fetched {
		for i := range c.Events {
			if p := c.Events[i].Personal; len(p) > 0 && erased(refsOf(p, c.Stream.ID)) {
				return false
			}
		}
	}
	if r.late != nil && slices.ContainsFunc(r.late.ahead, func(q queued) bool {
		return len(q.event.Personal) > 0 && erased(refsOf(q.event.Personal, q.event.Stream.ID))
	}) {
		return false
	}
	return r.folder.drop(erased)
}

// tells reports whether documents are to be told of an event, which then is applied by
// itself.
func (r *run) tells(e *store.Recorded[[]byte]) bool {
	return r.w.p.desc.kind == ofDocuments && r.w.p.desc.notices(e)
}

// takeNotice tells the documents of a notice, and writes that.
func (r *run) takeNotice(ctx context.Context, e store.Recorded[[]byte], m mark) error {
	if err := r.flush(ctx); err != nil {
		return err
	}
	if err := r.tell(ctx, arrival{Recorded: e}, r.ahead); err != nil {
		return err
	}
	r.staged = append(r.staged, m)
	r.advance(1)
	return r.write(ctx)
}

// ahead stores documents ahead of the checkpoint, which follows with the last of them.
func (r *run) ahead(ctx context.Context, docs []Document) error {
	for part := range slices.Chunk(docs, r.view.MaxChanges()) {
		same := r.stored
		for _, d := range part {
			same.Furthest = max(same.Furthest, d.Position)
		}
		if err := r.commit(ctx, same, changes{documents: part}); err != nil {
			return err
		}
	}
	return nil
}

// tell folds a notice into all documents that are about the person. They are found by
// reading the worker's documents page by page: what a document is about is written in
// it, and an index of that would be one more thing to be kept right for what happens seldom. What one page came to is
// stored by ahead before the next one is read, and waits to be written after the last.
// Each document has the notice's position then, so after an interruption only the others
// are told.
func (r *run) tell(ctx context.Context, a arrival, ahead func(context.Context, []Document) error) error {
	notice, err := privacy.ReadNotice(r.w.p.cfg.Log.Codec(), a.Data)
	if err != nil {
		return r.w.p.desc.fault().decode(eventOf(a.Recorded), err)
	}
	r.scrub.coming = true // also where no document is about the person
	for cursor := ""; ; {
		if err := r.forgotten(); err != nil {
			return err
		}
		docs, next, err := r.view.List(ctx, cursor, MaxPage, r.stored)
		if ctx.Err() != nil {
			return errTold
		}
		if err != nil {
			return err
		}
		a.keys = r.about(docs, notice.Subject)
		if err := r.tellPage(ctx, a); err != nil {
			return err
		}
		if cursor = next; cursor == "" {
			return nil
		}
		if err := r.writePage(ctx, a, ahead); err != nil {
			return err
		}
	}
}

// about returns the keys of those of the documents that are the worker's, and about the
// person.
func (r *run) about(docs []Document, subject string) (keys []string) {
	for _, d := range docs {
		if r.w.part().key(d.Key) && r.folder.holds(d, subject) {
			keys = append(keys, d.Key)
		}
	}
	return keys
}

func (r *run) tellPage(ctx context.Context, a arrival) error {
	if len(a.keys) == 0 {
		return nil
	}
	if err := r.folder.stage(a); err != nil {
		return err
	}
	if err := r.fetch(ctx); err != nil {
		return err
	}
	most := r.room()
	most.documents, most.bytes = MaxKeys, maxBatchBytes // a page is read whole, and is less than an event may touch
	_, err := r.folder.fold(ctx, most)
	return err
}

func (r *run) writePage(ctx context.Context, a arrival, ahead func(context.Context, []Document) error) error {
	changed, err := r.folder.pending()
	if err != nil || len(changed.documents) == 0 {
		return err
	}
	if err := ahead(ctx, changed.documents); err != nil {
		if isUnfit(err) && blamed(err) == nil {
			return r.w.p.desc.fault().handler(eventOf(a.Recorded), err)
		}
		return err
	}
	r.folder.clean()
	return nil
}
