package node

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

func newViewWatch(s *Session) *cobra.Command {
	var after uint64
	var limit int
	var w projector.Watch
	cmd := &cobra.Command{
		Use:   "watch VIEW [KEY]",
		Short: "Show documents of a view, and then how they change",
		Long: `Show documents of a view, and then how they change, until interrupted.

A deleted document is shown without contents. The watch goes on by itself when the
view moves to another node; when another version of it is served, all documents
come again. --progress says up to which position everything has come: --after
resumes there.`,
		Example: `{{name}} view watch VIEW
{{name}} view watch VIEW KEY --jq .document
{{name}} view watch VIEW --prefix 2026- --json
{{name}} view watch VIEW --after 1024 --progress --json`,
		Args:              console.Args(1, 2),
		ValidArgsFunction: completeViews(s),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				if w.Prefix != "" {
					return Usage("name a KEY or a --prefix, not both")
				}
				w.Key = args[1]
			}
			if limit < 0 {
				return Usage("--limit is %d; it must not be negative", limit)
			}
			w.After = store.Position(after)
			client, err := s.Client(cmd.Context())
			if err != nil {
				return err
			}
			if err := s.watchView(cmd.Context(), client, args[0], w, limit); err != nil {
				return s.viewFailure(cmd.Context(), client, args[0], err)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&w.Prefix, "prefix", "", "only documents whose keys begin with `PREFIX`")
	flags.Uint64Var(&after, "after", 0, "only what changed after `POSITION`; 0 begins with all documents as they are")
	flags.BoolVar(&w.Progress, "progress", false, "say also up to which position everything has come, without a key")
	flags.IntVarP(&limit, "limit", "n", 0, "end after so many documents (default: not before it is interrupted)")
	console.PerCall(cmd, "prefix", "after", "progress", "limit")
	return cmd
}

func (s *Session) watchView(ctx context.Context, client *gateway.Client, view string, w projector.Watch, limit int) error {
	shown := 0
	for d, err := range client.Watch(ctx, view, w) {
		if err == nil {
			err = s.showChange(d)
		}
		if err != nil {
			return err
		}
		if d.Key != "" {
			shown++
		}
		if shown > 0 && shown == limit {
			break
		}
	}
	return nil
}

func (s *Session) showChange(d projector.Document) (err error) {
	switch out := s.Out(); {
	case s.JSON() && d.Key == "":
		return s.Print(struct {
			Position store.Position `json:"position"`
		}{d.Position})
	case s.JSON():
		return s.Print(d)
	case d.Key == "" && d.Model == "" && d.Position == 0:
		_, err = fmt.Fprintln(out, "another model is served now: all documents come again")
	case d.Key == "":
		_, err = fmt.Fprintf(out, "everything up to position %d\n", d.Position)
	case d.Document == nil:
		_, err = fmt.Fprintf(out, "%s   position %d   deleted\n", s.Style(out).Strong(console.Printable(d.Key)), d.Position)
	default:
		_, err = fmt.Fprintf(out, "%s   position %d   %s\n", s.Style(out).Strong(console.Printable(d.Key)), d.Position, s.Shortened(d.Document, len(d.Key)+30))
	}
	return err
}
