//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/store/privacy"
	"github.com/annals-go/annals/test/postgres"
)

// kinds are the stores that views are kept in, each by a namespace of its own.
var kinds = []string{"kv", "sqlite", "postgres"}

// stage is one run.
type stage struct {
	options  options
	dir      string
	self     string // this program
	tell     io.Writer
	persons  []*person
	servers  servers
	pg       *postgres.Server
	database string
	sites    []*site      // those where persons are forgotten
	started  []*site      // all
	kept     atomic.Int64 // answers
	report   report

	plantings []*planting
	dug       map[dug]bool            // what was planted and found
	tabled    map[string]map[int]bool // living persons found in tables, by store
}

func (s *stage) say(format string, v ...any) {
	_, _ = fmt.Fprintf(s.tell, "%s "+format+"\n", append([]any{time.Now().Format("15:04:05")}, v...)...)
}

func (s *stage) path(names ...string) string {
	return filepath.Join(append([]string{s.dir}, names...)...)
}

// doomed are those who are forgotten.
func (s *stage) doomed() []*person {
	var all []*person
	for _, p := range s.persons {
		if p.doomed {
			all = append(all, p)
		}
	}
	return all
}

func play(ctx context.Context, o options, tell io.Writer) (report, error) {
	began := time.Now()
	dir, err := os.MkdirTemp(o.Dir, "annals-canary-")
	if err != nil {
		return report{}, err
	}
	s := &stage{options: o, dir: dir, tell: tell, report: report{Seed: o.Seed, Subjects: o.subjects}}
	s.say("seed %d; data in %s", o.Seed, dir)
	defer s.kill()
	for _, step := range []func(context.Context) error{
		s.populate, s.start, s.fill, s.prepare, s.plant, s.before, s.forget, s.rotate, s.heal, s.ask, s.restore, s.clean, s.stop, s.look,
	} {
		if err := step(ctx); err != nil {
			return s.report, fmt.Errorf("%w; data and logs are in %s", err, dir)
		}
	}
	s.report.Seconds = time.Since(began).Seconds()
	if o.Keep || s.report.verdict(o) != nil {
		s.say("data and logs are in %s", dir)
		return s.report, nil
	}
	return s.report, os.RemoveAll(dir)
}

// A view fails at every tenth person, and at a dozen at most: it tries each event for
// seconds before it parks the stream.
const (
	hurtEvery = 10
	mostHurt  = 12
)

// populate makes up the persons, and says who is to be forgotten.
func (s *stage) populate(context.Context) error {
	r := rand.New(rand.NewPCG(s.options.Seed, 1))
	// A household's stream has to be long enough to be archived.
	households := max(1, s.options.subjects/50)
	for i := range s.options.subjects {
		p := newPerson(r, i, households)
		p.hurt = i%max(hurtEvery, s.options.subjects/mostHurt) == 0
		s.persons = append(s.persons, p)
	}
	// The first one is always forgotten: a view fails at them, and there have to be dead
	// letters of somebody.
	s.persons[0].doomed = true
	for _, i := range r.Perm(s.options.subjects - 1)[:s.options.forget-1] {
		s.persons[i+1].doomed = true
	}
	return nil
}

func (s *stage) start(ctx context.Context) (err error) {
	for _, name := range []string{"nodes", "views", "archive", "backup", "keys", "secret", "answers"} {
		if err := os.Mkdir(s.path(name), 0o700); err != nil {
			return err
		}
	}
	for _, name := range append([]string{restored}, kinds...) {
		if err := os.Mkdir(s.path("archive", name), 0o700); err != nil {
			return err
		}
	}
	if s.self, err = os.Executable(); err != nil {
		return err
	}
	if err := privacy.GenerateFile(s.path("secret", "kek"), "k1"); err != nil {
		return err
	}
	if err := s.startStores(ctx); err != nil {
		return err
	}
	for _, kind := range kinds {
		s.say("starting the nodes of %s", kind)
		nodes := 2
		if kind == "kv" {
			nodes = 3
		}
		t, err := s.startSite(ctx, kind, kind, nodes)
		if err != nil {
			return fmt.Errorf("start nodes of %s: %w", kind, err)
		}
		s.sites = append(s.sites, t)
	}
	return nil
}

// postgresSettings are those of somebody who wants to know all, but not what is in
// statements, and who wants the log of changes to go when it is not needed any more.
var postgresSettings = []string{
	"log_min_messages=debug1", "log_statement=mod", "log_parameter_max_length=0", "log_parameter_max_length_on_error=0",
	"wal_recycle=off", "autovacuum_naptime=5s", "autovacuum_analyze_threshold=5",
}

// startStores builds and starts the NATS servers and PostgreSQL.
func (s *stage) startStores(ctx context.Context) (err error) {
	program := filepath.Join(s.path("secret"), "nats-server")
	s.say("building")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		return fmt.Errorf("build nats-server: %w\n%s", err, out)
	}
	if s.servers, err = startServers(ctx, program, s.dir, 3); err != nil {
		return fmt.Errorf("start NATS servers: %w", err)
	}
	if s.pg, err = postgres.Start(postgresSettings...); err != nil {
		return fmt.Errorf("NOT TRIED, NOT PASSED: %w", err)
	}
	s.database, err = s.pg.Database(ctx)
	return err
}

// pgDir is where PostgreSQL has its data, its log and its socket.
func (s *stage) pgDir() (string, error) {
	u, err := url.Parse(s.pg.URL())
	if err != nil {
		return "", err
	}
	return u.Query().Get("host"), nil
}

// keep writes an answer down, to be looked through.
func (s *stage) keep(what string, text []byte) error {
	name := fmt.Sprintf("%06d %s", s.kept.Add(1), strings.ReplaceAll(what, "/", "_"))
	return os.WriteFile(s.answersOf(name), text, 0o600)
}

// onAll does something on all sites side by side.
func (s *stage) onAll(ctx context.Context, do func(context.Context, *site) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, t := range s.sites {
		group.Go(func() error {
			if err := do(ctx, t); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// stop ends all in good order, so that whatever they write at the end is there.
func (s *stage) stop(context.Context) error {
	s.say("stopping")
	for _, t := range s.started {
		if err := t.stop(); err != nil {
			return fmt.Errorf("stop nodes of %s: %w", t.name, err)
		}
	}
	if err := s.servers.stop(); err != nil {
		return err
	}
	return s.pg.Stop()
}

// kill ends what still runs, and removes PostgreSQL's data.
func (s *stage) kill() {
	for _, t := range s.started {
		t.kill()
	}
	s.servers.kill()
	if s.pg != nil {
		_ = s.pg.Close()
	}
}
