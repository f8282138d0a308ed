package kv

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Config says where read models and their registry are kept. Conn and Namespace are needed.
type Config struct {
	// Conn is the connection that is used; it stays the caller's.
	Conn *nats.Conn
	// Namespace is the application's: lower case letters, digits and hyphens.
	Namespace string
	// Replicas is how many servers keep each bucket, when one is created.
	// Default 1; production wants 3.
	Replicas int
	// InMemory keeps new buckets in the servers' memory. Default false.
	InMemory bool
	// Barrier returns when everything that the server had acknowledged before
	// the call has reached the disk. One call may serve many that wait; it is the
	// same as the log's. Default nil: an acknowledgement is as durable as it gets,
	// which is true of replicated buckets and of servers that sync each write.
	// Buckets in memory do not wait for it.
	Barrier func(context.Context) error
	// Make makes the bucket of a model that has none, where the user of Conn may make
	// no streams: it asks somebody whose [Store.Make] does. Default nil: the store
	// makes it. The registry's bucket is made by the registry in any case.
	Make func(context.Context, projector.Model) error
}

func (c Config) withDefaults() Config {
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	return c
}

// validate refuses a configuration, and names of views, that cannot be used.
func (c Config) validate(views ...string) error {
	if c.Conn == nil {
		return &store.InvalidError{What: "kv config", Value: "Conn", Reason: "is missing"}
	}
	if err := store.ValidateName("namespace", c.Namespace); err != nil {
		return err
	}
	for _, view := range views {
		if err := store.ValidateName("view name", view); err != nil {
			return err
		}
	}
	return nil
}

// Store is a [projector.Store] on NATS KV.
type Store struct{ buckets buckets }

// New returns a store. It asks nobody yet: what is wrong with the
// configuration is told by Open.
func New(cfg Config) *Store { return &Store{buckets: buckets{cfg: cfg.withDefaults()}} }

// createWait bounds the creation of a bucket: the cluster may have to elect a leader first.
const createWait = 10 * time.Second

// Open implements [projector.Store]. The bucket ANNALS_<namespace>_view_<view>_v<version>
// is created if it is not there, with _b<build> behind it for a build that is not
// the first. One that keeps a single value of each key is changed to keep two. One
// that was made by other means is refused with [store.ErrInvalid] if it cannot do
// what a view needs, and so are tables. Indexes are not made.
func (s *Store) Open(ctx context.Context, layout projector.Layout) (projector.View, error) {
	name := layout.View
	if err := s.buckets.cfg.validate(name); err != nil {
		return nil, err
	}
	if len(layout.Tables) > 0 {
		return nil, noTables(name)
	}
	n := namesOf(s.buckets.cfg.Namespace, layout.Model)
	if err := s.made(ctx, n); err != nil {
		return nil, err
	}
	b, err := s.buckets.open(ctx, "view "+name, n.places, n.describe)
	if err != nil {
		return nil, err
	}
	return &view{bucket: b, name: name, names: n}, nil
}

// made has another make the bucket, if it is not there.
func (s *Store) made(ctx context.Context, n names) error {
	if s.buckets.cfg.Make == nil {
		return nil
	}
	js, err := jetstream.New(s.buckets.cfg.Conn)
	if err != nil {
		return unavailable("look for bucket "+n.bucket, err)
	}
	ctx, cancel := context.WithTimeout(ctx, createWait)
	defer cancel()
	err = repeated(ctx, func(ctx context.Context) error {
		_, err := js.Stream(ctx, n.stream)
		return err
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = s.buckets.cfg.Make(ctx, n.model)
	}
	if err != nil {
		return unavailable("have bucket "+n.bucket+" made", err)
	}
	return nil
}

// Make returns when the bucket of a model is there, made empty if it was not. Errors are those of Open.
func (s *Store) Make(ctx context.Context, model projector.Model) error {
	if err := s.buckets.cfg.validate(model.View); err != nil {
		return err
	}
	if model.Version < 1 || model.Version > 9999 || model.Build < 0 {
		return &store.InvalidError{What: "model", Value: model.String(), Reason: "no model has such a number"}
	}
	n := namesOf(s.buckets.cfg.Namespace, model)
	js, err := jetstream.New(s.buckets.cfg.Conn)
	if err != nil {
		return unavailable("make bucket "+n.bucket, err)
	}
	settings := s.buckets.settings(n.places)
	n.describe(&settings)
	ctx, cancel := context.WithTimeout(ctx, createWait)
	defer cancel()
	b := bucket{title: "view " + model.View, at: n.places, conn: s.buckets.cfg.Conn, js: js}
	_, err = b.ensure(ctx, settings)
	return err
}

// describe says in the stream's settings what the bucket is for.
func (n names) describe(cfg *jetstream.StreamConfig) {
	cfg.Description = "documents of the view " + n.model.View
	cfg.Metadata = map[string]string{
		"annals.kind":       "view",
		"annals.projection": n.model.View,
		"annals.version":    fmt.Sprint(n.model.Version),
		"annals.build":      fmt.Sprint(n.model.Build),
	}
}

func noTables(view string) error {
	return &store.InvalidError{What: "view", Value: view, Reason: "buckets keep no tables"}
}

// Drop implements [projector.Store]: it deletes the bucket.
func (s *Store) Drop(ctx context.Context, model projector.Model) error {
	if err := s.buckets.cfg.validate(model.View); err != nil {
		return err
	}
	n := namesOf(s.buckets.cfg.Namespace, model)
	js, err := jetstream.New(s.buckets.cfg.Conn)
	if err != nil {
		return unavailable("drop bucket "+n.bucket, err)
	}
	ctx, cancel := context.WithTimeout(ctx, createWait)
	defer cancel()
	err = repeated(ctx, func(ctx context.Context) error { return js.DeleteStream(ctx, n.stream) })
	if err == nil || errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	return unavailable("drop bucket "+n.bucket, err)
}

// Shared implements [projector.Store]: every node reaches the buckets.
func (s *Store) Shared() bool { return true }
