package node

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/projector/postgres"
	"github.com/annals-go/annals/projector/sqlite"
)

func TestParseViewStore(t *testing.T) {
	t.Parallel()
	const secret = "postgres://app:hunter2@db.example:5433/app"
	for _, c := range []struct {
		text string
		want viewStore
		says string // how String names it; "" if the text is refused
	}{
		{"kv", viewStore{kind: viewsKV}, "NATS KV"},
		{"sqlite", viewStore{kind: viewsSQLite}, "SQLite in a temporary directory"},
		{"sqlite:/var/lib/app", viewStore{viewsSQLite, "/var/lib/app"}, "SQLite in /var/lib/app"},
		{secret, viewStore{viewsPostgres, secret}, "PostgreSQL at db.example:5433/app"},
		{"postgres:" + secret, viewStore{viewsPostgres, secret}, "PostgreSQL at db.example:5433/app"},
		{"postgresql://db/app", viewStore{viewsPostgres, "postgresql://db/app"}, "PostgreSQL at db/app"},
		{"postgres:host=/tmp password=hunter2", viewStore{viewsPostgres, "host=/tmp password=hunter2"}, "PostgreSQL"},
		{"", viewStore{}, ""},
		{"kv:somewhere", viewStore{}, ""},
		{"sqlite:", viewStore{}, ""},
		{"postgres:", viewStore{}, ""},
		{"postgres", viewStore{}, ""},
		{"mysql://app:hunter2@db/app", viewStore{}, ""},
		{"hunter2", viewStore{}, ""},
	} {
		got, err := parseViewStore(c.text)
		if (err != nil) != (c.says == "") {
			t.Errorf("%q: error %v", c.text, err)
		}
		if err != nil {
			if _, rest, _ := strings.Cut(c.text, ":"); rest != "" && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q: the error repeats the password: %v", c.text, err)
			}
			continue
		}
		if got != c.want {
			t.Errorf("%q: %+v, want %+v", c.text, got, c.want)
		}
		if text := got.String(); text != c.says || strings.Contains(text, "hunter2") {
			t.Errorf("%q is called %q, want %q", c.text, text, c.says)
		}
	}
}

// What outlives the log would be ahead of the next one.
func TestViewStoreOfDev(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, dir, where string
		refused          bool
	}{
		{text: "kv"},
		{text: "sqlite"},
		{text: "sqlite:d", refused: true},
		{text: "postgres://db/app", refused: true},
		{text: "sqlite", dir: "data", where: filepath.Join("data", "views")},
		{text: "sqlite:d", dir: "data", where: "d"},
		{text: "postgres://db/app", dir: "data", where: "postgres://db/app"},
	} {
		v, err := parseViewStore(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if v, err = v.inDir(c.dir); (err != nil) != c.refused || err == nil && v.where != c.where {
			t.Errorf("%s with data in %q: %+v, %v", c.text, c.dir, v, err)
		}
	}
}

func TestViewStoreFromAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "views")
	if err := os.WriteFile(path, []byte("postgres://db/app\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file, flag, kind string
		refused          bool
	}{
		{file: path, kind: viewsPostgres},
		{file: path, flag: "kv", kind: viewsKV}, // what is typed counts
		{kind: viewsKV},
		{file: path + ".gone", refused: true},
	} {
		s, _, _ := testSession(map[string]string{viewsFile: c.file})
		var value string
		cmd := &cobra.Command{}
		addViewsFlag(cmd, &value)
		if c.flag != "" {
			if err := cmd.Flags().Set(viewsFlag, c.flag); err != nil {
				t.Fatal(err)
			}
		}
		v, err := viewStoreOf(cmd, s, value)
		if (err != nil) != c.refused || err == nil && v.kind != c.kind {
			t.Errorf("file %q, flag %q: %+v, %v", c.file, c.flag, v, err)
		}
	}
}

// A node that spreads the workers of a view over a store that is not shared would not
// start, and one that does not share a shared one does more than it has to.
func TestOnlySharedStoresAreSpread(t *testing.T) {
	t.Parallel()
	s := sqlite.New(sqlite.Config{Dir: t.TempDir(), Namespace: "app"})
	t.Cleanup(func() { _ = s.Close() })
	p := postgres.New(postgres.Config{URL: "postgres://db.example/app", Namespace: "app"})
	t.Cleanup(func() { _ = p.Close() })
	for kind, kept := range map[string]projector.Store{viewsKV: kv.New(kv.Config{Namespace: "app"}), viewsSQLite: s, viewsPostgres: p} {
		if says := (viewStore{kind: kind}).shared(); says != kept.Shared() || says != (kind != viewsSQLite) {
			t.Errorf("%s: shared is %v, the store says %v", kind, says, kept.Shared())
		}
	}
}

// A view is named once, however many versions of it there are.
func TestViewNames(t *testing.T) {
	t.Parallel()
	view := func(name string, version int) projector.Definition {
		return projector.Documents[any, int]{Name: name, Version: version}
	}
	app := App{Projections: []projector.Definition{view("b", 1), view("a", 1), view("b", 2)}}
	if names := app.viewNames(); !slices.Equal(names, []string{"b", "a"}) {
		t.Errorf("views: %v", names)
	}
}
