package node

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/projector/postgres"
	"github.com/annals-go/annals/projector/sqlite"
)

// Where views are kept.
const (
	viewsKV       = "kv"
	viewsSQLite   = "sqlite"
	viewsPostgres = "postgres"
)

// viewsFlag is the flag that says where views are kept.
const viewsFlag = "views"

// viewsFile names a file with the value of --views, for a URL that holds a
// password: the environment and the command line of a process can be seen.
const viewsFile = "ANNALS_VIEWS_FILE"

func addViewsFlag(cmd *cobra.Command, value *string) {
	cmd.Flags().StringVar(value, viewsFlag, viewsKV, "`STORE` that keeps the views: kv (in NATS), sqlite:DIR (on this machine: all workers of a view run on one node), postgres:URL; $"+viewsFile+" names a file that says so")
}

// viewStore says where views are kept, and opens that.
type viewStore struct {
	kind  string
	where string // directory or URL; empty for kv, and for an SQLite directory that is to be found
}

// viewStoreOf reads the flag, or else the file that the environment names.
func viewStoreOf(cmd *cobra.Command, s *Session, value string) (viewStore, error) {
	path := s.Env(viewsFile)
	if path == "" || cmd.Flags().Changed(viewsFlag) {
		return parseViewStore(value)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return viewStore{}, fmt.Errorf("read $%s: %w", viewsFile, err)
	}
	return parseViewStore(strings.TrimSpace(string(text)))
}

// parseViewStore never repeats a URL in its error: it may hold a password.
func parseViewStore(text string) (viewStore, error) {
	kind, where, given := strings.Cut(text, ":")
	v := viewStore{kind: kind, where: where}
	switch {
	case kind == viewsKV && !given:
		return v, nil
	case kind == viewsSQLite && given == (where != ""):
		return v, nil
	case kind == viewsPostgres:
		if strings.HasPrefix(where, "//") {
			v.where = text // the whole of it is a URL
		}
		if v.where == "" {
			return v, Usage("--views postgres: name the database, as in postgres://USER@HOST/DATABASE")
		}
		return v, nil
	case kind == "postgresql" && strings.HasPrefix(where, "//"):
		return viewStore{kind: viewsPostgres, where: text}, nil
	}
	return v, Usage("--views %q: want kv, sqlite:DIR or postgres:URL", kind)
}

// String says where the views are, without a password.
func (v viewStore) String() string {
	switch v.kind {
	case viewsSQLite:
		return "SQLite in " + cmp.Or(v.where, "a temporary directory")
	case viewsPostgres:
		if u, err := url.Parse(v.where); err == nil && u.Host != "" {
			return "PostgreSQL at " + u.Host + u.Path
		}
		return "PostgreSQL"
	}
	return "NATS KV"
}

// shared reports whether all nodes see the same views, so that they can share the
// work on one.
func (v viewStore) shared() bool { return v.kind != viewsSQLite }

// inDir completes a store of dev, whose data are in dir or, if that is empty,
// in memory. What outlives the log would be ahead of the next one, and is refused.
func (v viewStore) inDir(dir string) (viewStore, error) {
	switch {
	case dir == "" && (v.kind == viewsPostgres || v.where != ""):
		return v, Usage("--views %s outlives the events, which are in memory; add --data DIR", v.kind)
	case dir != "" && v.kind == viewsSQLite && v.where == "":
		v.where = filepath.Join(dir, "views")
	}
	return v, nil
}

// ofProcess completes a store of dev without data: SQLite files that go with the process. drop removes them; it is
// never nil.
func (v viewStore) ofProcess() (c viewStore, drop func() error, err error) {
	if v.kind != viewsSQLite || v.where != "" {
		return v, func() error { return nil }, nil
	}
	if v.where, err = os.MkdirTemp("", "annals-views-"); err != nil {
		return v, nil, viewStoreFailure(v, err)
	}
	return v, func() error { return os.RemoveAll(v.where) }, nil
}

// openStore opens what --views says. close releases it; it is never nil.
func (m *member) openStore() (projector.Store, func() error, error) {
	namespace, where := m.session.Namespace(), m.store.where
	switch m.store.kind {
	case viewsSQLite:
		if err := os.MkdirAll(where, 0o700); err != nil {
			return nil, nil, viewStoreFailure(m.store, err)
		}
		s := sqlite.New(sqlite.Config{Dir: where, Namespace: namespace})
		return s, s.Close, nil
	case viewsPostgres:
		s := postgres.New(postgres.Config{URL: where, Namespace: namespace})
		if err := s.Check(); err != nil {
			return nil, nil, viewStoreFailure(m.store, err)
		}
		return s, s.Close, nil
	}
	config := m.kv()
	if !m.alone && !m.trusted() {
		config.Make = m.askMake
	}
	return kv.New(config), func() error { return nil }, nil
}

// viewStoreFailure is why a store can never be used as it was named. One that
// cannot be reached for the moment is none: commands and other answers do not wait.
func viewStoreFailure(v viewStore, err error) *Failure {
	return &Failure{
		Code: console.CodeFailure, Exit: console.ExitFailure, What: "cannot keep views in " + v.String(), Why: err.Error(),
		Fix: "name another place with --views", Err: err,
	}
}

// kv is how buckets are made and used: as the log is.
func (m *member) kv() kv.Config {
	return kv.Config{
		Conn: m.conn, Namespace: m.session.Namespace(),
		Replicas: m.log.Replicas, InMemory: m.log.InMemory, Barrier: m.log.Barrier,
	}
}
