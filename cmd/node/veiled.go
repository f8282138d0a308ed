package node

import (
	"context"
	"iter"
	"sync"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// veiled is a log whose sealed values are something else.
type veiled struct {
	store.Log
	shown, gone []byte // encoded, or nil
	erased      *erasedKeys
}

// newShown returns a log with texts in the place of sealed values.
func newShown(log store.Log) (veiled, error) {
	l := veiled{Log: log, erased: &erasedKeys{log: log}}
	var err error
	if l.shown, err = log.Codec().Marshal(string(shown)); err != nil {
		return l, err
	}
	l.gone, err = log.Codec().Marshal(string(gone))
	return l, err
}

// Read implements [store.Log].
func (l veiled) Read(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
	return func(yield func(*store.Commit, error) bool) {
		for c, err := range l.Log.Read(ctx, id, after) {
			if err == nil {
				err = l.cover(ctx, c)
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// Follow implements [store.Log].
func (l veiled) Follow(ctx context.Context, f store.Follow) (store.Feed, error) {
	feed, err := l.Log.Follow(ctx, f)
	if err != nil {
		return nil, err
	}
	return veiledFeed{feed, l}, nil
}

type veiledFeed struct {
	store.Feed
	log veiled
}

// Next implements [store.Feed].
func (f veiledFeed) Next(ctx context.Context, limit int) ([]*store.Commit, error) {
	commits, err := f.Feed.Next(ctx, limit)
	for _, c := range commits {
		if err := f.log.cover(ctx, c); err != nil {
			return nil, err
		}
	}
	return commits, err
}

func (l veiled) cover(ctx context.Context, c *store.Commit) (err error) {
	for i := range c.Events {
		if c.Events[i].Data, err = l.covered(ctx, c.Events[i].Data); err != nil {
			return err
		}
	}
	for i := range c.Commands {
		if c.Commands[i].Data, err = l.covered(ctx, c.Commands[i].Data); err != nil {
			return err
		}
	}
	return nil
}

func (l veiled) covered(ctx context.Context, data []byte) ([]byte, error) {
	if !store.MayHoldSealed(l.Codec(), data) {
		return data, nil
	}
	plain, _, _, err := store.OpenSealed(l.Codec(), data, func(_ string, envelope []byte) ([]byte, store.Personal, error) {
		if l.shown != nil && l.erased.has(ctx, envelope) {
			return l.gone, store.Personal{}, nil
		}
		return l.shown, store.Personal{}, nil
	})
	return plain, err
}

// erasedKeys knows from the notices in a log which keys were erased.
type erasedKeys struct {
	log store.Log

	mu    sync.Mutex
	known map[string]map[string]bool // by data subject, as names of keys
}

// maxErased bounds of how many data subjects the notices are kept.
const maxErased = 10_000

// has reports whether the value in an envelope was forgotten, as far as that can be found out.
func (k *erasedKeys) has(ctx context.Context, envelope []byte) bool {
	ref, err := privacy.KeyOf(envelope)
	if err != nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	keys, known := k.known[ref.Subject]
	if !known {
		if keys, err = k.read(ctx, ref.Subject); err != nil {
			return false
		}
		if k.known == nil || len(k.known) >= maxErased {
			k.known = map[string]map[string]bool{}
		}
		k.known[ref.Subject] = keys
	}
	return keys[ref.ID.String()]
}

func (k *erasedKeys) read(ctx context.Context, subject string) (map[string]bool, error) {
	var keys map[string]bool // nil for all who were never forgotten
	for c, err := range k.log.Read(ctx, privacy.Notice{Subject: subject}.Stream(), store.Head{}) {
		if err != nil {
			return nil, err
		}
		for r := range c.Recorded() {
			if !privacy.IsNotice(&r) {
				continue
			}
			n, err := privacy.ReadNotice(k.log.Codec(), r.Data)
			if err != nil {
				return nil, err
			}
			if keys == nil {
				keys = map[string]bool{}
			}
			for _, key := range n.Keys {
				keys[key] = true
			}
		}
	}
	return keys, nil
}
