package node

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/archive"
	"github.com/annals-go/annals/store/jetstream"
)

// wouldArchive is what archive run --dry-run prints.
type wouldArchive struct {
	console.WouldDo
	archive.Report
}

// rehearse says what a run would move: it looks at the streams and proves their
// snapshots as the run does, and makes nothing, not even the place.
func (a *archiving) rehearse(ctx context.Context, s *Session) error {
	empty, err := os.MkdirTemp("", "annals-archive-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(empty)
	log, err := openArchived(ctx, s, a.to, s.addArchiveOr(empty))
	if err != nil {
		return err
	}
	report, _, err := a.job(ctx, s, log, log, true)
	if err != nil {
		return err
	}
	if s.JSON() {
		return s.Print(wouldArchive{console.WouldDo{DryRun: true, Would: a.change(s)}, report})
	}
	s.printLeft(report)
	_, err = fmt.Fprintf(s.Out(), "would %s\nthat is %s of %s; %s looked at\n", console.Printable(a.change(s)),
		console.Plural(report.Planned.Events, "event"), console.Plural(report.Planned.Streams, "stream"), console.Plural(report.Looked, "stream"))
	return err
}

// addArchiveOr is addArchive with an empty directory in the place of one that is not
// there.
func (s *Session) addArchiveOr(empty string) func(context.Context, *jetstream.Config, string) error {
	return func(ctx context.Context, c *jetstream.Config, place string) error {
		err := s.addArchive(ctx, c, place)
		if errors.Is(err, store.ErrNotFound) {
			err = s.addArchive(ctx, c, empty)
		}
		return err
	}
}
