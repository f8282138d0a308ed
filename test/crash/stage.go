//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/store/migrate"
	"github.com/annals-go/annals/test/harness"
)

// patience bounds every wait for a process.
const patience = 2 * time.Minute

// stage is a server with a history, and what its copies must come to.
type stage struct {
	options
	self, dir, address string
	random             *rand.Rand
	tell               io.Writer

	server *harness.Process
	conn   *nats.Conn
	// have is what the history comes to, made what a migration makes of it, spread
	// the history in several log streams.
	have, made, spread migrate.Sum
	backups            string // a directory with one backup of the history, and one of it spread
	serial             int    // of names
}

func (s *stage) say(format string, v ...any) { _, _ = fmt.Fprintf(s.tell, format+"\n", v...) }

// crashAll tries all operations on one server.
func crashAll(ctx context.Context, o options, tell io.Writer) (total report, err error) {
	began := time.Now()
	total = report{Operations: map[string]*outcome{}, Seed: o.Seed}
	dir, err := os.MkdirTemp(o.Dir, "annals-crash-")
	if err != nil {
		return total, err
	}
	s := &stage{options: o, dir: dir, tell: tell, random: rand.New(rand.NewPCG(o.Seed, 0))}
	s.say("seed %d; data in %s", o.Seed, dir)
	defer s.close()
	if err := s.open(ctx); err != nil {
		return total, fmt.Errorf("%w; data are in %s", err, dir)
	}
	total.Commits, total.Events = s.have.Commits, s.have.Events
	for _, op := range operations() {
		if !o.tries(op.name) {
			continue
		}
		result, err := s.try(ctx, op)
		total.Operations[op.name] = result
		total.add(result)
		if err != nil {
			return total, fmt.Errorf("%s: %w; data are in %s", op.name, err, dir)
		}
	}
	if total.Control, err = s.control(ctx); err != nil {
		return total, fmt.Errorf("control: %w; data are in %s", err, dir)
	}
	total.Seconds = time.Since(began).Round(time.Millisecond).Seconds()
	if o.Keep || total.Wrong > 0 {
		return total, nil
	}
	s.close()
	return total, os.RemoveAll(dir)
}

func (o options) tries(name string) bool { return slices.Contains(o.only, name) }

// open starts the server, gives it its history, and finds out what copies come to.
func (s *stage) open(ctx context.Context) (err error) {
	if s.self, err = os.Executable(); err != nil {
		return err
	}
	ports, err := embedded.FreePorts(1)
	if err != nil {
		return err
	}
	s.address = fmt.Sprintf("127.0.0.1:%d", ports[0])
	s.backups = filepath.Join(s.dir, "backups")
	if err := s.startServer(ctx); err != nil {
		return err
	}
	url := "nats://" + s.address
	if s.conn, err = nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.Name("crash")); err != nil {
		return err
	}
	if err := s.fill(ctx); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	// Stopping a node is what makes it save the last snapshots.
	if err := s.server.Stop(patience); err != nil {
		return err
	}
	if err := s.startServer(ctx); err != nil {
		return err
	}
	if s.have, err = s.sum(ctx, namespace, ""); err != nil {
		return err
	}
	s.say("a history of %d commits with %d events", s.have.Commits, s.have.Events)
	if err := s.must(ctx, "earlier", "backup", "create", s.backups, "--ns", namespace); err != nil {
		return err
	}
	if err := s.must(ctx, "earlier", "schema", "migrate", namespace, spreadNamespace, "--served", "--log-streams", logStreams); err != nil {
		return err
	}
	if s.spread, err = s.sum(ctx, spreadNamespace, ""); err != nil {
		return err
	}
	return s.must(ctx, "earlier", "backup", "create", s.backups, "--ns", spreadNamespace)
}

// startServer starts the node, again on the same data and the same port, and
// returns when it is ready.
func (s *stage) startServer(ctx context.Context) (err error) {
	line := []string{
		"earlier", "dev", "--data", filepath.Join(s.dir, "data"), "--nats", s.address, "--http", "127.0.0.1:0", "--headless", "--json", "--quiet",
	}
	if s.server, err = harness.Start(s.log(), append([]string{s.self}, line...)...); err != nil {
		return err
	}
	return harness.Until(ctx, patience, "start the server", func() error {
		if s.server.Gone() {
			return fmt.Errorf("it ended: %w", s.server.Failure())
		}
		var ready struct{ NATS string }
		if err := json.NewDecoder(bytes.NewReader(s.server.Output())).Decode(&ready); err != nil || ready.NATS == "" {
			return errors.New("it is not ready yet: " + s.server.Tail())
		}
		if s.conn != nil && !s.conn.IsConnected() {
			return errors.New("not connected again yet")
		}
		return nil
	})
}

// must runs a command that has to end well.
func (s *stage) must(ctx context.Context, line ...string) error {
	c, err := s.start(line)
	if err == nil {
		err = c.Wait(ctx, patience)
	}
	if err == nil {
		err = c.Failure()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(line, " "), err)
	}
	return nil
}

// start starts a command against the server.
func (s *stage) start(line []string) (*harness.Process, error) {
	return harness.Start(s.log(), slices.Concat([]string{s.self}, line, []string{"--server", "nats://" + s.address})...)
}

// log is the file of the next process.
func (s *stage) log() string { return filepath.Join(s.dir, s.name("process")+".log") }

// name makes a name that was not there before.
func (s *stage) name(prefix string) string {
	s.serial++
	return fmt.Sprintf("%s-%d", prefix, s.serial)
}

// remove takes a namespace away.
func (s *stage) remove(ctx context.Context, ns string) error {
	js, err := natsjs.New(s.conn)
	if err != nil {
		return err
	}
	names := js.StreamNames(ctx)
	var all []string
	for name := range names.Name() {
		if strings.HasPrefix(strings.TrimPrefix(name, "KV_"), "ANNALS_"+ns+"_") {
			all = append(all, name)
		}
	}
	if err := names.Err(); err != nil {
		return err
	}
	for _, name := range all {
		if err := js.DeleteStream(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) close() {
	if s.conn != nil {
		s.conn.Close()
	}
	if s.server != nil && !s.server.Gone() {
		s.server.Kill()
	}
}
