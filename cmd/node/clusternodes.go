package node

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cluster"
)

func newClusterNodes(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:     "nodes",
		Aliases: []string{"ls"},
		Short:   "List the nodes: what they are, and what they hold",
		Example: `{{name}} cluster nodes
{{name}} cluster nodes --jq '[.name, .partitions]'`,
		Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			admin, err := s.admin(cmd.Context())
			if err != nil {
				return err
			}
			nodes, err := request(cmd.Context(), s, admin.Nodes)
			if err != nil {
				return err
			}
			return s.printNodes(nodes)
		},
	}
}

func (s *Session) printNodes(nodes []cluster.NodeStatus) error {
	g := s.grid("NAME", "STATE", "PARTITIONS", "WANTED", "VIEWS", "ROLES", "WEIGHT", "ZONE", "SINCE", "VERSION")
	for _, n := range nodes {
		if s.JSON() {
			if err := s.Print(n); err != nil {
				return err
			}
			continue
		}
		g.add(n.Name, s.paintNode(n), n.Partitions, n.Wanted, s.wrapped(n.Duties...), s.wrapped(roleNames(n.Roles)...),
			n.Weight, n.Zone, s.when(n.Since), n.Version)
	}
	if s.JSON() {
		return nil
	}
	return g.render("no nodes: start one with: " + s.app.Name + " node")
}

func (s *Session) paintNode(n cluster.NodeStatus) painted {
	y := s.style(s.Out())
	switch {
	case n.Leaving:
		return painted(y.warn("leaving"))
	case n.Cordoned:
		return painted(y.warn("cordoned"))
	case n.Partitions != n.Wanted:
		return painted(y.warn("moving"))
	default:
		return painted(y.good("settled"))
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
