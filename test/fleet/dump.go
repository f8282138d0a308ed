package fleet

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/annals-go/annals/cmd/loans/application"
)

// line is an Op in a dump. Times are in milliseconds since the history began.
type line struct {
	Stream    string  `json:"stream"`
	ID        string  `json:"id"`
	Command   string  `json:"command"`
	At        string  `json:"at"` // the sending, on the wall clock, as logs have it
	Sent      float64 `json:"sent"`
	Done      float64 `json:"done"`
	Outcome   string  `json:"outcome"`
	Version   uint64  `json:"version,omitempty"`
	Duplicate bool    `json:"duplicate,omitempty"`
	Text      string  `json:"text,omitempty"`
	Again     string  `json:"again,omitempty"`
}

// Dump writes all commands to a file, one line of JSON each, for whoever has to
// find out what happened.
func (h *History) Dump(path string) (err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(file)
	defer func() { err = errors.Join(err, buffered.Flush(), file.Close()) }()
	out := json.NewEncoder(buffered)
	h.Each(func(o *Op) {
		name, _ := application.Applications.Commands.Name(o.Command)
		l := line{
			Stream: o.Stream, ID: o.ID, Command: name, At: h.began.Add(o.Sent).UTC().Format(time.RFC3339Nano), Sent: o.Sent.Seconds() * 1000, Done: o.Done.Seconds() * 1000,
			Outcome: o.Outcome.String(), Version: o.Result.Version, Duplicate: o.Result.Duplicate, Text: o.Text,
		}
		if o.Again != nil {
			l.Again = o.Again.Outcome.String()
		}
		err = errors.Join(err, out.Encode(l))
	})
	return err
}
