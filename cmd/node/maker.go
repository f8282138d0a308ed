package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/store"
)

// maker makes buckets of this build's views, for nodes whose user may make no streams: a stream's settings can
// have its server publish anything under any subject, so only who may append to the log makes one.
type maker struct {
	store *kv.Store
	views []projector.Definition
}

var _ gateway.Maker = maker{}

// Make implements [gateway.Maker].
func (m maker) Make(ctx context.Context, model projector.Model) error {
	is := func(d projector.Definition) bool { return d.Describe().Name == model.View }
	if !slices.ContainsFunc(m.views, is) {
		return &store.InvalidError{What: "view", Value: model.View, Reason: "this build has none of that name"}
	}
	return m.store.Make(ctx, model)
}

// maker is what this node does for others; nil: nothing.
func (m *member) maker() gateway.Maker {
	if !m.makesForOthers() {
		return nil
	}
	return maker{kv.New(m.kv()), m.session.app.Projections}
}

func (m *member) makesForOthers() bool { return !m.alone && m.store.kind == viewsKV && m.trusted() }

// trusted reports whether this node appends to the log, which whoever makes streams could do, too.
func (m *member) trusted() bool { return slices.Contains(m.node.Roles, cluster.RoleActors) }

// askWait is how long a node has to make a bucket before another is asked.
const askWait = 4 * time.Second

// askMake has another node make the bucket of a model. Where none can, this one tries: it may have a user that
// may. It is called once the cluster has given this node a view, and so after the gateway was made.
func (m *member) askMake(ctx context.Context, model projector.Model) error {
	nodes, err := m.trustedNodes(ctx)
	if err != nil {
		return err
	}
	errs := []error{}
	for _, node := range nodes {
		once, cancel := context.WithTimeout(ctx, askWait)
		err := m.gateway.AskMake(once, node, model)
		cancel()
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	if err = kv.New(m.kv()).Make(ctx, model); err != nil {
		return fmt.Errorf("%w: no node made it, nor may this one: %w", store.ErrUnavailable, errors.Join(append(errs, err)...))
	}
	return nil
}

// trustedNodes are the names of those that may be asked.
func (m *member) trustedNodes(ctx context.Context) (names []string, err error) {
	admin, err := cluster.OpenAdmin(ctx, cluster.AdminConfig{Conn: m.conn, Namespace: m.session.Namespace()})
	if err != nil {
		return nil, err
	}
	all, err := admin.Nodes(ctx)
	for _, n := range all {
		if slices.Contains(n.Roles, cluster.RoleActors) && n.Name != m.node.Name {
			names = append(names, n.Name)
		}
	}
	return names, err
}
