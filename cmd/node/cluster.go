package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cmd/node/console"
)

func newCluster(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "See which node serves what, and change it",
		Example: `{{name}} cluster nodes
{{name}} cluster partitions --jq 'select(.node != .wanted)'
{{name}} cluster drain NODE`,
		Args: cobra.ArbitraryArgs,
		RunE: console.Group,
	}
	cmd.AddCommand(newClusterNodes(s), newClusterPartitions(s), newClusterDrain(s), newClusterUncordon(s), newClusterMove(s), newClusterRebalance(s))
	return cmd
}

// admin opens the cluster's directory. It works while no node runs.
func (s *Session) admin(ctx context.Context) (*cluster.Admin, error) {
	nc, err := s.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return request(ctx, s, notControl, func(ctx context.Context) (*cluster.Admin, error) {
		return cluster.OpenAdmin(ctx, cluster.AdminConfig{Conn: nc, Namespace: s.Namespace()})
	})
}

// nodeFailure helps with a node that is not there.
func (s *Session) nodeFailure(ctx context.Context, admin *cluster.Admin, node string, err error) error {
	if !errors.Is(err, cluster.ErrNoNode) {
		return err
	}
	nodes, asked := request(ctx, s, notControl, admin.Nodes)
	if asked != nil {
		return err
	}
	var names []string
	for _, n := range nodes {
		names = append(names, n.Name)
	}
	f := &Failure{Code: codeNoNode, Exit: console.ExitNotFound, What: fmt.Sprintf("no node %q", node), Err: err}
	f.Why = fmt.Sprintf("the nodes of namespace %s are: %s", s.Namespace(), strings.Join(names, ", "))
	if len(names) == 0 {
		f.Why = fmt.Sprintf("no node of namespace %s runs", s.Namespace())
	}
	if near := console.Nearest(node, names); near != "" {
		f.Fix = "did you mean: " + near
	}
	return f
}

// lookEvery is how often a command that waits looks at the directory.
const lookEvery = 100 * time.Millisecond

// await looks at the cluster until there reports that it has come to what was
// wished, or ctx ends.
func await[T any](ctx context.Context, look func(context.Context) (T, error), there func(T) bool) error {
	for {
		seen, err := look(ctx)
		if err != nil || there(seen) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookEvery):
		}
	}
}

// waiting bounds a wait for the cluster: by --timeout if that was given, else
// by usual.
func (s *Session) waiting(cmd *cobra.Command, usual time.Duration) (context.Context, context.CancelFunc) {
	if cmd.Flags().Changed("timeout") {
		usual = s.Timeout()
	}
	return context.WithTimeout(cmd.Context(), usual)
}
