package node

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
)

// moveTime is how long move waits when nobody says otherwise.
const moveTime = 15 * time.Second

func newClusterMove(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "move PARTITION NODE",
		Short: "Pin a partition to a node, and wait until it is there",
		Long: `The partition stays on that node until rebalance; while the node is away or
cordoned, it is placed as all others are.`,
		Example: `{{name}} cluster move 17 NODE
{{name}} cluster move 17 NODE --json`,
		Args: console.Args(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			partition, err := strconv.ParseUint(args[0], 10, 31)
			if err != nil {
				return Usage("partition %q: want a number from 0", args[0])
			}
			admin, err := s.admin(cmd.Context())
			if err != nil {
				return err
			}
			ctx, cancel := s.waiting(cmd, moveTime)
			defer cancel()
			err = s.acting(cmd.Context(), "cluster.move", args[0]+" to "+args[1], func() error {
				return s.move(ctx, admin, int(partition), args[1])
			})
			return s.nodeFailure(cmd.Context(), admin, args[1], err)
		},
	}
}

func (s *Session) move(ctx context.Context, admin *cluster.Admin, partition int, node string) error {
	before, err := admin.Partitions(ctx)
	if err != nil {
		return untouched(err)
	}
	if err := admin.Move(ctx, partition, node); err != nil {
		return ifRefused(err)
	}
	moved := cluster.Move{Partition: partition, To: node}
	if partition < len(before) {
		moved.From = before[partition].Node
	}
	last := moved.From
	err = await(ctx, admin.Partitions, func(all []cluster.PartitionStatus) bool {
		last = all[partition].Node
		return last == node
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return &Failure{
			Code: gateway.CodeDeadline, Exit: console.ExitUnavailable, Err: err,
			What: fmt.Sprintf("partition %d is pinned to %s, and still on %q", partition, node, last),
			Why:  "a node that is cordoned, leaving, full or without role actors takes none",
			Fix:  fmt.Sprintf("see: %s cluster nodes; take all pins back: %s cluster rebalance", s.app.Name, s.app.Name),
		}
	}
	if err != nil {
		return err
	}
	return s.printMoves([]cluster.Move{moved}, "")
}

func newClusterRebalance(s *Session) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "rebalance",
		Short: "Remove all pins, so that every partition goes where placement puts it",
		Example: `{{name}} cluster rebalance --dry-run
{{name}} cluster rebalance --json`,
		Args: console.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			admin, err := s.admin(cmd.Context())
			if err != nil {
				return err
			}
			var moves []cluster.Move
			rebalance := func() (err error) {
				moves, err = request(cmd.Context(), s, notControl, func(ctx context.Context) ([]cluster.Move, error) {
					return admin.Rebalance(ctx, dryRun)
				})
				if moves == nil {
					err = untouched(err) // the directory could not be read
				}
				return err
			}
			if dryRun {
				err = rebalance()
			} else {
				err = s.acting(cmd.Context(), "cluster.rebalance", "", rebalance)
			}
			if err != nil {
				return err
			}
			return s.printMoves(moves, "nothing moves: every partition is where placement puts it")
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show what would move, and change nothing")
	console.PerCall(cmd, "dry-run")
	return cmd
}

func (s *Session) printMoves(moves []cluster.Move, empty string) error {
	g := s.Grid("PARTITION", "FROM", "TO")
	for _, m := range moves {
		if s.JSON() {
			if err := s.Print(m); err != nil {
				return err
			}
			continue
		}
		g.Add(m.Partition, m.From, m.To)
	}
	if s.JSON() {
		return nil
	}
	return g.Render(empty)
}
