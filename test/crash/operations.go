//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/test/harness"
)

// What the control appends.
var (
	oneMore = uuid.MustParse("3b7d1d3e-61a5-4d0f-9f5c-3a2f1f6f0c11")
	epoch   = time.Unix(0, 0).UTC()
)

// keptEvents is how many events of each stream an archive leaves in the log.
const keptEvents = "20"

// operation is something that is killed.
type operation struct {
	name string
	// prepare makes what the command works on, and names it.
	prepare func(ctx context.Context, s *stage) (subject, error)
	// line is the command.
	line func(s *stage, on subject) []string
	// begun returns when the part that is to be hit has begun; nil: at once.
	begun func(ctx context.Context, s *stage, on subject, c *harness.Process) error
	// torn checks what a kill left behind, whole what is there in the end.
	torn, whole func(ctx context.Context, s *stage, on subject) error
	// refuses says that a second command may refuse because the first one had
	// come to its end.
	refuses bool
}

// subject is what one trial works on.
type subject struct {
	ns  string // its namespace
	dir string // its directory
}

// operations are all that is tried.
func operations() []operation {
	return []operation{migrating, backingUp, restoringOne, restoringSpread, archiving, truncating}
}

func operationNames() []string {
	return []string{"migrate", "backup", "restore", "spread", "archive", "truncate"}
}

var migrating = operation{
	name:    "migrate",
	prepare: func(_ context.Context, s *stage) (subject, error) { return subject{ns: s.name("migrated")}, nil },
	line: func(_ *stage, on subject) []string {
		return []string{"later", "schema", "migrate", namespace, on.ns, "--served"}
	},
	torn: func(ctx context.Context, s *stage, on subject) error { return s.isFilling(ctx, on.ns, s.made) },
	whole: func(ctx context.Context, s *stage, on subject) (err error) {
		if s.made.Commits == 0 { // the one that nobody disturbed says what is made
			s.made, err = s.sum(ctx, on.ns, "")
			return err
		}
		return s.is(ctx, on.ns, "", s.made)
	},
	refuses: true,
}

var backingUp = operation{
	name:    "backup",
	prepare: func(_ context.Context, s *stage) (subject, error) { return subject{dir: s.directory("backup")}, nil },
	line: func(_ *stage, on subject) []string {
		return []string{"earlier", "backup", "create", on.dir, "--ns", namespace}
	},
	torn: func(context.Context, *stage, subject) error { return nil },
	whole: func(ctx context.Context, s *stage, on subject) error {
		if err := s.must(ctx, "earlier", "backup", "verify", on.dir, "--ns", namespace); err != nil {
			return err
		}
		return s.backedUp(ctx, on.dir)
	},
}

func restoring(s *stage, ns, from string) []string {
	return []string{"earlier", "backup", "restore", s.backups, "--ns", ns, "--from-ns", from}
}

var restoringOne = operation{
	name:    "restore",
	prepare: func(_ context.Context, s *stage) (subject, error) { return subject{ns: s.name("restored")}, nil },
	line:    func(s *stage, on subject) []string { return restoring(s, on.ns, namespace) },
	torn:    func(ctx context.Context, s *stage, on subject) error { return s.isFilling(ctx, on.ns, s.have) },
	whole:   func(ctx context.Context, s *stage, on subject) error { return s.is(ctx, on.ns, "", s.have) },
	refuses: true,
}

// restoringSpread restores a namespace with several log streams.
var restoringSpread = operation{
	name:    "spread",
	prepare: func(_ context.Context, s *stage) (subject, error) { return subject{ns: s.name("spread")}, nil },
	line:    func(s *stage, on subject) []string { return restoring(s, on.ns, spreadNamespace) },
	torn:    func(ctx context.Context, s *stage, on subject) error { return s.isFilling(ctx, on.ns, s.spread) },
	whole:   func(ctx context.Context, s *stage, on subject) error { return s.is(ctx, on.ns, "", s.spread) },
	refuses: true,
}

var archiving = operation{
	name: "archive", prepare: toArchive, line: archiveLine, torn: readsAsBefore, whole: isRelieved,
}

// truncating is archiving, killed once the log has begun to shrink.
var truncating = operation{
	name: "truncate", prepare: toArchive, line: archiveLine, torn: readsAsBefore, whole: isRelieved,
	begun: func(ctx context.Context, s *stage, on subject, c *harness.Process) error {
		return harness.Until(ctx, patience, "wait for the log to shrink", func() error {
			if left, err := s.stored(ctx, on.ns); err != nil || left < s.have.Commits || c.Gone() {
				return err
			}
			return fmt.Errorf("%s has all its commits", on.ns)
		})
	},
}

// toArchive makes a copy of the history, with its snapshots.
func toArchive(ctx context.Context, s *stage) (subject, error) {
	on := subject{ns: s.name("archived"), dir: s.directory("archive")}
	return on, s.must(ctx, restoring(s, on.ns, namespace)...)
}

func archiveLine(_ *stage, on subject) []string {
	return []string{"earlier", "archive", "run", ledgers.Type, "--keep", keptEvents, "--to", on.dir, "--yes", "--ns", on.ns}
}

func readsAsBefore(ctx context.Context, s *stage, on subject) error {
	return s.is(ctx, on.ns, on.dir, s.have)
}

// isRelieved checks that the log has become shorter and reads as before, and that
// the archive is whole.
func isRelieved(ctx context.Context, s *stage, on subject) error {
	left, err := s.stored(ctx, on.ns)
	if err != nil {
		return err
	}
	if left >= s.have.Commits {
		return fmt.Errorf("%s still has all its %d commits", on.ns, left)
	}
	if err := s.must(ctx, "earlier", "archive", "verify", "--archive", on.dir, "--ns", on.ns); err != nil {
		return err
	}
	return readsAsBefore(ctx, s, on)
}

func (s *stage) directory(prefix string) string { return filepath.Join(s.dir, s.name(prefix)) }

// clear takes away what a trial has made.
func (s *stage) clear(ctx context.Context, on subject) error {
	if on.ns != "" {
		if err := s.remove(ctx, on.ns); err != nil {
			return err
		}
	}
	if on.dir != "" {
		return os.RemoveAll(on.dir)
	}
	return nil
}
