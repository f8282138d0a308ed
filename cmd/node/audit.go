package node

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/store/ledger"
)

func newAudit(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "See what operators did",
		Example: `{{name}} audit ls
{{name}} audit ls --since 720h --json`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	cmd.AddCommand(newAuditList(s))
	return cmd
}

func newAuditList(s *Session) *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List what operators did, oldest first",
		Long: `Each act is there when it begins and when it is over; one that has a beginning
alone is still being done, or whoever did it could not say any more what came of
it. It reads the log itself, and needs no node.`,
		Example: `{{name}} audit ls
{{name}} audit ls --since 2006-01-02 --jq 'select(.action == "dlq.skip")'`,
		Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := time.Now()
			from, err := parseAt(since, now)
			if err != nil {
				return err
			}
			if from.Time.IsZero() {
				return Usage("--since %q: want a time, or how long ago", since)
			}
			return s.listActs(cmd.Context(), from.Time, now.Add(time.Minute)) // clocks differ
		},
	}
	cmd.Flags().StringVar(&since, "since", "720h", "from this `TIME` on, or from so long ago")
	perCall(cmd, "since")
	return cmd
}

func (s *Session) listActs(ctx context.Context, since, until time.Time) error {
	log, err := openToRead(ctx, s)
	if err != nil {
		return err
	}
	g := s.grid("TIME", "ACTION", "WHAT", "BY", "WHY", "OUTCOME", "NODE")
	for a, err := range ledger.Acts(ctx, log, since, until) {
		if err != nil {
			return err
		}
		if !s.JSON() {
			g.add(s.when(a.At), a.Action, a.What, a.By, a.Why, a.Outcome, a.Node)
			continue
		}
		if err := s.Print(a); err != nil {
			return err
		}
	}
	if s.JSON() {
		return nil
	}
	return g.render("nothing was done")
}
