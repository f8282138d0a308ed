package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

func newView(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "view",
		Short: "Read the read models",
		Example: `{{name}} view ls
{{name}} view ls VIEW --json
{{name}} view get VIEW KEY
{{name}} view wait 1024 VIEW VIEW`,
		Args: cobra.ArbitraryArgs,
		RunE: console.Group,
	}
	cmd.AddCommand(newViewGet(s), newViewList(s), newViewWait(s), newViewWatch(s))
	return cmd
}

func newViewGet(s *Session) *cobra.Command {
	var min uint64
	var at string
	cmd := &cobra.Command{
		Use:   "get VIEW KEY",
		Short: "Show one document of a view, now or as it was",
		Long: `With --at the document is folded from the log, up to a position or a time. That takes
as long as the log is long that the view follows; --timeout bounds it.`,
		Example: `{{name}} view get VIEW KEY
{{name}} view get VIEW KEY --min-position 1024    with what was just written
{{name}} view get VIEW KEY --at 90m --timeout 30s
{{name}} view get VIEW KEY --jq .document`,
		Args:              console.Args(2, 2),
		ValidArgsFunction: completeViews(s),
		RunE: func(cmd *cobra.Command, args []string) error {
			when, err := parsePast(at, time.Now())
			if err != nil {
				return err
			}
			if at != "" && min > 0 {
				return Usage("--min-position waits for the view, --at is answered from the log; want one of them")
			}
			client, err := s.Client(cmd.Context())
			if err != nil {
				return err
			}
			doc, err := request(cmd.Context(), s, notControl, func(ctx context.Context) (projector.Document, error) {
				if at != "" {
					return client.GetAt(ctx, args[0], args[1], when)
				}
				return client.Get(ctx, args[0], args[1], store.Position(min))
			})
			if err != nil {
				return s.viewFailure(cmd.Context(), client, args[0], err)
			}
			if s.JSON() {
				return s.Print(doc)
			}
			_, err = fmt.Fprintf(s.Out(), "%s   position %d\n%s\n",
				s.Style(s.Out()).Strong(console.Printable(doc.Key)), doc.Position, console.Indented(doc.Document))
			return err
		},
	}
	addMinPosition(cmd, &min)
	cmd.Flags().StringVar(&at, "at", "", "as it was at `POSITION|TIME`; "+timeHelp)
	console.PerCall(cmd, "at")
	return cmd
}

func newViewList(s *Session) *cobra.Command {
	var min uint64
	var limit int
	cmd := &cobra.Command{
		Use:   "ls [VIEW]",
		Short: "List the documents of a view, or the views",
		Example: `{{name}} view ls
{{name}} view ls VIEW
{{name}} view ls VIEW --json
{{name}} view ls VIEW --jq '[.key, .document.count]'`,
		Args:              console.Args(0, 1),
		ValidArgsFunction: completeViews(s),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 0 {
				return Usage("--limit is %d; it must not be negative", limit)
			}
			if len(args) == 0 {
				return s.listProjections(cmd.Context())
			}
			client, err := s.Client(cmd.Context())
			if err != nil {
				return err
			}
			if err := s.listDocuments(cmd.Context(), client, args[0], store.Position(min), limit); err != nil {
				return s.viewFailure(cmd.Context(), client, args[0], err)
			}
			return nil
		},
	}
	addMinPosition(cmd, &min)
	cmd.Flags().IntVarP(&limit, "limit", "n", 0, "at most so many documents (default: all)")
	console.PerCall(cmd, "limit")
	return cmd
}

func newViewWait(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "wait POSITION VIEW...",
		Short: "Wait until views have everything up to a position",
		Example: `{{name}} view wait 1024 VIEW
{{name}} view wait 1024 VIEW VIEW --timeout 30s`,
		Args: console.Args(2, 1+gateway.MaxWaitViews),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return s.views(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			position, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil {
				return Usage("position %q: want a number from 0, as a command's result names it", args[0])
			}
			return s.waitForViews(cmd.Context(), store.Position(position), args[1:])
		},
	}
}

// awaited is what wait prints.
type awaited struct {
	Position store.Position `json:"position"`
	Views    []string       `json:"views"`
}

func (s *Session) waitForViews(ctx context.Context, p store.Position, views []string) error {
	client, err := s.Client(ctx)
	if err != nil {
		return err
	}
	_, err = request(ctx, s, "wait", func(ctx context.Context) (struct{}, error) { return struct{}{}, client.Wait(ctx, p, views...) })
	if err != nil {
		return s.viewsFailure(ctx, client, views, err)
	}
	if s.JSON() {
		return s.Print(awaited{Position: p, Views: views})
	}
	_, err = fmt.Fprintf(s.Out(), "%s: at position %d or later\n", console.Printable(strings.Join(views, ", ")), p)
	return err
}

func (s *Session) listDocuments(ctx context.Context, client *gateway.Client, view string, min store.Position, limit int) error {
	g := s.Grid("KEY", "POSITION", "DOCUMENT")
	count := 0
	for doc, err := range client.List(ctx, view, min) {
		if err != nil {
			return err
		}
		if s.JSON() {
			if err := s.Print(doc); err != nil {
				return err
			}
		} else {
			g.Add(doc.Key, doc.Position, s.Shortened(doc.Document, 45))
		}
		if count++; count == limit {
			break
		}
	}
	if s.JSON() {
		return nil
	}
	return g.Render("no documents yet; see how far the view is: " + s.app.Name + " projection ls")
}

// viewsFailure helps with views of which the system does not have all.
func (s *Session) viewsFailure(ctx context.Context, client *gateway.Client, views []string, err error) error {
	if !errors.Is(err, projector.ErrNoView) {
		return err
	}
	info, asked := request(ctx, s, "info", client.Info)
	if asked != nil {
		return err
	}
	for _, view := range views {
		if !slices.Contains(info.Views, view) {
			return s.unknown(err, gateway.CodeUnknownView, "view", view, info.Views)
		}
	}
	return err
}

// viewFailure helps with a view that the system does not have.
func (s *Session) viewFailure(ctx context.Context, client *gateway.Client, view string, err error) error {
	return s.viewsFailure(ctx, client, []string{view}, err)
}

func addMinPosition(cmd *cobra.Command, min *uint64) {
	cmd.Flags().Uint64Var(min, "min-position", 0, "wait until the view has reached this `POSITION`, as a command's result names it")
	console.PerCall(cmd, "min-position")
}
