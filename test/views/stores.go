package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	postgresviews "github.com/annals-go/annals/projector/postgres"
	"github.com/annals-go/annals/projector/sqlite"
	"github.com/annals-go/annals/test/postgres"
)

// allStores are the stores that the issue of all this is about.
var allStores = []string{"kv", "sqlite", "postgres"}

func known(store string) bool { return slices.Contains(allStores, store) }

// addresses says where each store is, as a child is told: KIND or KIND:WHERE.
type addresses struct {
	dir string
	pg  *postgres.Server
}

func (a *addresses) of(ctx context.Context, store string) (string, error) {
	switch store {
	case "kv":
		return store, nil
	case "sqlite":
		return store + ":" + filepath.Join(a.dir, "sqlite"), nil
	}
	if a.pg == nil {
		var err error
		if a.pg, err = postgres.Start(); err != nil {
			return "", fmt.Errorf("NOT TRIED, NOT PASSED: %w", err)
		}
	}
	url, err := a.pg.Database(ctx)
	return store + ":" + url, err
}

func (a *addresses) close() error {
	if a.pg == nil {
		return nil
	}
	return a.pg.Close()
}

// openStore opens the store at an address. close ends it.
func openStore(address string, conn *nats.Conn, namespace string) (s projector.Store, closed func() error, err error) {
	kind, where, _ := strings.Cut(address, ":")
	switch kind {
	case "kv":
		return kv.New(kv.Config{Conn: conn, Namespace: namespace}), func() error { return nil }, nil
	case "sqlite":
		s := sqlite.New(sqlite.Config{Dir: where, Namespace: namespace})
		return s, s.Close, nil
	case "postgres":
		s := postgresviews.New(postgresviews.Config{URL: where, Namespace: namespace})
		return s, s.Close, nil
	}
	return nil, nil, fmt.Errorf("no such store: %s at %s", kind, where)
}

// forgetName takes a view's own name away, as an operator would who throws the
// view away: PostgreSQL drops no live model that something stands for.
func forgetName(ctx context.Context, address, namespace, view string) error {
	kind, where, _ := strings.Cut(address, ":")
	if kind != "postgres" {
		return nil
	}
	conn, err := pgx.Connect(ctx, where)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, `DROP SCHEMA IF EXISTS `+pgx.Identifier{namespace + "_" + view}.Sanitize()+` CASCADE`)
	return err
}
