package projector

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// NewSealed returns a store that keeps in another one what is personal in documents
// ([Document.Personal]) only sealed: it seals what is committed and opens what is read,
// where what was forgotten is left out. It offers what the other one does besides. A
// [Group] that has a keyring makes one by itself.
func NewSealed(s Store, keys *privacy.Keyring) Store {
	sealed := &sealedStore{Store: s, keys: keys}
	if namer, able := s.(Namer); able {
		return &sealedNamer{sealedStore: sealed, namer: namer}
	}
	return sealed
}

type sealedStore struct {
	Store
	keys *privacy.Keyring
}

type sealedNamer struct {
	*sealedStore
	namer Namer
}

func (s *sealedNamer) Name(ctx context.Context, model Model) error { return s.namer.Name(ctx, model) }

func (s *sealedStore) Open(ctx context.Context, layout Layout) (View, error) {
	v, err := s.Store.Open(ctx, layout)
	if err != nil {
		return nil, err
	}
	sealed := &sealedView{View: v, box: box{keys: s.keys, view: layout.View}}
	if q, able := v.(Querier); able {
		return &sealedTables{sealedView: sealed, querier: q}, nil
	}
	return sealed, nil
}

// sealedView is a view whose documents are sealed below it, and plain above.
type sealedView struct {
	View
	box box
}

// sealedTables is one that keeps tables as well. What is in these is the definition's.
type sealedTables struct {
	*sealedView
	querier Querier
}

func (v *sealedTables) Query(ctx context.Context, read func(tx *sql.Tx) error, since ...Checkpoint) error {
	return v.querier.Query(ctx, read, since...)
}

// Scrub implements [Scrubber] where the view below does.
func (v *sealedView) Scrub(ctx context.Context, goesOn bool) error {
	if s, able := v.View.(Scrubber); able {
		return s.Scrub(ctx, goesOn)
	}
	return nil
}

func (v *sealedView) Commit(ctx context.Context, w Write) (Checkpoint, error) {
	var err error
	if w.Documents, err = v.box.seal(ctx, w.Documents); err != nil {
		return Checkpoint{}, fmt.Errorf("view %s: commit: %w", v.box.view, err)
	}
	return v.View.Commit(ctx, w)
}

func (v *sealedView) Get(ctx context.Context, keys []string, since ...Checkpoint) ([]Document, error) {
	docs, err := v.View.Get(ctx, keys, since...)
	if err != nil {
		return nil, err
	}
	return docs, v.box.open(ctx, docs)
}

func (v *sealedView) List(ctx context.Context, cursor string, limit int, since ...Checkpoint) ([]Document, string, error) {
	docs, next, err := v.View.List(ctx, cursor, limit, since...)
	if err != nil {
		return nil, "", err
	}
	if err := v.box.open(ctx, docs); err != nil {
		return nil, "", err
	}
	return docs, next, nil
}

// box seals and opens the documents of a view. The zero box leaves them as they are.
type box struct {
	keys *privacy.Keyring
	view string
}

// scope is what a document's values are sealed to: the view and the key, and not the
// model, for what is the same in two models may be copied between them.
func (b box) scope(key string) privacy.Scope {
	return privacy.Scope{Kind: privacy.KindDocument, Stream: store.StreamID{Type: b.view, ID: key}}
}

// seal returns the documents as they are to be stored. Those given stay as they are.
func (b box) seal(ctx context.Context, docs []Document) ([]Document, error) {
	if b.keys == nil {
		return docs, nil
	}
	sealed := docs
	for i, d := range docs {
		if len(d.Personal) == 0 {
			continue
		}
		data, err := b.keys.SealAs(ctx, b.scope(d.Key), store.JSON, d.Document, d.Personal)
		if err != nil {
			return nil, fmt.Errorf("seal document %q: %w", d.Key, err)
		}
		if &sealed[0] == &docs[0] {
			sealed = append([]Document(nil), docs...)
		}
		sealed[i].Document, sealed[i].Personal = data, nil
	}
	return sealed, nil
}

// openers is how many documents are opened side by side: where keys are not at hand,
// each waits for the key store.
const openers = 8

// open opens the documents in their place.
func (b box) open(ctx context.Context, docs []Document) error {
	var sealed []*Document
	for i := range docs {
		if b.keys != nil && store.MayHoldSealed(store.JSON, docs[i].Document) {
			sealed = append(sealed, &docs[i])
		}
	}
	errs := make([]error, min(len(sealed), openers))
	var opening sync.WaitGroup
	for nth := range errs {
		opening.Go(func() {
			for i := nth; i < len(sealed) && errs[nth] == nil; i += len(errs) {
				errs[nth] = b.openOne(ctx, sealed[i])
			}
		})
	}
	opening.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// openOne opens a document that may have been stored with other blanks than it came
// with.
func (b box) openOne(ctx context.Context, d *Document) error {
	var compact bytes.Buffer
	if err := json.Compact(&compact, d.Document); err != nil {
		return fmt.Errorf("view %s: document %q: %w: %w", b.view, d.Key, store.ErrDamaged, err)
	}
	data, personal, err := b.keys.Open(ctx, b.scope(d.Key), store.JSON, compact.Bytes())
	if err != nil {
		return fmt.Errorf("view %s: open document %q: %w", b.view, d.Key, err)
	}
	d.Document, d.Personal = data, personal
	return nil
}

// checkSealed refuses documents that are to be stored with something personal in plain.
func checkSealed(docs []Document) error {
	for _, d := range docs {
		if len(d.Personal) > 0 {
			return &store.InvalidError{What: "document", Value: d.Key, Reason: "personal data in plain are not stored: " + d.Personal[0].Path}
		}
	}
	return nil
}

// CheckSealed is for stores: it refuses, with [store.ErrInvalid], what holds personal
// data in plain. A [Group] with a keyring never writes that.
func (w Write) CheckSealed() error { return checkSealed(w.Documents) }
