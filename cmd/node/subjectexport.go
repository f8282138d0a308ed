package node

import (
	"context"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store"
)

func newSubjectExport(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "export ID",
		Short: "Write what is held about a person, one JSON object a line",
		Long: `Needs the wrapping keys (--kek). The log is read from its beginning to its end. A line
is written for each event and each kept command that has something about the data
subject, for each edit of a dead letter that has, and then for each such document and
row of the views that nodes serve. What in it is personal to others is "[personal]", and
others names where; personal names what is the data subject's own. A line of the kind
"untold" names a view whose tables may hold more, and that cannot tell.

Not in it: snapshots, which are made from the events; events without a tagged field of the
data subject's; models of views that are kept or built beside those served; audit ls; what
was given away or logged. Ids, and texts without a tag, stay as they are, also where they speak of
others. Of a log that is archived in part, --archive says where.`,
		Example: `{{name}} subject export ID --kek file:kek > ID.jsonl
{{name}} subject export ID --jq .data`,
		Args: console.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.exportSubject(cmd.Context(), args[0])
		},
	}
}

// held is a line about a data subject.
type held struct {
	Kind     string         `json:"kind"` // event, command or edit
	Stream   string         `json:"stream"`
	Version  uint64         `json:"version,omitempty"`
	Position store.Position `json:"position"`
	ID       string         `json:"id"`
	Type     string         `json:"type"`
	Schema   int            `json:"schema"`
	Time     time.Time      `json:"time"`
	View     string         `json:"view,omitempty"` // of an edit
	extract
}

func (s *Session) exportSubject(ctx context.Context, subject string) error {
	if _, err := store.EncodeToken(subject); err != nil {
		return Usage("data subject: %v", err)
	}
	log, err := s.openPlain(ctx, leftOut)
	if err != nil {
		return err
	}
	switch {
	case log.keys == nil:
		return &Failure{Code: codeNoKeys, Exit: console.ExitNotFound, What: "namespace " + s.Namespace() + " has no personal data", Why: "it has no key store"}
	case log.keyring == nil:
		return &Failure{Code: codeNoKek, Exit: console.ExitUsage, What: "personal data cannot be read without the wrapping keys", Fix: "name them with --" + kekFlag}
	}
	e := subjectExport{session: s, log: log, subject: subject, progress: s.Progress()}
	err = s.acting(ctx, "subject.export", subject, func() error { return e.given.outcome(e.all(ctx)) })
	e.progress.End()
	if err != nil {
		return err
	}
	if n := len(e.edits); n > 0 {
		s.Logger().Warn("edits of dead letters are left out: the log does not have their events", "events", n)
	}
	s.Logger().Info("exported", "events", e.events, "commands", e.commands, "streams", len(e.streams), "edits", e.edited, "documents", e.documents, "rows", e.rowsHeld)
	return nil
}

// all exports whatever is held about the subject.
func (e *subjectExport) all(ctx context.Context) error {
	client, err := e.session.Client(ctx)
	if err != nil {
		return err
	}
	if err := e.letters(ctx, client); err != nil {
		return err
	}
	if err := e.run(ctx); err != nil {
		return err
	}
	if err := e.views(ctx, client); err != nil {
		return err
	}
	return e.rows(ctx, client)
}

// subjectExport goes through a log for one data subject.
type subjectExport struct {
	session  *Session
	log      *reading
	subject  string
	progress *console.Progress
	given    touch // a line was

	tip                                           store.Position // as far as the log was read
	events, commands, documents, edited, rowsHeld int
	streams                                       map[store.StreamID]bool
	edits                                         map[store.Position][]edit // whose events were not met yet
}

func (e *subjectExport) run(ctx context.Context) error {
	e.streams = map[store.StreamID]bool{}
	tip, err := e.log.Tip(ctx)
	if e.tip = tip; err != nil || tip == 0 {
		return err
	}
	feed, err := e.log.Follow(ctx, store.Follow{})
	if err != nil {
		return err
	}
	defer func() { _ = feed.Close() }()
	for at := store.Position(0); at < tip; {
		commits, err := feed.Next(ctx, tailBatch)
		if err != nil {
			return err
		}
		for _, c := range commits {
			if err := e.commit(c); err != nil {
				return err
			}
			at = c.Last()
		}
		e.progress.Show("%s events of %d streams, position %d of %d", humanize.Comma(int64(e.events)), len(e.streams), at, tip)
	}
	return nil
}

func (e *subjectExport) commit(c *store.Commit) error {
	for i := range c.Commands {
		m := &c.Commands[i]
		line := held{Kind: "command", Position: c.Last(), ID: m.ID, Type: m.Name, Schema: m.Schema}
		if about, err := e.print(c, line, m.Data, m.Personal); err != nil {
			return err
		} else if about {
			e.commands++
		}
	}
	for r := range c.Recorded() {
		line := held{Kind: "event", Version: r.Version, Position: r.Position, ID: r.ID.String(), Type: r.Type, Schema: r.Schema}
		if about, err := e.print(c, line, r.Data, r.Personal); err != nil {
			return err
		} else if about {
			e.events++
		}
		if err := e.editsOf(c, r, line); err != nil {
			return err
		}
	}
	return nil
}

// print writes a line, if the data are about the subject.
func (e *subjectExport) print(c *store.Commit, line held, data []byte, spans []store.Personal) (about bool, err error) {
	line.Stream, line.Time = c.Stream.String(), c.Time
	if line.extract, err = extractOf(e.log.Codec(), data, spans, c.Stream.ID, e.subject); err != nil || line.Personal == nil {
		return false, err
	}
	e.streams[c.Stream] = true
	return true, e.write(line)
}

// write writes a line: it is JSON, whatever was asked for.
func (e *subjectExport) write(line any) error {
	e.given.taken.Store(true)
	return e.session.Print(line)
}
