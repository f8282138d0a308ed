package node

import (
	"errors"
	"testing"

	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/store"
)

// A node makes buckets of its own views for others, if it may write into the log anyway, and of nothing else.
func TestWhoMakesBuckets(t *testing.T) {
	t.Parallel()
	views := []projector.Definition{projector.Documents[any, int]{Name: "tallies"}}
	m := maker{store: kv.New(kv.Config{Namespace: "app"}), views: views} // without a connection, nothing is ever made
	for _, view := range []string{"", "others", "tallies_v1", "snapshots"} {
		if err := m.Make(t.Context(), projector.Model{View: view, Version: 1}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("view %q: %v", view, err)
		}
	}
	for _, c := range []struct {
		roles []cluster.Role
		kind  string
		alone bool
		want  bool
	}{
		{cluster.AllRoles(), viewsKV, false, true},
		{[]cluster.Role{cluster.RoleActors}, viewsKV, false, true},
		{[]cluster.Role{cluster.RoleProjectors, cluster.RoleGateway}, viewsKV, false, false},
		{cluster.AllRoles(), viewsPostgres, false, false},
		{cluster.AllRoles(), viewsKV, true, false},
	} {
		m := &member{session: &Session{app: App{Projections: views}}, node: cluster.Node{Roles: c.roles}, store: viewStore{kind: c.kind}, alone: c.alone}
		if got := m.makesForOthers(); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
