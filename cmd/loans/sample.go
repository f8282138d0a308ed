package main

import (
	"context"
	"iter"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/loans/history"
	"github.com/annals-go/annals/cmd/node"
)

func newSample(s *node.Session) *cobra.Command {
	var applications int
	var seed uint64
	cmd := &cobra.Command{
		Use:   "sample",
		Short: "Print an invented history, for those who have no file",
		Example: `{{name}} sample > history.xes
{{name}} sample --applications 13000 --seed 7 | gzip > history.xes.gz
{{name}} sample | {{name}} import -`,
		Args: args(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if applications < 0 || applications > history.MaxApplications {
				return node.Usage("--applications %d is not in 0 to %d", applications, history.MaxApplications)
			}
			if err := history.Write(s.Out(), until(cmd.Context(), history.Sample(applications, seed))); err != nil {
				return err
			}
			return cmd.Context().Err()
		},
	}
	cmd.Flags().IntVar(&applications, "applications", 1_000, "how many applications")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "the same seed makes the same history")
	return cmd
}

// until yields what seq does, and ends early when ctx ends.
func until[T any](ctx context.Context, seq iter.Seq[T]) iter.Seq[T] {
	return func(yield func(T) bool) {
		for v := range seq {
			if ctx.Err() != nil || !yield(v) {
				return
			}
		}
	}
}

// args asks for exactly n arguments.
func args(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if len(given) == n {
			return nil
		}
		f := node.Usage("%s: wrong number of arguments: %d", cmd.CommandPath(), len(given))
		f.Why = "usage: " + cmd.UseLine()
		return f
	}
}
