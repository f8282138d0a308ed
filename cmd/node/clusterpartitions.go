package node

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cmd/node/console"
)

func newClusterPartitions(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "partitions",
		Short: "List the partitions: who holds them, and who should",
		Example: `{{name}} cluster partitions
{{name}} cluster partitions --jq 'select(.pinned or .orphaned)'`,
		Args: console.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			admin, err := s.admin(cmd.Context())
			if err != nil {
				return err
			}
			partitions, err := request(cmd.Context(), s, notControl, admin.Partitions)
			if err != nil {
				return err
			}
			return s.printPartitions(partitions)
		},
	}
}

func (s *Session) printPartitions(partitions []cluster.PartitionStatus) error {
	g := s.Grid("PARTITION", "NODE", "WANTED", "STATE", "EPOCH", "SINCE")
	for _, p := range partitions {
		if s.JSON() {
			if err := s.Print(p); err != nil {
				return err
			}
			continue
		}
		g.Add(p.Partition, p.Node, p.Wanted, s.paintPartition(p), p.Epoch, s.When(p.Since))
	}
	if s.JSON() {
		return nil
	}
	return g.Render("no partitions: no node has joined yet")
}

func (s *Session) paintPartition(p cluster.PartitionStatus) console.Painted {
	y := s.Style(s.Out())
	var words []string
	switch {
	case p.Orphaned:
		words = append(words, y.Bad("orphaned"))
	case p.Node == "":
		words = append(words, y.Bad("free"))
	case p.Node != p.Wanted:
		words = append(words, y.Warn("moving"))
	default:
		words = append(words, y.Good("served"))
	}
	if p.Pinned {
		words = append(words, "pinned")
	}
	return console.Painted(strings.Join(words, ", "))
}
