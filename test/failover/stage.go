//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/fleet"
	"github.com/annals-go/annals/test/harness"
)

// stage is a cluster under load.
type stage struct {
	fleet   *fleet.Fleet
	clients *fleet.Clients
	history *fleet.History
	load    *fleet.Load
	tell    io.Writer
	seed    uint64
	// applications are all that there are.
	applications []string
	dirty        int // processes that did not end in good order
	weather      *weather
}

// setUp starts a cluster and clients in a directory of their own, has play
// play, and takes everything down. The files stay only when it failed, or when
// the options say so.
func setUp(ctx context.Context, o options, config fleet.Config, tell io.Writer, play func(context.Context, *stage) error) (err error) {
	if config.Dir, err = os.MkdirTemp(o.Dir, "annals-failover-"); err != nil {
		return err
	}
	s := &stage{tell: tell, seed: o.Seed}
	defer func() {
		if err != nil || o.Keep {
			s.say("seed %d; data, logs and the history are in %s", o.Seed, config.Dir)
			err = errors.Join(err, s.dump(config.Dir))
			return
		}
		err = os.RemoveAll(config.Dir)
	}()
	s.say("seed %d; building, and starting three servers and three nodes", o.Seed)
	if config.Programs, err = o.programs.Build(ctx, config.Dir); err != nil {
		return err
	}
	kek, err := harness.Kek(config.Dir) // an application may have personal fields
	if err != nil {
		return err
	}
	config.NodeArguments = append(config.NodeArguments, "--kek", kek)
	if s.weather, err = newWeather(config.Dir); err != nil {
		return err
	}
	if s.fleet, err = fleet.Start(ctx, config); err != nil {
		return err
	}
	defer func() {
		if s.clients != nil {
			s.clients.Close()
		}
		s.fleet.Close()
	}()
	return play(ctx, s)
}

// dump writes the history beside the logs.
func (s *stage) dump(dir string) error {
	if s.history == nil {
		return nil
	}
	return s.history.Dump(filepath.Join(dir, "history.jsonl"))
}

// underLoad keeps the cluster under load, by clients that each know one of the
// lists of servers, while work works.
func (s *stage) underLoad(ctx context.Context, lists [][]*fleet.Server, config fleet.LoadConfig, work func(context.Context) error) (err error) {
	if s.clients, err = s.fleet.Clients(lists...); err != nil {
		return err
	}
	config.Clients, config.Seed = s.clients.Senders(), s.seed
	s.history = fleet.NewHistory()
	s.load = fleet.NewLoad(config, s.history)
	s.applications = s.load.Applications()
	loading, stop := context.WithCancel(ctx)
	defer stop()
	var done sync.WaitGroup
	var watched error
	done.Go(func() { s.load.Run(loading) })
	done.Go(func() { watched = s.weather.watch(loading) })
	err = s.warm(ctx)
	if err == nil {
		err = work(ctx)
	}
	stop()
	done.Wait()
	return errors.Join(err, watched)
}

// clients is how many connections the load uses.
const clients = 6

// warmLimit bounds the time until every application has been submitted.
const warmLimit = 2 * time.Minute

func (s *stage) warm(ctx context.Context) error {
	all := set(s.applications)
	s.load.Hurry(all, 5*time.Second)
	return fleet.Until(ctx, warmLimit, "every application is under load", func() error {
		if _, missing := s.history.Returns(s.applications, 0); len(missing) > 0 {
			return fmt.Errorf("%d are not", len(missing))
		}
		return nil
	})
}

// healLimit bounds the time from the end of a fault until all is well.
const healLimit = 90 * time.Second

// healthy waits until nothing of the last fault is left: every partition is
// with the node that placement wants, all servers hold all events, and the load
// flows.
func (s *stage) healthy(ctx context.Context) error {
	if err := s.fleet.Settled(ctx, healLimit); err != nil {
		return err
	}
	if err := fleet.Until(ctx, healLimit, "the log is replicated", func() error { return s.fleet.Replicated(ctx) }); err != nil {
		return err
	}
	before := s.history.Acknowledged()
	return fleet.Until(ctx, healLimit, "the load flows", func() error {
		if oldest := s.history.OldestPending(); oldest > flowing {
			return fmt.Errorf("a command has been under way for %s", oldest)
		}
		if s.history.Acknowledged() < before+enough {
			return errors.New("too little is acknowledged")
		}
		return nil
	})
}

const (
	// flowing is how long a command may be under way while the load flows.
	flowing = time.Second
	// enough is how many acknowledgements show that the load flows.
	enough = 200
)

// of returns the applications in the partitions.
func (s *stage) of(own map[int]bool, partitions int) []string {
	var ids []string
	for _, id := range s.applications {
		if own[partitionOf(id, partitions)] {
			ids = append(ids, id)
		}
	}
	return ids
}

func partitionOf(application string, partitions int) int {
	return store.StreamID{Type: "application", ID: application}.Partition(partitions)
}

func set(ids []string) map[string]bool {
	all := make(map[string]bool, len(ids))
	for _, id := range ids {
		all[id] = true
	}
	return all
}

func (s *stage) say(format string, v ...any) { _, _ = fmt.Fprintf(s.tell, format+"\n", v...) }
