package projector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/annals-go/annals/store"
)

// Watch says which documents are to be watched: the one under Key, or, with
// Key empty, all whose keys begin with Prefix.
type Watch struct {
	Key    string
	Prefix string
	// After is where to resume: only documents that changed after the event at this
	// position come. 0: each document that is there comes first, as it is now.
	After store.Position
	// Model is the name of the model that the watcher has everything of up to After,
	// as [Document.Model] told it: if another one is served, the watch ends with
	// [ErrSwitched]. Empty: any will do.
	Model string
	// Min is what the view must have reached before anything comes, for who begins
	// anew and has seen so much already. After has the same effect.
	Min store.Position
	// Progress asks for a document without key whenever everything up to its
	// position has come: a place to resume after, in the model that it names. The position of a document itself
	// is none: an event may touch several, and a view may have several workers.
	Progress bool
}

// ErrSlow: the watcher did not take changes as fast as they came, and was
// dropped. It may resume after the last position it has.
var ErrSlow = errors.New("slow watcher")

func (w Watch) validate() error {
	if w.Key == "" {
		return nil
	}
	if w.Prefix != "" {
		return &store.InvalidError{What: "watch", Value: w.Key, Reason: "either a key or a prefix"}
	}
	_, err := store.EncodeToken(w.Key)
	return err
}

func (w Watch) matches(key string) bool {
	if w.Key != "" {
		return key == w.Key
	}
	return strings.HasPrefix(key, w.Prefix)
}

// Watch yields documents as they are and then as they change, in the order of
// commits; a deleted one comes without value. For one key an older state never
// follows a newer one, and the last one always comes; the same may come twice.
// A deletion that happened before the watch, or while it was interrupted, comes
// if the model's last changes are still in memory, or if one key is watched: who
// must not miss one begins with After 0, and forgets what has not come when the
// first [Watch.Progress] has. Of a model that others bring up to date a change
// comes when that is noticed, within a second or so.
//
// The last pair has the error: [ErrSlow], [ErrElsewhere], [ErrStopped],
// [ErrSwitched] (the new model has other documents: begin with After 0, and with
// Min where the watch was), [ErrBusy] (too many watch already), [ErrNoDocuments],
// [store.ErrInvalid], those of [Group.Wait], or ctx's.
func (g *Group) Watch(ctx context.Context, view string, w Watch) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		f, err := g.family(view)
		if err != nil {
			yield(Document{}, err)
			return
		}
		p, _, _, err := f.at(ctx, max(w.After, w.Min))
		if err == nil && p.desc.kind != ofDocuments {
			err = fmt.Errorf("watch view %s: %w", view, ErrNoDocuments)
		}
		if err != nil {
			yield(Document{}, err)
			return
		}
		name := p.model.String()
		if w.After > 0 && w.Model != "" && w.Model != name {
			yield(Document{}, fmt.Errorf("watch view %s: %w: %s is served, and not %s", view, ErrSwitched, name, w.Model))
			return
		}
		w.Model = name
		p.changes.watch(ctx, p.watched, w)(yield)
	}
}

// watched is at, for watchers.
func (p *projection) watched(ctx context.Context, min store.Position) (View, []Checkpoint, error) {
	v, since, err := p.at(ctx, min)
	return v, since, watchEnd(err)
}

// watchEnd is what ends a watch when another model is served.
func watchEnd(err error) error {
	if errors.Is(err, errMoved) {
		return ErrSwitched
	}
	return err
}

// opener waits until the model can be read and covers a position, and returns
// it with the checkpoints that readers must see.
type opener func(ctx context.Context, min store.Position) (View, []Checkpoint, error)

// watching is one watcher on its way through the changes.
type watching struct {
	hub   *hub
	open  opener
	want  Watch
	yield func(Document, error) bool

	place
	done  store.Position      // everything up to it was yielded
	begun bool                // that it begins was told
	told  store.Position      // the progress last told
	seen  map[string]Document // without contents, as just read: changes that are older are passed over
	into  []Document          // what the hub's changes are copied to
}

var (
	errLeft   = errors.New("the watcher left")
	errMissed = errors.New("changes were missed")
)

// watch yields what is there and then what changes, in the order of commits. A
// key's older state never follows a newer one, and none that stays is missed;
// the same state may come twice.
func (h *hub) watch(ctx context.Context, open opener, want Watch) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		w := watching{hub: h, open: open, want: want, yield: yield, done: want.After, into: make([]Document, 64)}
		err := want.validate()
		if err == nil {
			err = h.enter()
		}
		if err == nil {
			err = w.run(ctx)
			h.leave()
		}
		if !errors.Is(err, errLeft) {
			yield(Document{}, err)
		}
	}
}

// run begins anew, after what it has, whenever changes were missed that nobody
// has kept.
func (w *watching) run(ctx context.Context) error {
	for {
		err := w.begin(ctx)
		if err == nil {
			err = w.follow(ctx)
		}
		if !errors.Is(err, errMissed) {
			return err
		}
	}
}

// begin yields what changed before the changes that the hub has.
func (w *watching) begin(ctx context.Context) error {
	v, since, err := w.open(ctx, max(w.want.Min, w.done))
	if err != nil {
		return err
	}
	if w.done > 0 {
		if docs, through, all := w.hub.resume(w.done, w.isNew, &w.place); all {
			if err := w.hub.box.open(ctx, docs); err != nil {
				return err
			}
			return w.found(docs, through)
		}
	}
	if w.want.Key != "" {
		return w.get(ctx, v, since)
	}
	return w.list(ctx, v, since)
}

func (w *watching) get(ctx context.Context, v View, since []Checkpoint) error {
	through := w.hub.join(&w.place)
	docs, err := v.Get(ctx, []string{w.want.Key}, w.hub.checkpoints(since)...)
	if err != nil {
		return err
	}
	if len(docs) == 0 && w.done > 0 { // it may have been there when the watcher saw it last
		docs = []Document{{Key: w.want.Key, Position: max(through, w.done+1)}}
	}
	return w.found(docs, through)
}

// list reads page by page, and before each page passes on what changed until
// then: a list has no deletions, and a store with several writers may put a change
// where the list has passed. A page shows no less than what was passed on. A
// document that changes meanwhile moves to the end of the list, so only those of
// the last page can be newer than a change that comes after it.
func (w *watching) list(ctx context.Context, v View, since []Checkpoint) error {
	for cursor := ""; ; {
		through, err := w.turn(ctx, cursor == "")
		if err != nil {
			return err
		}
		docs, next, err := w.page(ctx, v, cursor, since)
		if err != nil {
			return err
		}
		if next == "" {
			return w.found(docs, through)
		}
		if err := w.found(docs, w.done); err != nil {
			return err
		}
		cursor = next
	}
}

// turn waits for a place among those that read, from which only page frees it,
// and returns how far everything was passed on. The first time the watcher begins
// with what changes from then on; later it goes on to pass on what does, for the
// hub keeps it only so long.
func (w *watching) turn(ctx context.Context, first bool) (through store.Position, err error) {
	for {
		var end ending
		if !first {
			if end, err = w.drain(ctx); err != nil {
				return 0, err
			}
		}
		select {
		case w.hub.listings <- struct{}{}:
			if first {
				return w.hub.join(&w.place), nil
			}
			return end.through, nil
		case <-end.more:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func (w *watching) page(ctx context.Context, v View, cursor string, since []Checkpoint) ([]Document, string, error) {
	defer func() { <-w.hub.listings }()
	return v.List(ctx, cursor, pageSize(0), w.hub.checkpoints(since)...)
}

// found yields documents as they were read, after which everything up to a
// position has come.
func (w *watching) found(docs []Document, through store.Position) error {
	w.seen = make(map[string]Document, len(docs))
	for _, d := range docs {
		w.seen[d.Key] = Document{Position: d.Position, Late: d.Late}
		if w.isNew(d) && (d.Document != nil || w.done > 0) && !w.yield(d, nil) {
			return errLeft
		}
	}
	w.done = max(w.done, through)
	return nil
}

// isNew reports whether a document is wanted and changed after all that has
// come. What was folded late may have, whatever its position.
func (w *watching) isNew(d Document) bool {
	return w.want.matches(d.Key) && (d.Position > w.done || d.Late != (Late{}))
}

// follow yields changes until there are none to come any more.
func (w *watching) follow(ctx context.Context) error {
	for {
		end, err := w.drain(ctx)
		if err != nil {
			return err
		}
		w.seen = nil // what is in the list is passed
		if err := w.progress(end.through); err != nil {
			return err
		}
		if end.over != nil {
			return end.over
		}
		select {
		case <-end.more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// drain yields the changes that there are.
func (w *watching) drain(ctx context.Context) (ending, error) {
	for {
		n, end, err := w.hub.look(&w.place, w.into)
		if err != nil {
			return ending{}, err
		}
		if err := w.changed(ctx, w.into[:n]); err != nil {
			return ending{}, err
		}
		if end != nil {
			return *end, nil
		}
	}
}

func (w *watching) changed(ctx context.Context, docs []Document) error {
	for _, d := range docs {
		if !w.isNew(d) {
			continue
		}
		if s, read := w.seen[d.Key]; read && age(d, s) <= 0 {
			continue
		}
		one := []Document{d}
		if err := w.hub.box.open(ctx, one); err != nil {
			return err
		}
		if !w.yield(one[0], nil) {
			return errLeft
		}
	}
	return nil
}

// progress notes, and tells who wants to know, that everything up to a
// position has come.
func (w *watching) progress(through store.Position) error {
	w.done = max(w.done, through)
	if !w.want.Progress || w.begun && w.told == w.done {
		return nil
	}
	w.begun, w.told = true, w.done
	if !w.yield(Document{Position: w.done, Model: w.want.Model}, nil) {
		return errLeft
	}
	return nil
}

// age compares two states of one document: negative if a is the older one.
func age(a, b Document) int {
	return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.Late.Parked, b.Late.Parked), cmp.Compare(a.Late.Position, b.Late.Position))
}
