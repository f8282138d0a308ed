package node

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cluster"
)

func newClusterPartitions(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "partitions",
		Short: "List the partitions: who holds them, and who should",
		Example: `{{name}} cluster partitions
{{name}} cluster partitions --jq 'select(.pinned or .orphaned)'`,
		Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			admin, err := s.admin(cmd.Context())
			if err != nil {
				return err
			}
			partitions, err := request(cmd.Context(), s, admin.Partitions)
			if err != nil {
				return err
			}
			return s.printPartitions(partitions)
		},
	}
}

func (s *Session) printPartitions(partitions []cluster.PartitionStatus) error {
	g := s.grid("PARTITION", "NODE", "WANTED", "STATE", "EPOCH", "SINCE")
	for _, p := range partitions {
		if s.JSON() {
			if err := s.Print(p); err != nil {
				return err
			}
			continue
		}
		g.add(p.Partition, p.Node, p.Wanted, s.paintPartition(p), p.Epoch, s.when(p.Since))
	}
	if s.JSON() {
		return nil
	}
	return g.render("no partitions: no node has joined yet")
}

func (s *Session) paintPartition(p cluster.PartitionStatus) painted {
	y := s.style(s.Out())
	var words []string
	switch {
	case p.Orphaned:
		words = append(words, y.bad("orphaned"))
	case p.Node == "":
		words = append(words, y.bad("free"))
	case p.Node != p.Wanted:
		words = append(words, y.warn("moving"))
	default:
		words = append(words, y.good("served"))
	}
	if p.Pinned {
		words = append(words, "pinned")
	}
	return painted(strings.Join(words, ", "))
}
