package node

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
)

func newDLQEdit(s *Session) *cobra.Command {
	var file, by string
	var retry bool
	cmd := &cobra.Command{
		Use:   "edit ID [JSON|-]",
		Short: "Give a view other data for the event that it cannot apply",
		Long: `The data are JSON in the wire form of the event's type: an argument, standard input
(-), --file, or what you write in $VISUAL or $EDITOR. They are for this view alone
and take effect at the next dlq retry; the log keeps what it has.`,
		Example: `{{name}} dlq edit ID
{{name}} dlq edit ID '{"field": "value"}' --retry
{{name}} dlq edit ID --file event.json --dry-run`,
		Args:              console.Args(1, 2),
		ValidArgsFunction: completeLetters(s),
	}
	agreed := console.AddConsent(cmd)
	cmd.Flags().StringVar(&file, "file", "", "read the data from `FILE`")
	cmd.Flags().BoolVar(&retry, "retry", false, "retry at once")
	console.PerCall(cmd, "file", "retry")
	addBy(cmd, &by)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 2 && file != "" {
			return Usage("want the data as an argument or from --file, not both")
		}
		client, err := s.Client(cmd.Context())
		if err != nil {
			return err
		}
		o, l, err := s.findLetter(cmd.Context(), client, args[0])
		if err != nil {
			return err
		}
		data, err := s.edited(cmd.Context(), o, l.ID, args[1:], file)
		if err != nil {
			return err
		}
		ok, err := s.Agree(cmd.Context(), agreed, "", "have %s apply %s version %d (%s) as %s", l.Model, l.Stream, l.At, l.Event, data)
		if !ok {
			return err
		}
		return s.edit(cmd, o, l, data, s.by(by), retry)
	}
	return cmd
}

func (s *Session) edit(cmd *cobra.Command, o gateway.Operator, l projector.DeadLetter, data json.RawMessage, by string, retry bool) error {
	now, err := request(cmd.Context(), s, "dlq.edit", func(ctx context.Context) (projector.DeadLetter, error) {
		return o.Edit(ctx, l.ID, l.At, data, by)
	})
	if err != nil {
		return err
	}
	if retry {
		r := retrying{session: s, cmd: cmd, agreed: &console.Consent{Yes: true}}
		if err := r.retry(o, now); err != nil {
			return err
		}
		return r.outcome()
	}
	if s.JSON() {
		return s.Print(now)
	}
	_, err = fmt.Fprintf(s.Out(), "%s   %s   %s: version %d is edited; try it: %s dlq retry %s\n",
		console.Printable(l.ID), console.Printable(l.String()), console.Printable(l.Stream.String()), l.At, s.app.Name, console.Printable(l.ID))
	return err
}

// edited returns the new data, compact: from where the command line says, or
// from an editor.
func (s *Session) edited(ctx context.Context, o gateway.Operator, id string, args []string, file string) (json.RawMessage, error) {
	var data []byte
	var err error
	switch {
	case len(args) == 1:
		data, err = s.body(args[0])
	case file != "":
		data, err = os.ReadFile(file)
	default:
		data, err = s.inEditor(ctx, o, id)
	}
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		f := Usage("what was given for the event is not JSON")
		f.Why = err.Error()
		return nil, f
	}
	return b.Bytes(), nil
}

// inEditor has a person change what the event holds, or was edited to.
func (s *Session) inEditor(ctx context.Context, o gateway.Operator, id string) ([]byte, error) {
	env := s.Env
	editor := strings.Fields(cmp.Or(env("VISUAL"), env("EDITOR")))
	if len(editor) == 0 || !console.IsTerminal(s.In()) {
		f := Usage("there are no data for the event")
		f.Why, f.Fix = "no terminal, or neither VISUAL nor EDITOR is set", "give them as an argument, by - or by --file"
		return nil, f
	}
	l, err := s.fetchLetter(ctx, o, id, 1)
	if err != nil {
		return nil, err
	}
	before := l.Edited
	if before == nil && len(l.Events) == 1 {
		before = l.Events[0].Data
	}
	after, err := s.throughEditor(ctx, editor, before)
	if err == nil && bytes.Equal(bytes.TrimSpace(after), bytes.TrimSpace(pretty(before))) {
		return nil, Usage("nothing was changed in the editor; nothing was done")
	}
	return after, err
}

// pretty is data over several lines, for an editor; something to begin with if
// there are none.
func pretty(data json.RawMessage) []byte {
	var b bytes.Buffer
	if json.Indent(&b, data, "", "  ") != nil || b.Len() == 0 {
		return []byte("{}\n")
	}
	return append(b.Bytes(), '\n')
}

// throughEditor runs an editor on data and returns what it left.
func (s *Session) throughEditor(ctx context.Context, editor []string, data json.RawMessage) ([]byte, error) {
	dir, err := os.MkdirTemp("", s.app.Name)
	if err != nil {
		return nil, fmt.Errorf("edit an event: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "event.json")
	if err := os.WriteFile(path, pretty(data), 0o600); err != nil {
		return nil, fmt.Errorf("edit an event: %w", err)
	}
	cmd := exec.CommandContext(ctx, editor[0], append(editor[1:], path)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.In(), s.Err(), s.Err() // data go to Out, and these are none
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("edit an event with %s: %w", editor[0], err)
	}
	return os.ReadFile(path)
}
