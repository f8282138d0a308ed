package node

import (
	"context"
	"encoding/json"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/store"
)

func newSubjectExport(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "export ID",
		Short: "Write everything that is held about a person, one JSON object a line",
		Long: `The log is read from its beginning to its end, and every event that has something
about the data subject comes whole, as does every command that was kept, and after
these every document of a view that a node serves. It needs the wrapping keys
(--kek).`,
		Example: `{{name}} subject export ID --kek file:kek > ID.jsonl
{{name}} subject export ID --jq .data`,
		Args: args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.exportSubject(cmd.Context(), args[0])
		},
	}
}

// held is a line about a data subject.
type held struct {
	Kind     string         `json:"kind"` // event or command
	Stream   string         `json:"stream"`
	Version  uint64         `json:"version,omitempty"`
	Position store.Position `json:"position"`
	ID       string         `json:"id"`
	Type     string         `json:"type"`
	Schema   int            `json:"schema"`
	Time     time.Time      `json:"time"`
	// Personal names what in the data is about the subject.
	Personal []string        `json:"personal"`
	Data     json.RawMessage `json:"data"`
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
		return &Failure{Code: codeNoKeys, Exit: exitNotFound, What: "namespace " + s.Namespace() + " has no personal data", Why: "it has no key store"}
	case log.keyring == nil:
		return &Failure{Code: codeNoKek, Exit: exitUsage, What: "personal data cannot be read without the wrapping keys", Fix: "name them with --" + kekFlag}
	}
	e := subjectExport{session: s, log: log, subject: subject, progress: s.progress()}
	err = s.acting(ctx, "subject.export", subject, func() error {
		if err := e.run(ctx); err != nil {
			return err
		}
		return e.views(ctx)
	})
	e.progress.end()
	if err != nil {
		return err
	}
	s.Logger().Info("exported", "events", e.events, "commands", e.commands, "streams", len(e.streams), "documents", e.documents)
	return nil
}

// subjectExport goes through a log for one data subject.
type subjectExport struct {
	session  *Session
	log      *reading
	subject  string
	progress *progress

	events, commands, documents int
	streams                     map[store.StreamID]bool
}

func (e *subjectExport) run(ctx context.Context) error {
	e.streams = map[store.StreamID]bool{}
	tip, err := e.log.Tip(ctx)
	if err != nil || tip == 0 {
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
		e.progress.show("%s events of %d streams, position %d of %d", humanize.Comma(int64(e.events)), len(e.streams), at, tip)
	}
	return nil
}

func (e *subjectExport) commit(c *store.Commit) error {
	for i := range c.Commands {
		m := &c.Commands[i]
		paths := e.about(c.Stream, m.Personal)
		if paths == nil {
			continue
		}
		e.commands++
		line := held{Kind: "command", Position: c.Last(), ID: m.ID, Type: m.Name, Schema: m.Schema, Personal: paths}
		if err := e.print(c, line, m.Data); err != nil {
			return err
		}
	}
	for r := range c.Recorded() {
		paths := e.about(c.Stream, r.Personal)
		if paths == nil {
			continue
		}
		e.events++
		line := held{Kind: "event", Version: r.Version, Position: r.Position, ID: r.ID.String(), Type: r.Type, Schema: r.Schema, Personal: paths}
		if err := e.print(c, line, r.Data); err != nil {
			return err
		}
	}
	return nil
}

// about returns where data are about the subject.
func (e *subjectExport) about(stream store.StreamID, spans []store.Personal) (paths []string) {
	for _, p := range spans {
		if p.Subject == e.subject || p.Subject == "" && stream.ID == e.subject {
			paths = append(paths, p.Path)
		}
	}
	return paths
}

func (e *subjectExport) print(c *store.Commit, line held, data []byte) (err error) {
	e.streams[c.Stream] = true
	line.Stream, line.Time = c.Stream.String(), c.Time
	if line.Data, err = readable(e.log.Codec(), data); err != nil {
		return err
	}
	return e.write(line)
}

// write writes a line: it is JSON, whatever was asked for.
func (e *subjectExport) write(line any) error { return e.session.Print(line) }
