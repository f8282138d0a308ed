//go:build linux

package main

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/annals-go/annals/test/fleet"
)

// verdict is what is found once the load is over.
type verdict struct {
	findings *fleet.Findings
	views    []string // differences
	commits  int
	epochs   int

	commands int
	handled  []time.Duration
}

const (
	// repeated is how many acknowledged commands are sent again at the end.
	repeated = 1000
	// viewsLimit is within which time of the end the views must have caught up.
	viewsLimit = time.Minute
)

// judge settles what is unknown, reads the log and the views, and compares
// them with the history. The load is over.
func (s *stage) judge(ctx context.Context) (*verdict, error) {
	s.say("settling what is unknown, and auditing")
	s.history.Settle(ctx, s.clients.Senders(), repeated, s.seed)
	book, err := fleet.ReadLog(ctx, s.fleet.Conn)
	if err != nil {
		return nil, err
	}
	v := &verdict{findings: fleet.Audit(book, s.history), commits: book.Commits(), epochs: book.Epochs()}
	if v.views, err = fleet.Views(ctx, book, s.clients.All[0], viewsLimit); err != nil {
		return nil, err
	}
	fleet.Justify(v.findings, s.history)
	s.history.Each(func(o *fleet.Op) {
		v.commands++
		v.handled = append(v.handled, o.Done-o.Sent)
	})
	for _, n := range v.findings.Notes {
		s.say("  %s", n)
	}
	for _, d := range v.views[:min(len(v.views), 20)] {
		s.say("  %s", d)
	}
	return v, nil
}

func printLine(out io.Writer, v any) error { return json.NewEncoder(out).Encode(v) }
