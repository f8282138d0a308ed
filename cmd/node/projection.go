package node

import (
	"context"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/projector"
)

func newProjection(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "projection",
		Aliases: []string{"proj"},
		Short:   "See how far the views are",
		Example: `{{name}} projection ls`,
		Args:    cobra.ArbitraryArgs,
		RunE:    group,
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "ls",
		Short: "List the projections: state, position, lag",
		Example: `{{name}} projection ls
{{name}} projection ls --jq 'select(.state != "live")'`,
		Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return s.listProjections(cmd.Context()) },
	})
	return cmd
}

func (s *Session) listProjections(ctx context.Context) error {
	client, err := s.Client(ctx)
	if err != nil {
		return err
	}
	statuses, err := request(ctx, s, client.Projections)
	if err != nil {
		return err
	}
	g := s.grid("NAME", "VERSION", "STATE", "POSITION", "LAG", "BEHIND", "EVENTS", "LEFT", "ERROR")
	for _, p := range statuses {
		if s.JSON() {
			if err := s.Print(p); err != nil {
				return err
			}
			continue
		}
		g.add(p.Name, p.Version, s.paintState(p.State), p.Checkpoint, humanize.Comma(int64(p.LagEvents)),
			seconds(p.LagSeconds), humanize.Comma(int64(p.Events)), timeLeft(p), p.Error)
	}
	if s.JSON() {
		return nil
	}
	return g.render("no views: this application defines none")
}

func (s *Session) paintState(state string) painted {
	y, text := s.style(s.Out()), printable(state)
	switch state {
	case projector.StateLive:
		return painted(y.good(text))
	case projector.StateFailed, projector.StateStopped:
		return painted(y.bad(text))
	default:
		return painted(y.warn(text))
	}
}

// seconds prints a lag.
func seconds(lag float64) string {
	return time.Duration(lag * float64(time.Second)).Round(time.Millisecond).String()
}

// timeLeft estimates when a view that catches up will have caught up.
func timeLeft(p projector.Status) string {
	if p.State != projector.StateCatchingUp || p.Rate <= 0 {
		return ""
	}
	left := time.Duration(float64(p.LagEvents) / p.Rate * float64(time.Second))
	return fmt.Sprintf("%v at %s/s", left.Round(time.Second), humanize.Comma(int64(p.Rate)))
}
