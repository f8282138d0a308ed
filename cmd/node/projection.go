package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
)

func newProjection(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "projection",
		Aliases: []string{"proj"},
		Short:   "See how far the views are, build them again, verify them",
		Example: `{{name}} projection ls
{{name}} projection rebuild VIEW --online --switch
{{name}} projection verify VIEW`,
		Args: cobra.ArbitraryArgs,
		RunE: console.Group,
	}
	cmd.AddCommand(newProjectionList(s), newProjectionLag(s), newProjectionInfo(s), newProjectionVerify(s), newProjectionRebuild(s), newProjectionRewind(s))
	for _, c := range projectionChanges {
		cmd.AddCommand(newProjectionChange(s, c))
	}
	return cmd
}

func newProjectionList(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the views and their read models: state, position, lag",
		Example: `{{name}} projection ls
{{name}} projection ls --jq 'select(.state != "live")'
{{name}} projection ls --jq 'select(.parked > 0) | [.name, .parked]'`,
		Args: console.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return s.listProjections(cmd.Context()) },
	}
}

func (s *Session) listProjections(ctx context.Context) error {
	client, err := s.Client(ctx)
	if err != nil {
		return err
	}
	statuses, err := request(ctx, s, "projection.ls", client.Projections)
	if err != nil {
		return err
	}
	if s.JSON() {
		return s.printAll(statuses)
	}
	g := s.Grid("NAME", "VERSION", "ROLE", "STATE", "POSITION", "LAG", "BEHIND", "TREND", "EVENTS", "PARKED", "LEFT", "ERROR")
	for _, p := range statuses {
		g.Add(p.Name, versionOf(p), p.Role, s.paintState(p), p.Checkpoint, humanize.Comma(int64(p.LagEvents)),
			seconds(p.LagSeconds), p.Trend, humanize.Comma(int64(p.Events)), s.paintCount(p.Parked), timeLeft(p), p.Error)
	}
	return g.Render("no views: this application defines none")
}

// printAll prints the models as JSON, one a line.
func (s *Session) printAll(statuses []projector.Status) error {
	for _, p := range statuses {
		if err := s.Print(p); err != nil {
			return err
		}
	}
	return nil
}

func newProjectionLag(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "lag [VIEW]",
		Short: "Show how far the views are behind, and whether that grows",
		Example: `{{name}} projection lag
{{name}} projection lag VIEW --jq .lag_seconds`,
		Args:              console.Args(0, 1),
		ValidArgsFunction: completeViews(s),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := s.Client(cmd.Context())
			if err != nil {
				return err
			}
			statuses, err := request(cmd.Context(), s, "projection.ls", client.Projections)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				statuses = slices.DeleteFunc(statuses, func(p projector.Status) bool { return p.Name != args[0] })
				if len(statuses) == 0 {
					return s.viewFailure(cmd.Context(), client, args[0], fmt.Errorf("%w: %q", projector.ErrNoView, args[0]))
				}
			}
			return s.printLag(statuses)
		},
	}
}

// lagged is what lag prints of a model as JSON.
type lagged struct {
	Model      string  `json:"model"`
	Role       string  `json:"role"`
	State      string  `json:"state"`
	LagEvents  uint64  `json:"lag_events"`
	LagSeconds float64 `json:"lag_seconds"`
	Trend      string  `json:"trend"`
	Stalled    bool    `json:"stalled"`
}

func (s *Session) printLag(statuses []projector.Status) error {
	g := s.Grid("MODEL", "ROLE", "STATE", "LAG", "BEHIND", "TREND", "LEFT")
	for _, p := range statuses {
		if s.JSON() {
			err := s.Print(lagged{modelOf(p).String(), p.Role, p.State, p.LagEvents, p.LagSeconds, p.Trend, p.Stalled})
			if err != nil {
				return err
			}
			continue
		}
		g.Add(modelOf(p), p.Role, s.paintState(p), humanize.Comma(int64(p.LagEvents)), seconds(p.LagSeconds), p.Trend, timeLeft(p))
	}
	if s.JSON() {
		return nil
	}
	return g.Render("no views: this application defines none")
}

func modelOf(p projector.Status) projector.Model {
	return projector.Model{View: p.Name, Version: p.Version, Build: p.Build}
}

// versionOf is the version, and the build where there is more than one.
func versionOf(p projector.Status) string {
	if p.Build == 0 {
		return fmt.Sprint(p.Version)
	}
	return fmt.Sprintf("%d_b%d", p.Version, p.Build)
}

func (s *Session) paintState(p projector.Status) console.Painted {
	y, text := s.Style(s.Out()), console.Printable(p.State)
	switch {
	case p.State == projector.StateFailed, p.State == projector.StateStopped, p.State == gateway.StateUnreachable:
		return console.Painted(y.Bad(text))
	case p.Paused:
		return console.Painted(y.Warn("paused"))
	case p.Stalled:
		return console.Painted(y.Bad(text + ", stalled"))
	case p.State == projector.StateLive:
		return console.Painted(y.Good(text))
	default:
		return console.Painted(y.Warn(text))
	}
}

// paintCount shows a number that should be 0.
func (s *Session) paintCount(n int) console.Painted {
	text := humanize.Comma(int64(n))
	if n == 0 {
		return console.Painted(text)
	}
	return console.Painted(s.Style(s.Out()).Bad(text))
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
	return fmt.Sprintf("%v at %s/s", leftOf(p).Round(time.Second), humanize.Comma(int64(p.Rate)))
}

// leftOf is how long a model that catches up will need, at the rate that it has.
func leftOf(p projector.Status) time.Duration {
	return time.Duration(float64(p.LagEvents) / p.Rate * float64(time.Second))
}
