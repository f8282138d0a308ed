//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/annals-go/annals/cmd/loans/history"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/backup"
)

const namespace = "loans"

// stage is one run.
type stage struct {
	options options
	dir     string
	tell    io.Writer
	random  *rand.Rand
	loans   program
	report  report

	log    []*store.Commit // as it was before it was lost
	states map[store.StreamID]hash
	past   uint64                  // the sequence that another namespace is restored to
	then   map[store.StreamID]hash // at that sequence
}

func (s *stage) say(format string, v ...any) { _, _ = fmt.Fprintf(s.tell, format+"\n", v...) }

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

func play(ctx context.Context, o options, tell io.Writer) (report, error) {
	began := time.Now()
	dir, err := os.MkdirTemp(o.Dir, "annals-restore-")
	if err != nil {
		return report{}, err
	}
	s := &stage{options: o, dir: dir, tell: tell, random: rand.New(rand.NewPCG(o.Seed, 1)), report: report{Seed: o.Seed}}
	s.say("seed %d; building", o.Seed)
	for _, step := range []func(context.Context) error{s.build, s.fill, s.lose, s.rewind, s.damageBackup, s.damageStopped, s.damageRunning} {
		if err := step(ctx); err != nil {
			return s.report, fmt.Errorf("%w; data and logs are in %s", err, dir)
		}
	}
	s.report.Seconds = time.Since(began).Seconds()
	if o.Keep {
		return s.report, nil
	}
	return s.report, os.RemoveAll(dir)
}

func (s *stage) build(ctx context.Context) (err error) {
	s.loans, err = build(ctx, s.dir)
	return err
}

// fill imports the history in two halves, with a backup after each.
func (s *stage) fill(ctx context.Context) error {
	system, err := s.loans.start(ctx, s.path("data"), namespace)
	if err != nil {
		return err
	}
	defer system.kill()
	for part := range 2 {
		s.say("importing part %d", part+1)
		file, err := s.write(part)
		if err != nil {
			return err
		}
		var imported struct{ Events, Stored int }
		if err := s.loans.must(ctx, &imported, "import", file, "-s", system.url); err != nil {
			return err
		}
		if imported.Stored == 0 || imported.Stored != imported.Events {
			return fmt.Errorf("the import did %+v", imported)
		}
		began := time.Now()
		var made struct {
			Parent string
			Bytes  int64
		}
		if err := s.loans.must(ctx, &made, "backup", "create", s.path("backups"), "--keys-to", s.path("keys"), "-s", system.url); err != nil {
			return err
		}
		s.report.BackupSeconds += time.Since(began).Seconds()
		s.report.BackupBytes += made.Bytes
		if (part == 1) != (made.Parent != "") {
			return fmt.Errorf("backup %d goes on from %q", part+1, made.Parent)
		}
	}
	return s.remember(ctx, system)
}

// write writes a half of the history's applications.
func (s *stage) write(part int) (string, error) {
	name := s.path(fmt.Sprintf("history-%d.xes", part))
	f, err := os.Create(name)
	if err != nil {
		return "", err
	}
	err = history.Write(f, func(yield func(*history.Trace) bool) {
		n := 0
		for trace := range history.Sample(s.options.applications, s.options.Seed) {
			if n++; n%2 == part && !yield(trace) {
				return
			}
		}
	})
	return name, errors.Join(err, f.Close())
}

// remember asks for all states, at the end and at a position in the middle.
func (s *stage) remember(ctx context.Context, system *system) (err error) {
	if s.log, err = system.log(ctx, namespace); err != nil {
		return err
	}
	for _, c := range s.log {
		s.report.Events += len(c.Events)
	}
	s.past = uint64(len(s.log)/4 + s.random.IntN(len(s.log)/2))
	s.say("asking for %d states, and those at sequence %d", len(versionsOf(s.log)), s.past)
	if s.states, err = system.states(ctx, namespace, versionsOf(s.log)); err != nil {
		return err
	}
	s.then, err = system.states(ctx, namespace, versionsOf(s.log[:s.past]))
	s.report.Streams = len(s.states)
	return err
}

// lose removes the data directory of the process that was killed, and restores it.
func (s *stage) lose(ctx context.Context) error {
	s.say("the data directory is lost; restoring")
	if err := os.RemoveAll(s.path("data")); err != nil {
		return err
	}
	began := time.Now()
	var restored backup.Restored
	if err := s.loans.must(ctx, &restored, "backup", "restore", s.path("backups"), "--keys-from", s.path("keys"), "--data", s.path("data")); err != nil {
		return err
	}
	s.report.RestoreSeconds = time.Since(began).Seconds()
	system, err := s.loans.start(ctx, s.path("data"), namespace)
	if err != nil {
		return err
	}
	defer system.kill()
	log, err := system.log(ctx, namespace)
	if err != nil {
		return err
	}
	got, err := system.states(ctx, namespace, versionsOf(s.log))
	if err != nil {
		return err
	}
	s.report.Differences += commitsThatDiffer(s.log, log) + differences(s.states, got)
	if _, err := s.verify(ctx, false, "--live", s.path("backups"), "-s", system.url); err != nil {
		return err
	}
	return system.stop()
}

// rewind restores another namespace to a position.
func (s *stage) rewind(ctx context.Context) error {
	const other = "past"
	s.say("restoring to sequence %d", s.past)
	position := fmt.Sprint(uint64(s.log[s.past-1].Last()))
	var restored backup.Restored
	err := s.loans.must(ctx, &restored, "backup", "restore", s.path("backups"), "--keys-from", s.path("keys"), "--ns", other, "--from-ns", namespace, "--to-position", position, "--data", s.path("past"))
	if err != nil {
		return err
	}
	system, err := s.loans.start(ctx, s.path("past"), other)
	if err != nil {
		return err
	}
	defer system.kill()
	log, err := system.log(ctx, other)
	if err != nil {
		return err
	}
	got, err := system.states(ctx, other, versionsOf(log))
	if err != nil {
		return err
	}
	s.report.Differences += commitsThatDiffer(s.log[:s.past], log) + differences(s.then, got)
	s.report.Past, s.report.Control = len(got), differences(s.states, got)
	return nil
}

// verify runs "backup verify" and returns what it found. Findings must be there
// or not.
func (s *stage) verify(ctx context.Context, damaged bool, args ...string) ([]backup.Finding, error) {
	var r struct {
		Findings []backup.Finding `json:"findings"`
	}
	code, err := s.loans.call(ctx, &r, append([]string{"backup", "verify"}, args...)...)
	if err != nil {
		return nil, err
	}
	if (code != 0) != (len(r.Findings) > 0) {
		return nil, fmt.Errorf("verify ends with status %d and %d findings", code, len(r.Findings))
	}
	if !damaged && len(r.Findings) > 0 {
		return nil, fmt.Errorf("nothing is damaged, but verify found %+v", r.Findings[0])
	}
	return r.Findings, nil
}

// count notes that a bit was flipped, and whether it was found and named.
func (s *stage) count(where string, found bool, got []backup.Finding) {
	s.report.FlipsPlanted++
	if found {
		s.report.FlipsFound++
	}
	word := "NOT FOUND"
	if found {
		word = "found"
	}
	s.say("flipped a bit of %s: %s: %+v", where, word, got)
}

// damageBackup flips a bit in one file of each kind.
func (s *stage) damageBackup(ctx context.Context) error {
	if _, err := s.verify(ctx, false, s.path("backups")); err != nil {
		return err
	}
	for _, pattern := range []string{"log-*", "snapshots", "tables", "manifest.json"} {
		files, err := filepath.Glob(filepath.Join(s.path("backups"), namespace, "*", pattern))
		if err != nil || len(files) == 0 {
			return fmt.Errorf("the backup has no file %s: %w", pattern, err)
		}
		file := files[s.random.IntN(len(files))]
		undo, err := flipAnywhere(s.random, file)
		if err != nil {
			return err
		}
		got, err := s.verify(ctx, true, s.path("backups"))
		if err != nil {
			return err
		}
		name, err := filepath.Rel(s.path("backups"), file)
		if err != nil {
			return err
		}
		s.count(name, slices.ContainsFunc(got, func(f backup.Finding) bool { return f.File == name }), got)
		if err := undo(); err != nil {
			return err
		}
	}
	_, err := s.verify(ctx, false, s.path("backups"))
	return err
}

// names reports whether a finding names the commit.
func names(got []backup.Finding, c *store.Commit) bool {
	return slices.ContainsFunc(got, func(f backup.Finding) bool {
		return f.Stream == c.Stream.String() && f.Version == c.After.Version+1 && f.Sequence == c.Sequence
	})
}

func describe(c *store.Commit) string {
	return fmt.Sprintf("%s version %d, sequence %d", c.Stream, c.After.Version+1, c.Sequence)
}

// damageStopped flips bits while no server runs. The last is near the end of the
// log, and the system then runs on it and is sent more.
func (s *stage) damageStopped(ctx context.Context) error {
	for i := range s.options.flips {
		data := s.path(fmt.Sprintf("stopped-%d", i))
		if err := os.CopyFS(data, os.DirFS(s.path("data"))); err != nil {
			return err
		}
		c := s.log[s.random.IntN(len(s.log))]
		goesOn := i == s.options.flips-1
		if goesOn {
			c = s.log[len(s.log)-2-s.random.IntN(100)]
		}
		if _, err := flipIn(s.random, data, namespace, c); err != nil {
			return err
		}
		where := "a stopped server's log, at " + describe(c)
		if goesOn {
			where += ", which lost its index and then went on"
			// As after a power cut: the server reads its blocks again, and cuts them off
			// where they are damaged.
			if err := os.Remove(filepath.Join(streamDir(data, namespace), "index.db")); err != nil {
				return err
			}
			if err := s.goOn(ctx, data); err != nil {
				return err
			}
		}
		got, err := s.verify(ctx, true, "--live", s.path("backups"), "--data", data)
		if err != nil {
			return err
		}
		s.count(where, names(got, c), got)
		if err := os.RemoveAll(data); err != nil {
			return err
		}
	}
	return nil
}

// goOn runs the system on a damaged log, and sends it commands that are not in the
// backup.
func (s *stage) goOn(ctx context.Context, data string) error {
	system, err := s.loans.start(ctx, data, namespace)
	if err != nil {
		s.say("it does not start: %v", err)
		return ctx.Err()
	}
	defer system.kill()
	const more = 20
	for i := range more {
		var answer map[string]any
		code, err := s.loans.call(ctx, &answer, "command", "send", "application", fmt.Sprint("new-", i), "submit", `{"amount":1000}`, "-s", system.url)
		if err != nil || code != 0 {
			s.say("it takes no commands: exit status %d, %v", code, err)
			return ctx.Err()
		}
	}
	s.say("it took %d commands", more)
	return ctx.Err()
}

const (
	// reread is how long a server keeps what it has read of a block in memory:
	// until then it does not see what is on the disk.
	reread = 12 * time.Second
	// rereads is how often a running server is asked.
	rereads = 4
)

// damageRunning flips bits in the files of servers that run, each on a copy: a
// server that has come upon damage remembers it.
func (s *stage) damageRunning(ctx context.Context) error {
	for i := range s.options.flips - 1 {
		if err := s.damageOneRunning(ctx, s.path(fmt.Sprintf("running-%d", i))); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) damageOneRunning(ctx context.Context, data string) error {
	if err := os.CopyFS(data, os.DirFS(s.path("data"))); err != nil {
		return err
	}
	system, err := s.loans.start(ctx, data, namespace)
	if err != nil {
		return err
	}
	defer system.kill()
	if _, err := s.verify(ctx, false, "--live", s.path("backups"), "-s", system.url); err != nil {
		return err
	}
	c := s.log[s.random.IntN(len(s.log))]
	if _, err := flipIn(s.random, data, namespace, c); err != nil {
		return err
	}
	got, err := s.verifyRunning(ctx, system)
	if err == nil {
		s.count("a running server's log, at "+describe(c), names(got, c), got)
	}
	return err
}

func (s *stage) verifyRunning(ctx context.Context, system *system) (got []backup.Finding, err error) {
	for range rereads {
		timer := time.NewTimer(reread)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
		got, err = s.verify(ctx, true, "--live", s.path("backups"), "-s", system.url)
		if err != nil || len(got) > 0 {
			return got, err
		}
	}
	return got, nil
}
