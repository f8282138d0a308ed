package node

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
)

func newProjectionInfo(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "info VIEW",
		Short: "Show everything about one view: its models, who runs it, what is parked",
		Example: `{{name}} projection info VIEW
{{name}} projection info VIEW --jq .node`,
		Args:              console.Args(1, 1),
		ValidArgsFunction: completeViews(s),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.operate(cmd.Context(), args[0], func(ctx context.Context, o gateway.Operator) error {
				p, err := request(ctx, s, "projection.info", o.Info)
				if err != nil {
					return err
				}
				if s.JSON() {
					return s.Print(p)
				}
				return s.printInfo(p)
			})
		},
	}
}

// operate calls do with the operator of a view, and helps if there is no such
// view.
func (s *Session) operate(ctx context.Context, view string, do func(context.Context, gateway.Operator) error) error {
	client, err := s.Client(ctx)
	if err != nil {
		return err
	}
	return s.viewFailure(ctx, client, view, do(ctx, client.Operator(view).As(s.by("")).Because(s.flags.why)))
}

func (s *Session) printInfo(p gateway.Projection) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s   on node %s\n", s.Style(s.Out()).Strong(console.Printable(p.View)), console.Printable(p.Node))
	for _, m := range p.Models {
		fmt.Fprintf(&b, "\n%s   %s   %s\n", s.Style(s.Out()).Strong(console.Printable(modelOf(m).String())), console.Printable(m.Role), s.paintState(m))
		line := func(name, format string, args ...any) {
			fmt.Fprintf(&b, "  %-9s %s\n", name, console.Printable(fmt.Sprintf(format, args...)))
		}
		line("position", "%d of %d", m.Checkpoint, m.Head)
		line("lag", "%s events, %s %s", humanize.Comma(int64(m.LagEvents)), seconds(m.LagSeconds), m.Trend)
		line("events", "%s, hash %s", humanize.Comma(int64(m.Events)), m.Hash)
		if m.Workers > 0 {
			line("workers", "%d", m.Workers)
		}
		for _, w := range m.Shares {
			line("", "%d %s on node %s%s", w.Worker, w.State, cmp.Or(w.Node, "none"), after(": ", w.Error))
		}
		if left := timeLeft(m); left != "" {
			line("left", "%s", left)
		}
		if m.Parked > 0 {
			line("parked", "%s; see: %s dlq ls %s", console.Plural(m.Parked, "stream"), s.app.Name, p.View)
		}
		if m.Skipped > 0 {
			line("skipped", "%s; see: %s dlq skipped %s", console.Plural(m.Skipped, "event"), s.app.Name, p.View)
		}
		if m.Parity != nil {
			line("parity", "%s", parityText(*m.Parity))
		}
		if m.Error != "" {
			line("error", "%s", m.Error)
		}
		if m.Uncleaned != "" {
			line("not cleaned", "%s", m.Uncleaned)
		}
	}
	_, err := fmt.Fprint(s.Out(), b.String())
	return err
}

// after is text behind what leads to it, nothing if there is no text.
func after(lead, text string) string {
	if text == "" {
		return ""
	}
	return lead + text
}

// parityText says in words how two models compare.
func parityText(p projector.Parity) string {
	all, documents := humanize.Comma(int64(p.Compared)), "documents"
	if p.Compared == 1 {
		documents = "document"
	}
	if p.Differences == 0 {
		return fmt.Sprintf("%s of %s %s equal", all, all, documents)
	}
	return fmt.Sprintf("%s of %s %s differ%s", humanize.Comma(int64(p.Differences)), all, documents, examplesOf(p))
}

// examplesOf names some of the documents that differ.
func examplesOf(p projector.Parity) string {
	var keys []string
	for _, d := range p.Examples[:min(3, len(p.Examples))] {
		keys = append(keys, fmt.Sprintf("%q", d.Key))
	}
	if len(keys) == 0 {
		return ""
	}
	return ", such as " + strings.Join(keys, ", ")
}

// verifyTime is how long verify waits when nobody says otherwise.
const verifyTime = 15 * time.Minute

func newProjectionVerify(s *Session) *cobra.Command {
	var documents bool
	cmd := &cobra.Command{
		Use:   "verify VIEW",
		Short: "Compare a view with the log",
		Long: `What each worker of the view has seen is compared with the log: how many events,
and which. With --documents the log is folded once more and each document
compared. Nothing is changed, and the view is served meanwhile. It waits up to
--timeout, by default 15 minutes.

The exit code is 6 if they differ.`,
		Example: `{{name}} projection verify VIEW
{{name}} projection verify VIEW --documents
{{name}} projection verify VIEW --json`,
		Args:              console.Args(1, 1),
		ValidArgsFunction: completeViews(s),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := s.waiting(cmd, verifyTime)
			defer cancel()
			return s.operate(ctx, args[0], func(ctx context.Context, o gateway.Operator) error {
				v, err := o.Verify(ctx, documents)
				if err != nil {
					return err
				}
				return s.printVerification(v)
			})
		},
	}
	cmd.Flags().BoolVar(&documents, "documents", false, "fold the log again and compare each document")
	console.PerCall(cmd, "documents")
	return cmd
}

func (s *Session) printVerification(v projector.Verification) error {
	if s.JSON() {
		if err := s.Print(v); err != nil {
			return err
		}
	}
	g := s.Grid("MODEL", "WORKER", "EVENTS", "IN THE LOG", "EQUAL", "DETAIL")
	differ := 0
	for _, w := range v.Workers {
		if !w.Equal {
			differ++
		}
		g.Add(v.Model, w.Worker, humanize.Comma(int64(w.Stored.Events)), humanize.Comma(int64(w.Log.Events)), w.Equal, w.Detail)
	}
	if !s.JSON() {
		if err := g.Render("no worker has written anything yet"); err != nil {
			return err
		}
		if v.Documents != nil {
			fmt.Fprintf(s.Out(), "documents: %s\n", console.Printable(parityText(*v.Documents)))
		}
	}
	if differ == 0 && (v.Documents == nil || v.Documents.Differences == 0) {
		return nil
	}
	return &Failure{
		Code: codeDiffers, Exit: console.ExitDegraded, What: fmt.Sprintf("%s is not what the log says", v.Model),
		Why: "the application's code may have changed under the same version, or what is stored is damaged",
		Fix: fmt.Sprintf("build it again: %s projection rebuild %s --online --parity none", s.app.Name, v.View),
	}
}
