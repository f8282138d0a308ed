package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
)

func newDLQ(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dlq",
		Short: "See and repair what views could not apply",
		Long: `An event that a view cannot apply parks its stream for that view: the stream's
later events wait behind it, in order, and all other streams go on. The log keeps
every event. Each parked stream is a dead letter.`,
		Example: `{{name}} dlq ls
{{name}} dlq get ID
{{name}} dlq retry ID`,
		Args: cobra.ArbitraryArgs,
		RunE: console.Group,
	}
	cmd.AddCommand(newDLQList(s), newDLQGet(s), newDLQRetry(s), newDLQEdit(s), newDLQSkip(s), newDLQSkipped(s), newDLQExport(s))
	return cmd
}

// eachLetter calls do with the dead letters of a view, or of all views that the
// system has. Of those it passes over the ones that do not answer, and says at the
// end which they were.
func (s *Session) eachLetter(ctx context.Context, client *gateway.Client, view string, do func(gateway.Operator, projector.DeadLetter) error) error {
	views := []string{view}
	if view == "" {
		info, err := request(ctx, s, "info", client.Info)
		if err != nil {
			return err
		}
		views = info.Views
	}
	var silent []string
	var why error
	for _, v := range views {
		err := s.lettersOf(ctx, client, v, do)
		switch {
		case err == nil:
		case view == "" && !errors.Is(err, errFound) && explain(ctx, s, err).Exit == console.ExitUnavailable:
			silent, why = append(silent, v), cmp.Or(why, err)
		default:
			return err
		}
	}
	if why == nil {
		return nil
	}
	return &Failure{
		Code: gateway.CodeUnavailable, Exit: console.ExitUnavailable, What: "these views could not be asked: " + strings.Join(silent, ", "),
		Why: why.Error(), Fix: fmt.Sprintf("see how they are: %s projection ls", s.app.Name), Err: why,
	}
}

func (s *Session) lettersOf(ctx context.Context, client *gateway.Client, view string, do func(gateway.Operator, projector.DeadLetter) error) error {
	o := client.Operator(view).As(s.by("")).Because(s.flags.why)
	for l, err := range o.DeadLetters(ctx) {
		if err == nil {
			err = do(o, l)
		}
		if err != nil {
			return s.viewFailure(ctx, client, view, err)
		}
	}
	return nil
}

// errFound ends a walk through the dead letters.
var errFound = errors.New("found")

// findLetter returns the dead letter of an id, and the operator of its view.
func (s *Session) findLetter(ctx context.Context, client *gateway.Client, id string) (o gateway.Operator, letter projector.DeadLetter, err error) {
	var ids []string
	err = s.eachLetter(ctx, client, "", func(of gateway.Operator, l projector.DeadLetter) error {
		ids = append(ids, l.ID)
		if l.ID != id {
			return nil
		}
		o, letter = of, l
		return errFound
	})
	switch {
	case errors.Is(err, errFound):
		return o, letter, nil
	case err != nil:
		return o, letter, err
	}
	f := &Failure{Code: gateway.CodeNoLetter, Exit: console.ExitNotFound, What: fmt.Sprintf("no dead letter %q", id), Err: projector.ErrNoLetter}
	f.Why = "no stream is parked under this id; it may have been repaired"
	f.Fix = fmt.Sprintf("list them: %s dlq ls", s.app.Name)
	if near := console.Nearest(id, ids); near != "" {
		f.Fix = "did you mean: " + near
	}
	return o, letter, f
}

func newDLQList(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "ls [VIEW]",
		Short: "List the streams that are parked",
		Example: `{{name}} dlq ls
{{name}} dlq ls VIEW --jq .id`,
		Args:              console.Args(0, 1),
		ValidArgsFunction: completeViews(s),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := s.Client(cmd.Context())
			if err != nil {
				return err
			}
			g := s.Grid("ID", "MODEL", "STREAM", "VERSION", "EVENT", "KIND", "TRIED", "WAITING", "PARKED", "ERROR")
			err = s.eachLetter(cmd.Context(), client, strings.Join(args, ""), func(_ gateway.Operator, l projector.DeadLetter) error {
				if s.JSON() {
					return s.Print(l)
				}
				g.Add(l.ID, l.Model, l.Stream, l.At, l.Event, l.Kind, l.Attempts, humanize.Comma(int64(l.Queued)), s.When(l.Parked), s.Wrapped(l.Error))
				return nil
			})
			if s.JSON() || err != nil && g.Empty() {
				return err
			}
			return cmp.Or(err, g.Render("nothing is parked: every view has applied what it has seen"))
		},
	}
}

func newDLQGet(s *Session) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "get ID",
		Short: "Show one dead letter and the events that wait in it",
		Example: `{{name}} dlq get ID
{{name}} dlq get ID --limit 1 --jq '.events[0].data'`,
		Args:              console.Args(1, 1),
		ValidArgsFunction: completeLetters(s),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 || limit > maxLetterEvents {
				return Usage("--limit is %d; it must be 1 to %d", limit, maxLetterEvents)
			}
			client, err := s.Client(cmd.Context())
			if err != nil {
				return err
			}
			l, err := s.letter(cmd.Context(), client, args[0], limit)
			if err != nil {
				return err
			}
			if s.JSON() {
				return s.Print(l)
			}
			return s.printLetter(l)
		},
	}
	cmd.Flags().IntVarP(&limit, "limit", "n", 10, "show at most so many of the events that wait")
	console.PerCall(cmd, "limit")
	return cmd
}

// maxLetterEvents is how many events of a dead letter can be had at once.
const maxLetterEvents = 1000

// letter is a dead letter with events, as it is printed and exported.
type letter struct {
	projector.DeadLetter
	Events []gateway.LetterEvent `json:"events"`
}

func (s *Session) letter(ctx context.Context, client *gateway.Client, id string, limit int) (letter, error) {
	o, _, err := s.findLetter(ctx, client, id)
	if err != nil {
		return letter{}, err
	}
	return s.fetchLetter(ctx, o, id, limit)
}

func (s *Session) fetchLetter(ctx context.Context, o gateway.Operator, id string, limit int) (letter, error) {
	return request(ctx, s, "dlq.get", func(ctx context.Context) (letter, error) {
		l, events, err := o.DeadLetter(ctx, id, limit)
		return letter{l, events}, err
	})
}

func (s *Session) printLetter(l letter) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s   %s   %s\n", s.Style(s.Out()).Strong(console.Printable(l.ID)), console.Printable(l.String()), console.Printable(l.Stream.String()))
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-8s %s\n", name, console.Printable(fmt.Sprintf(format, args...)))
	}
	line("event", "%s version %d, position %d", l.Event, l.At, l.Position)
	line("error", "%s (%s)", l.Error, l.Kind)
	line("tried", "%d times, last %s", l.Attempts, s.When(l.Tried))
	line("parked", "%s; %s behind it", s.When(l.Parked), console.Plural(int(l.Queued), "event"))
	if l.Edited != nil {
		line("edited", "by %s, to be tried: %s", l.By, l.Edited)
	}
	if _, err := fmt.Fprintln(s.Out(), b.String()); err != nil {
		return err
	}
	g := s.Grid("VERSION", "EVENT", "TIME", "POSITION", "DATA")
	for _, e := range l.Events {
		g.Add(e.At, e.Event, s.When(e.Time), e.Position, console.Painted(s.dataOf(e)))
	}
	return g.Render("the events cannot be read at the moment")
}

// dataOf shows what an event holds.
func (s *Session) dataOf(e gateway.LetterEvent) string {
	switch {
	case e.Omitted:
		return "(too large to be shown)"
	case e.Data != nil:
		return s.Shortened(e.Data, 70)
	}
	return console.Printable(fmt.Sprintf("(no JSON) %.60q", e.Raw))
}

func newDLQSkipped(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "skipped VIEW",
		Short: "List the events that somebody had left out of a view, and why",
		Example: `{{name}} dlq skipped VIEW
{{name}} dlq skipped VIEW --jq '[.stream, .reason, .by]'`,
		Args:              console.Args(1, 1),
		ValidArgsFunction: completeViews(s),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.operate(cmd.Context(), args[0], func(ctx context.Context, o gateway.Operator) error {
				g := s.Grid("MODEL", "STREAM", "VERSION", "EVENT", "TIME", "BY", "REASON", "ERROR")
				for k, err := range o.Skipped(ctx) {
					if err == nil && s.JSON() {
						err = s.Print(k)
					}
					if err != nil {
						return err
					}
					g.Add(k.Model, k.Stream, k.At, k.Event, s.When(k.Time), k.By, s.Wrapped(k.Reason), s.Wrapped(k.Error))
				}
				if s.JSON() {
					return nil
				}
				return g.Render("no event was left out")
			})
		},
	}
}

func newDLQExport(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "export [VIEW]",
		Short: "Print all dead letters with their events as JSON, one a line",
		Example: `{{name}} dlq export > letters.jsonl
{{name}} dlq export VIEW --jq '.events[0]'`,
		Args:              console.Args(0, 1),
		ValidArgsFunction: completeViews(s),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := s.Client(cmd.Context())
			if err != nil {
				return err
			}
			return s.eachLetter(cmd.Context(), client, strings.Join(args, ""), func(o gateway.Operator, l projector.DeadLetter) error {
				whole, err := s.fetchLetter(cmd.Context(), o, l.ID, maxLetterEvents)
				if errors.Is(err, projector.ErrNoLetter) {
					return nil // it was repaired meanwhile
				}
				if err != nil {
					return err
				}
				return s.Print(whole)
			})
		},
	}
}
