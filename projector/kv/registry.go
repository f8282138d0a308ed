package kv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Registry is a [projector.Registry] on NATS KV, in the bucket
// ANNALS_<namespace>_projections: one key for each view, at most 1,024. It may be
// used whatever store keeps the models.
type Registry struct {
	buckets buckets

	mu     sync.Mutex
	opened *bucket // nil until the first use, and after an error
}

// NewRegistry returns a registry. It asks nobody yet: what is wrong with the
// configuration is told by its methods.
func NewRegistry(cfg Config) *Registry {
	return &Registry{buckets: buckets{cfg: cfg.withDefaults()}}
}

// bucket returns the registry's bucket, which is created if it is not there.
func (r *Registry) bucket(ctx context.Context) (*bucket, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.opened != nil {
		return r.opened, nil
	}
	b, err := r.buckets.open(ctx, "registry", registryOf(r.buckets.cfg.Namespace), func(cfg *jetstream.StreamConfig) {
		cfg.Description = "which read models there are of each view"
		cfg.Metadata = map[string]string{"annals.kind": "registry"}
	})
	if err != nil {
		return nil, err
	}
	r.opened = &b
	return r.opened, nil
}

// failed forgets the bucket, so that the next call looks whether it is there.
func (r *Registry) failed(b *bucket, doing string, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.opened == b {
		r.opened = nil
	}
	return b.failed(doing, err)
}

// Load implements [projector.Registry]. The leader answers; if it was deposed
// without knowing, the entry may be an old one, and then Store refuses what is
// built on it. What was read is on the disk, as with a view's checkpoint.
func (r *Registry) Load(ctx context.Context, view string) (projector.Entry, uint64, error) {
	if err := r.buckets.cfg.validate(view); err != nil {
		return projector.Entry{}, 0, err
	}
	b, err := r.bucket(ctx)
	if err != nil {
		return projector.Entry{}, 0, err
	}
	e, revision, err := b.entry(ctx, view)
	if err == nil {
		err = b.durable(ctx)
	}
	if err != nil {
		return projector.Entry{}, 0, r.failed(b, "load entry of view "+view, err)
	}
	return e, revision, nil
}

func (b *bucket) entry(ctx context.Context, view string) (projector.Entry, uint64, error) {
	m, err := b.fromLeader(ctx, getRequest{Last: b.at.prefix + view})
	if err != nil || m == nil {
		return projector.Entry{}, 0, err
	}
	e, err := m.entry()
	return e, m.sequence, err
}

// All returns the entries of all views, by view, each as it is at some instant of
// the call. The leader says which there are, so that none is passed over because
// others change meanwhile. It does not make the bucket: a namespace that has none has
// no entries.
func (r *Registry) All(ctx context.Context) (map[string]projector.Entry, error) {
	cfg := r.buckets.cfg
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	js, err := jetstream.New(cfg.Conn)
	if err != nil {
		return nil, unavailable("list registry", err)
	}
	at := registryOf(cfg.Namespace)
	subjects, err := subjectsIn(ctx, js, at.stream, at.all)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable("list registry", err)
	}
	b, err := r.bucket(ctx)
	if err != nil {
		return nil, err
	}
	all, err := b.entriesOf(ctx, subjects)
	if err == nil {
		err = b.durable(ctx)
	}
	if err != nil {
		return nil, r.failed(b, "load all entries", err)
	}
	return all, nil
}

// entriesOf asks the leader for the entry at each of the subjects, and leaves out
// those that were deleted.
func (b *bucket) entriesOf(ctx context.Context, subjects []string) (map[string]projector.Entry, error) {
	all := make(map[string]projector.Entry, len(subjects))
	for _, subject := range subjects {
		m, err := b.fromLeader(ctx, getRequest{Last: subject})
		if err != nil {
			return nil, err
		}
		if m == nil || m.deleted() {
			continue
		}
		if all[b.viewOf(m)], err = m.entry(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// entry reads the message as a view's entry. One that somebody deleted is as if
// it had never been, but for its revision.
func (m *message) entry() (e projector.Entry, err error) {
	if m.deleted() {
		return e, nil
	}
	if err := json.Unmarshal(m.data, &e); err != nil {
		return projector.Entry{}, fmt.Errorf("%s: %w: %w", m.subject, store.ErrDamaged, err)
	}
	return e, nil
}

// Store implements [projector.Registry]. It returns when the entry is on the
// disk, and sends it again until the outcome is definite or ctx ends.
func (r *Registry) Store(ctx context.Context, view string, e projector.Entry, revision uint64) (uint64, error) {
	if err := r.buckets.cfg.validate(view); err != nil {
		return 0, err
	}
	b, err := r.bucket(ctx)
	if err != nil {
		return 0, err
	}
	m := nats.NewMsg(b.at.prefix + view)
	if m.Data, err = json.Marshal(e); err != nil {
		return 0, b.failed("store entry of view "+view, err)
	}
	if most := int(b.conn.MaxPayload()) - headerRoom; len(m.Data) > most {
		return 0, b.failed("store", &store.TooLargeError{What: "entry of view " + view, Size: len(m.Data), Limit: most})
	}
	next, err := b.storeOnce(ctx, revision, nuid.Next(), []*nats.Msg{m})
	if errors.Is(err, projector.ErrFenced) {
		err = fmt.Errorf("%w: %w", projector.ErrChanged, err)
	}
	if err == nil {
		if err = b.durable(ctx); err != nil {
			err = fmt.Errorf("%w: %w", store.ErrUnknown, err)
		}
	}
	if err != nil {
		return 0, r.failed(b, "store entry of view "+view, err)
	}
	return next, nil
}

// entries returns the last entries of all views, by any replica, in the order of
// their revisions.
func (b *bucket) entries(ctx context.Context) ([]*message, error) {
	last, err := b.fromAny(ctx, getRequest{MultiLast: []string{b.at.all}}, maxEntries)
	if err == nil {
		err = leftOut(last.left)
	}
	return last.found, err
}

// maxEntries is how many the server gives in one answer.
const maxEntries = 1024

// viewOf returns whose entry a message is.
func (b *bucket) viewOf(m *message) string { return strings.TrimPrefix(m.subject, b.at.prefix) }
