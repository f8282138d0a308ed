package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
)

// drainTime is how long drain waits when nobody says otherwise.
const drainTime = time.Minute

func newClusterDrain(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "drain NODE",
		Short: "Make a node hand over all that it holds, and wait until it has",
		Long: `The node hands over one partition after the other, without a failed command, and
gets nothing new, also after a restart, until uncordon. It waits up to --timeout,
by default a minute.`,
		Example: `{{name}} cluster drain NODE
{{name}} cluster drain NODE --timeout 5m --json`,
		Args: console.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			admin, err := s.admin(cmd.Context())
			if err != nil {
				return err
			}
			ctx, cancel := s.waiting(cmd, drainTime)
			defer cancel()
			err = s.acting(cmd.Context(), "cluster.drain", args[0], func() error { return s.drain(ctx, admin, args[0]) })
			return s.nodeFailure(cmd.Context(), admin, args[0], err)
		},
	}
}

// drained is what drain and uncordon print.
type drained struct {
	Node       string  `json:"node"`
	Cordoned   bool    `json:"cordoned"`
	Partitions int     `json:"partitions"` // that it held
	Views      int     `json:"views"`
	Workers    int     `json:"workers,omitempty"` // of views, beside those
	Seconds    float64 `json:"seconds"`
}

func (s *Session) drain(ctx context.Context, admin *cluster.Admin, name string) error {
	before, err := admin.Nodes(ctx)
	if err != nil {
		return untouched(err)
	}
	if err := s.checkHeirs(before, name); err != nil {
		return untouched(err)
	}
	if err := admin.Cordon(ctx, name); err != nil {
		return ifRefused(err)
	}
	was, _ := holds(before, name)
	begin := time.Now()
	progress := s.Progress()
	last := was
	err = await(ctx, admin.Nodes, func(nodes []cluster.NodeStatus) bool {
		left, anything := holds(nodes, name)
		progress.Show("%s holds %s", name, holdings(left))
		last = left
		return !anything
	})
	progress.End()
	if err != nil {
		return s.drainFailure(ctx, last, name, err)
	}
	out := drained{Node: name, Cordoned: true, Partitions: was.Partitions, Seconds: time.Since(begin).Seconds()}
	out.Views, out.Workers = dutiesOf(was)
	if s.JSON() {
		return s.Print(out)
	}
	_, err = fmt.Fprintf(s.Out(), "%s holds nothing: handed over %s in %.1f s; undo: %s cluster uncordon %s\n",
		name, holdings(was), out.Seconds, s.app.Name, name)
	return err
}

// holdings says in words what a node holds.
func holdings(n cluster.NodeStatus) string {
	views, workers := dutiesOf(n)
	if workers == 0 {
		return console.Plural(n.Partitions, "partition") + " and " + console.Plural(views, "view")
	}
	return console.Plural(n.Partitions, "partition") + ", " + console.Plural(views, "view") + " and " + console.Plural(workers, "worker")
}

// dutiesOf counts the views that a node is the home of, and the workers of views that
// it has beside: the names of their duties have a dot.
func dutiesOf(n cluster.NodeStatus) (views, workers int) {
	for _, d := range n.Duties {
		if strings.Contains(d, ".") {
			workers++
		} else {
			views++
		}
	}
	return views, workers
}

// checkHeirs refuses to drain the last node that could serve: nobody would take
// over, and the wait would be in vain.
func (s *Session) checkHeirs(nodes []cluster.NodeStatus, name string) error {
	drained, anything := holds(nodes, name)
	if drained.Name == "" || !anything {
		return nil // Cordon says that it is not there, or there is nothing to take
	}
	for _, role := range drained.Roles {
		if role != cluster.RoleGateway && !others(nodes, name, role) {
			return &Failure{
				Code: codeNoHeir, Exit: console.ExitFailure, What: fmt.Sprintf("node %s cannot be drained", name),
				Why: fmt.Sprintf("no other node with role %s could take over what it holds", role),
				Fix: fmt.Sprintf("start or uncordon another node first: %s node --name NAME", s.app.Name),
			}
		}
	}
	return nil
}

// others reports whether another node takes what the role is about.
func others(nodes []cluster.NodeStatus, name string, role cluster.Role) bool {
	for _, n := range nodes {
		if n.Name == name || n.Cordoned || n.Leaving {
			continue
		}
		if slices.Contains(n.Roles, role) {
			return true
		}
	}
	return false
}

// drainFailure says how far it came.
func (s *Session) drainFailure(ctx context.Context, left cluster.NodeStatus, name string, err error) error {
	if left.Name == "" || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	return &Failure{
		Code: gateway.CodeDeadline, Exit: console.ExitUnavailable, Err: err,
		What: fmt.Sprintf("node %s still holds %s", name, holdings(left)),
		Why:  "they were not handed over in time; it goes on handing over",
		Fix:  fmt.Sprintf("wait longer with --timeout, or take it back: %s cluster uncordon %s", s.app.Name, name),
	}
}

func newClusterUncordon(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:     "uncordon NODE",
		Short:   "Let a node that was drained take its share again",
		Example: `{{name}} cluster uncordon NODE`,
		Args:    console.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			admin, err := s.admin(cmd.Context())
			if err != nil {
				return err
			}
			err = s.acting(cmd.Context(), "cluster.uncordon", args[0], func() error {
				_, err := request(cmd.Context(), s, notControl, func(ctx context.Context) (struct{}, error) {
					return struct{}{}, admin.Uncordon(ctx, args[0])
				})
				return ifRefused(err)
			})
			if err != nil {
				return s.nodeFailure(cmd.Context(), admin, args[0], err)
			}
			if s.JSON() {
				return s.Print(drained{Node: args[0]})
			}
			_, err = fmt.Fprintf(s.Out(), "%s takes its share again\n", console.Printable(args[0]))
			return err
		},
	}
}
