package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/exchange"
	"github.com/annals-go/annals/store/privacy"
)

// exporting is what the flags of event export say.
type exporting struct {
	cloudEvents bool
	types       []string
	after, to   uint64
	bare        bool // without personal data
}

func newEventExport(s *Session) *cobra.Command {
	var e exporting
	cmd := &cobra.Command{
		Use:   "export [FILE]",
		Short: "Write the events, one JSON object a line",
		Long: `Write the events with all that is known about them, one JSON object a line, in
the order of the log, to FILE or to standard output. The values are JSON whatever
the namespace stores; where JSON alone does not say enough to store the same
again, the stored bytes stand beside them as "packed". With --cloudevents the
lines are CloudEvents 1.0 in structured mode. {{name}} event import takes both
back.

Personal data need --kek, and are in plain then: FILE is for its owner alone, and
whoever is forgotten later is still in it. With --without-personal a text stands in
their place, the lines say so, and no import takes them. An export in plain is in
the audit log; one that reads nothing in plain is not. What was forgotten is left out
either way.`,
		Example: `{{name}} event export events.jsonl
{{name}} event export --type TYPE | jq -c .data
{{name}} event export events.jsonl --without-personal
{{name}} event export --cloudevents --after 1048576 | gzip > events.jsonl.gz`,
		Args: console.Args(0, 1),
		RunE: func(cmd *cobra.Command, given []string) error {
			return s.export(cmd.Context(), &e, path(given))
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&e.cloudEvents, "cloudevents", false, "write CloudEvents")
	flags.StringSliceVar(&e.types, "type", nil, "only events of this aggregate `TYPE`; may be given several times")
	flags.Uint64Var(&e.after, "after", 0, "begin after this `POSITION`; a commit that has an event beyond it comes whole")
	flags.Uint64Var(&e.to, "to", 0, "end with the commit that holds this `POSITION` (default: the end of the log)")
	flags.BoolVar(&e.bare, "without-personal", false, "withhold personal data that are sealed")
	console.PerCall(cmd, "cloudevents", "type", "after", "to", "without-personal")
	return cmd
}

// path is the file that is named, "-" for standard input or output.
func path(given []string) string {
	if len(given) == 0 {
		return "-"
	}
	return given[0]
}

func (e *exporting) form() exchange.Form {
	if e.cloudEvents {
		return exchange.CloudEvents
	}
	return exchange.JSONLines
}

func (s *Session) export(ctx context.Context, e *exporting, path string) error {
	for _, typ := range e.types {
		if err := store.ValidateName("aggregate type", typ); err != nil {
			return Usage("--type: %v", err)
		}
		if len(s.app.Aggregates) == 0 {
			continue // a binary without an application knows none
		}
		if f := unknownAggregate(s, typ); f != nil {
			return f
		}
	}
	if s.Filtered() {
		f := Usage("--jq does not go with event export")
		f.Fix = "pipe the lines to jq"
		return f
	}
	log, err := s.openToExport(ctx, e)
	if err != nil {
		return err
	}
	tip, err := request(ctx, s, notControl, func(ctx context.Context) (store.Position, error) { return log.Tip(ctx, e.types...) })
	if err != nil {
		return err
	}
	config := exchange.ExportConfig{
		Log: log, Namespace: s.Namespace(), Form: e.form(), Withhold: e.bare, Types: e.types, After: store.Position(e.after), To: store.Position(e.to),
	}
	progress := s.Progress()
	if path != "-" || !console.IsTerminal(s.Out()) {
		config.Progress = func(c exchange.Count) {
			progress.Show("%s events, position %d of %d", humanize.Comma(int64(c.Events)), c.Position, tip)
		}
	}
	count, err := s.recordedExport(ctx, config, path)
	progress.End()
	if errors.Is(err, exchange.ErrSealed) {
		return &Failure{
			Code: codeNoKek, Exit: console.ExitUsage, What: "the events have personal data, and their keys are not at hand", Why: err.Error(), Err: err,
			Fix: "name the wrapping keys with --" + kekFlag + ", or leave personal data out with --without-personal",
		}
	}
	if err != nil {
		return err
	}
	s.Logger().Debug("events exported", "events", count.Events, "commits", count.Commits)
	if path != "-" && !s.Quiet() {
		fmt.Fprintf(s.Err(), "%s in %s, up to position %d: %s\n", console.Plural(count.Events, "event"), console.Plural(count.Commits, "commit"), count.Position, console.Printable(path))
	}
	return nil
}

// openToExport opens the log, with personal data in plain if they are wanted and there are keys.
func (s *Session) openToExport(ctx context.Context, e *exporting) (store.Log, error) {
	if e.bare {
		return openToRead(ctx, s)
	}
	r := &reading{}
	var err error
	if r.raw, err = openToRead(ctx, s); err != nil {
		return nil, err
	}
	if err := r.openKeys(ctx, s); err != nil || r.keyring == nil {
		return r.raw, err
	}
	return privacy.NewLog(r.raw, r.keyring), nil
}

// recordedExport writes down that personal data leave the system, if they do.
func (s *Session) recordedExport(ctx context.Context, config exchange.ExportConfig, path string) (count exchange.Count, err error) {
	do := func() (err error) {
		count, err = s.exportTo(ctx, config, path)
		return err
	}
	if _, opens := config.Log.(*privacy.Log); opens {
		err = s.acting(ctx, "event.export", path, do)
		return count, err
	}
	s.reasonNotKept()
	err = do()
	return count, err
}

// exportTo writes to a file that has its name once it is whole, or to standard
// output.
func (s *Session) exportTo(ctx context.Context, config exchange.ExportConfig, path string) (count exchange.Count, err error) {
	if path == "-" {
		return exportLines(ctx, config, bufio.NewWriter(s.Out()))
	}
	draft := path + ".part"
	if err := os.Remove(draft); err != nil && !errors.Is(err, fs.ErrNotExist) { // of one that was killed, whoever may read it
		return count, untouched(err)
	}
	file, err := os.OpenFile(draft, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return count, untouched(err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(draft) // it is not whole
		}
	}()
	count, err = exportLines(ctx, config, bufio.NewWriter(file))
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(draft, path)
	}
	return count, err
}

func exportLines(ctx context.Context, config exchange.ExportConfig, out *bufio.Writer) (exchange.Count, error) {
	given := false
	count, err := exchange.Export(ctx, config, func(line []byte) error {
		given = true
		if _, err := out.Write(line); err != nil {
			return err
		}
		return out.WriteByte('\n')
	})
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	if !given {
		err = untouched(err) // nothing has left the system
	}
	return count, err
}
