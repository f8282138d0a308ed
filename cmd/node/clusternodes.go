package node

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cmd/node/console"
)

func newClusterNodes(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:     "nodes",
		Aliases: []string{"ls"},
		Short:   "List the nodes: what they are, and what they hold",
		Example: `{{name}} cluster nodes
{{name}} cluster nodes --jq '[.name, .partitions]'`,
		Args: console.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			admin, err := s.admin(cmd.Context())
			if err != nil {
				return err
			}
			nodes, err := request(cmd.Context(), s, notControl, admin.Nodes)
			if err != nil {
				return err
			}
			return s.printNodes(nodes)
		},
	}
}

func (s *Session) printNodes(nodes []cluster.NodeStatus) error {
	g := s.Grid("NAME", "STATE", "PARTITIONS", "WANTED", "VIEWS", "ROLES", "WEIGHT", "ZONE", "SINCE", "VERSION")
	for _, n := range nodes {
		if s.JSON() {
			if err := s.Print(n); err != nil {
				return err
			}
			continue
		}
		g.Add(n.Name, s.paintNode(n), n.Partitions, n.Wanted, s.Wrapped(n.Duties...), s.Wrapped(roleNames(n.Roles)...),
			n.Weight, n.Zone, s.When(n.Since), n.Version)
	}
	if s.JSON() {
		return nil
	}
	return g.Render("no nodes: start one with: " + s.app.Name + " node")
}

func (s *Session) paintNode(n cluster.NodeStatus) console.Painted {
	y := s.Style(s.Out())
	switch {
	case n.Leaving:
		return console.Painted(y.Warn("leaving"))
	case n.Cordoned:
		return console.Painted(y.Warn("cordoned"))
	case n.Partitions != n.Wanted:
		return console.Painted(y.Warn("moving"))
	default:
		return console.Painted(y.Good("settled"))
	}
}

// holds reports whether the node has anything; one that is gone has nothing.
func holds(nodes []cluster.NodeStatus, name string) (n cluster.NodeStatus, anything bool) {
	i := slices.IndexFunc(nodes, func(n cluster.NodeStatus) bool { return n.Name == name })
	if i < 0 {
		return n, false
	}
	return nodes[i], nodes[i].Partitions > 0 || len(nodes[i].Duties) > 0
}
