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
	"strings"
	"sync"
	"time"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
	"github.com/annals-go/annals/test/fleet"
)

// stage is one run.
type stage struct {
	options options
	dir     string
	tell    io.Writer
	random  *rand.Rand

	fleet   *fleet.Fleet
	gates   []*gate
	traps   traps
	asks    []*gateway.Client // one at each node, in JSON
	reader  *reader
	persons []*person
	pending []*person // whose forgetting is left to the nodes

	mu     sync.Mutex
	last   store.Position // of all commands
	report report
}

func (s *stage) say(format string, v ...any) {
	_, _ = fmt.Fprintf(s.tell, "%s "+format+"\n", append([]any{time.Now().Format("15:04:05.000")}, v...)...)
}

// count changes the report.
func (s *stage) count(change func(*report)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.report)
}

// stuck tells of something that does not go on.
func (s *stage) stuck(format string, v ...any) {
	s.say("STUCK: "+format, v...)
	s.count(func(r *report) { r.Stuck++ })
}

func run(ctx context.Context, o options, tell io.Writer) (report, error) {
	began := time.Now()
	dir, err := os.MkdirTemp(o.Dir, "annals-forgetting-")
	if err != nil {
		return report{}, err
	}
	s := &stage{
		options: o, dir: dir, tell: tell, random: rand.New(rand.NewPCG(o.Seed, 6)),
		report: report{Seed: o.Seed, Steps: map[string]int{}, Random: map[string]int{}, ControlSources: map[string]int{}},
	}
	s.say("seed %d; data in %s", o.Seed, dir)
	err = s.start(ctx)
	if err == nil {
		err = s.play(ctx)
	}
	s.close()
	if err != nil {
		return s.report, fmt.Errorf("%w; data and logs are in %s", err, dir)
	}
	s.report.Seconds = time.Since(began).Seconds()
	if wrong := s.report.verdict(allMoments(), allSources()); o.Keep || wrong != nil {
		s.say("data and logs are in %s", dir)
		return s.report, nil //nolint:nilerr // the verdict is the caller's
	}
	return s.report, os.RemoveAll(dir)
}

// start starts servers, gates and nodes.
func (s *stage) start(ctx context.Context) error {
	kek := filepath.Join(s.dir, "kek")
	if err := privacy.GenerateFile(kek, "k1"); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	s.say("building and starting")
	programs, err := fleet.Programs{Loans: self}.Build(ctx, s.dir)
	if err != nil {
		return err
	}
	s.fleet, err = fleet.Start(ctx, fleet.Config{
		Dir: s.dir, Programs: programs, OwnServer: true, Front: s.front,
		NodeArguments: []string{"--kek", "file:" + kek, "--api", "--keep-commands", "--partitions", "16"},
	})
	if err != nil {
		return err
	}
	return s.connect(kek)
}

// front makes the gate of a node.
func (s *stage) front(node string, server *fleet.Server) (string, error) {
	g, err := openGate(node, strings.TrimPrefix(server.URL(), "nats://"), &s.traps, func(name string) { s.node(name).Process().Kill() })
	if err != nil {
		return "", err
	}
	s.gates = append(s.gates, g)
	return g.url(), nil
}

func (s *stage) node(name string) *fleet.Node {
	for _, n := range s.fleet.Nodes {
		if n.Name == name {
			return n
		}
	}
	panic("no node " + name)
}

// connect makes a client at each node: a server passes requests to whoever is connected to
// itself first.
func (s *stage) connect(kek string) error {
	s.reader = &reader{conn: s.fleet.Conn, kek: kek}
	for i, server := range s.fleet.Servers {
		conn, err := s.fleet.Connect(server)
		if err != nil {
			return err
		}
		c, err := gateway.NewClient(gateway.ClientConfig{Conn: conn, Namespace: fleet.Namespace, Codec: store.JSON})
		if err != nil {
			return err
		}
		s.asks = append(s.asks, c)
		s.reader.http = append(s.reader.http, s.fleet.Nodes[i].HTTP())
	}
	s.reader.clients = s.asks
	return nil
}

// close ends everything that was started.
func (s *stage) close() {
	if s.fleet != nil {
		s.fleet.Close()
	}
	for _, g := range s.gates {
		g.close()
	}
}

// play has persons forgotten under load, and looks at what is left.
func (s *stage) play(ctx context.Context) error {
	rounds := plan(s.random, s.options.random)
	for i := range s.options.controls + len(rounds) {
		p := newPerson(i, s.options.Seed, i >= s.options.controls)
		p.hurt = i%hurtEvery == 0
		s.persons = append(s.persons, p)
	}
	s.count(func(r *report) { r.Controls = s.options.controls })
	s.say("telling of %d persons", len(s.persons))
	if err := s.introduceAll(ctx); err != nil {
		return err
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	var busy sync.WaitGroup
	for i := range loaders {
		busy.Go(func() { s.load(working, i) })
	}
	busy.Go(func() { s.rebuild(working) })
	err := s.rounds(ctx, rounds)
	if err == nil {
		err = s.awaitPending(ctx)
	}
	stop()
	busy.Wait()
	if err != nil {
		return err
	}
	return errors.Join(s.heal(ctx), s.judge(ctx))
}

// hurtEvery is how many persons there are for each at whose name a view fails.
const hurtEvery = 6
