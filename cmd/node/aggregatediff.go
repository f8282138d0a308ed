package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

func newAggregateDiff(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "diff TYPE ID A [B]",
		Short: "Show what became of one aggregate between two moments",
		Long: `A and B are versions or times, as --at of aggregate get has them; without B it is
what became of it until now. With --json the changes are a patch (RFC 6902), with
the old values beside.`,
		Example: `{{name}} aggregate diff TYPE ID 3 7
{{name}} aggregate diff TYPE ID 2006-01-02T15:04
{{name}} aggregate diff TYPE ID 90m --jq '.changes[].path'`,
		Args:              console.Args(3, 4),
		ValidArgsFunction: completeTypes(s),
		RunE: func(cmd *cobra.Command, args []string) error {
			stream, from, to, err := parseSpan(args)
			if err != nil {
				return err
			}
			client, err := s.Client(cmd.Context())
			if err != nil {
				return err
			}
			d, err := request(cmd.Context(), s, "aggregate.diff", func(ctx context.Context) (gateway.Difference, error) {
				return client.Diff(ctx, stream, from, to)
			})
			if err != nil {
				return s.aggregateFailure(cmd.Context(), client, stream, earlier(from, to), err)
			}
			return s.printDifference(d)
		},
	}
}

// parseSpan reads the arguments TYPE ID A [B].
func parseSpan(args []string) (stream store.StreamID, from, to actor.At, err error) {
	stream = store.StreamID{Type: args[0], ID: args[1]}
	if err = stream.Validate(); err != nil {
		return stream, from, to, err
	}
	now := time.Now()
	if from.Version, from.Time, err = parseMoment("A", "version", args[2], now); err == nil && len(args) == 4 {
		to.Version, to.Time, err = parseMoment("B", "version", args[3], now)
	}
	return stream, from, to, err
}

// earlier is the time that a failure to find anything is about.
func earlier(from, to actor.At) actor.At {
	if from.Time.IsZero() || !to.Time.IsZero() && to.Time.Before(from.Time) {
		return to
	}
	return from
}

func (s *Session) printDifference(d gateway.Difference) error {
	if s.JSON() {
		return s.Print(d)
	}
	y := s.Style(s.Out())
	if _, err := fmt.Fprintf(s.Out(), "%s   version %d, %s   to version %d, %s\n", y.Strong(console.Printable(d.Aggregate+"/"+d.ID)),
		d.From.Version, s.When(d.From.Time), d.To.Version, s.When(d.To.Time)); err != nil {
		return err
	}
	g := s.Grid("PATH", "WAS", "IS")
	for _, c := range d.Changes {
		g.Add(c.Path, s.Shortened(c.Old, 45), s.Shortened(c.Value, 45))
	}
	return g.Render("the states are equal")
}

// changesHelp is what --changes does.
const changesHelp = "show what each event changed in the state"

// changedLine is an event and its changes as --json prints them.
type changedLine struct {
	Stream string `json:"stream"`
	gateway.Changed
}

func (s *Session) printChanges(ctx context.Context, client *gateway.Client, stream store.StreamID, at actor.At) error {
	g := s.Grid("VERSION", "EVENT", "TIME", "COMMAND", "CHANGES")
	found := false
	for e, err := range client.Changes(ctx, stream, 0) {
		if err != nil {
			return err
		}
		if !covers(at, e.Version, e.Time) {
			break
		}
		found = true
		if !s.JSON() {
			g.Add(e.Version, e.Type, s.When(e.Time), e.Command.Name, s.changes(e))
			continue
		}
		if err := s.Print(changedLine{Stream: stream.String(), Changed: e}); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%s has no events%s: %w", stream, since(at), store.ErrNotFound)
	}
	if s.JSON() {
		return nil
	}
	return g.Render("")
}

// changes shows a change a line.
func (s *Session) changes(e gateway.Changed) console.Painted {
	if e.Omitted {
		return "too many to show"
	}
	var lines []string
	for _, c := range e.Changes {
		lines = append(lines, console.Printable(fmt.Sprintf("%s: %s -> %s", c.Path, absent(s.Shortened(c.Old, 30)), absent(s.Shortened(c.Value, 30)))))
	}
	return console.Painted(strings.Join(lines, "\n"))
}

// absent shows that there is no value.
func absent(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
