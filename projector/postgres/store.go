package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Config says where read models are kept. Namespace and one of URL and Pool are
// needed.
type Config struct {
	// URL says how to connect, as libpq reads it: a URL, or "host=... dbname=...".
	// Of several hosts the primary is used, unless the URL itself says
	// which (target_session_attrs).
	URL string
	// Pool is used instead of URL; it stays the caller's.
	Pool *pgxpool.Pool
	// Namespace is the application's: lower case letters, digits and hyphens.
	Namespace string
	// Connections is how many connections to URL are open at most. Default 8: each
	// worker uses one while it writes, and each read one while it lasts.
	Connections int
	// Timeout bounds what the server does for one call: a read, a statement of a
	// write, the opening of a model. Default 30 s.
	Timeout time.Duration
	// Unsynced takes a server that does not sync its disk (fsync = off), for data
	// that may be thrown away. Default false: Open refuses it.
	Unsynced bool
}

const (
	defaultConnections = 8
	defaultTimeout     = 30 * time.Second
)

// Store is a [projector.Store] on PostgreSQL.
type Store struct {
	cfg Config

	mu     sync.Mutex
	pool   *pgxpool.Pool // nil until the first call
	db     *sql.DB       // of the same connections
	closed bool
}

// New returns a store. It asks nobody yet: what is wrong with the
// configuration is told by Open.
func New(cfg Config) *Store {
	if cfg.Connections == 0 {
		cfg.Connections = defaultConnections
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	return &Store{cfg: cfg}
}

// Open implements [projector.Store]. The schema <namespace>_<model> is created if
// it is not there, with the tables of the layout, and the indexes that it
// lacks are made. Refused with [store.ErrInvalid] are: a schema that was made
// by other means or with other tables, statements that the server does not
// take, and a server that does not sync its disk or that keeps no UTF-8.
func (s *Store) Open(ctx context.Context, layout projector.Layout) (projector.View, error) {
	doing := "open view " + layout.View
	if err := s.validate(layout.Model); err != nil {
		return nil, err
	}
	db, err := s.connections()
	if err != nil {
		return nil, failed(doing, err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	if err := fit(ctx, db, s.cfg.Unsynced); err != nil {
		return nil, failed(doing, err)
	}
	v := newView(s, db, layout.Model)
	if v.id, err = v.schema.ensure(ctx, db, layout); err != nil {
		return nil, failed(doing, err)
	}
	return v, nil
}

// Drop implements [projector.Store]: it drops the schema with all that is in it.
// It waits for the commits that are under way, and for no other. While an SQL view
// elsewhere is made from it, it is refused with [store.ErrInvalid].
func (s *Store) Drop(ctx context.Context, model projector.Model) error {
	doing := "drop view " + model.String()
	if err := s.validate(model); err != nil {
		return err
	}
	db, err := s.connections()
	if err != nil {
		return failed(doing, err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	return failed(doing, schemaOf(s.cfg.Namespace, model).drop(ctx, db))
}

// Close closes the connections that the store made. What is asked later is
// answered with [store.ErrUnavailable].
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.db == nil {
		return nil
	}
	err := s.db.Close()
	if s.cfg.Pool == nil {
		s.pool.Close()
	}
	return err
}

func (s *Store) validate(model projector.Model) error {
	invalid := func(field, reason string) error {
		return &store.InvalidError{What: "postgres config", Value: field, Reason: reason}
	}
	switch {
	case s.cfg.URL == "" && s.cfg.Pool == nil:
		return invalid("URL", "is missing, and so is Pool")
	case s.cfg.URL != "" && s.cfg.Pool != nil:
		return invalid("URL", "is there, and so is Pool")
	case s.cfg.Connections < 0:
		return invalid("Connections", "must not be negative")
	case s.cfg.Timeout < 0:
		return invalid("Timeout", "must not be negative")
	}
	if err := store.ValidateName("namespace", s.cfg.Namespace); err != nil {
		return err
	}
	return store.ValidateName("view name", model.View)
}

// connections returns the pool, which the first call makes.
func (s *Store) connections() (*sql.DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("%w: the store is closed", store.ErrUnavailable)
	}
	if s.db != nil {
		return s.db, nil
	}
	pool := s.cfg.Pool
	if pool == nil {
		var err error
		if pool, err = s.connect(); err != nil {
			return nil, err
		}
	}
	s.pool, s.db = pool, stdlib.OpenDBFromPool(pool)
	return s.db, nil
}

// Check reports, without asking the server, whether the configuration can be
// used at all: [store.ErrInvalid] if not.
func (s *Store) Check() error {
	if err := s.validate(projector.Model{View: "a", Version: 1}); err != nil || s.cfg.Pool != nil {
		return err
	}
	_, err := s.poolConfig()
	return err
}

// connect makes a pool; its connections are made when they are needed. What
// the URL holds, a password perhaps, is in no error.
func (s *Store) connect() (*pgxpool.Pool, error) {
	cfg, err := s.poolConfig()
	if err != nil {
		return nil, err
	}
	return pgxpool.NewWithConfig(context.Background(), cfg)
}

func (s *Store) poolConfig() (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(s.cfg.URL)
	if err != nil {
		return nil, &store.InvalidError{What: "postgres config", Value: "URL", Reason: "it cannot be read"}
	}
	const most = 1000
	cfg.MaxConns = int32(min(s.cfg.Connections, most))
	cfg.MaxConnIdleTime = 5 * time.Minute
	if _, named := cfg.ConnConfig.RuntimeParams["application_name"]; !named {
		cfg.ConnConfig.RuntimeParams["application_name"] = "annals " + s.cfg.Namespace
	}
	if cfg.ConnConfig.ValidateConnect == nil {
		cfg.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary // a standby's reads would be stale
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	return cfg, nil
}

// Shared implements [projector.Store]: every node reaches the database.
func (s *Store) Shared() bool { return true }
