//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/annals-go/annals/test/fleet"
	"github.com/annals-go/annals/test/harness"
	"github.com/annals-go/annals/test/postgres"
)

func pause(ctx context.Context, d time.Duration) error { return fleet.Pause(ctx, d) }

// rebuildAll tries one store after the other, each on a cluster of its own.
func rebuildAll(ctx context.Context, o options, tell io.Writer) (total report, err error) {
	began := time.Now()
	total = report{Stores: map[string]outcome{}, Seed: o.Seed}
	dir, err := os.MkdirTemp(o.Dir, "annals-rebuild-")
	if err != nil {
		return total, err
	}
	_, _ = fmt.Fprintf(tell, "seed %d; building\n", o.Seed)
	self, err := os.Executable()
	if err != nil {
		return total, err
	}
	programs, err := fleet.Programs{Loans: self}.Build(ctx, dir)
	if err != nil {
		return total, err
	}
	for i, name := range o.stores {
		s := &stage{name: name, dir: filepath.Join(dir, name), options: o, seed: o.Seed + uint64(i), tell: tell}
		if err := s.run(ctx, programs); err != nil {
			return total, fmt.Errorf("store %s: %w; data and logs are in %s", name, err, dir)
		}
		total.Stores[name] = s.outcome
		total.add(s.outcome)
	}
	total.Seconds = time.Since(began).Seconds()
	if o.Keep {
		return total, nil
	}
	return total, os.RemoveAll(dir)
}

// stage is a cluster with views in one store.
type stage struct {
	name    string
	dir     string
	options options
	seed    uint64
	tell    io.Writer

	fleet   *fleet.Fleet
	clients *fleet.Clients // one for each node
	outcome outcome
}

func (s *stage) say(format string, v ...any) {
	_, _ = fmt.Fprintf(s.tell, s.name+": "+format+"\n", v...)
}

// run starts everything, plays, and takes everything down.
func (s *stage) run(ctx context.Context, programs fleet.Programs) (err error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	address, closeStore, err := s.address()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore()) }()
	s.say("starting three servers and three nodes")
	// Each node and its readers stay at one server, so that who asks there asks
	// that node.
	kek, err := harness.Kek(s.dir)
	if err != nil {
		return err
	}
	config := fleet.Config{Dir: s.dir, Programs: programs, OwnServer: true, NodeArguments: []string{"--views", address, "--kek", kek}}
	if s.fleet, err = fleet.Start(ctx, config); err != nil {
		return err
	}
	defer s.fleet.Close()
	var lists [][]*fleet.Server
	for _, server := range s.fleet.Servers {
		lists = append(lists, []*fleet.Server{server})
	}
	if s.clients, err = s.fleet.Clients(lists...); err != nil {
		return err
	}
	defer s.clients.Close()
	return s.play(ctx)
}

// address is what the nodes are told, and closed ends what is behind it.
func (s *stage) address() (address string, closed func() error, err error) {
	nothing := func() error { return nil }
	switch s.name {
	case "sqlite":
		return "sqlite:" + filepath.Join(s.dir, "views"), nothing, nil
	case "postgres":
		server, err := postgres.Start()
		if err != nil {
			return "", nothing, fmt.Errorf("NOT TRIED, NOT PASSED: %w", err)
		}
		return server.URL(), server.Close, nil
	}
	return s.name, nothing, nil
}

// askers are the clients, one at each node.
func (s *stage) askers() []asker {
	var all []asker
	for _, c := range s.clients.All {
		all = append(all, c)
	}
	return all
}
